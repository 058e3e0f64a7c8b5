"""Keeps the promise of `Slots`: a pool for each upstream and model, and one task that reports for all of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from gateway.limits import Outlook, Slot
from gateway.limits.slot_pool import SlotPool
from gateway.limits.slots import Answer, Pool, Report, shared

LEASE_S = 10.0
"""At least; it is never shorter than three of the longest times between two reports."""
TICK_S = 0.25
"""While none does: how long another worker may wait for spare slots of this one."""
POLL_S = 0.05
"""While a turn waits: another worker may have given slots back, or a window may be over."""
REPORTS_A_SECOND = 100
"""Of all workers together about one model: each costs Redis as much as there are workers."""
ALL = 1_000_000

Key = tuple[str, str]


class Level(NamedTuple):
    """How full one model's slots are. `used` and `waiting` are this worker's, the others those of all workers."""

    used: int
    busy: int
    limit: int
    waiting: int


class Rhythm(NamedTuple):
    """How often a worker reports: at once where there is news, but not before `gap_s`; times in seconds."""

    gap_s: float
    waiting_s: float
    idle_s: float
    lease_s: float


def rhythm(workers: int, lease_s: float = LEASE_S) -> Rhythm:
    """The rhythm of each of so many workers."""
    gap_s = workers / REPORTS_A_SECOND if workers > 1 else 0.0
    idle_s = max(min(TICK_S, lease_s / 3), gap_s)
    return Rhythm(gap_s, max(POLL_S, gap_s), idle_s, max(lease_s, 3 * idle_s))


class Exchange(Protocol):
    """Where workers share slots."""

    spare: int
    """How many slots a worker likes to have at hand for turns to come."""

    async def share(self, key: Key, report: Report) -> Answer | None:
        """The answer to one worker's report; None when there is none, so that all stays as it is."""
        ...

    async def aclose(self) -> None:
        """Closes connections."""
        ...


class MemoryExchange:
    """The law of `slots.py` over a map in memory: for one process, or for several workers of a test."""

    spare = ALL

    def __init__(self, worker: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._worker = worker
        self._clock = clock
        self.pools: dict[Key, Pool] = {}

    async def share(self, key: Key, report: Report) -> Answer | None:
        """Always answers."""
        return self.answer(key, report, self._worker)

    def answer(self, key: Key, report: Report, worker: str) -> Answer:
        """The same for any worker."""
        now = round(self._clock() * 1000)
        self.pools[key], answer = shared(self.pools.get(key, Pool()), now, worker, report)
        return answer

    async def aclose(self) -> None:
        """There is nothing to close."""


class SlotKeeper:
    """The slots of this worker. Use `follow` as long as it is used, and `aclose` after that."""

    def __init__(
        self,
        caps: Mapping[Key, int],
        exchange: Exchange,
        *,
        most_waiting: int = 1000,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`caps`: the most calls at once by upstream and model; what is not named has no limit."""
        self._exchange = exchange
        self._lease_s = lease_s
        self._clock = clock
        self._news = asyncio.Event()
        self._reporting = asyncio.Lock()
        self.pools = {key: SlotPool(cap, most_waiting, self._news.set, clock) for key, cap in caps.items()}

    async def take(self, upstream: str, model: str, tenant: str, within_s: float) -> Slot:
        """See `Slots`."""
        pool = self.pools.get((upstream, model))
        if pool is None:
            return FREE
        if not pool.take(tenant):
            await pool.wait(tenant, within_s)
        return _Held(pool, tenant, self._clock)

    def outlook(self, upstream: str, model: str, tenant: str) -> Outlook:
        """See `Slots`."""
        pool = self.pools.get((upstream, model))
        return pool.outlook(tenant) if pool else Outlook()

    def levels(self) -> dict[Key, Level]:
        """How full everything is."""
        return {
            key: Level(pool.used, pool.elsewhere + pool.used, pool.limit, pool.waiting)
            for key, pool in self.pools.items()
        }

    async def follow(self) -> None:
        """Reports when there is news, and from time to time, for ever."""
        while True:
            waiting, pace = any(pool.waiting for pool in self.pools.values()), self._rhythm
            if pace.gap_s:
                await asyncio.sleep(pace.gap_s)
            try:
                async with asyncio.timeout((pace.waiting_s if waiting else pace.idle_s) - pace.gap_s):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            await self.report()

    async def report(self, *, leaving: bool = False) -> None:
        """Reports for every pool, one after the other."""
        async with self._reporting:
            pace = self._rhythm
            lease_ms, every_ms = round(pace.lease_s * 1000), round(pace.idle_s * 1000)
            for key, pool in self.pools.items():
                report = pool.report(0 if leaving else lease_ms, self._exchange.spare, every_ms)
                answer = await self._exchange.share(key, report)
                if answer is None:
                    pool.unheard(report)
                else:
                    pool.heard(answer, report.used)

    @property
    def _rhythm(self) -> Rhythm:
        return rhythm(max((pool.workers for pool in self.pools.values()), default=1), self._lease_s)

    async def aclose(self) -> None:
        """Gives everything back."""
        await self.report(leaving=True)
        await self._exchange.aclose()


class _Free:
    """The slot of a model that has them for everybody."""

    def first_output(self, took_s: float, own_s: float = 0.0) -> None:
        """Moves nothing."""

    def gave_up(self, took_s: float, own_s: float = 0.0) -> None:
        """Moves nothing."""

    def refused(self, named: int = 0) -> None:
        """Moves nothing."""

    def release(self) -> None:
        """There are as many as before."""


FREE = _Free()


class _Held:
    """A slot of a pool that was taken just now."""

    __slots__ = ("_begun", "_clock", "_cuts", "_pool", "_released", "_tenant")

    def __init__(self, pool: SlotPool, tenant: str, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._tenant = tenant
        self._clock = clock
        self._begun = clock()
        self._cuts = pool.cuts
        self._released = False

    def first_output(self, took_s: float, own_s: float = 0.0) -> None:
        """See `Slot`."""
        self._pool.first_output(took_s, own_s)

    def gave_up(self, took_s: float, own_s: float = 0.0) -> None:
        """See `Slot`."""
        self._pool.gave_up(took_s, own_s)

    def refused(self, named: int = 0) -> None:
        """See `Slot`."""
        self._pool.refused(self._cuts, named)

    def release(self) -> None:
        """See `Slot`."""
        if not self._released:
            self._released = True
            self._pool.give(self._tenant, self._clock() - self._begun)


@asynccontextmanager
async def kept(keeper: SlotKeeper) -> AsyncIterator[SlotKeeper]:
    """The keeper, which reports until it is left."""
    await keeper.report()
    following = asyncio.get_running_loop().create_task(keeper.follow())
    try:
        yield keeper
    finally:
        following.cancel()
        await asyncio.wait([following])
        await keeper.aclose()
