"""What every ledger promises, run over each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from gateway.domain.events import Finish
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage, UsageBasis
from gateway.ledger import Ledger, Unsettled
from gateway.ledger.stored import open_ledger
from tests.support.postgres_server import postgres_server

Opener = Callable[[Path], Awaitable[Ledger]]
MOMENT = 1_764_000_000.25


def receipt(number: int = 1, tenant: str = "acme", session: str = "s1", turn: str | None = None) -> Receipt:
    """An open receipt."""
    return Receipt(
        reservation_id="another",
        receipt_id=f"{tenant}-{number}",
        tenant=tenant,
        subject="alice",
        session_id=session,
        turn_id=turn or f"turn-{number}",
        body_sha256=bytes(range(32)),
        request_id=f"request-{number}",
        model="deepseek-flash",
        reserved=Usage(1_050, 0, 2_048, 0, 1, 0, 1_500_000),
        created=MOMENT + number,
    )


def settled(opened: Receipt) -> Receipt:
    """The same receipt, closed, with everything set."""
    used = Usage(1_000, 896, 300, 100, 1, 2, 123_456_789_012_345, UsageBasis.PROVIDER)
    return replace(
        opened,
        settled=used,
        finish=Finish.STOP,
        settled_at=opened.created + 3.5,
        reason="",
        attempts=(
            Attempt("deepseek", "deepseek-flash", "503", Usage(), 0.25),
            Attempt("deepseek", "m", "ok", used, 3.0),
        ),
        price_entry="deepseek-flash@2026-08-16/peak",
        peak_price=True,
        served_by="deepseek",
        labels={"team": "研究", "quote": "\"'; DROP TABLE receipts; --"},
        route_reason="first choice",
        broken_stream_policy="charge_delivered",
        degraded=True,
        cache_level="memory",
    )


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a database in a PostgreSQL of this module."""
    with postgres_server() as server:
        yield server.database()


@pytest.fixture(params=["sqlite", "postgresql"])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the ledger of this kind; in PostgreSQL every test finds the tables empty."""
    url = request.getfixturevalue("database") if request.param == "postgresql" else ""
    if url:
        emptied(url)

    async def open_it(directory: Path) -> Ledger:
        return await open_ledger(directory, url=url)

    return open_it


def emptied(url: str) -> None:
    """Takes away every row there is, where there are tables already."""
    with psycopg.connect(url) as connection:
        (exists,) = connection.execute("SELECT to_regclass('receipts') IS NOT NULL").fetchone() or (False,)
        if exists:
            connection.execute("TRUNCATE receipts, workers")


@pytest.fixture
async def ledger(opener: Opener, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await opener(tmp_path)
    yield opened
    await opened.aclose()


async def test_an_opened_receipt_is_read_back_as_it_was(ledger: Ledger) -> None:
    """Every field, by its id and by its turn."""
    assert await ledger.open(receipt()) is None
    assert await ledger.get("acme", "acme-1") == receipt()
    assert await ledger.find("acme", "s1", "turn-1") == receipt()


async def test_a_closed_receipt_is_read_back_as_it_was(ledger: Ledger) -> None:
    """Every field, words of any language and quotes included."""
    await ledger.open(receipt())
    await ledger.close(settled(receipt()))
    assert await ledger.get("acme", "acme-1") == settled(receipt())


async def test_a_closed_receipt_never_changes(ledger: Ledger) -> None:
    """B-7, B-8: neither another close nor another open writes over it."""
    await ledger.open(receipt())
    await ledger.close(settled(receipt()))
    await ledger.close(replace(settled(receipt()), settled=Usage(), finish=Finish.ERROR, reason="INTERNAL"))
    assert await ledger.open(receipt()) == settled(receipt())
    assert await ledger.get("acme", "acme-1") == settled(receipt())


async def test_the_second_open_of_a_turn_gets_the_first_receipt(ledger: Ledger) -> None:
    """Running or settled: the caller sees which body it had, and nothing is written."""
    await ledger.open(receipt(1, turn="t"))
    again = replace(receipt(2, turn="t"), body_sha256=b"other")
    assert await ledger.open(again) == receipt(1, turn="t")
    assert await ledger.get("acme", "acme-2") is None


async def test_a_turn_id_is_unique_within_its_session_and_tenant_only(ledger: Ledger) -> None:
    """The same word elsewhere is another turn."""
    for other in (receipt(1, turn="t"), receipt(2, session="s2", turn="t"), receipt(3, tenant="beta", turn="t")):
        assert await ledger.open(other) is None


async def test_another_tenant_sees_nothing(ledger: Ledger) -> None:
    """X: not by id, not by turn, not in the list, and its close does nothing."""
    await ledger.open(receipt())
    assert await ledger.get("beta", "acme-1") is None
    assert await ledger.find("beta", "s1", "turn-1") is None
    assert list(await ledger.recent("beta", 10)) == []
    await ledger.close(replace(settled(receipt()), tenant="beta"))
    assert await ledger.get("acme", "acme-1") == receipt()


async def test_the_newest_come_first_by_order_not_by_clock(ledger: Ledger) -> None:
    """P-6: a clock that went back does not reorder the books."""
    for number, created in ((1, 500.0), (2, 100.0), (3, 300.0)):
        await ledger.open(replace(receipt(number, tenant="acme" if number < 3 else "beta"), created=created))
    assert [r.receipt_id for r in await ledger.recent(None, 10)] == ["beta-3", "acme-2", "acme-1"]
    assert [r.receipt_id for r in await ledger.recent("acme", 1)] == ["acme-2"]


async def test_a_read_sees_what_was_asked_for_before_it(ledger: Ledger) -> None:
    """Without waiting for the writes in between."""
    opened, closed, found = await asyncio.gather(
        ledger.open(receipt()), ledger.close(settled(receipt())), ledger.find("acme", "s1", "turn-1")
    )
    assert (opened, closed, found) == (None, True, settled(receipt()))


async def test_of_many_that_open_one_turn_at_once_one_wins(ledger: Ledger) -> None:
    """Concurrency: one is new, all others get that one."""
    answers = await asyncio.gather(*(ledger.open(receipt(number, turn="t")) for number in range(50)))
    assert answers.count(None) == 1
    winner = await ledger.find("acme", "s1", "t")
    assert [answer for answer in answers if answer is not None] == [winner] * 49


async def test_a_thousand_turns_at_once_are_all_kept(ledger: Ledger) -> None:
    """Nothing is lost or mixed up in a group."""

    async def turn(number: int) -> None:
        await ledger.open(receipt(number))
        await ledger.close(replace(settled(receipt(number)), reason=str(number)))

    await asyncio.gather(*map(turn, range(1_000)))
    found = await ledger.recent(None, 2_000)
    assert sorted(int(r.reason) for r in found) == list(range(1_000))
    assert all(r.receipt_id == f"acme-{r.reason}" for r in found)


async def test_a_caller_that_stops_waiting_disturbs_nobody(ledger: Ledger) -> None:
    """Its receipt is written or not; the next one's answer is its own."""
    leaving = asyncio.ensure_future(ledger.open(receipt(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await ledger.open(receipt(2)) is None
    assert await ledger.get("acme", "acme-2") == receipt(2)
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_receipts_survive_a_restart(opener: Opener, tmp_path: Path) -> None:
    """Closed ones as they were; one left open is nobody's, with what was noted of it, until it is closed once."""
    first = await opener(tmp_path)
    await first.open(receipt(1))
    await first.close(settled(receipt(1)))
    await first.open(receipt(2))
    noted = replace(settled(receipt(2)), finish=None, settled_at=0.0)
    first.checkpoint(noted)
    assert (await first.unsettled()) == Unsettled(1)
    await first.aclose()
    second = await opener(tmp_path)
    assert await second.get("acme", "acme-1") == settled(receipt(1))
    assert await second.unsettled() == Unsettled(1, (noted,))
    assert await second.close(settled(receipt(2))) is True
    assert await second.close(settled(receipt(2))) is False
    assert await second.unsettled() == Unsettled(0)
    await second.aclose()


async def test_a_checkpoint_says_what_an_open_receipt_has_used_and_changes_no_closed_one(ledger: Ledger) -> None:
    """The newest stands; one that comes too late is no harm."""
    await ledger.open(receipt())
    for tokens in (256, 512):
        ledger.checkpoint(replace(receipt(), settled=Usage(completion_tokens=tokens)))
    noted = await ledger.get("acme", "acme-1")
    assert noted == replace(receipt(), settled=Usage(completion_tokens=512))
    await ledger.close(settled(receipt()))
    ledger.checkpoint(replace(receipt(), settled=Usage(completion_tokens=768)))
    assert await ledger.get("acme", "acme-1") == settled(receipt())


async def test_closing_writes_what_waits(opener: Opener, tmp_path: Path) -> None:
    """`aclose` comes after everything that was asked for before it; again, it does nothing."""
    first = await opener(tmp_path)
    waiting = [asyncio.ensure_future(first.open(receipt(number))) for number in range(100)]
    await asyncio.sleep(0)
    await first.aclose()
    await first.aclose()
    assert await asyncio.gather(*waiting) == [None] * 100
    second = await opener(tmp_path)
    assert len(await second.recent(None, 1_000)) == 100
    await second.aclose()


async def test_a_turn_that_failed_and_cost_nothing_may_be_opened_again_under_its_own_id(ledger: Ledger) -> None:
    """The caller tries the same turn again: the same receipt, with what was attempted before."""
    failed = replace(
        settled(receipt()),
        finish=Finish.ERROR,
        reason="UPSTREAM_UNAVAILABLE",
        settled=Usage(),
        attempts=settled(receipt()).attempts[:1],
    )
    await ledger.open(receipt())
    await ledger.close(failed)
    again = replace(receipt(), request_id="second", attempts=settled(receipt()).attempts[:1])
    assert await ledger.open(again) is None
    assert await ledger.get("acme", "acme-1") == again


@pytest.mark.parametrize("used", [Usage(completion_tokens=1), Usage(cost_nano_usd=1)])
async def test_a_turn_that_said_or_cost_anything_stands_for_good(ledger: Ledger, used: Usage) -> None:
    """Otherwise it would be paid twice."""
    failed = replace(settled(receipt()), finish=Finish.ERROR, settled=used)
    await ledger.open(receipt())
    await ledger.close(failed)
    assert await ledger.open(receipt()) == failed
