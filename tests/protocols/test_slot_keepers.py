"""Slots of an upstream, in one process and through Redis: fair, bounded, given back whoever leaves or dies."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.domain.errors import Reason, UpstreamError
from gateway.limits import Slot
from gateway.limits.redis_script import RedisScript
from gateway.limits.slot_keeper import POLL_S, Exchange, MemoryExchange, SlotKeeper, kept
from gateway.limits.slot_redis import SOURCE, RedisExchange
from tests.support.redis_server import free_port, redis_server

KEY = ("upstream", "model")
HANG_GUARD_S = 20.0
Make = Callable[[str], Exchange]


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes what workers share slots through, by the worker's name."""
    if request.param == "memory":
        pools = MemoryExchange().pools

        def in_memory(worker: str) -> MemoryExchange:
            exchange = MemoryExchange(worker)
            exchange.pools, exchange.spare = pools, 4
            return exchange

        yield in_memory
        return
    with redis_server(tmp_path / "redis") as url:
        yield lambda worker: through_redis(url, worker)


def through_redis(url: str, worker: str) -> RedisExchange:
    """Through this Redis, with time enough on a busy machine."""
    return RedisExchange(RedisScript(url, timeout_s=30.0, source=SOURCE), worker)


@asynccontextmanager
async def workers(make: Make, count: int, cap: int, **options: object) -> AsyncIterator[list[SlotKeeper]]:
    """Keepers that report."""
    async with AsyncExitStack() as stack:
        keepers = [SlotKeeper({KEY: cap}, make(f"w{number}"), **options) for number in range(count)]  # type: ignore[arg-type]
        yield [await stack.enter_async_context(kept(keeper)) for keeper in keepers]


@asynccontextmanager
async def taken(keeper: SlotKeeper, tenant: str, within_s: float) -> AsyncIterator[Slot]:
    """A slot for the length of a block."""
    slot = await keeper.take(*KEY, tenant, within_s)
    try:
        yield slot
    finally:
        slot.release()
        slot.release()


async def test_ten_to_one_offered_over_two_workers_is_one_to_one_served(make: Make) -> None:
    """Q-6, X-7: wherever the turns of a tenant wait, both get as many slots, and never more than there are."""
    order: list[str] = []
    running = most = 0

    async def turn(keeper: SlotKeeper, tenant: str) -> None:
        nonlocal running, most
        async with taken(keeper, tenant, HANG_GUARD_S):
            order.append(tenant)
            running += 1
            most = max(most, running)
            await asyncio.sleep(2 * POLL_S)
            running -= 1

    async with workers(make, 2, 3) as (first, second), asyncio.timeout(HANG_GUARD_S):
        async with AsyncExitStack() as all_taken:
            for _ in range(3):
                await all_taken.enter_async_context(taken(first, "earlier", HANG_GUARD_S))
            loud = [asyncio.create_task(turn(keeper, "loud")) for _ in range(12) for keeper in (first, second)]
            await asyncio.sleep(0)
            quiet = [asyncio.create_task(turn(second, "quiet")) for _ in range(8)]
            await asyncio.sleep(0)
            for keeper in (first, second, first):
                await keeper.report()
        await asyncio.gather(*loud, *quiet)
    last = max(place for place, tenant in enumerate(order) if tenant == "quiet")
    shares = Counter(order[:last])
    assert sum(shares.values()) ** 2 / (2 * sum(share**2 for share in shares.values())) >= 0.95
    assert most <= 3


async def test_five_hundred_who_leave_at_any_moment_leave_nothing(make: Make) -> None:
    """Cancelled while they wait, as they are served or while they hold: every slot comes back."""
    chance = random.Random(7)

    async def turn(keeper: SlotKeeper) -> None:
        async with taken(keeper, chance.choice("abc"), HANG_GUARD_S):
            await asyncio.sleep(chance.choice((0, 0, 0.001)))

    async with workers(make, 2, 5) as keepers, asyncio.timeout(HANG_GUARD_S):
        for _ in range(10):
            tasks = [asyncio.create_task(turn(chance.choice(keepers))) for _ in range(50)]
            for task in chance.sample(tasks, 40):
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for keeper in keepers:
            assert keeper.levels()[KEY][0] == keeper.levels()[KEY].waiting == 0
            await keeper.report()
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(taken(keepers[0], "a", HANG_GUARD_S))


async def test_a_burst_on_fresh_workers_is_served_whole(make: Make) -> None:
    """Three hundred at once at one of two workers, of an upstream that never said no: all run together."""
    async with workers(make, 2, 400) as (first, _), AsyncExitStack() as stack, asyncio.timeout(HANG_GUARD_S):
        burst = [taken(first, "a", HANG_GUARD_S) for _ in range(300)]
        await asyncio.gather(*(stack.enter_async_context(slot) for slot in burst))
        assert first.levels()[KEY] == (300, 300, 400, 0)


async def test_nobody_waits_who_could_not_be_served_in_time(make: Make) -> None:
    """Where calls take long, a line as long as two waits is full; the others hear so at once."""
    seconds = iter(range(0, 100_000, 50))
    async with workers(make, 1, 1, clock=lambda: float(next(seconds))) as (keeper,):
        async with taken(keeper, "a", HANG_GUARD_S):
            pass
        async with taken(keeper, "a", HANG_GUARD_S):
            waits = asyncio.create_task(enter(keeper, "a"))
            await asyncio.sleep(0)
            with pytest.raises(UpstreamError, match="too many"):
                await enter(keeper, "a")
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)


async def test_a_wait_has_an_end_and_a_place(make: Make) -> None:
    """OVERLOADED after the time it may take, with a wait of 1 to 10 s; the next in line is told that it waits."""
    async with workers(make, 1, 1) as (keeper,), taken(keeper, "a", HANG_GUARD_S):
        assert keeper.outlook(*KEY, "b").position == 1
        with pytest.raises(UpstreamError) as caught:
            async with taken(keeper, "b", 0.01):
                pass
        assert (caught.value.reason, caught.value.facts["upstream_cause"]) == (Reason.OVERLOADED, "no_slot")
        assert 1.0 <= (caught.value.retry_after_s or 0) <= 10.0
        assert keeper.levels()[KEY].waiting == 0
    assert keeper.outlook(*KEY, "b") == (0, 0)


async def test_a_line_has_a_length(make: Make) -> None:
    """The newcomer of the longest backlog is refused at once; another tenant's takes the place of its last."""
    async with workers(make, 1, 1, most_waiting=2) as (keeper,), taken(keeper, "loud", HANG_GUARD_S):
        waiting = [asyncio.create_task(enter(keeper, "loud")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamError, match="too many"):
            await enter(keeper, "loud")
        quiet = asyncio.create_task(enter(keeper, "quiet"))
        with pytest.raises(UpstreamError, match="too many"):
            await waiting[1]
        for task in (waiting[0], quiet):
            task.cancel()
        await asyncio.gather(waiting[0], quiet, return_exceptions=True)


async def test_refusals_by_the_upstream_are_the_reason_that_is_given(make: Make) -> None:
    """Who waits in vain after a 429 hears of the upstream's limit, and the one that it named holds at once."""
    async with workers(make, 1, 10) as (keeper,), taken(keeper, "a", HANG_GUARD_S) as slot:
        slot.refused(1)
        await keeper.report()
        with pytest.raises(UpstreamError) as caught:
            async with taken(keeper, "b", 0.2):
                pass
        assert caught.value.reason is Reason.UPSTREAM_RATE_LIMITED
        assert keeper.levels()[KEY].limit == 1


async def test_a_model_without_a_limit_has_slots_for_everybody(make: Make) -> None:
    """Such as the embedded one: nothing is counted."""
    async with workers(make, 1, 1) as (keeper,):
        for _ in range(100):
            slot = await keeper.take("embedded", "embedded", "a", 0.0)
            slot.first_output(1.0)
            slot.refused()
        assert keeper.outlook("embedded", "embedded", "a") == (0, 0)


async def enter(keeper: SlotKeeper, tenant: str) -> None:
    """Holds a slot until it is cancelled."""
    async with taken(keeper, tenant, HANG_GUARD_S):
        await asyncio.Event().wait()


HOLDER = f"""
import asyncio, sys
from gateway.limits.redis_script import RedisScript
from gateway.limits.slot_keeper import SlotKeeper, kept
from gateway.limits.slot_redis import SOURCE, RedisExchange

async def hold():
    exchange = RedisExchange(RedisScript(sys.argv[1], timeout_s=30.0, source=SOURCE), "holder")
    async with kept(SlotKeeper({{{KEY!r}: 3}}, exchange, lease_s=2.0)) as keeper:
        for _ in range(3):
            await keeper.take(*{KEY!r}, "a", 20.0)
        print("holds", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


async def test_what_a_killed_worker_held_is_free_when_its_lease_ends(tmp_path: Path) -> None:
    """P-1: kill -9 frees nothing by itself; the lease does, and until then no slot is given twice."""
    with redis_server(tmp_path) as url:
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert await asyncio.to_thread(holder.stdout.readline) == "holds\n"
            async with kept(SlotKeeper({KEY: 3}, through_redis(url, "next"))) as keeper:
                with pytest.raises(UpstreamError):
                    async with taken(keeper, "b", 0.2):
                        pass
                os.kill(holder.pid, signal.SIGKILL)
                async with taken(keeper, "b", HANG_GUARD_S), taken(keeper, "b", HANG_GUARD_S):
                    pass
        finally:
            holder.kill()
            holder.wait()
            assert holder.stdout is not None
            holder.stdout.close()


async def test_without_redis_a_worker_keeps_to_its_part_and_nothing_counts_twice_after_it(tmp_path: Path) -> None:
    """R-1: two workers, six slots: alone each may use three; back again, what runs is counted once."""
    port = free_port()

    def exchange(name: str) -> RedisExchange:
        return RedisExchange(RedisScript(f"redis://127.0.0.1:{port}/0", source=SOURCE), name)

    async with AsyncExitStack() as stack:
        with redis_server(tmp_path / "one", port=port):
            first, second = [
                await stack.enter_async_context(kept(SlotKeeper({KEY: 6}, exchange(name)))) for name in "ab"
            ]
            await first.report()
            await stack.enter_async_context(taken(first, "a", HANG_GUARD_S))
        held = AsyncExitStack()
        with pytest.raises(UpstreamError):
            for _ in range(7):
                # Spare slots from before the loss are used; beyond them a worker keeps to its part.
                await held.enter_async_context(taken(first, "a", 1.5))
        used = first.levels()[KEY].used
        assert 3 <= used <= 5
        with redis_server(tmp_path / "two", port=port):
            async with asyncio.timeout(HANG_GUARD_S):
                while first.levels()[KEY].limit != 6 or second.levels()[KEY].limit != 6:
                    await asyncio.sleep(0.05)
            rest = AsyncExitStack()
            with pytest.raises(UpstreamError):
                for _ in range(7):
                    await rest.enter_async_context(taken(second, "b", 1.5))
            assert first.levels()[KEY].used + second.levels()[KEY].used == 6
            await rest.aclose()
            await held.aclose()
