"""`gateway receipts`: what an operator reads, sums and exports."""

import argparse
import asyncio
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.commands import receipts as command
from gateway.domain.events import Finish
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage, UsageBasis
from gateway.ledger.stored import open_ledger


def turn(number: int, tenant: str, labels: dict[str, str] | None = None) -> Receipt:
    """A settled receipt that cost `number` thousandths of a dollar."""
    used = Usage(1_000 * number, 640, 300, cost_nano_usd=number * 1_000_000 + 1, basis=UsageBasis.PROVIDER)
    return Receipt(
        receipt_id=f"r{number}",
        tenant=tenant,
        subject="alice",
        session_id="",
        turn_id=f"t{number}",
        body_sha256=b"\xab",
        request_id="q",
        model="deepseek-flash",
        reserved=Usage(2_000, completion_tokens=2_048),
        created=1_764_000_000.0 + number,
        settled=used,
        finish=Finish.STOP,
        settled_at=1_764_000_001.0 + number,
        attempts=(Attempt("deepseek", "deepseek-flash", "ok", used, 1.5),),
        price_entry="deepseek-flash@2026-08-16/peak",
        peak_price=True,
        labels=labels or {},
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory with three settled turns and one that a dead process left."""

    async def fill() -> None:
        ledger = await open_ledger(tmp_path)
        for settled in (
            turn(1, "acme", {"team": "a"}),
            turn(2, "beta"),
            turn(3, "acme", {"team": "a", "job": "=x"}),
        ):
            await ledger.open(replace(settled, finish=None, settled_at=0.0, settled=Usage()))
            await ledger.close(settled)
        await ledger.open(replace(turn(4, "acme"), finish=None, settled_at=0.0, settled=Usage(), labels={}))
        await ledger.aclose()

    asyncio.run(fill())
    return tmp_path


def run(directory: Path, *words: str) -> int:
    """The command as the console script runs it."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args([*words, "--data-dir", str(directory)]))


def test_the_table_lists_the_newest_first_with_cost_in_usd(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each, aligned, and one that still runs is said to."""
    assert run(directory) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["created", "receipt", "tenant", "model"]
    assert [line.split()[2] for line in lines] == ["r4", "r3", "r2", "r1"]
    assert "running" in lines[0]
    assert lines[1].endswith("  0.003000001")
    assert "2025-11-24 16:00:03Z" in lines[1]
    assert len({line.index("deepseek-flash") for line in lines}) == 1


def test_tenant_and_limit_choose(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only that tenant's, and the newest of them."""
    assert run(directory, "--tenant", "acme", "--limit", "2", "--format", "jsonl") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["receipt_id"] for row in found] == ["r4", "r3"]


def test_json_lines_hold_everything(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Digests in hex, enumerations as words, attempts and labels whole."""
    run(directory, "--tenant", "beta", "--format", "jsonl")
    row = json.loads(capsys.readouterr().out)
    assert (row["body_sha256"], row["finish"], row["settled"]["basis"]) == ("ab", "stop", "provider")
    assert row["attempts"][0]["usage"]["cost_nano_usd"] == row["settled"]["cost_nano_usd"] == 2_000_001
    assert row["price_entry"] == "deepseek-flash@2026-08-16/peak"


def test_csv_has_a_column_for_every_number(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Readable by a spreadsheet."""
    run(directory, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["receipt_id"] for row in rows] == ["r4", "r3", "r2", "r1"]
    assert rows[1]["settled_cost_nano_usd"] == "3000001"
    assert json.loads(rows[1]["labels"]) == {"team": "a", "job": "=x"}


def test_csv_never_holds_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    """A caller's words do not run in the operator's spreadsheet."""
    out = io.StringIO()
    command.write_receipts([replace(turn(1, "acme"), subject="=HYPERLINK(1)", turn_id="@x")], "csv", out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["subject"], row["turn_id"]) == ("'=HYPERLINK(1)", "'@x")


def test_a_table_never_moves_the_cursor() -> None:
    """Escape sequences in names are shown as question marks."""
    out = io.StringIO()
    command.write_receipts([replace(turn(1, "acme"), model="m\x1b[2J\n")], "table", out)
    assert "m?[2J?" in out.getvalue()


def test_totals_by_tenant_model_and_label(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dearest first in each; turns that run are counted apart."""
    assert run(directory, "--totals", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(r["by"], r["name"], r["turns"], r["running"], r["cost_nano_usd"]) for r in rows] == [
        ("tenant", "acme", "3", "1", "4000002"),
        ("tenant", "beta", "1", "0", "2000001"),
        ("model", "deepseek-flash", "4", "1", "6000003"),
        ("label", "team=a", "2", "0", "4000002"),
        ("label", "job==x", "1", "0", "3000001"),
    ]


def test_totals_as_a_table_and_for_one_tenant(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cost in USD at the end of each line."""
    run(directory, "--totals", "--tenant", "beta")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["beta", "deepseek-flash"]
    assert all(line.endswith("0.002000001") for line in lines[1:])


def test_no_receipts_at_all_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty directory is an error with a question, an empty ledger is not."""
    assert run(tmp_path) == 1
    assert f"There are no receipts in {tmp_path}" in capsys.readouterr().err

    async def make() -> None:
        await (await open_ledger(tmp_path)).aclose()

    asyncio.run(make())
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == "no receipts\n"


def test_a_limit_that_is_no_number_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for every wrong usage."""
    for word in ("0", "-3", "many"):
        with pytest.raises(SystemExit) as caught:
            run(tmp_path, "--limit", word)
        assert caught.value.code == 2
        assert "is not a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("nano_usd", "text"), [(0, "0.000000"), (1, "0.000000001"), (1_500_000, "0.001500"), (-1, "-0.000000001")]
)
def test_amounts_are_exact(nano_usd: int, text: str) -> None:
    """Something is never shown as nothing."""
    assert command.usd(nano_usd) == text
