"""The two keepers of the law, driven with the same histories: they never differ."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from gateway.domain.errors import LimitError
from gateway.domain.tenant import NO_LIMITS, TenantLimits
from gateway.limits import Hold, Limiter, Reservation, Scope, ScopeKind
from gateway.limits.memory import MemoryLimiter
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.support.redis_server import redis_server, say

HISTORIES, STEPS = 200, 12
FULL_HISTORIES = 10_000
DAY_MS = 86_400_000
LEAP_2000, LEAP_2400 = 11_016, 157_113
"""Days of the epoch: the last February days of their centuries."""
STARTS = (1_764_000_000_000, *(day * DAY_MS + 86_399_000 for day in (LEAP_2000, LEAP_2400 - 1, LEAP_2400)))
JUMPS = (0, 0, 0, 1, 7, 250, 3_000, 61_000, 200_000, 960_000, DAY_MS, 40 * DAY_MS, -1, -5_000, -3_600_000, -DAY_MS)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for this file."""
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@dataclass
class History:
    """One random history, and the clock that both keepers see."""

    chance: random.Random
    ids: "count[int]" = field(default_factory=count)
    now_ms: int = 0

    def __post_init__(self) -> None:
        self.now_ms = self.chance.choice(STARTS)

    def __call__(self) -> float:
        return self.now_ms / 1000

    def pick(self, *choices: int) -> int:
        """One of these, or a number up to the largest."""
        return self.chance.choice((*choices, self.chance.randint(0, max(choices))))

    def limits(self) -> TenantLimits:
        """Often none, sometimes tight, sometimes at the edge of what is exact."""
        if self.chance.random() < 0.2:
            return NO_LIMITS
        return TenantLimits(
            requests_per_minute=self.pick(0, 0, 3, 600),
            tokens_per_minute=self.pick(0, 100, 7_000, 10**10),
            concurrent_streams=self.pick(0, 0, 1, 4),
            usd_per_day=self.chance.choice((0.0, 0.000001, 0.37, 8_000_000.0)),
            usd_per_month=self.chance.choice((0.0, 0.000002, 1.0, 9_000_000.0)),
        )

    def amount(self) -> Hold:
        """Also nonsense: negative, or far beyond what any turn uses."""
        return Hold(self.pick(0, 1, 150, 6_000, 10**10, 2**60, -5), self.pick(0, 800, 10**6, 10**12, 2**60, -5))

    def scopes(self) -> Sequence[Scope]:
        """Some of those that a turn of the tenant may count against."""
        every = [
            Scope(ScopeKind.SUBJECT, self.chance.choice(("alice", "bob {x}")), self.limits()),
            Scope(ScopeKind.KEY, "k1", self.limits()),
            Scope(ScopeKind.MODEL, "deepseek-flash", self.limits()),
        ]
        return [scope for scope in every if self.chance.random() < 0.3]


async def outcome(limiter: Limiter, act: str, *words: object) -> object:
    """What an act comes to, in a form that can be compared."""
    try:
        return await getattr(limiter, act)(*words)
    except LimitError as error:
        return error.reason, error.message, error.facts, error.retry_after_s, error.quotas


async def replay(seed: int, url: str) -> None:
    """One history over fresh keepers; Redis has a tenant of its own for it."""
    history = History(random.Random(seed))
    tenant, limits = f"t{seed}", history.limits()
    script = RedisScript(url, timeout_s=30.0, connections=1)
    ids = map(str, history.ids)
    memory, shared = MemoryLimiter(history), RedisLimiter(script, "", lambda: next(ids), redis_now=history)
    held: list[Reservation] = []
    try:
        for step in range(STEPS):
            history.now_ms += history.chance.choice(JUMPS)
            if history.chance.random() < 0.1:
                limits = history.limits()
            scopes = history.scopes()
            if held and history.chance.random() < 0.45:
                words: tuple[object, ...] = (history.chance.choice(held), history.amount())
                act = "settle"
            else:
                name = f"r{step}" if history.chance.random() < 0.9 else "again"
                words = (name, tenant, limits, history.amount(), scopes)
                act = "reserve"
            first, second = await outcome(memory, act, *words), await outcome(shared, act, *words)
            assert canonical(first) == canonical(second), (seed, step, act, words)
            if isinstance(first, Reservation):
                held.append(first)
            seen = (tenant, limits, scopes)
            assert await memory.allowances(*seen) == await shared.allowances(*seen), (seed, step, act, words)
        assert not shared.alone
    finally:
        await script.aclose()


def canonical(found: object) -> object:
    """Redis remembers of a hold what the law makes of it."""
    if isinstance(found, Reservation):
        tokens, nano_usd = found.hold.tokens, found.hold.cost_nano_usd
        hold = Hold(min(max(tokens, 0), 10**10), min(max(nano_usd, 0), 10**12))
        return replace(found, hold=hold)
    return found


async def test_memory_and_redis_never_differ(url: str) -> None:
    """Q-2, Q-5: two hundred histories with changing limits, scopes, late and double settling and clock steps."""
    for seed in range(HISTORIES):
        await replay(seed, url)


@pytest.mark.full
async def test_memory_and_redis_never_differ_at_length(url: str) -> None:
    """Q-2, Q-5: ten thousand further histories."""
    for seed in range(HISTORIES, HISTORIES + FULL_HISTORIES):
        await replay(seed, url)


async def test_redis_decides_by_its_own_clock(url: str) -> None:
    """However wrong the clocks of two workers are, they share one minute."""
    limits = replace(NO_LIMITS, requests_per_minute=2)
    script = RedisScript(url, timeout_s=30.0)
    ids = map(str, count())
    workers = [
        RedisLimiter(script, name, lambda: next(ids), now=lambda off=off: off)
        for name, off in (("a", 0), ("b", 9e9))
    ]
    for number, worker in enumerate(workers):
        await worker.reserve(f"r{number}", "clocks", limits, Hold(0, 0))
    with pytest.raises(LimitError) as caught:
        await workers[0].reserve("r3", "clocks", limits, Hold(0, 0))
    assert 20 < (caught.value.retry_after_s or 0) <= 30
    await script.aclose()


async def test_every_number_is_stored_in_full(url: str) -> None:
    """Balances near 2**53 keep their last digit."""
    limits = replace(NO_LIMITS, usd_per_month=8_000_000.0)
    script = RedisScript(url, timeout_s=30.0)
    limiter = RedisLimiter(script, "", lambda: "x")
    limiter.upkeep.restore("rich", limits, 0, 7_999_999_999_999_999)
    await limiter.upkeep.look()
    await limiter.settle(await limiter.reserve("r1", "rich", limits, Hold(0, 1)), Hold(0, 1))
    assert b"8000000000000000" in say(url, "HGETALL", "gateway:limits:{rich}:account:tenant:rich")
    assert [a.remaining for a in await limiter.allowances("rich", limits)] == [0]
    await script.aclose()


async def test_of_a_hundred_at_once_over_four_workers_the_budget_for_one_admits_one(url: str) -> None:
    """Q-1 over workers that know nothing of each other but Redis."""
    limits = replace(NO_LIMITS, usd_per_day=0.01)
    scripts = [RedisScript(url, timeout_s=30.0, connections=30) for _ in range(4)]
    workers = [RedisLimiter(script, f"w{n}", lambda: "x") for n, script in enumerate(scripts)]

    async def one(number: int) -> bool:
        try:
            await workers[number % 4].reserve(f"r{number}", "crowd", limits, Hold(0, 10_000_000))
        except LimitError:
            return False
        return True

    admitted = 0
    for chunk in range(0, 100, 50):
        admitted += sum(await asyncio.gather(*map(one, range(chunk, chunk + 50))))
    assert admitted == 1
    assert not any(worker.alone for worker in workers)
    for script in scripts:
        await script.aclose()
