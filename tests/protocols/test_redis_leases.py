"""Workers that die: what they held is free within 30 seconds, by whoever comes next."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from gateway.domain.errors import LimitError
from gateway.domain.tenant import NO_LIMITS
from gateway.limits import Hold
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from gateway.limits.redis_upkeep import HEARTBEAT_S
from tests.support.redis_server import redis_server

LIMITS = replace(NO_LIMITS, concurrent_streams=1, usd_per_day=1.0)
CENT = 10_000_000


@dataclass
class Clock:
    """Everybody's clock, Redis's too."""

    now: float = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workers(tmp_path: Path, clock: Clock) -> Iterator[dict[str, RedisLimiter]]:
    """Two of them with one Redis."""
    with redis_server(tmp_path) as url:
        ids = map(str, count())
        yield {
            name: RedisLimiter(
                RedisScript(url, timeout_s=30.0), name, lambda: next(ids), now=clock, ticks=clock, redis_now=clock
            )
            for name in ("dies", "lives")
        }


async def full(limiter: RedisLimiter) -> bool:
    """Whether the tenant's one stream is taken."""
    try:
        await limiter.settle(await limiter.reserve("probe", "acme", LIMITS, Hold(0, CENT)), Hold(0, 0))
    except LimitError:
        return True
    return False


async def test_what_a_dead_worker_held_is_free_within_thirty_seconds(
    workers: dict[str, RedisLimiter], clock: Clock
) -> None:
    """P-1: stream and money are free for the next turn of anybody; its settlement, coming late, is booked once."""
    lost = await workers["dies"].reserve("r1", "acme", LIMITS, Hold(0, 60 * CENT))
    clock.now += 29
    assert await full(workers["lives"])
    clock.now += 1
    assert not await full(workers["lives"])
    await workers["lives"].settle(lost, Hold(0, 20 * CENT))
    await workers["lives"].settle(lost, Hold(0, 20 * CENT))
    (_, money) = await workers["lives"].allowances("acme", LIMITS)
    assert (money.remaining, money.held) == (80 * CENT, 0)
    for limiter in workers.values():
        await limiter.aclose()


async def test_a_worker_that_is_heard_keeps_what_it_holds(workers: dict[str, RedisLimiter], clock: Clock) -> None:
    """One heartbeat every ten seconds is enough, for as long as the longest stream."""
    reservation = await workers["dies"].reserve("r1", "acme", LIMITS, Hold(0, CENT))
    for _ in range(90):
        clock.now += HEARTBEAT_S
        await workers["dies"].upkeep.look()
        assert await full(workers["lives"])
    await workers["dies"].settle(reservation, Hold(0, CENT))
    assert not await full(workers["lives"])
    for limiter in workers.values():
        await limiter.aclose()


async def test_a_heartbeat_counts_those_that_live(workers: dict[str, RedisLimiter], clock: Clock) -> None:
    """The register knows two, then one when the other is silent, or has left."""
    for limiter in workers.values():
        await limiter.upkeep.look()
    clock.now += HEARTBEAT_S
    await workers["lives"].upkeep.look()
    assert workers["lives"].upkeep.workers == 2
    clock.now += 21
    await workers["lives"].upkeep.look()
    assert workers["lives"].upkeep.workers == 1
    clock.now += HEARTBEAT_S
    await workers["dies"].upkeep.look()
    await workers["dies"].aclose()
    await workers["lives"].upkeep.look()
    assert workers["lives"].upkeep.workers == 1
    await workers["lives"].aclose()
