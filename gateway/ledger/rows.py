"""Receipts as rows of the table, and back."""

import json
from collections.abc import Sequence
from dataclasses import fields

from gateway.domain.events import Finish
from gateway.domain.receipt import Attempt, Receipt
from gateway.domain.usage import Usage, UsageBasis

USAGE = tuple(field.name for field in fields(Usage))
_OPENED = (
    *("receipt_id", "tenant", "subject", "session_id", "turn_id", "body_sha256", "request_id", "model", "created"),
    *(f"reserved_{name}" for name in USAGE),
)
CLOSING = (
    *("settled_at", "finish", "reason", "price_entry", "peak_price", "served_by", "route_reason"),
    *("broken_stream_policy", "degraded", "cache_level", "labels", "attempts"),
    *(f"settled_{name}" for name in USAGE),
)
"""The columns that a close writes, and a checkpoint."""
COLUMNS = (*_OPENED, *CLOSING, "reservation_id")
"""The columns of a receipt."""
OPENING = (*COLUMNS, "worker")


class Malformed(Exception):  # noqa: N818 - what is wrong is the row
    """A row is no receipt: something else wrote it."""


def opening(receipt: Receipt, worker: str) -> tuple[object, ...]:
    """The values of OPENING."""
    return (
        receipt.receipt_id,
        receipt.tenant,
        receipt.subject,
        receipt.session_id,
        receipt.turn_id,
        receipt.body_sha256,
        receipt.request_id,
        receipt.model,
        receipt.created,
        *_usage_row(receipt.reserved),
        *closing(receipt),
        receipt.reservation_id,
        worker,
    )


def closing(receipt: Receipt) -> tuple[object, ...]:
    """The values of CLOSING."""
    return (
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
        *_usage_row(receipt.settled),
    )


def receipt_of(row: Sequence[object]) -> Receipt:
    """The receipt in a row of COLUMNS. Raises Malformed."""
    try:
        return _receipt(row)
    except (ValueError, TypeError, LookupError) as error:
        raise Malformed(f"the row of receipt {row[0]!r} holds what no gateway wrote: {error!r}") from error


def _receipt(row: Sequence[object]) -> Receipt:
    named = dict(zip(COLUMNS, row, strict=True))
    reserved = {name: named.pop(f"reserved_{name}") for name in USAGE}
    settled = {name: named.pop(f"settled_{name}") for name in USAGE}
    finish = named.pop("finish")
    # The columns have the types of the table.
    return Receipt(
        **{  # type: ignore[arg-type]
            **named,
            "reserved": _usage(reserved),
            "settled": _usage(settled),
            "finish": None if finish is None else Finish(finish),
            "peak_price": bool(named["peak_price"]),
            "degraded": bool(named["degraded"]),
            "labels": dict(json.loads(str(named["labels"]))),
            "attempts": tuple(_attempt(raw) for raw in json.loads(str(named["attempts"]))),
        }
    )


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
        "usage": dict(zip(USAGE, _usage_row(attempt.usage), strict=True)),
        "took_s": attempt.took_s,
    }


def _attempt(raw: dict[str, object]) -> Attempt:
    usage = raw["usage"]
    if not isinstance(usage, dict):
        raise TypeError("the usage of an attempt is no object")
    return Attempt(
        str(raw["upstream"]), str(raw["model"]), str(raw["outcome"]), _usage(usage), float(str(raw["took_s"]))
    )
