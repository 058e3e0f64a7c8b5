"""Shares slots between workers with the same Redis: the law of `slots.lua`, by Redis's own clock.

No turn asks Redis: a worker has a few slots at hand and renews its lease with a report now and then. Only where
slots are short does a turn wait for the answer to a report. Without Redis each worker keeps to its part of the
last limit; what runs then is in its next report, which replaces the one before, so that nothing counts twice.
"""

import time
from collections.abc import Callable
from pathlib import Path

from gateway.limits.adaptive import Adaptive
from gateway.limits.redis_link import RedisLink
from gateway.limits.redis_words import Act
from gateway.limits.script import Script, Unreachable
from gateway.limits.slot_keeper import Key, MemoryExchange
from gateway.limits.slots import Answer, Pool, Report

SOURCE = Path(__file__).with_name("slots.lua").read_text(encoding="utf-8")
SPARE = 4
CONNECTIONS = 4
PROBE_S = 1.0


class RedisExchange:
    """Keeps the promise of `Exchange` for the worker of this name.

    `ticks` is in seconds of a clock that does not go back; `redis_now` (seconds) replaces Redis's clock in tests.
    """

    spare = SPARE

    def __init__(
        self,
        script: Script,
        worker: str,
        *,
        ticks: Callable[[], float] = time.monotonic,
        redis_now: Callable[[], float] | None = None,
    ) -> None:
        """`script` runs SOURCE."""
        self._link = RedisLink(script, ticks)
        self._worker = worker
        self._ticks = ticks
        self._redis_now = redis_now
        self._last: dict[Key, Answer] = {}
        self._alone: MemoryExchange | None = None
        self._probe_at = 0.0

    async def share(self, key: Key, report: Report) -> Answer | None:
        """Redis's answer, or that of this worker's part alone while Redis is lost; None when none came."""
        if self._link.lost and self._ticks() < self._probe_at:
            return self._part(key, report)
        now = "" if self._redis_now is None else round(self._redis_now() * 1000)
        self._probe_at = self._ticks() + PROBE_S
        try:
            words = [now, self._worker, *written(report)]
            answer = read_answer(await self._link.ask(Act([key_of(key)], words)))
        except (Unreachable, ValueError):
            return self._part(key, report) if self._link.lost else None
        self._link.found()
        self._alone = None
        self._last[key] = answer
        return answer

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._link.aclose()

    def _part(self, key: Key, report: Report) -> Answer:
        """What this worker may use alone: its part of the limit that was known last, as long as that lasts."""
        last = self._last.get(key)
        part = max(1, last.limit // last.workers if last else report.cap)
        if self._alone is None:
            self._alone = MemoryExchange(clock=self._ticks)
        if last:
            self._alone.pools.setdefault(key, Pool(Adaptive(limit=part, cuts=last.cuts, usual_us=last.usual_us)))
        return self._alone.answer(key, report._replace(cap=part), self._worker)


def key_of(key: Key) -> str:
    """The braces make it one hash slot, whatever the names."""
    return "gateway:slots:{" + "/".join(key) + "}"


def written(report: Report) -> list[str | int]:
    """The words of a report, as the script reads them."""
    words: list[str | int] = [report.lease_ms, report.cap, report.granted, report.used, report.wish]
    words += [report.every_ms, *report.signals, len(report.holds)]
    for tenant, count in report.holds.items():
        words += [tenant, count]
    words.append(len(report.waits))
    for tenant, (count, age) in report.waits.items():
        words += [tenant, count, age]
    return words


def read_answer(answer: list[object]) -> Answer:
    """What the script said. Raises ValueError for an answer of another shape."""
    match answer:
        case [int(limit), int(cuts), int(usual_us), int(workers), int(used), int(contended), int(spare), *tenants]:
            names = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in tenants)
            return Answer(limit, cuts, usual_us, workers, used, bool(contended), spare, names)
    raise ValueError("an answer of another kind")
