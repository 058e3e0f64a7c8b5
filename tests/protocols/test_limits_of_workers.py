"""The limiter that a parent keeps for its workers: what a dead worker held, and what a worker does without it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain.errors import OperatorError, Reason
from gateway.domain.tenant import TenantLimits
from gateway.limits import Hold, Reservation
from gateway.limits.desk import Desk
from gateway.limits.memory import MemoryLimiter
from gateway.limits.remote import Ask, RemoteLimiter

LIMITS = TenantLimits(100, 1_000, 2, usd_per_day=1.0, usd_per_month=1.0)
HOLD = Hold(100, 1_000)


def asking(desk: Desk, worker: str) -> Ask:
    """How a worker of this name asks."""

    async def ask(words: Sequence[object]) -> list[Any]:
        return await desk.answer(worker, words)

    return ask


async def held(limiter: RemoteLimiter) -> dict[str, int]:
    """What is held of each limit."""
    return {one.dimension: one.held for one in await limiter.allowances("acme", LIMITS) if one.held}


async def test_a_dead_worker_holds_nothing_and_the_others_keep_what_is_theirs() -> None:
    """At once, and not when a lease ends; what it had settled before stays settled."""
    desk = Desk(MemoryLimiter())
    dead, alive = RemoteLimiter(asking(desk, "dead")), RemoteLimiter(asking(desk, "alive"))
    done = await dead.reserve("done", "acme", LIMITS, HOLD)
    await dead.settle(done, Hold(10, 500))
    await dead.reserve("cut", "acme", LIMITS, HOLD)
    await alive.reserve("runs", "acme", LIMITS, HOLD)
    assert (await held(alive))["concurrent_streams"] == 2
    assert (desk.lost("dead"), desk.lost("dead")) == (1, 0)
    assert (await held(alive))["concurrent_streams"] == 1
    by_name = {one.dimension: one for one in await alive.allowances("acme", LIMITS)}
    assert by_name["usd_per_day"].limit - by_name["usd_per_day"].remaining == 500 + HOLD.cost_nano_usd


async def test_what_a_dead_worker_used_is_booked_when_its_receipt_is_closed() -> None:
    """Whoever closes it settles it, once."""
    desk = Desk(MemoryLimiter())
    await RemoteLimiter(asking(desk, "dead")).reserve("cut", "acme", LIMITS, HOLD)
    desk.lost("dead")
    alive = RemoteLimiter(asking(desk, "alive"))
    for _ in range(2):
        await alive.settle(Reservation("cut", "acme", HOLD), Hold(50, 700))
    (day,) = [one for one in await alive.allowances("acme", LIMITS) if one.dimension == "usd_per_day"]
    assert (day.limit - day.remaining, day.held) == (700, 0)


async def test_a_budget_is_restored_once_however_many_workers_say_what_was_spent() -> None:
    """Every worker reads the same books, at its start and again at that of its successor."""
    desk = Desk(MemoryLimiter())
    for worker in ("1", "2", "1 again"):
        await RemoteLimiter(asking(desk, worker)).has_spent("acme", LIMITS, 300, 900)
    by_name = {a.dimension: a for a in await RemoteLimiter(asking(desk, "1")).allowances("acme", LIMITS)}
    spent = {name: by_name[name].limit - by_name[name].remaining for name in ("usd_per_day", "usd_per_month")}
    assert spent == {"usd_per_day": 300, "usd_per_month": 900}


async def test_a_caller_who_leaves_while_it_is_decided_holds_nothing() -> None:
    """The parent may have held it all the same."""
    desk, hurry = Desk(MemoryLimiter()), asyncio.Event()

    async def slow(words: Sequence[object]) -> list[Any]:
        answer = await desk.answer("one", words)
        if words[0] == "reserve":
            await hurry.wait()
        return answer

    limiter = RemoteLimiter(slow)
    asked = asyncio.create_task(limiter.reserve("r", "acme", LIMITS, HOLD))
    await asyncio.sleep(0)
    assert (await held(limiter))["concurrent_streams"] == 1
    asked.cancel()
    await asyncio.wait([asked])
    assert asked.cancelled()
    assert await held(limiter) == {}


async def test_without_the_parent_nothing_is_admitted_and_nothing_breaks() -> None:
    """A turn that runs can still end; a new one is told to call again."""

    async def gone(_words: Sequence[object]) -> list[Any]:
        raise ConnectionError

    limiter = RemoteLimiter(gone)
    with pytest.raises(OperatorError) as caught:
        await limiter.reserve("r", "acme", LIMITS, HOLD)
    assert caught.value.reason is Reason.OVERLOADED
    await limiter.settle(Reservation("r", "acme", HOLD), HOLD)
