"""What every limiter promises, run over each of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.domain.errors import LimitError, Reason
from gateway.domain.tenant import NO_LIMITS, TenantLimits
from gateway.limits import Allowance, Hold, Limiter, Reservation, Scope, ScopeKind
from gateway.limits.admission import LATE_MS, LEASE_MS
from gateway.limits.desk import Desk
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from gateway.limits.remote import RemoteLimiter
from tests.support.redis_server import redis_server, say

OPEN = TenantLimits(
    requests_per_minute=0, tokens_per_minute=0, concurrent_streams=0, usd_per_day=0.0, usd_per_month=0.0
)
NOTHING = Hold(0, 0)
CENT = 10_000_000
NOON = 1_764_000_000.0


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


def at_a_desk(limiter: MemoryLimiter) -> RemoteLimiter:
    """That limiter as another process reaches it: every word is JSON on its way."""
    desk = Desk(limiter)

    async def ask(words: Sequence[object]) -> list[Any]:
        answer = await desk.answer("worker", json.loads(json.dumps(words)))
        return list(json.loads(json.dumps(answer)))

    return RemoteLimiter(ask)


@pytest.fixture(params=["memory", "remote", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(clock)
        return
    if request.param == "remote":
        yield at_a_desk(MemoryLimiter(clock))
        return
    url = request.getfixturevalue("redis_url")
    say(url, "FLUSHALL")
    script = RedisScript(url, timeout_s=30.0, connections=100)
    yield RedisLimiter(script, "", lambda: "batch", redis_now=clock)
    await script.aclose()


async def standing(limiter: Limiter, limits: TenantLimits, tenant: str = "acme") -> dict[str, Allowance]:
    """The allowances of a tenant, by dimension."""
    return {a.dimension: a for a in await limiter.allowances(tenant, limits)}


async def refused(limiter: Limiter, limits: TenantLimits, hold: Hold = NOTHING) -> LimitError:
    """The error of a turn that must be refused."""
    with pytest.raises(LimitError) as caught:
        await limiter.reserve("refused", "acme", limits, hold)
    return caught.value


async def test_of_a_hundred_at_once_the_budget_for_one_admits_one(limiter: Limiter) -> None:
    """Q-1: exactly one, whatever the interleaving."""
    limits = TenantLimits(1_000, 0, 0, usd_per_day=0.01, usd_per_month=0.0)

    async def one(number: int) -> bool:
        try:
            await limiter.reserve(f"r{number}", "acme", limits, Hold(0, CENT))
        except LimitError:
            return False
        return True

    assert sum(await asyncio.gather(*map(one, range(100)))) == 1


async def test_a_refusal_on_money_consumes_nothing(limiter: Limiter) -> None:
    """Q-4: no request, token or stream is gone after it."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=0.01, usd_per_month=1.0)
    before = await standing(limiter, limits)
    error = await refused(limiter, limits, Hold(100, 2 * CENT))
    assert error.reason is Reason.BUDGET_EXHAUSTED
    assert await standing(limiter, limits) == before


async def test_settling_gives_back_what_was_not_used(limiter: Limiter) -> None:
    """Held 1,000 tokens and two cents; used a tenth."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=1.0)
    reservation = await limiter.reserve("r1", "acme", limits, Hold(1_000, 2 * CENT))
    held = await standing(limiter, limits)
    assert (held["tokens_per_minute"].remaining, held["tokens_per_minute"].held) == (0, 1_000)
    assert (held["usd_per_day"].remaining, held["usd_per_day"].held) == (98 * CENT, 2 * CENT)
    assert (held["concurrent_streams"].remaining, held["concurrent_streams"].held) == (4, 1)
    await limiter.settle(reservation, Hold(100, CENT // 5))
    after = await standing(limiter, limits)
    assert (after["tokens_per_minute"].remaining, after["tokens_per_minute"].held) == (900, 0)
    assert (after["usd_per_day"].remaining, after["usd_per_day"].held) == (100 * CENT - CENT // 5, 0)
    assert after["requests_per_minute"].remaining == 9


async def test_settling_again_changes_nothing(limiter: Limiter, clock: Clock) -> None:
    """Q-3: idempotent at once, with other amounts, and a day later."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=1.0)
    reservation = await limiter.reserve("r1", "acme", limits, Hold(500, CENT))
    await limiter.settle(reservation, Hold(300, CENT))
    once = await standing(limiter, limits)
    await limiter.settle(reservation, Hold(300, CENT))
    await limiter.settle(reservation, Hold(0, 0))
    assert await standing(limiter, limits) == once
    clock.now += 24 * 3600
    await limiter.settle(reservation, Hold(300, CENT))
    assert (await standing(limiter, limits))["usd_per_day"].remaining == 100 * CENT


async def test_an_unknown_reservation_settles_to_nothing(limiter: Limiter) -> None:
    """One of a process that is gone, or of nobody."""
    await limiter.settle(Reservation("never", "acme", Hold(10, CENT)), Hold(10, CENT))
    limits = TenantLimits(usd_per_day=1.0)
    assert (await standing(limiter, limits))["usd_per_day"].remaining == 100 * CENT


async def test_reserving_the_same_id_again_holds_once(limiter: Limiter) -> None:
    """A repeat is given the reservation that stands."""
    limits = TenantLimits(10, 1_000, 1)
    first = await limiter.reserve("r1", "acme", limits, Hold(500, CENT))
    assert await limiter.reserve("r1", "acme", limits, Hold(500, CENT)) == first
    assert (await standing(limiter, limits))["tokens_per_minute"].held == 500


async def test_use_beyond_the_hold_is_debt(limiter: Limiter, clock: Clock) -> None:
    """Q-3, actual > reserve: the next turn waits until the debt is refilled too."""
    limits = TenantLimits(0, 6_000, 0, 0.0, 0.0)
    reservation = await limiter.reserve("r1", "acme", limits, Hold(6_000, 0))
    await limiter.settle(reservation, Hold(9_000, 0))
    error = await refused(limiter, limits, Hold(1, 0))
    assert error.retry_after_s == pytest.approx(30.01)
    clock.now += 30.02
    await limiter.reserve("r2", "acme", limits, Hold(1, 0))


async def test_explicit_zero_costs_nothing(limiter: Limiter) -> None:
    """B-2: the provider said 0; only the request is gone."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=1.0)
    await limiter.settle(await limiter.reserve("r1", "acme", limits, Hold(900, CENT)), Hold(0, 0))
    after = await standing(limiter, limits)
    assert after["tokens_per_minute"].remaining == 1_000
    assert after["usd_per_month"].remaining == 100 * CENT


async def test_absurd_usage_never_pays_the_caller(limiter: Limiter) -> None:
    """B-3: negative use books nothing, 10**18 leaves nothing below zero."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=1.0)
    await limiter.settle(await limiter.reserve("r1", "acme", limits, Hold(100, CENT)), Hold(-(10**18), -(10**18)))
    assert (await standing(limiter, limits))["usd_per_day"].remaining == 100 * CENT
    await limiter.settle(await limiter.reserve("r2", "acme", limits, Hold(100, CENT)), Hold(10**18, 10**18))
    assert (await standing(limiter, limits))["usd_per_day"].remaining == 0


async def test_a_rate_refusal_tells_program_and_person_when_to_retry(limiter: Limiter, clock: Clock) -> None:
    """Q-7: facts, quota, seconds, and the next attempt after them is admitted."""
    limits = TenantLimits(2, 0, 0, 0.0, 0.0)
    for number in range(2):
        await limiter.settle(await limiter.reserve(f"r{number}", "acme", limits, NOTHING), NOTHING)
    error = await refused(limiter, limits)
    assert error.reason is Reason.RATE_LIMITED
    assert error.facts == {
        "scope": "tenant:acme",
        "dimension": "requests_per_minute",
        "limit": "2",
        "remaining": "0",
        "retry_after": "30",
    }
    assert [q.subject for q in error.quotas] == ["tenant:acme"]
    assert "retry in 30 s" in error.message
    clock.now += error.retry_after_s or 0
    await limiter.reserve("r3", "acme", limits, NOTHING)


async def test_a_caller_that_waits_as_told_is_admitted(limiter: Limiter, clock: Clock) -> None:
    """Q-7 over many turns and two limits: the attempt after the wait always passes."""
    limits = TenantLimits(7, 1_000, 0, 0.0, 0.0)
    for number in range(200):
        hold = Hold(1 + number * 37 % 900, 0)
        try:
            reservation = await limiter.reserve(f"a{number}", "acme", limits, hold)
        except LimitError as error:
            assert error.retry_after_s is not None
            clock.now += error.retry_after_s
            reservation = await limiter.reserve(f"b{number}", "acme", limits, hold)
        await limiter.settle(reservation, Hold(hold.tokens * 3 // 2, 0))


async def test_a_turn_larger_than_the_limit_is_told_so(limiter: Limiter) -> None:
    """No retry is promised: it names max_tokens as what to lower."""
    error = await refused(limiter, TenantLimits(10, 1_000, 5), Hold(1_001, 0))
    assert error.reason is Reason.RATE_LIMITED
    assert error.retry_after_s is None
    assert "retry_after" not in error.facts
    assert "never be admitted" in error.message
    assert "max_tokens" in error.message


async def test_an_empty_budget_says_when_it_renews_and_promises_no_retry(limiter: Limiter) -> None:
    """BUDGET_EXHAUSTED has `resets_in` until midnight UTC, and amounts in USD."""
    limits = TenantLimits(10, 0, 0, usd_per_day=0.015, usd_per_month=0.0)
    await limiter.settle(await limiter.reserve("r1", "acme", limits, Hold(0, CENT)), Hold(0, CENT))
    error = await refused(limiter, limits, Hold(0, CENT))
    assert (error.reason, error.retry_after_s) == (Reason.BUDGET_EXHAUSTED, None)
    assert error.facts["dimension"] == "usd_per_day"
    assert error.facts["resets_in"] == str(86_400 - int(NOON) % 86_400)
    assert "0.015 USD per day" in error.message
    assert "0.005 USD left" in error.message


async def test_a_stream_slot_is_free_again_when_its_turn_is_settled(limiter: Limiter) -> None:
    """Concurrency is a count of turns that run."""
    limits = TenantLimits(0, 0, 1, 0.0, 0.0)
    reservation = await limiter.reserve("r1", "acme", limits, NOTHING)
    error = await refused(limiter, limits)
    assert (error.facts["dimension"], error.retry_after_s) == ("concurrent_streams", 1.0)
    await limiter.settle(reservation, NOTHING)
    await limiter.reserve("r2", "acme", limits, NOTHING)


async def test_a_turn_that_is_never_settled_frees_its_slot_in_time(limiter: Limiter, clock: Clock) -> None:
    """Q-3, never and late: the lease ends, and what comes later is booked once."""
    limits = TenantLimits(0, 0, 1, usd_per_day=1.0, usd_per_month=0.0)
    lost = await limiter.reserve("r1", "acme", limits, Hold(0, 5 * CENT))
    clock.now += LEASE_MS / 1000 - 1
    await refused(limiter, limits)
    clock.now += 2
    assert (await standing(limiter, limits))["usd_per_day"].remaining == 100 * CENT
    await limiter.reserve("r2", "acme", limits, Hold(0, CENT))
    await limiter.settle(lost, Hold(0, 3 * CENT))
    await limiter.settle(lost, Hold(0, 3 * CENT))
    after = await standing(limiter, limits)
    assert (after["usd_per_day"].remaining, after["usd_per_day"].held) == (96 * CENT, CENT)
    assert after["concurrent_streams"].held == 1


async def test_a_clock_that_goes_back_gives_no_credit(limiter: Limiter, clock: Clock) -> None:
    """P-6: an hour back, a day back, and forward to where it was."""
    limits = TenantLimits(3, 0, 0, usd_per_day=0.01, usd_per_month=0.0)
    for number in range(3):
        await limiter.settle(await limiter.reserve(f"r{number}", "acme", limits, NOTHING), Hold(0, CENT // 3 + 1))
    for step in (-3_600, -86_400, 3_600 + 86_400):
        clock.now += step
        after = await standing(limiter, limits)
        assert (after["requests_per_minute"].remaining, after["usd_per_day"].remaining) == (0, 0)


def scoped(kind: ScopeKind, name: str, **limits: float) -> Scope:
    """A scope with only these limits."""
    return Scope(kind, name, replace(NO_LIMITS, **limits))


async def test_a_subject_at_its_limit_leaves_others_of_the_tenant_theirs(limiter: Limiter) -> None:
    """The subject's own limit refuses, by name; the tenant's is not touched by it."""
    limits = TenantLimits(10, 0, 0, 0.0, 0.0)
    alice = scoped(ScopeKind.SUBJECT, "alice", requests_per_minute=1)
    bob = scoped(ScopeKind.SUBJECT, "bob", requests_per_minute=1)
    await limiter.reserve("r1", "acme", limits, NOTHING, [alice])
    with pytest.raises(LimitError) as caught:
        await limiter.reserve("r2", "acme", limits, NOTHING, [alice])
    assert caught.value.facts["scope"] == "subject:alice"
    assert "the subject alice" in caught.value.message
    await limiter.reserve("r3", "acme", limits, NOTHING, [bob])
    assert (await standing(limiter, limits))["requests_per_minute"].remaining == 8


async def test_one_scope_that_refuses_leaves_every_other_untouched(limiter: Limiter) -> None:
    """All or nothing over tenant, subject, model and key."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=1.0)
    scopes = [
        scoped(ScopeKind.SUBJECT, "alice", tokens_per_minute=1_000, concurrent_streams=1),
        scoped(ScopeKind.KEY, "k1", requests_per_minute=5),
        scoped(ScopeKind.MODEL, "deepseek-flash", usd_per_day=0.01),
    ]
    before = await limiter.allowances("acme", limits, scopes)
    with pytest.raises(LimitError) as caught:
        await limiter.reserve("r1", "acme", limits, Hold(10, 2 * CENT), scopes)
    assert caught.value.reason is Reason.BUDGET_EXHAUSTED
    assert [quota.subject for quota in caught.value.quotas] == ["model:deepseek-flash"]
    assert await limiter.allowances("acme", limits, scopes) == before


async def test_settling_books_in_every_scope(limiter: Limiter) -> None:
    """Held and spent stand in the tenant and in each of its scopes."""
    limits = TenantLimits(10, 1_000, 5, usd_per_day=1.0, usd_per_month=0.0)
    alice = scoped(ScopeKind.SUBJECT, "alice", concurrent_streams=1, usd_per_day=0.5)
    reservation = await limiter.reserve("r1", "acme", limits, Hold(500, 10 * CENT), [alice])
    held = {(a.scope, a.dimension): a.held for a in await limiter.allowances("acme", limits, [alice])}
    assert held["subject:alice", "concurrent_streams"] == held["tenant:acme", "concurrent_streams"] == 1
    await limiter.settle(reservation, Hold(100, 3 * CENT))
    after = {(a.scope, a.dimension): a.remaining for a in await limiter.allowances("acme", limits, [alice])}
    assert (after["tenant:acme", "usd_per_day"], after["subject:alice", "usd_per_day"]) == (97 * CENT, 47 * CENT)


async def test_tenants_do_not_share(limiter: Limiter) -> None:
    """One tenant at its limit leaves another's whole."""
    limits = TenantLimits(1, 100, 1)
    await limiter.reserve("r1", "acme", limits, Hold(100, 0))
    await limiter.reserve("r2", "beta", limits, Hold(100, 0))


async def test_a_changed_limit_holds_from_the_next_turn(limiter: Limiter) -> None:
    """The operator raises it: no restart, no lost spending."""
    low = TenantLimits(0, 0, 0, usd_per_day=0.01, usd_per_month=0.0)
    await limiter.settle(await limiter.reserve("r1", "acme", low, Hold(0, CENT)), Hold(0, CENT))
    await refused(limiter, low, Hold(0, CENT))
    high = TenantLimits(0, 0, 0, usd_per_day=0.02, usd_per_month=0.0)
    await limiter.reserve("r2", "acme", high, Hold(0, CENT))


async def test_no_limit_means_no_allowance_to_show(limiter: Limiter) -> None:
    """0 = none: nothing is refused and nothing is listed."""
    for number in range(1_000):
        await limiter.reserve(f"r{number}", "acme", OPEN, Hold(10**7, 10**12))
    assert await limiter.allowances("acme", OPEN) == ()


async def test_the_memory_map_forgets_only_who_neither_holds_nor_spent(clock: Clock) -> None:
    """L-8: ten thousand names leave a bounded map; money and running turns stay."""
    limiter = MemoryLimiter(clock, max_scopes=10)
    limits = TenantLimits(10, 1_000, 5, usd_per_day=0.01, usd_per_month=0.01)
    await limiter.reserve("running", "runs", limits, Hold(10, 0))
    await limiter.settle(await limiter.reserve("paid", "pays", limits, Hold(10, CENT)), Hold(10, CENT))
    for number in range(10_000):
        tenant = f"t{number}"
        await limiter.settle(await limiter.reserve(tenant, tenant, limits, Hold(10, 0)), Hold(10, 0))
    assert (await standing(limiter, limits, "runs"))["concurrent_streams"].held == 1
    assert (await standing(limiter, limits, "pays"))["usd_per_month"].remaining == 0
    assert limiter.scopes() <= 10


async def test_what_was_spent_before_a_restart_is_restored(clock: Clock) -> None:
    """The ledger's sums of today and this month count against the budgets."""
    limiter = MemoryLimiter(clock)
    limits = TenantLimits(usd_per_day=1.0, usd_per_month=2.0)
    limiter.restore("acme", limits, spent_day=30 * CENT, spent_month=150 * CENT)
    after = await standing(limiter, limits)
    assert (after["usd_per_day"].remaining, after["usd_per_month"].remaining) == (70 * CENT, 50 * CENT)


async def test_a_reservation_given_up_is_remembered_for_a_day_only(clock: Clock) -> None:
    """What nobody settles does not fill the memory."""
    limiter = MemoryLimiter(clock)
    limits = TenantLimits(0, 0, 0, usd_per_day=1.0, usd_per_month=1.0)
    lost = await limiter.reserve("r1", "acme", limits, Hold(0, CENT))
    assert limiter.held() == 1
    clock.now += LEASE_MS / 1000 + 2
    await standing(limiter, limits)
    assert limiter.held() == 0
    clock.now += LATE_MS / 1000
    await limiter.settle(lost, Hold(0, CENT))
    assert (await standing(limiter, limits))["usd_per_month"].remaining == 100 * CENT


async def test_ticks_refill_the_buckets_while_the_calendar_is_set_back(clock: Clock) -> None:
    """With a second clock that never goes back, a corrected wall clock stops nobody."""
    ticks = Clock(100.0)
    limiter = MemoryLimiter(clock, ticks)
    limits = TenantLimits(1, 0, 0, 0.0, 0.0)
    await limiter.reserve("r1", "acme", limits, NOTHING)
    clock.now -= 3_600
    ticks.now += 60
    await limiter.reserve("r2", "acme", limits, NOTHING)
