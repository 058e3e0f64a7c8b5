"""Redis in trouble: nobody waits for it, limits narrow instead of opening, and nothing is told twice later."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from gateway.domain.errors import LimitError, OperatorError, Reason
from gateway.domain.tenant import NO_LIMITS, TenantLimits
from gateway.limits import Allowance, Hold, Scope, ScopeKind
from gateway.limits.breaker import FAILURES
from gateway.limits.redis import RedisLimiter
from gateway.limits.redis_script import RedisScript
from tests.support.redis_server import free_port, redis_server, say
from tests.support.scripted_redis import Answer, says, scripted_redis, silence

LIMITS = TenantLimits(600, 0, 0, usd_per_day=10.0, usd_per_month=100.0)
NOTHING = Hold(0, 0)
CENT = 10_000_000


@asynccontextmanager
async def worker(url: str, name: str = "w", *, timeout_s: float = 0.05) -> AsyncIterator[RedisLimiter]:
    """A limiter that nobody tends: a test looks when it wants."""
    ids = count()
    limiter = RedisLimiter(RedisScript(url, timeout_s=timeout_s), name, lambda: f"{name}{next(ids)}")
    try:
        yield limiter
    finally:
        await limiter.aclose()


async def lose(limiter: RedisLimiter) -> None:
    """Turns until Redis counts as lost; each is decided all the same."""
    for number in range(FAILURES):
        assert not limiter.alone
        await limiter.settle(await limiter.reserve(f"lost{number}", "loses", NO_LIMITS, NOTHING), NOTHING)
    assert limiter.alone


async def standing(limiter: RedisLimiter, limits: TenantLimits = LIMITS) -> dict[str, Allowance]:
    """The allowances of acme, by dimension."""
    return {a.dimension: a for a in await limiter.allowances("acme", limits)}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A real Redis."""
    with redis_server(tmp_path) as address:
        yield address


TROUBLES: dict[str, tuple[Answer, float]] = {
    "black hole": (silence, 0.0),
    "latency of 2 s": (says("*2\r\n:1\r\n:7"), 2.0),
    "LOADING": (says("-LOADING Redis is loading the dataset in memory"), 0.0),
    "OOM": (says("-OOM command not allowed when used memory > 'maxmemory'."), 0.0),
    "READONLY": (says("-READONLY You can't write against a read only replica."), 0.0),
    "BUSY": (says("-BUSY Redis is busy running a script."), 0.0),
    "NOSCRIPT for ever": (says("-NOSCRIPT No matching script."), 0.0),
    "MOVED": (says("-MOVED 1234 127.0.0.1:1"), 0.0),
    "NOAUTH": (says("-NOAUTH Authentication required."), 0.0),
    "an answer of another kind": (says("+OK"), 0.0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_redis_in_trouble_narrows_the_limits_and_stops_nobody(trouble: str) -> None:
    """R-2: every turn is decided, after five failures without asking; one look a second asks again."""
    answer, delay_s = TROUBLES[trouble]
    async with scripted_redis(answer, delay_s) as server, worker(server.url) as limiter:
        for number in range(FAILURES):
            await limiter.settle(await limiter.reserve(f"r{number}", "acme", LIMITS, NOTHING), NOTHING)
        assert limiter.alone
        asked = len(server.asked)
        await limiter.reserve("alone", "acme", LIMITS, NOTHING)
        assert len(server.asked) == asked
        await limiter.upkeep.look()
        assert len(server.asked) > asked
        assert limiter.alone


async def test_an_answer_that_makes_no_sense_decides_nothing() -> None:
    """What is not the script's own answer is not believed: the worker decides alone."""
    async with scripted_redis(says("*1\r\n$3\r\nabc")) as server, worker(server.url) as limiter:
        for number in range(20):
            await limiter.settle(await limiter.reserve(f"r{number}", "acme", LIMITS, NOTHING), NOTHING)
        assert (await standing(limiter))["requests_per_minute"].limit == 300


async def test_a_refused_connection_is_no_error_of_the_caller() -> None:
    """R-2, refused."""
    async with worker(f"redis://127.0.0.1:{free_port()}/0") as limiter:
        await lose(limiter)
        await limiter.upkeep.look()
        assert limiter.alone


async def test_a_script_that_redis_forgot_is_sent_again(url: str) -> None:
    """R-2, NOSCRIPT: after SCRIPT FLUSH the next turn is decided by Redis as before."""
    async with worker(url, timeout_s=5.0) as limiter:
        await limiter.reserve("r1", "acme", LIMITS, NOTHING)
        say(url, "SCRIPT", "FLUSH")
        await limiter.reserve("r2", "acme", LIMITS, NOTHING)
        assert (await standing(limiter))["requests_per_minute"].remaining == 598
        assert not limiter.alone


async def test_alone_a_worker_keeps_to_half_of_its_part() -> None:
    """600 a minute of one worker are 300; the refusal says why."""
    async with worker(f"redis://127.0.0.1:{free_port()}/0") as limiter:
        await lose(limiter)
        for number in range(300):
            await limiter.settle(await limiter.reserve(f"r{number}", "acme", LIMITS, NOTHING), NOTHING)
        with pytest.raises(LimitError, match="shared counters cannot be reached") as caught:
            for number in range(5):
                await limiter.reserve(f"s{number}", "acme", LIMITS, NOTHING)
        assert caught.value.reason is Reason.RATE_LIMITED
        assert caught.value.facts["counters"] == "local"


async def test_alone_money_has_a_cushion_and_is_closed_after_it() -> None:
    """Of 10 USD a day and 100 a month: one USD, then BUDGET_EXHAUSTED, and not again in the next outage."""
    async with worker(f"redis://127.0.0.1:{free_port()}/0") as limiter:
        await lose(limiter)
        for number in range(10):
            hold = Hold(0, 10 * CENT)
            await limiter.settle(await limiter.reserve(f"r{number}", "acme", LIMITS, hold), hold)
        with pytest.raises(LimitError) as caught:
            await limiter.reserve("more", "acme", LIMITS, Hold(0, CENT))
        assert caught.value.reason is Reason.BUDGET_EXHAUSTED


async def test_what_was_used_alone_is_told_once(tmp_path: Path) -> None:
    """Recovery: money, tokens and requests of every scope are there, and a repeat adds nothing."""
    port = free_port()
    limits = replace(LIMITS, tokens_per_minute=100_000)
    alice = Scope(ScopeKind.SUBJECT, "alice", replace(NO_LIMITS, usd_per_day=5.0))
    async with worker(f"redis://127.0.0.1:{port}/0", timeout_s=5.0) as limiter:
        await lose(limiter)
        for number in range(3):
            reservation = await limiter.reserve(f"r{number}", "acme", limits, Hold(9_000, 9 * CENT), [alice])
            await limiter.settle(reservation, Hold(4_000, 7 * CENT))
        with redis_server(tmp_path, port=port):
            await limiter.upkeep.look()
            assert not limiter.alone
            told = {(a.scope, a.dimension): a for a in await limiter.allowances("acme", limits, [alice])}
            assert told["tenant:acme", "usd_per_month"].remaining == 10_000 * CENT - 21 * CENT
            assert told["subject:alice", "usd_per_day"].remaining == 500 * CENT - 21 * CENT
            assert told["tenant:acme", "tokens_per_minute"].remaining < 100_000
            assert told["tenant:acme", "requests_per_minute"].remaining < 600
            await limiter.upkeep.look()
            again = {(a.scope, a.dimension): a for a in await limiter.allowances("acme", limits, [alice])}
            money = [key for key in told if key[1].startswith("usd")]
            assert [again[key].remaining for key in money] == [told[key].remaining for key in money]


async def test_a_turn_held_before_the_outage_is_settled_after_it_once(url: str) -> None:
    """Redis stalls while it runs: the settlement is owed, told at the next look, and booked once."""
    async with worker(url, timeout_s=5.0) as before, worker(url, timeout_s=5.0) as other:
        reservation = await before.reserve("r1", "acme", LIMITS, Hold(0, 50 * CENT))
        before.upkeep.owe("r1", "acme", Hold(0, 20 * CENT))
        await before.upkeep.look()
        await before.settle(reservation, Hold(0, 20 * CENT))
        await other.settle(reservation, Hold(0, 20 * CENT))
        now = await standing(other)
        assert (now["usd_per_day"].remaining, now["usd_per_day"].held) == (980 * CENT, 0)


async def test_a_reservation_cut_off_on_its_way_holds_nothing_for_long(url: str) -> None:
    """The caller leaves while Redis decides: whatever it decided is given back at the next look."""
    async with worker(url, timeout_s=5.0) as limiter:
        for number in range(50):
            task = asyncio.ensure_future(limiter.reserve(f"r{number}", "acme", LIMITS, Hold(0, CENT)))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await limiter.settle(await task, NOTHING)
        await limiter.upkeep.look()
        assert (await standing(limiter))["usd_per_day"].held == 0
        assert say(url, "ZCARD", "gateway:limits:{acme}:leases") == b":0\r\n"


async def test_turns_running_when_redis_lost_its_data_are_booked_all_the_same(url: str) -> None:
    """R-3, FLUSHALL: no error, and what they used counts, once."""
    async with worker(url, timeout_s=5.0) as limiter:
        reservation = await limiter.reserve("r1", "acme", LIMITS, Hold(0, 50 * CENT))
        say(url, "FLUSHALL")
        await limiter.settle(await limiter.reserve("r2", "acme", LIMITS, NOTHING), NOTHING)
        await limiter.settle(reservation, Hold(0, 20 * CENT))
        await limiter.settle(reservation, Hold(0, 20 * CENT))
        await limiter.upkeep.look()
        assert (await standing(limiter))["usd_per_day"].remaining == 980 * CENT


async def test_what_is_owed_when_redis_loses_its_data_is_booked_once(url: str) -> None:
    """The settlement could not be told, and Redis came back empty: what was used counts, in every scope, once."""
    alice = Scope(ScopeKind.SUBJECT, "alice", replace(NO_LIMITS, usd_per_day=5.0))
    async with worker(url, timeout_s=5.0) as limiter:
        reservation = await limiter.reserve("r1", "acme", LIMITS, Hold(0, 50 * CENT), [alice])
        settling = asyncio.ensure_future(limiter.settle(reservation, Hold(0, 20 * CENT)))
        await asyncio.sleep(0)
        settling.cancel()
        say(url, "FLUSHALL")
        with suppress(asyncio.CancelledError):
            await settling
        say(url, "FLUSHALL")
        for _ in range(2):
            await limiter.upkeep.look()
        told = {(a.scope, a.dimension): a for a in await limiter.allowances("acme", LIMITS, [alice])}
        assert told["tenant:acme", "usd_per_day"].remaining == 980 * CENT
        assert told["subject:alice", "usd_per_day"].remaining == 480 * CENT


async def test_an_account_is_known_by_the_microsecond_of_its_birth(url: str) -> None:
    """So that one which Redis lost is told from its successor of the same millisecond."""
    async with worker(url, timeout_s=5.0) as limiter:
        births = []
        for number in range(20):
            await limiter.reserve("r", f"t{number}", LIMITS, NOTHING)
            said = say(url, "HGET", f"gateway:limits:{{t{number}}}:account:tenant:t{number}", "born")
            births.append(int(said.split(b"\r\n")[1]))
    assert all(abs(birth / 1e6 - time.time()) < 3600 for birth in births)
    assert any(birth % 1000 for birth in births)


async def test_the_books_raise_what_was_spent_and_never_add_to_it(url: str) -> None:
    """Every worker that starts says what the books say; the highest counts, once."""
    async with worker(url, timeout_s=5.0) as first, worker(url, timeout_s=5.0) as second:
        for limiter, day in ((first, 30 * CENT), (second, 20 * CENT), (second, 30 * CENT)):
            limiter.upkeep.restore("acme", LIMITS, day, 40 * CENT)
            await limiter.upkeep.look()
        now = await standing(first)
        assert now["usd_per_day"].remaining == 970 * CENT
        assert now["usd_per_month"].remaining == 9_960 * CENT


async def test_an_exhausted_pool_waits_for_nobody(url: str) -> None:
    """R-6: more turns at once than connections are decided, and no connection is lost by it."""
    script = RedisScript(url, connections=2)
    limiter = RedisLimiter(script, "w", lambda: "x")
    try:
        found = await asyncio.gather(*(limiter.reserve(f"r{n}", "acme", NO_LIMITS, NOTHING) for n in range(500)))
        assert len(found) == 500
        await asyncio.gather(*(limiter.settle(reservation, NOTHING) for reservation in found))
        for _ in found:  # a look ends with the first call that is late; each that was in time is done with
            await limiter.upkeep.look()
            if not limiter.alone:
                break
        assert not limiter.alone
        assert await script.command("PING") == b"PONG"
    finally:
        await limiter.aclose()


def test_a_url_of_another_kind_is_refused_without_repeating_it() -> None:
    """It may hold a password."""
    with pytest.raises(OperatorError) as caught:
        RedisScript("http://:secret@127.0.0.1")
    assert "secret" not in str(caught.value)
