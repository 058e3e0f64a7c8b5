"""The limiter that workers and replicas share: the law of `bucket.lua`, by Redis's own clock.

Redis may be lost. Then every worker decides alone, in its part of the limits (`degraded.py`), and tells Redis once
what was used meanwhile, when it is back (`redis_upkeep.py`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway import plugins
from gateway.domain.tenant import TenantLimits
from gateway.limits import Allowance, Hold, Reservation, Scope, ScopeKind
from gateway.limits.bucket import advance
from gateway.limits.local_use import LocalUse
from gateway.limits.quota import allowances, quota_of, refusal
from gateway.limits.redis_link import RedisLink
from gateway.limits.redis_upkeep import Running, Upkeep
from gateway.limits.redis_words import Words, read_accounts, refusals
from gateway.limits.script import Script, Unreachable

_NOTHING = Hold(0, 0)


class RedisLimiter:
    """Keeps the promise of `Limiter` for every worker with the same Redis.

    `worker` names this process among them. `now` (seconds since the epoch) and `ticks` (of a clock that does not
    go back) are for what is decided alone; `redis_now` (seconds since the epoch) replaces Redis's clock in tests.
    """

    def __init__(
        self,
        script: Script,
        worker: str,
        new_id: Callable[[], str],
        *,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        redis_now: Callable[[], float] | None = None,
    ) -> None:
        self._link = RedisLink(script, ticks)
        self._words = Words(worker, redis_now)
        self._local = LocalUse(now, ticks, new_id)
        self.upkeep = Upkeep(self._link, self._words, self._local, now, ticks)
        self._running: dict[str, Running] = {}

    @property
    def alone(self) -> bool:
        """Whether this worker decides without Redis at the moment."""
        return self._link.lost

    async def reserve(
        self, reservation_id: str, tenant: str, limits: TenantLimits, hold: Hold, scopes: Sequence[Scope] = ()
    ) -> Reservation:
        """See `Limiter`. Without Redis it is decided alone, at most 50 ms later."""
        if not self._link.lost:
            every = (Scope(ScopeKind.TENANT, tenant, limits), *scopes)
            try:
                answer = await self._link.ask(self._words.reserve(reservation_id, tenant, every, hold))
                return self._decided(answer, Reservation(reservation_id, tenant, hold), every)
            except (Unreachable, ValueError, asyncio.CancelledError) as error:
                # Redis may have held it all the same.
                self.upkeep.owe(reservation_id, tenant, _NOTHING)
                if isinstance(error, asyncio.CancelledError):
                    raise
        return await self._local.reserve(reservation_id, tenant, limits, hold, scopes, workers=self.upkeep.workers)

    async def settle(self, reservation: Reservation, used: Hold) -> None:
        """See `Limiter`. What Redis does not hear now it hears later, once."""
        if await self._local.settle(reservation, used):
            return
        reservation_id, tenant = reservation.reservation_id, reservation.tenant
        running = self._running.pop(reservation_id, None)
        if running is not None:
            self.upkeep.ended(tenant)
        if self._link.lost:
            self.upkeep.owe(reservation_id, tenant, used, running)
            return
        try:
            answer = await self._link.ask(self._words.settle(reservation_id, tenant, used))
        except Unreachable:
            self.upkeep.owe(reservation_id, tenant, used, running)
            return
        except asyncio.CancelledError:
            self.upkeep.owe(reservation_id, tenant, used, running)
            raise
        if running is not None and running.is_forgotten(answer):
            # What was used is told as a use.
            self._local.note(tenant, running.scopes, used)

    async def allowances(
        self, tenant: str, limits: TenantLimits, scopes: Sequence[Scope] = ()
    ) -> tuple[Allowance, ...]:
        """See `Limiter`. Without Redis it is what this worker may admit alone."""
        every = (Scope(ScopeKind.TENANT, tenant, limits), *scopes)
        if not self._link.lost:
            try:
                now, accounts = read_accounts(await self._link.ask(self._words.look(tenant, every)))
            except (Unreachable, ValueError):
                return await self._local.allowances(tenant, limits, scopes, self.upkeep.workers)
            found: list[Allowance] = []
            for scope, account in zip(every, accounts, strict=True):
                quota = quota_of(scope.limits)
                found += allowances(scope.label, advance(account, quota, now), quota, now)
            return tuple(found)
        return await self._local.allowances(tenant, limits, scopes, self.upkeep.workers)

    async def aclose(self) -> None:
        """Tells Redis what it can and closes every connection."""
        await self.upkeep.leave()
        await self._link.aclose()

    def _decided(self, answer: list[object], asked: Reservation, scopes: tuple[Scope, ...]) -> Reservation:
        match answer:
            case [1, int(born)]:
                self._hold(asked, Running(scopes, born))
                return asked
            case [2, int(tokens), int(nano_usd)]:
                return Reservation(asked.reservation_id, asked.tenant, Hold(tokens, nano_usd))
            case [0, *rest]:
                raise refusal(refusals(rest, scopes, asked.hold))
        raise ValueError("an answer of another kind")

    def _hold(self, reservation: Reservation, running: Running) -> None:
        self._running[reservation.reservation_id] = running
        self.upkeep.holds(reservation.reservation_id, reservation.tenant)


@asynccontextmanager
async def shared(url: str, new_id: Callable[[], str], *, cluster: bool = False) -> AsyncIterator[RedisLimiter]:
    """A limiter over the Redis at `url`, tended until it is left. OperatorError: no such URL."""
    script: Script = plugins.load("gateway.limits", "redis_script").create(url, cluster=cluster)
    limiter = RedisLimiter(script, new_id(), new_id)
    tending = asyncio.get_running_loop().create_task(limiter.upkeep.follow())
    try:
        yield limiter
    finally:
        tending.cancel()
        await asyncio.wait([tending])
        await limiter.aclose()
