"""Old books are brought up to date with everything that is in them; newer ones are left alone."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from gateway.domain.errors import OperatorError
from gateway.domain.events import Finish
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage, UsageBasis
from gateway.ledger import Unsettled
from gateway.ledger.reader import ReceiptReader
from gateway.ledger.sqlite import NAME
from gateway.ledger.stored import open_ledger
from tests.support.postgres_server import PostgresServer, postgres_server

# As the first version made it, to the letter.
FIRST_VERSION = """
    CREATE TABLE receipts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        receipt_id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        subject TEXT NOT NULL,
        session_id TEXT NOT NULL,
        turn_id TEXT NOT NULL,
        body_sha256 BLOB NOT NULL,
        request_id TEXT NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        reserved_prompt_tokens INTEGER NOT NULL,
        reserved_cached_prompt_tokens INTEGER NOT NULL,
        reserved_completion_tokens INTEGER NOT NULL,
        reserved_reasoning_tokens INTEGER NOT NULL,
        reserved_search_calls INTEGER NOT NULL,
        reserved_tool_runs INTEGER NOT NULL,
        reserved_cost_nano_usd INTEGER NOT NULL,
        reserved_basis INTEGER NOT NULL,
        settled_at REAL NOT NULL,
        finish INTEGER,
        reason TEXT NOT NULL,
        price_entry TEXT NOT NULL,
        peak_price INTEGER NOT NULL,
        served_by TEXT NOT NULL,
        route_reason TEXT NOT NULL,
        broken_stream_policy TEXT NOT NULL,
        degraded INTEGER NOT NULL,
        cache_level TEXT NOT NULL,
        labels TEXT NOT NULL,
        attempts TEXT NOT NULL,
        settled_prompt_tokens INTEGER NOT NULL,
        settled_cached_prompt_tokens INTEGER NOT NULL,
        settled_completion_tokens INTEGER NOT NULL,
        settled_reasoning_tokens INTEGER NOT NULL,
        settled_search_calls INTEGER NOT NULL,
        settled_tool_runs INTEGER NOT NULL,
        settled_cost_nano_usd INTEGER NOT NULL,
        settled_basis INTEGER NOT NULL,
        UNIQUE (tenant, session_id, turn_id)
    );
    CREATE INDEX receipts_open ON receipts (finish) WHERE finish IS NULL;
    CREATE INDEX receipts_settled_at ON receipts (settled_at) WHERE settled_at > 0;
    INSERT INTO receipts VALUES (
        7, 'r7', 'acme', 'alice', 's', 't7', x'00ff', 'q7', 'deepseek-flash', 1764000000.25,
        1050, 0, 2048, 0, 1, 0, 1500000, 3,
        1764000003.5, 1, '', 'deepseek-flash@2026-08-16/peak', 1, 'deepseek', 'first', '', 0, 'memory',
        '{"team": "\u7814\u7a76"}',
        '[{"upstream": "deepseek", "model": "m", "outcome": "stop", "took_s": 2.5, "usage": {"prompt_tokens": 0,
           "cached_prompt_tokens": 0, "completion_tokens": 300, "reasoning_tokens": 0, "search_calls": 0,
           "tool_runs": 0, "cost_nano_usd": 0, "basis": 4}}]',
        1000, 896, 300, 100, 1, 2, 123456789012345, 1
    );
    INSERT INTO receipts VALUES (
        9, 'r9', 'acme', 'alice', '', 't9', x'', 'q9', 'deepseek-flash', 1764000001.0,
        10, 0, 20, 0, 0, 0, 30, 3, 0.0, NULL, '', '', 0, '', '', 'free', 0, '', '{}', '[]', 0, 0, 0, 0, 0, 0, 0, 4
    );
    PRAGMA user_version = 1;
"""
CLOSED = Receipt(
    receipt_id="r7",
    tenant="acme",
    subject="alice",
    session_id="s",
    turn_id="t7",
    body_sha256=b"\0\xff",
    request_id="q7",
    model="deepseek-flash",
    reserved=Usage(1_050, 0, 2_048, 0, 1, 0, 1_500_000, UsageBasis.ESTIMATED),
    created=1_764_000_000.25,
    settled=Usage(1_000, 896, 300, 100, 1, 2, 123_456_789_012_345, UsageBasis.PROVIDER),
    finish=Finish(1),
    settled_at=1_764_000_003.5,
    attempts=(Attempt("deepseek", "m", "stop", Usage(completion_tokens=300), 2.5),),
    price_entry="deepseek-flash@2026-08-16/peak",
    peak_price=True,
    served_by="deepseek",
    labels={"team": "研究"},
    route_reason="first",
    cache_level="memory",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module."""
    with postgres_server() as running:
        yield running


def shape(path: Path) -> object:
    """Columns and indexes, by name."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    found = sqlalchemy.inspect(engine)
    tables = {
        table: (
            [
                (column["name"], str(column["type"]), column["nullable"] and not column["primary_key"])
                for column in found.get_columns(table)
            ],
            sorted((str(index["name"]), tuple(index["column_names"])) for index in found.get_indexes(table)),
            sorted(tuple(unique["column_names"]) for unique in found.get_unique_constraints(table)),
        )
        for table in found.get_table_names()
    }
    engine.dispose()
    return tables


async def test_books_of_the_first_version_are_upgraded_with_their_receipts(tmp_path: Path) -> None:
    """What was written stands as it was, in its order; what was left open is settled as lost; new ones follow."""
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript(FIRST_VERSION)
    connection.close()
    with pytest.raises(OperatorError, match="older gateway: start the gateway once"):
        ReceiptReader(tmp_path).recent(None, 1)
    ledger = await open_ledger(tmp_path)
    assert await ledger.get("acme", "r7") == CLOSED
    unsettled = await ledger.unsettled()
    assert (unsettled.open_receipts, [orphan.receipt_id for orphan in unsettled.orphans]) == (1, ["r9"])
    new = Receipt("r10", "acme", "", "", "t10", b"", "", "m", Usage(), 0.0)
    await ledger.open(new)
    assert [receipt.receipt_id for receipt in await ledger.recent(None, 9)] == ["r10", "r9", "r7"]
    await ledger.aclose()
    await (await open_ledger(tmp_path / "new")).aclose()
    assert shape(tmp_path / NAME) == shape(tmp_path / "new" / NAME)


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Its first statements are undone with the one that failed, and the books stay those of the older gateway."""
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript(FIRST_VERSION + "CREATE TABLE workers (other TEXT);")
    connection.close()
    before = shape(tmp_path / NAME)
    with pytest.raises(OperatorError, match="table workers already exists"):
        await open_ledger(tmp_path)
    assert shape(tmp_path / NAME) == before


async def test_an_older_program_leaves_upgraded_books_alone(tmp_path: Path) -> None:
    """The first version refuses a file whose user_version is above its own."""
    await (await open_ledger(tmp_path)).aclose()
    with sqlite3.connect(tmp_path / NAME) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] > 1
    connection.close()


async def test_many_that_start_on_an_empty_database_make_its_tables_once(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Migrations wait for each other; each finds the books ready."""
    url = server.database()
    opened = await asyncio.gather(*(open_ledger(tmp_path / str(number), url=url) for number in range(4)))
    for ledger in opened:
        assert await ledger.unsettled() == Unsettled(0)
    await asyncio.gather(*(ledger.aclose() for ledger in opened))


async def test_a_database_of_a_newer_gateway_is_refused_with_what_to_do(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Neither written nor read; the password is not said."""
    url = server.database()
    await (await open_ledger(tmp_path, url=url)).aclose()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(OperatorError, match="newer gateway: install that version") as caught:
        await open_ledger(tmp_path, url=url)
    assert "no-secret" not in caught.value.message
    with pytest.raises(OperatorError, match="newer gateway"):
        ReceiptReader(tmp_path, url).recent(None, 1)
