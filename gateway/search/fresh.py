"""What was fetched a moment ago, in memory: found again for a short time, and never fetched twice at once.

Every key names its tenant, so nothing passes from one to another. Failures are not kept. The memory is bounded by
a weight that its user gives (characters, say); the least recently used goes first. What is not in memory may lie
outside (`outer`), where other gateways leave it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.search.outer import Outer

T = TypeVar("T")

MAX_WEIGHT = 32_000_000


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    until: float
    weight: int


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[tuple[T, bool]]
    waiting: int = 0
    claimed: bool = False


class FreshCache(Generic[T]):
    """One kind of thing; `weigh` says how much of the memory one of them takes."""

    def __init__(
        self,
        weigh: Callable[[T], int],
        max_weight: int = MAX_WEIGHT,
        clock: Callable[[], float] = time.monotonic,
        outer: Outer[T] | None = None,
    ) -> None:
        self._weigh = weigh
        self._outer = outer
        self._max_weight = max_weight
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()
        self._weight = 0
        self._flights: dict[Hashable, _Flight[T]] = {}

    def kept(self, key: Hashable) -> T | None:
        """The value if it is there; nothing is made."""
        kept = self._kept.get(key)
        return kept.value if kept is not None and kept.until > self._clock() else None

    async def get(self, key: Hashable, ttl_s: float, make: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The value, and whether it was there already: of those who wait together, one is told that it was not.

        Raises what `make` raises, to everyone who waits for it.
        A caller who leaves disturbs nobody: the making ends only when the last one who waits has left.
        """
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock():
            self._kept.move_to_end(key)
            return kept.value, True
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(self._made(key, ttl_s, make)))
        flight.waiting += 1
        try:
            value, found = await asyncio.shield(flight.task)
            # Whoever began it may have left: what it cost is for the first who gets it.
            known, flight.claimed = found or flight.claimed, True
            return value, known
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._flights.pop(key, None)
                flight.task.cancel()

    async def _made(self, key: Hashable, ttl_s: float, make: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        task = asyncio.current_task()
        try:
            found = await self._outer.find(key) if self._outer is not None else None
            value, left_s = found or (await make(), ttl_s)
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is task:
                del self._flights[key]
        self._keep(key, _Kept(value, self._clock() + min(left_s, ttl_s), self._weigh(value)))
        if found is None and self._outer is not None:
            await self._outer.keep(key, value, ttl_s)
        return value, found is not None

    def _keep(self, key: Hashable, kept: _Kept[T]) -> None:
        self._drop(key)
        if kept.weight > self._max_weight:
            return
        self._kept[key] = kept
        self._weight += kept.weight
        while self._weight > self._max_weight:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        before = self._kept.pop(key, None)
        if before is not None:
            self._weight -= before.weight
