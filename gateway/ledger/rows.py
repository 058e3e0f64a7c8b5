"""How receipts lie in SQLite: the tables, version by version, and receipts as rows.

Amounts and words that are summed or searched are columns of their own; labels and attempts are JSON. `seq` gives
the order of the books: it grows with every receipt, whatever the clock does.
"""

import json
from collections.abc import Sequence
from dataclasses import fields

from gateway.domain.events import Finish
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage, UsageBasis

USAGE = tuple(field.name for field in fields(Usage))
_OPENED = (
    "receipt_id",
    "tenant",
    "subject",
    "session_id",
    "turn_id",
    "body_sha256",
    "request_id",
    "model",
    "created",
)
_CLOSED = (
    "settled_at",
    "finish",
    "reason",
    "price_entry",
    "peak_price",
    "served_by",
    "route_reason",
    "broken_stream_policy",
    "degraded",
    "cache_level",
    "labels",
    "attempts",
)
COLUMNS = (
    *_OPENED,
    *(f"reserved_{name}" for name in USAGE),
    *_CLOSED,
    *(f"settled_{name}" for name in USAGE),
)
_WIDTH = len(USAGE)

MIGRATIONS = (
    """
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
    """,
    """
    ALTER TABLE receipts ADD COLUMN worker TEXT NOT NULL DEFAULT '';
    DROP INDEX receipts_open;
    CREATE INDEX receipts_open ON receipts (worker) WHERE finish IS NULL;
    CREATE TABLE workers (worker TEXT PRIMARY KEY, beat INTEGER NOT NULL, started REAL NOT NULL);
    """,
)
"""One script per version of the file; a new one is added at the end and must keep what is there."""

_LIST = ", ".join(COLUMNS)
INSERT = f"INSERT OR IGNORE INTO receipts ({_LIST}, worker) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608 - constants
DELETE = "DELETE FROM receipts WHERE receipt_id = ? AND tenant = ? AND finish IS NOT NULL"
SELECT = f"SELECT {_LIST} FROM receipts"  # noqa: S608 - constants
CLOSE = (
    "UPDATE receipts SET "  # noqa: S608 - constants
    + ", ".join(f"{name} = ?" for name in COLUMNS[len(_OPENED) + _WIDTH :])
    + " WHERE receipt_id = ? AND tenant = ? AND finish IS NULL"
)
BEAT = (
    "INSERT INTO workers (worker, beat, started) VALUES (?, 1, ?)"
    " ON CONFLICT (worker) DO UPDATE SET beat = workers.beat + 1"
)
CLOSE_LOST = f"UPDATE receipts SET finish = {Finish.ERROR.value}, reason = ?, settled_at = ? WHERE finish IS NULL"  # noqa: S608


def opening(receipt: Receipt, worker: str) -> tuple[object, ...]:
    """The values of INSERT."""
    opened = (
        receipt.receipt_id,
        receipt.tenant,
        receipt.subject,
        receipt.session_id,
        receipt.turn_id,
        receipt.body_sha256,
        receipt.request_id,
        receipt.model,
        receipt.created,
    )
    return (*opened, *_usage_row(receipt.reserved), *_closing_row(receipt), worker)


def closing(receipt: Receipt) -> tuple[object, ...]:
    """The values of CLOSE."""
    return (*_closing_row(receipt), receipt.receipt_id, receipt.tenant)


# The columns have the types of the table above.
def receipt_of(row: Sequence[object]) -> Receipt:
    """The receipt in a row of SELECT."""
    named = dict(zip(COLUMNS, row, strict=True))
    reserved = {name: named.pop(f"reserved_{name}") for name in USAGE}
    settled = {name: named.pop(f"settled_{name}") for name in USAGE}
    finish = named.pop("finish")
    return Receipt(
        **{
            **named,
            "reserved": _usage(reserved),
            "settled": _usage(settled),
            "finish": None if finish is None else Finish(finish),
            "peak_price": bool(named["peak_price"]),
            "degraded": bool(named["degraded"]),
            "labels": json.loads(str(named["labels"])),
            "attempts": tuple(_attempt(raw) for raw in json.loads(str(named["attempts"]))),
        }
    )


def usage_json(usage: Usage) -> dict[str, int]:
    """Usage as JSON: the basis by its number."""
    return dict(zip(USAGE, _usage_row(usage), strict=True))


def _closing_row(receipt: Receipt) -> tuple[object, ...]:
    closed = (
        receipt.settled_at,
        None if receipt.finish is None else receipt.finish.value,
        receipt.reason,
        receipt.price_entry,
        int(receipt.peak_price),
        receipt.served_by,
        receipt.route_reason,
        receipt.broken_stream_policy,
        int(receipt.degraded),
        receipt.cache_level,
        json.dumps(receipt.labels) if receipt.labels else "{}",
        json.dumps([_attempt_json(attempt) for attempt in receipt.attempts]) if receipt.attempts else "[]",
    )
    return closed + _usage_row(receipt.settled)


def _usage_row(usage: Usage) -> tuple[int, ...]:
    return (
        usage.prompt_tokens,
        usage.cached_prompt_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
        usage.search_calls,
        usage.tool_runs,
        usage.cost_nano_usd,
        usage.basis.value,
    )


# object: columns and JSON, in the shape that `_usage_row` gave them.
def _usage(raw: dict[str, object]) -> Usage:
    return Usage(**{**raw, "basis": UsageBasis(raw["basis"])})  # type: ignore[arg-type]


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    return {
        "upstream": attempt.upstream,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "usage": usage_json(attempt.usage),
        "took_s": attempt.took_s,
    }


def _attempt(raw: dict[str, object]) -> Attempt:
    usage = raw["usage"]
    assert isinstance(usage, dict)  # noqa: S101 - written by `_attempt_json`
    return Attempt(
        str(raw["upstream"]), str(raw["model"]), str(raw["outcome"]), _usage(usage), float(str(raw["took_s"]))
    )
