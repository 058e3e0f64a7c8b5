"""Limits in shadow, limits that are switched off, and the word that one is near; fairness between tenants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from gateway.domain.errors import LimitError, Reason
from gateway.domain.tenant import DIMENSIONS, NO_LIMITS, LimitsMode, TenantLimits
from gateway.limits import Hold, Limiter, Scope, ScopeKind
from gateway.limits.lenient import LenientLimiter, watched
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.support.redis_server import redis_server

LIMITS = TenantLimits(10, 10_000, 5, 1.0, 10.0)
TURN = Hold(100, 1_000)


class Told:
    """What is told of limits."""

    def __init__(self) -> None:
        self.shadowed: list[tuple[str, str, str]] = []
        self.near: list[tuple[str, str, str]] = []

    def limit_shadowed(self, tenant: str, scope: str, dimension: str) -> None:
        self.shadowed.append((tenant, scope, dimension))

    def limit_near(self, tenant: str, scope: str, dimension: str) -> None:
        self.near.append((tenant, scope, dimension))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(params=["memory", "redis"])
async def lenient(
    request: pytest.FixtureRequest, tmp_path: Path, told: Told, clock: Clock
) -> AsyncIterator[LenientLimiter]:
    """The same over both keepers of the law."""
    async with AsyncExitStack() as stack:
        keeper: Limiter = MemoryLimiter(clock)
        if request.param == "redis":
            url = stack.enter_context(redis_server(tmp_path))
            ids = count()
            redis = RedisLimiter(RedisScript(url, timeout_s=5.0), "w", lambda: f"i{next(ids)}", redis_now=clock)
            stack.push_async_callback(redis.aclose)
            keeper = redis
        yield LenientLimiter(keeper, told)


async def turns(limiter: Limiter, number: int, limits: TenantLimits, *scopes: Scope, tenant: str = "acme") -> int:
    """So many turns one after the other; how many were admitted."""
    admitted = 0
    for _ in range(number):
        try:
            turn = await limiter.reserve(f"r{next(_ids)}", tenant, limits, TURN, scopes)
        except LimitError as error:
            assert error.reason is Reason.RATE_LIMITED
        else:
            admitted += 1
            await limiter.settle(turn, TURN)
    return admitted


_ids = count()


async def test_a_limit_in_shadow_refuses_nobody_and_says_whom_it_would_have(
    lenient: LenientLimiter, told: Told
) -> None:
    """Q-8: the one rule alone; the other limits hold, and what is refused by them is not counted in its shadow."""
    limits = replace(LIMITS, shadow=("requests_per_minute",))
    assert await turns(lenient, 15, limits) == 15
    assert told.shadowed == [("acme", "tenant:acme", "requests_per_minute")] * 5
    assert await turns(lenient, 100, replace(limits, tokens_per_minute=2_000)) == 5
    assert "requests_per_minute" not in {one.dimension for one in await lenient.allowances("acme", limits)}


async def test_a_scope_may_be_in_shadow_by_itself(lenient: LenientLimiter, told: Told) -> None:
    """Of a subject, say; the tenant's own limits hold meanwhile."""
    alice = Scope(ScopeKind.SUBJECT, "alice", replace(NO_LIMITS, requests_per_minute=3, shadow=DIMENSIONS))
    assert await turns(lenient, 12, LIMITS, alice) == 10
    assert told.shadowed == [("acme", "subject:alice", "requests_per_minute")] * 7


async def test_all_limits_may_be_in_shadow_or_off(lenient: LenientLimiter, told: Told) -> None:
    """Q-8, globally; and what was spent meanwhile counts when they hold again."""
    assert await turns(lenient, 15, LimitsMode.SHADOW.applied(LIMITS)) == 15
    assert len(told.shadowed) == 5
    assert await turns(lenient, 30, LimitsMode.OFF.applied(LIMITS)) == 30
    assert len(told.shadowed) == 5
    money = {one.dimension: one for one in await lenient.allowances("acme", LIMITS)}["usd_per_day"]
    assert money.limit - money.remaining == 45 * TURN.cost_nano_usd


async def test_a_limit_that_is_near_is_told_once_each_time(
    lenient: LenientLimiter, told: Told, clock: Clock
) -> None:
    """Q-8: at four fifths, not before, and again only after less was used."""
    await turns(lenient, 7, LIMITS)
    await lenient.look()
    assert told.near == []
    for _ in range(2):
        await turns(lenient, 1, LIMITS)
        await lenient.look()
    assert told.near == [("acme", "tenant:acme", "requests_per_minute")]
    clock.now += 60
    for number in (1, 8):
        await turns(lenient, number, LIMITS)
        await lenient.look()
    assert told.near == [("acme", "tenant:acme", "requests_per_minute")] * 2


async def test_those_just_used_are_looked_at_once_a_second(told: Told, clock: Clock) -> None:
    """By a task that ends with the limiter."""
    ticks: asyncio.Queue[None] = asyncio.Queue(1)

    async def sleep(seconds: float) -> None:
        assert seconds <= 1
        await ticks.get()

    async with watched(MemoryLimiter(clock), told, sleep) as limiter:
        await turns(limiter, 9, LIMITS)
        await ticks.put(None)
        await ticks.put(None)
        assert told.near


async def test_a_tenant_that_offers_ten_times_as_much_gets_no_more(lenient: LenientLimiter, clock: Clock) -> None:
    """Q-6: ten tenants of equal limits, one of which offers ten times its share; Jain's index of what they get."""
    limits = replace(NO_LIMITS, requests_per_minute=20)
    got = dict.fromkeys((f"t{number}" for number in range(10)), 0)
    for _ in range(20):
        clock.now += 6
        for tenant in got:
            got[tenant] += await turns(lenient, 20 if tenant == "t0" else 2, limits, tenant=tenant)
    shares = [
        admitted - (20 if tenant == "t0" else 0) for tenant, admitted in got.items()
    ]  # the burst it began with
    jain = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
    assert jain >= 0.95
    assert shares[1:] == [40] * 9  # nobody else is refused anything


async def test_a_caller_who_waits_as_told_is_admitted(lenient: LenientLimiter, clock: Clock) -> None:
    """Q-7: the next attempt after `retry_after` is admitted."""
    limits = replace(NO_LIMITS, requests_per_minute=7, tokens_per_minute=900)
    for _ in range(100):
        for _ in range(20):
            try:
                await lenient.settle(await lenient.reserve(f"r{next(_ids)}", "acme", limits, TURN), TURN)
            except LimitError as error:
                assert error.retry_after_s is not None
                clock.now += error.retry_after_s
                break
        assert await turns(lenient, 1, limits) == 1
