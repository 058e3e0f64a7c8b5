"""Books in PostgreSQL: when the server dies, hangs or is away, and when several gateways share them."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.errors import OperatorError, Reason
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import TenantLimits
from gateway.domain.usage import Usage
from gateway.ledger import WORKER_LOST
from gateway.ledger.stored import StoredLedger, open_ledger
from gateway.limits import Hold
from gateway.limits.memory import MemoryLimiter
from gateway.pipeline.reconciling import Reconciler
from tests.support.postgres_server import PostgresServer, postgres_server

LIMITS = TenantLimits(usd_per_day=1.0)
HANG_GUARD_S = 30.0


class Ticks:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


class Told:
    """What an observer of the books was told."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.open = -1

    def unsettled(self, receipts: int) -> None:
        """So many are open."""
        self.open = receipts

    def reconciled(self, receipt: Receipt) -> None:
        """This one was settled."""
        self.lost.append(receipt.receipt_id)


def receipt(name: str, turn: str = "") -> Receipt:
    """An open receipt."""
    return Receipt(name, "acme", "", "", turn or name, b"", "", "deepseek-flash", Usage(100, 0, 100), 1.0)


def settled(opened: Receipt, cost_nano_usd: int = 7) -> Receipt:
    """The same, closed."""
    return replace(opened, settled=Usage(cost_nano_usd=cost_nano_usd), finish=Finish.STOP, settled_at=2.0)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module."""
    with postgres_server() as running:
        yield running


async def all_closed(ledger: StoredLedger) -> None:
    """Waits until no receipt is open."""
    async with asyncio.timeout(HANG_GUARD_S):
        while True:
            try:
                if (await ledger.unsettled()).open_receipts == 0:
                    return
            except OperatorError:
                pass
            await asyncio.sleep(0.05)


async def test_a_server_that_is_killed_in_the_middle_loses_nothing_and_charges_nothing_twice(
    tmp_path: Path, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Turns that were let in are closed once the server is back, with their amounts; refused ones cost nothing."""
    ledger = await open_ledger(tmp_path, url=server.database())
    begun: set[str] = set()
    told: list[str] = []

    async def turn(number: int) -> None:
        own = receipt(f"r{number}")
        await asyncio.sleep(number * 0.004)
        try:
            await ledger.open(own)
        except OperatorError as error:
            told.append(error.reason)
            return
        begun.add(own.receipt_id)
        await asyncio.sleep(0.4)
        try:
            await ledger.close(settled(own, number + 1))
        except OperatorError:
            told.append("late")

    async def fail() -> None:
        await asyncio.sleep(0.6)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(1.2)
        await asyncio.to_thread(server.start)

    async with asyncio.timeout(HANG_GUARD_S):
        await asyncio.gather(fail(), *(turn(number) for number in range(300)))
    assert told.count("late") > 0
    assert told.count(Reason.AUDIT_UNAVAILABLE) > 0
    await all_closed(ledger)
    found = {one.receipt_id: one for one in await ledger.recent(None, 1_000)}
    assert begun <= found.keys()
    for number in range(300):
        name = f"r{number}"
        if name in begun:
            assert found[name] == settled(receipt(name), number + 1)
        elif name in found:
            # Written when the answer was lost on its way: the turn did not start, and says so.
            assert (found[name].reason, found[name].settled) == (Reason.AUDIT_UNAVAILABLE, Usage())
    await ledger.aclose()
    assert [line.levelname for line in caplog.records if "written again" in line.getMessage()] == ["WARNING"]


async def test_a_server_that_hangs_refuses_turns_in_time_and_is_caught_up_with(
    tmp_path: Path, server: PostgresServer
) -> None:
    """The loop turns meanwhile, a close that nobody could write is written later, and nobody waits for ever."""
    ledger = await open_ledger(tmp_path, url=server.database(), patience_s=0.3)
    await ledger.open(receipt("running"))
    server.pause(on=True)
    try:
        turned = 0
        opening = asyncio.ensure_future(ledger.open(receipt("new")))
        closing = asyncio.ensure_future(ledger.close(settled(receipt("running"))))
        async with asyncio.timeout(HANG_GUARD_S):
            while not (opening.done() and closing.done()):
                await asyncio.sleep(0.01)
                turned += 1
        assert turned > 10
        for refused in (opening, closing):
            with pytest.raises(OperatorError) as caught:
                await refused
            assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    finally:
        server.pause(on=False)
    await all_closed(ledger)
    assert await ledger.get("acme", "running") == settled(receipt("running"))
    await ledger.aclose()


async def test_closes_that_are_too_many_to_keep_are_left_to_be_reconciled(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Bounded: the oldest give way, and are nobody's when the server is back."""
    ledger = await open_ledger(tmp_path, url=server.database(), max_late=2)
    names = ["a", "b", "c", "d"]
    for name in names:
        await ledger.open(receipt(name))
    await asyncio.to_thread(server.kill)
    try:
        for name in names:
            with pytest.raises(OperatorError):
                await ledger.close(settled(receipt(name)))
    finally:
        await asyncio.to_thread(server.start)
    async with asyncio.timeout(HANG_GUARD_S):
        while True:
            try:
                unsettled = await ledger.unsettled()
            except OperatorError:
                await asyncio.sleep(0.05)
                continue
            if unsettled.open_receipts == 2:
                break
            await asyncio.sleep(0.05)
    assert [orphan.receipt_id for orphan in unsettled.orphans] == ["a", "b"]
    await ledger.aclose()


async def test_a_server_that_is_away_at_the_start_is_named_without_the_password(
    tmp_path: Path, server: PostgresServer
) -> None:
    """And with what to do; so is a password that is wrong."""
    url = server.database()
    with pytest.raises(OperatorError, match="it cannot be reached: look whether it runs") as caught:
        await open_ledger(tmp_path, url="postgresql://gateway:no-secret@127.0.0.1:1/gateway")
    assert "no-secret" not in caught.value.message
    with pytest.raises(OperatorError, match="refuses the name or the password"):
        await open_ledger(tmp_path, url=url.replace("no-secret", "wrong"))


async def test_a_worker_that_nobody_hears_any_more_has_its_turns_settled_once(
    tmp_path: Path, server: PostgresServer
) -> None:
    """P-1: thirty seconds after its last beat, by its checkpoint; of two that see it one wins, booked once."""
    url, clock = server.database(), Ticks()
    stopped = Ticks()  # its beat is never renewed
    dead = await open_ledger(tmp_path / "dead", url=url, worker="dead", ticks=stopped)
    living = [await open_ledger(tmp_path / name, url=url, worker=name, ticks=clock) for name in ("one", "two")]
    limiter, told = MemoryLimiter(), Told()
    for number in range(20):
        own = receipt(f"r{number}")
        await limiter.reserve(own.receipt_id, "acme", LIMITS, Hold(200, 1_000))
        await dead.open(own)
        dead.checkpoint(replace(own, settled=Usage(50, completion_tokens=10, cost_nano_usd=100 + number)))
    await dead.get("acme", "r0")
    reconcilers = [Reconciler(ledger, limiter, told, lambda: 99.0) for ledger in living]
    for moment in (0.0, 10.0, 10.0, 9.0):
        clock.now += moment
        assert sum([await each.once() for each in reconcilers]) == 0
    assert told.open == 20
    clock.now += 2.0
    assert sum(await asyncio.gather(*(each.once() for each in reconcilers))) == 20
    assert sorted(told.lost) == sorted(f"r{number}" for number in range(20))
    lost = await living[0].get("acme", "r3")
    assert lost is not None
    assert (lost.finish, lost.reason, lost.settled.cost_nano_usd) == (Finish.ERROR, WORKER_LOST, 103)
    day = next(one for one in await limiter.allowances("acme", LIMITS) if one.dimension == "usd_per_day")
    assert (day.limit - day.remaining, day.held) == (sum(range(100, 120)), 0)
    # The dead one was only silent: what it says now comes too late, and it is heard again.
    assert await dead.close(settled(receipt("r3"))) is False
    assert await living[1].get("acme", "r3") == lost
    for ledger in (dead, *living):
        await ledger.aclose()


async def test_of_replicas_that_open_one_turn_at_once_one_wins(tmp_path: Path, server: PostgresServer) -> None:
    """B-8: also for a turn that failed and is tried again by both at once."""
    url = server.database()
    ledgers = [await open_ledger(tmp_path / str(number), url=url) for number in range(3)]
    for round_ in range(10):
        turn = f"t{round_}"
        asked = [receipt(f"{turn}-{number}", turn) for number in range(3)]
        answers = await asyncio.gather(*(ledger.open(one) for ledger, one in zip(ledgers, asked, strict=True)))
        assert answers.count(None) == 1
        winner = asked[answers.index(None)]
        assert [answer for answer in answers if answer is not None] == [winner] * 2
        failed = replace(winner, finish=Finish.ERROR, reason="UPSTREAM_UNAVAILABLE", settled_at=2.0)
        assert await ledgers[0].close(failed) is True
        again = await asyncio.gather(*(ledger.open(winner) for ledger in ledgers))
        assert again.count(None) == 1
    for ledger in ledgers:
        await ledger.aclose()


async def test_books_out_of_reach_for_five_seconds_are_away_until_they_answer(
    tmp_path: Path, server: PostgresServer
) -> None:
    """A server that only starts anew is not: what asks whether a gateway is ready need not hear of it."""
    ticks = Ticks()
    ledger = await open_ledger(tmp_path, url=server.database(), ticks=ticks)
    assert not ledger.away
    await asyncio.to_thread(server.kill)
    with pytest.raises(OperatorError):
        await ledger.open(receipt("r"))
    ticks.now += 4.9
    assert not ledger.away
    ticks.now += 0.1
    assert ledger.away
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(HANG_GUARD_S):
        while ledger.away:
            ticks.now += 1.0
            with suppress(OperatorError):
                await ledger.recent(None, 1)
    await ledger.open(receipt("r"))
    await ledger.aclose()
