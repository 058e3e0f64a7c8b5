"""What a worker does for its holds in Redis beside turns: one heartbeat for all, and what could not be said.

Everything that is told later is told once: a settlement by the id of its hold, a batch of uses by its own.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold, Scope
from gateway.limits.local_use import Batch, LocalUse
from gateway.limits.redis_link import RedisLink
from gateway.limits.redis_words import Words
from gateway.limits.script import Unreachable

HEARTBEAT_S = 10.0
LOOK_S = 1.0
MOST_OWED = 10_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Running:
    """A hold that this worker has in Redis; `born` tells a tenant's account from its successor."""

    scopes: tuple[Scope, ...]
    born: int

    def is_forgotten(self, answer: Sequence[object]) -> bool:
        """Whether Redis lost its data since the hold was made, by what it answers to the settlement."""
        return answer[0] == 0 and answer[1:] != [self.born]


@dataclass(frozen=True, slots=True)
class _Owed:
    """A settlement that Redis may not have heard."""

    tenant: str
    used: Hold
    running: Running | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the books say of a tenant, in nano-USD of the UTC day `epoch_day` and its month."""

    limits: TenantLimits
    epoch_day: int
    day: int
    month: int


class Upkeep:
    """Looks once a second: is Redis there, what does it not know yet, is a heartbeat due."""

    def __init__(
        self, link: RedisLink, words: Words, local: LocalUse, now: Callable[[], float], ticks: Callable[[], float]
    ) -> None:
        self._link = link
        self._words = words
        self._local = local
        self._now = now
        self._ticks = ticks
        self._holding: Counter[str] = Counter()
        self._owed: OrderedDict[str, _Owed] = OrderedDict()
        self._untold: list[Batch] = []
        self._books: dict[str, Spent] = {}
        self._beat_at = ticks()
        self._looking = asyncio.Lock()
        self.workers = 1
        """How many workers lived when Redis was last heard."""

    def holds(self, reservation_id: str, tenant: str) -> None:
        """This worker has one hold more in Redis."""
        self._owed.pop(reservation_id, None)
        self._holding[tenant] += 1

    def ended(self, tenant: str) -> None:
        """…and one less."""
        self._holding[tenant] -= 1
        if self._holding[tenant] <= 0:
            del self._holding[tenant]

    def owe(self, reservation_id: str, tenant: str, used: Hold, running: Running | None = None) -> None:
        """A settlement that Redis may not have heard. Beyond 10,000 the oldest is left to its lease.

        `running` is the hold where it is known to be one of Redis's.
        """
        self._owed[reservation_id] = _Owed(tenant, used, running)
        if len(self._owed) > MOST_OWED:
            self._owed.popitem(last=False)

    def restore(self, tenant: str, limits: TenantLimits, day: int, month: int) -> None:
        """Redis is to know at least this spending, in nano-USD of the current UTC day and month."""
        self._books[tenant] = Spent(limits, int(self._now() // DAY_S), max(day, 0), max(month, 0))

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks once a second, for ever."""
        while True:
            await self.look()
            await sleep(LOOK_S)

    async def look(self) -> None:
        """One look. The first thing that Redis does not answer ends it."""
        async with self._looking:
            try:
                if self._link.lost or self._ticks() >= self._beat_at:
                    await self._beat()
                await self._tell()
            except Unreachable:
                return
            self._link.found()

    async def leave(self) -> None:
        """This worker ends: Redis hears what it can."""
        try:
            await self._tell()
            await self._link.ask(self._words.leave())
        except Unreachable:
            return

    async def _beat(self) -> None:
        match await self._link.ask(self._words.join()):
            case [int(workers)]:
                self.workers = max(workers, 1)
        for tenant in tuple(self._holding):
            await self._link.ask(self._words.renew(tenant))
        self._beat_at = self._ticks() + HEARTBEAT_S

    async def _tell(self) -> None:
        for tenant, spent in tuple(self._books.items()):
            await self._tell_spent(tenant, spent)
            self._books.pop(tenant, None)
        for reservation_id, owed in tuple(self._owed.items()):
            answer = await self._link.ask(self._words.settle(reservation_id, owed.tenant, owed.used))
            self._owed.pop(reservation_id, None)
            if owed.running is not None and owed.running.is_forgotten(answer):
                self._local.note(owed.tenant, owed.running.scopes, owed.used)
        while self._untold or self._gather():
            await self._link.ask(self._words.absorb(self._untold[-1]))
            self._untold.pop()

    def _gather(self) -> bool:
        """Only when everything gathered before is told, so that what waits is bounded by the tenants."""
        self._untold = self._local.gather()
        return bool(self._untold)

    async def _tell_spent(self, tenant: str, spent: Spent) -> None:
        today = int(self._now() // DAY_S)
        day = spent.day if spent.epoch_day == today else 0
        same_month = time.gmtime(today * DAY_S)[:2] == time.gmtime(spent.epoch_day * DAY_S)[:2]
        await self._link.ask(self._words.restore(tenant, spent.limits, day, spent.month if same_month else 0))
