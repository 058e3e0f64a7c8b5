"""An issuer's keys by URL, kept fresh in the background; a failure never takes away keys that are still good."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.auth.endpoint import FetchError
from gateway.auth.key_source import read_verifying_keys
from gateway.auth.keys import KeySetError
from gateway.auth.policy import IssuerPolicy
from gateway.auth.signatures import VerifyingKey
from gateway.domain.errors import OperatorError, Reason

SOFT_TTL_S = 300.0
HARD_TTL_S = 86_400.0
# Before the soft TTL and by more than one fetch takes, so that a withdrawn key is gone when it has passed.
REFRESH_S = 270.0
# Between any two fetches while there are keys, whoever asks for the second one.
SPACING_S = 30.0
# Between two fetches while there are none; the caller is told to come back after as long.
COLD_SPACING_S = 5.0

_log = logging.getLogger(__name__)


class RemoteKeys:
    """The keys behind one URL, fetched by one task at a time.

    `load` returns the document or raises FetchError. `clock` is monotonic, in seconds. A call waits for a fetch in
    two cases only: there are no keys at all, or the token names a key that nobody has seen yet.
    """

    def __init__(
        self,
        policy: IssuerPolicy,
        load: Callable[[], Awaitable[bytes]],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._load = load
        self._clock = clock
        self._sleep = sleep
        self._keys: Mapping[str, VerifyingKey] = {}
        self._generation = 0
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def ready(self) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at < HARD_TTL_S

    def holds(self, generation: int) -> bool:
        return generation == self._generation and self.ready

    async def find(self, key_id: str) -> VerifyingKey | None:
        self.start()
        if not self.ready:
            await self._fetch(COLD_SPACING_S)
        if not self.ready:
            raise OperatorError(
                Reason.IDP_UNAVAILABLE,
                "the keys of the token's issuer cannot be fetched at the moment; try again",
                retry_after_s=COLD_SPACING_S,
            )
        if key_id not in self._keys:
            await self._fetch(SPACING_S)
        return self._keys.get(key_id)

    async def purge(self) -> None:
        """An operator's word that a key is bad: nothing is believed until the set was fetched again."""
        if self._fetching is not None:
            await asyncio.wait([self._fetching])
        self._keys = {}
        self._generation += 1
        self._fetched_at = None
        await self._fetch(0.0)

    def start(self) -> None:
        if not self._closed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh(), name=f"keys of {self._policy.issuer}")

    async def aclose(self) -> None:
        self._closed = True
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh(self) -> None:
        while True:
            due_in_s = self._due_in_s()
            if due_in_s > 0:
                await self._sleep(due_in_s)
            else:
                await self._fetch(0.0)

    def _due_in_s(self) -> float:
        """Asked again after every sleep: a fetch that somebody else needed moves the moment."""
        if self._attempted_at is None:
            return 0.0
        after_attempt_s = SPACING_S if self.ready else COLD_SPACING_S
        due = self._attempted_at + after_attempt_s
        if self._fetched_at is not None and self._fetched_at >= self._attempted_at:
            due = self._fetched_at + REFRESH_S
        return due - self._clock()

    async def _fetch(self, spacing_s: float) -> None:
        """Waits for the fetch under way, or starts one unless the last began less than `spacing_s` ago."""
        if self._fetching is None:
            now = self._clock()
            too_soon = self._attempted_at is not None and now - self._attempted_at < spacing_s
            if self._closed or too_soon:
                return
            self._attempted_at = now
            self._fetching = asyncio.create_task(self._fetch_once())
        # Unlike awaiting the task itself, this leaves it alone when the one who waits is cancelled, and keeps its
        # end from looking like a cancellation of theirs.
        await asyncio.wait([self._fetching])

    async def _fetch_once(self) -> None:
        try:
            keys, skipped = read_verifying_keys(await self._load(), self._policy)
        except (FetchError, KeySetError) as error:
            _log.warning("keys of %s not refreshed, the last good ones stay: %s", self._policy.issuer, error)
        else:
            for reason in skipped:
                _log.warning("keys of %s: an entry was skipped: %s", self._policy.issuer, reason)
            self._accept(keys)
        finally:
            self._fetching = None

    def _accept(self, keys: Mapping[str, VerifyingKey]) -> None:
        if not keys:
            _log.warning("keys of %s: the issuer withdrew every key", self._policy.issuer)
        if keys != self._keys:
            self._keys = keys
            self._generation += 1
        self._fetched_at = self._clock()
