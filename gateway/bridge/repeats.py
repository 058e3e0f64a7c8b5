"""The same request again within seconds gets the same answer, and is not paid for twice.

Dify's proxy sends a request up to four times when an answer is lost on its way. The key holds the whole
credential, so nobody gets another's answer; refusals are never kept.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

KEPT_S = 5.0
MAX_KEPT = 512


@dataclass(slots=True)
class _Standing:
    work: "asyncio.Task[dict[str, object]]"
    until: float
    waiting: int = 0


class Repeats:
    """Answers in flight, and those of the last seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._standing: dict[bytes, _Standing] = {}

    async def once(self, key: bytes, work: Callable[[], Awaitable[dict[str, object]]]) -> dict[str, object]:
        """The answer of `work`, or of the same work that is under way or was done just now.

        Work that nobody waits for any more is cancelled. Raises what the work raises.
        """
        self._forget()
        standing = self._standing.get(key)
        if standing is None:
            if len(self._standing) >= MAX_KEPT:
                return await work()
            task = asyncio.get_running_loop().create_task(_run(work))
            standing = self._standing[key] = _Standing(task, self._now() + KEPT_S)
            task.add_done_callback(lambda done: self._done(key, done))
        standing.waiting += 1
        try:
            return await asyncio.shield(standing.work)
        finally:
            standing.waiting -= 1
            if not standing.waiting and not standing.work.done():
                # Nobody may join what is being cancelled.
                self._standing.pop(key, None)
                standing.work.cancel()

    def _done(self, key: bytes, work: "asyncio.Task[dict[str, object]]") -> None:
        standing = self._standing.get(key)
        if standing is None or standing.work is not work:
            return
        if work.cancelled() or work.exception() is not None:
            del self._standing[key]
        else:
            standing.until = self._now() + KEPT_S

    def _forget(self) -> None:
        now = self._now()
        old = [key for key, standing in self._standing.items() if standing.work.done() and standing.until <= now]
        for key in old:
            del self._standing[key]


async def _run(work: Callable[[], Awaitable[dict[str, object]]]) -> dict[str, object]:
    return await work()


def key_of(path: str, authorization: tuple[str, ...], body: bytes) -> bytes:
    """The same for the same credential, path and body, and for nothing else."""
    digest = hashlib.sha256()
    for part in (path.encode(), *(value.encode() for value in authorization), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
