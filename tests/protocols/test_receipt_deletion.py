"""Receipts kept no longer: by their tenant's own time, or because an operator says so; in either store."""

import argparse
import asyncio
import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.audit.folder import NAME as AUDIT
from gateway.bookkeeping import DAY_S, forget_old
from gateway.commands import audit as audit_command
from gateway.commands import receipts as command
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import Tenant, Tenants
from gateway.domain.usage import Usage
from gateway.ledger.eraser import BATCH
from gateway.ledger.stored import open_ledger
from gateway.settings import place_of_receipts
from tests.support.postgres_server import postgres_server

NOW = 100 * DAY_S


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a PostgreSQL of this module."""
    with postgres_server() as server:
        yield server.url("postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the books lie; empty for the data directory."""
    return str(request.getfixturevalue("database")) if request.param == "postgresql" else ""


def receipt(name: str, tenant: str, days_old: float) -> Receipt:
    """An open receipt of that age."""
    created = NOW - days_old * DAY_S
    labels = {"team": "a"}
    return Receipt(name, tenant, "", "", name, b"", "", "deepseek-flash", Usage(), created, labels=labels)


async def filled(directory: Path, url: str) -> None:
    """Three tenants, each with old and new closed receipts and an old one that runs."""
    ledger = await open_ledger(directory, url=url)
    for tenant in ("acme", "beta", "gamma"):
        await ledger.forget(tenant, 1e18, 10_000)
        for days_old in (0.5, 20.0, 40.0):
            one = receipt(f"{tenant}-{days_old}", tenant, days_old)
            await ledger.open(one)
            await ledger.close(replace(one, settled=Usage(7, cost_nano_usd=5), finish=Finish.STOP, settled_at=NOW))
        await ledger.open(receipt(f"{tenant}-open", tenant, 90.0))
    await ledger.aclose()


async def test_each_tenant_keeps_its_receipts_for_its_own_time(tmp_path: Path, url: str) -> None:
    """Its own days, else those of everybody, 0 for ever; a running turn keeps its receipt."""
    await filled(tmp_path, url)
    tenants = Tenants(named={"acme": Tenant("acme", receipts_days=10), "beta": Tenant("beta", receipts_days=30)})
    ledger = await open_ledger(tmp_path, url=url)
    assert await forget_old(ledger, Tenants(), 0, NOW) == 0
    assert await forget_old(ledger, tenants, 0, NOW) == 3
    kept = sorted(one.receipt_id for one in await ledger.recent(None, 99))
    assert [name for name in kept if name.startswith("acme")] == ["acme-0.5", "acme-open"]
    assert [name for name in kept if name.startswith("beta")] == ["beta-0.5", "beta-20.0", "beta-open"]
    assert len([name for name in kept if name.startswith("gamma")]) == 4
    assert await forget_old(ledger, tenants, 25, NOW) == 1
    for one in await ledger.recent(None, 99):
        if one.finish is None:
            await ledger.close(replace(one, finish=Finish.STOP, settled_at=NOW))
    await ledger.aclose()


def run(monkeypatch: pytest.MonkeyPatch, directory: Path, url: str, *words: str) -> int:
    """`gateway receipts` as the console script runs it, with the books in the environment."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(directory))
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args(words))


def test_an_operator_deletes_lists_and_sums_in_either_store(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only that tenant's and only of before the day; without --yes nothing happens."""
    asyncio.run(filled(tmp_path, url))
    assert run(monkeypatch, tmp_path, url, "delete", "--tenant", "acme") == 2
    assert "--yes" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path, url, "delete", "--yes") == 2
    # Day 70 after the epoch.
    words = ("delete", "--tenant", "acme", "--before", "1970-03-12", "--yes")
    assert run(monkeypatch, tmp_path, url, *words) == 0
    said = capsys.readouterr()
    assert said.out == "1 receipts of acme deleted\n"
    assert "no audit is kept" in said.err
    assert run(monkeypatch, tmp_path, url, "--totals", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["by"], row["name"], row["turns"], row["running"], row["cost_nano_usd"]) for row in rows] == [
        ("tenant", "beta", "4", "1", "15"),
        ("tenant", "gamma", "4", "1", "15"),
        ("tenant", "acme", "3", "1", "10"),
        ("model", "deepseek-flash", "11", "3", "40"),
        ("label", "team=a", "11", "3", "40"),
    ]
    assert run(monkeypatch, tmp_path, url, "delete", "--tenant", "acme", "--yes") == 0
    assert capsys.readouterr().out == "2 receipts of acme deleted\n"
    assert run(monkeypatch, tmp_path, url, "--tenant", "acme", "--format", "jsonl") == 0
    assert '"acme-open"' in capsys.readouterr().out


def test_a_deletion_beside_a_gateway_takes_small_batches_and_stands_in_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """More than one batch goes while the books are in use, and the trail says who deleted whose."""

    async def many() -> None:
        ledger = await open_ledger(tmp_path)
        named = [receipt(f"r{number}", "acme", 1.0) for number in range(BATCH + 50)]
        await asyncio.gather(*(ledger.open(one) for one in named))
        await asyncio.gather(*(ledger.close(replace(one, finish=Finish.STOP, settled_at=1.0)) for one in named))
        deleted = asyncio.to_thread(run, monkeypatch, tmp_path, "", "delete", "--tenant", "acme", "--yes")
        running = asyncio.ensure_future(deleted)
        written = 0
        while not running.done():
            await ledger.open(receipt(f"n{written}", "acme", 0.0))
            written += 1
        assert await running == 0
        assert len(await ledger.recent("acme", 10_000)) == written
        await ledger.aclose()

    (tmp_path / AUDIT).mkdir(mode=0o700)
    asyncio.run(many())
    assert capsys.readouterr().out == f"{BATCH + 50} receipts of acme deleted\n"
    parser = argparse.ArgumentParser()
    audit_command.configure(parser)
    assert audit_command.run(parser.parse_args(["list", "--data-dir", str(tmp_path)])) == 0
    assert "receipts delete" in capsys.readouterr().out


def test_a_directory_that_is_given_is_taken_with_what_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the database of the environment is."""
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://db/gateway")
    assert place_of_receipts("here") == (Path("here"), "")
    assert place_of_receipts()[1] == "postgresql://db/gateway"
