"""The SQLite ledger when the disk, the file or the process fails."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.errors import OperatorError, Reason
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.domain.usage import Usage
from gateway.ledger import Unsettled
from gateway.ledger.directory import LOCK
from gateway.ledger.reader import ReceiptReader
from gateway.ledger.sqlite import NAME
from gateway.ledger.store import Session
from gateway.ledger.stored import open_ledger
from gateway.ledger.works import Work


def receipt(number: int, tenant: str = "acme", padding: int = 0) -> Receipt:
    """An open receipt, made larger by `padding` bytes."""
    name = f"{tenant}-{number}"
    return Receipt(name, tenant, "", "", name, b"\0" * padding, "", "deepseek-flash", Usage(), float(number))


def settled(opened: Receipt, cost_nano_usd: int = 0, at: float = 1_000.0) -> Receipt:
    """The same receipt, closed."""
    return replace(opened, settled=Usage(cost_nano_usd=cost_nano_usd), finish=Finish.STOP, settled_at=at)


async def test_kill_9_between_open_and_close_leaves_a_lost_turn_once(tmp_path: Path) -> None:
    """P-1, B-7: a process that is killed leaves a receipt that is nobody's at the next start, and only then."""
    script = (
        "import asyncio, sys, pathlib\n"
        "from gateway.ledger.stored import open_ledger\n"
        "from tests.protocols.test_sqlite_ledger import receipt, settled\n"
        "async def main():\n"
        "    ledger = await open_ledger(pathlib.Path(sys.argv[1]))\n"
        "    await ledger.open(receipt(1)); await ledger.close(settled(receipt(1), 7))\n"
        "    await ledger.open(receipt(2))\n"
        "    print('open', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=root, env={**os.environ, "PYTHONPATH": "."}, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == b"open\n"
        with pytest.raises(OperatorError, match=f"process {child.pid}"):
            await open_ledger(tmp_path)
        child.send_signal(signal.SIGKILL)
    ledger = await open_ledger(tmp_path)
    assert await ledger.get("acme", "acme-1") == settled(receipt(1), 7)
    assert await ledger.unsettled() == Unsettled(1, (receipt(2),))
    await ledger.aclose()


async def test_a_second_gateway_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    """It says who has it, and leaves the first one's open receipts alone; afterwards the directory is free."""
    first = await open_ledger(tmp_path)
    await first.open(receipt(1))
    with pytest.raises(OperatorError, match="Another gateway") as caught:
        await open_ledger(tmp_path)
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    assert await first.get("acme", "acme-1") == receipt(1)
    await first.aclose()
    await (await open_ledger(tmp_path)).aclose()


async def test_a_full_disk_refuses_turns_and_keeps_what_was_promised(tmp_path: Path) -> None:
    """F-2: opens are refused, reads go on, and a close that found no room is written when there is room again."""

    def grow(session: Session) -> None:
        session.connection.execute("PRAGMA max_page_count = 10000").fetchall()

    ledger = await open_ledger(tmp_path, max_pages=30)
    await ledger.open(receipt(0))
    kept = 0
    with pytest.raises(OperatorError) as caught:
        for number in range(1, 200):
            await ledger.open(receipt(number, padding=2_000))
            kept = number
    assert kept > 0
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    assert caught.value.retry_after_s
    assert str(tmp_path) not in caught.value.message
    assert f"{tmp_path / NAME}: the disk is full" in caught.value.__notes__[0]
    assert await ledger.get("acme", "acme-0") == receipt(0)
    large = replace(settled(receipt(0), 9), labels={"padding": "x" * 200_000})
    with pytest.raises(OperatorError):
        await ledger.close(large)
    await ledger._ask(Work("", (), lambda _: None, grow))
    await ledger.open(receipt(1_000))
    assert await ledger.get("acme", "acme-0") == large
    await ledger.aclose()


async def test_one_receipt_that_cannot_be_stored_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    """A number over 64 bits and text that is no Unicode fail alone, although they were grouped."""
    ledger = await open_ledger(tmp_path)
    answers = await asyncio.gather(
        ledger.open(receipt(1)),
        ledger.open(replace(receipt(2), reserved=Usage(prompt_tokens=2**70))),
        ledger.open(replace(receipt(3), subject="\ud800")),
        ledger.open(receipt(4)),
        return_exceptions=True,
    )
    assert [isinstance(answer, OperatorError) for answer in answers] == [False, True, True, False]
    assert [r.receipt_id for r in await ledger.recent(None, 9)] == ["acme-4", "acme-1"]
    await ledger.aclose()


async def test_a_receipt_id_of_another_turn_is_refused(tmp_path: Path) -> None:
    """Nothing is written, so the turn must not start."""
    ledger = await open_ledger(tmp_path)
    await ledger.open(receipt(1))
    with pytest.raises(OperatorError):
        await ledger.open(replace(receipt(1), turn_id="another"))
    await ledger.aclose()


async def test_a_queue_that_is_full_refuses_new_turns_but_closes_old_ones(tmp_path: Path) -> None:
    """Bounded: what waits for the disk cannot fill the memory."""
    ledger = await open_ledger(tmp_path, max_waiting=3)
    for number in range(3):
        await ledger.open(receipt(number))
    closing = [asyncio.ensure_future(ledger.close(settled(receipt(number)))) for number in range(3)]
    await asyncio.sleep(0)
    results = await asyncio.gather(
        *(ledger.open(receipt(number)) for number in range(10, 14)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, OperatorError)]
    await asyncio.gather(*closing)
    assert len(refused) == len(results)
    assert all(r.finish is Finish.STOP for r in await ledger.recent(None, 9))
    await ledger.aclose()


async def test_a_ledger_that_is_closed_refuses(tmp_path: Path) -> None:
    """Instead of waiting forever."""
    ledger = await open_ledger(tmp_path)
    await ledger.aclose()
    with pytest.raises(OperatorError):
        await ledger.open(receipt(1))


@pytest.mark.parametrize(
    "content", [b"no database at all, just text" * 200, b"SQLite format 3\0" + b"\xff" * 5_000]
)
async def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    """And it is left as it is."""
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(OperatorError, match=f"{NAME}: it is damaged: move it away") as caught:
        await open_ledger(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert (tmp_path / NAME).read_bytes() == content
    with pytest.raises(OperatorError, match="damaged"):
        ReceiptReader(tmp_path).recent(None, 1)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file is where the directory should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match=str(tmp_path / "file" / "inner" / LOCK)):
        await open_ledger(tmp_path / "file" / "inner")


async def test_a_file_of_a_newer_gateway_is_left_alone(tmp_path: Path) -> None:
    """Its version is not one that this program knows."""
    await (await open_ledger(tmp_path)).aclose()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(OperatorError, match="newer gateway"):
        await open_ledger(tmp_path)
    with pytest.raises(OperatorError, match="newer gateway"):
        ReceiptReader(tmp_path).recent(None, 1)


async def test_a_file_that_stopped_in_the_middle_of_a_migration_is_migrated(tmp_path: Path) -> None:
    """Each script and its version are one transaction: an empty file is version 0."""
    (tmp_path / NAME).touch()
    ledger = await open_ledger(tmp_path)
    assert await ledger.open(receipt(1)) is None
    await ledger.aclose()


async def test_only_the_owner_can_read_the_receipts(tmp_path: Path) -> None:
    """Files 0600, a directory that was made 0700."""
    ledger = await open_ledger(tmp_path / "made")
    await ledger.open(receipt(1))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "made").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
    await ledger.aclose()


async def test_the_event_loop_never_waits_for_the_disk(tmp_path: Path) -> None:
    """F-3: while the thread is stuck in one operation, the loop turns; what follows waits its turn."""
    ledger = await open_ledger(tmp_path)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stuck(_: Session) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(timeout=30)

    waiting = ledger._ask(Work("", (), lambda _: None, stuck))
    opening = asyncio.ensure_future(ledger.open(receipt(1)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not opening.done()
    gate.set()
    await waiting
    assert await opening is None
    await ledger.aclose()


async def test_what_each_tenant_spent_is_summed_from_a_moment_on(tmp_path: Path) -> None:
    """For the budgets after a restart: settled receipts only, by when they were settled."""
    ledger = await open_ledger(tmp_path)
    for number, (tenant, cost, at) in enumerate((("a", 5, 10.0), ("a", 7, 20.0), ("a", 11, 30.0), ("b", 1, 30.0))):
        await ledger.open(receipt(number, tenant))
        await ledger.close(settled(receipt(number, tenant), cost, at))
    await ledger.open(receipt(9, "c"))
    assert await ledger.spent_since(20.0) == {"a": 18, "b": 1}
    await ledger.aclose()


async def test_a_reader_sees_receipts_while_the_gateway_runs_and_after(tmp_path: Path) -> None:
    """Read-only, beside the writer."""
    ledger = await open_ledger(tmp_path)
    await ledger.open(receipt(1))
    assert ReceiptReader(tmp_path).recent(None, 5) == [receipt(1)]
    await ledger.close(settled(receipt(1), 3))
    await ledger.aclose()
    reader = ReceiptReader(tmp_path)
    assert reader.recent("acme", 5) == [settled(receipt(1), 3)]
    assert [(total.by, total.name, total.cost_nano_usd) for total in reader.totals(None)] == [
        ("tenant", "acme", 3),
        ("model", "deepseek-flash", 3),
    ]


async def test_a_row_that_no_gateway_wrote_is_an_error_and_nobody_else_hears_of_it(tmp_path: Path) -> None:
    """Columns of another shape: who asks for it is refused, and the books go on."""
    ledger = await open_ledger(tmp_path)
    for number in range(1, 5):
        await ledger.open(receipt(number))
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("UPDATE receipts SET attempts = '[7]' WHERE receipt_id = 'acme-1'")
        connection.execute("UPDATE receipts SET labels = 'no JSON' WHERE receipt_id = 'acme-2'")
        connection.execute("UPDATE receipts SET finish = 99 WHERE receipt_id = 'acme-3'")
    connection.close()
    names = [f"acme-{number}" for number in range(1, 5)]
    answers = await asyncio.gather(*(ledger.get("acme", name) for name in names), return_exceptions=True)
    assert [isinstance(answer, OperatorError) for answer in answers] == [True, True, True, False]
    with pytest.raises(OperatorError, match="holds what no gateway wrote"):
        ReceiptReader(tmp_path).recent(None, 9)
    assert await ledger.open(receipt(5)) is None
    await ledger.aclose()
