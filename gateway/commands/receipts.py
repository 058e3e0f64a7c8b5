"""`gateway receipts`: lists, totals, exports and deletes what turns used and cost."""

import argparse
import csv
import datetime as dt
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TextIO

from gateway.commands import erasing
from gateway.commands.table import write_table
from gateway.domain.errors import OperatorError
from gateway.domain.receipt import Receipt
from gateway.domain.usage import Usage
from gateway.ledger.reader import ReceiptReader, Total
from gateway.settings import ConfigurationError, place_of_receipts

NANO = 1_000_000_000
_EMPTY = Receipt("", "", "", "", "", b"", "", "", Usage(), 0.0)
_RECEIPT = (
    ("created", "receipt", "tenant", "model", "finish", "prompt", "cached", "output", "search", "cost USD"),
    "<<<<<>>>>>",
)
_TOTAL = (("by", "name", "turns", "running", "prompt", "cached", "output", "search", "cost USD"), "<<>>>>>>>")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.description = (
        "Lists the receipts of turns, newest first, or deletes a tenant's; gateways may be running."
    )
    parser.add_argument("act", nargs="?", choices=("list", "delete"), default="list", help="default: list")
    parser.add_argument("--tenant", help="only this tenant's")
    parser.add_argument("--limit", type=_positive, default=50, help="at most so many receipts (default: 50)")
    parser.add_argument("--format", choices=("table", "csv", "jsonl"), default="table", help="default: table")
    parser.add_argument("--totals", action="store_true", help="sums by tenant, model and label, over all receipts")
    parser.add_argument("--before", type=_date, help="delete: only receipts of before this day (2026-01-31, UTC)")
    parser.add_argument("--yes", action="store_true", help="delete: do it; what is deleted does not come back")
    parser.add_argument("--data-dir", help="the gateway's data directory (default: GATEWAY_DATA_DIR, or .gateway)")
    parser.add_argument("--config", help="the TOML file (GATEWAY_CONFIG), for [data] dir and [database] url")


def run(args: argparse.Namespace) -> int:
    """Prints what was asked for; 1 when the receipts cannot be read."""
    try:
        directory, url = place_of_receipts(args.data_dir, args.config)
    except ConfigurationError as error:
        sys.stderr.write("".join(f"gateway receipts: {fault}\n" for fault in error.faults))
        return 2
    if args.act == "delete":
        return erasing.run(directory, url, args.tenant, args.before, sure=args.yes)
    reader = ReceiptReader(directory, url)
    try:
        if args.totals:
            write_totals(reader.totals(args.tenant), args.format, sys.stdout)
        else:
            write_receipts(reader.recent(args.tenant, args.limit), args.format, sys.stdout)
        sys.stdout.flush()
    except OperatorError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not flush into it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def write_receipts(receipts: Sequence[Receipt], form: str, out: TextIO) -> None:
    """Receipts as a table, as CSV with every field in a column of its own, or as one JSON object per line."""
    match form:
        case "csv":
            _write_csv([_flat(receipt) for receipt in receipts], list(_flat(_EMPTY)), out)
        case "jsonl":
            for receipt in receipts:
                out.write(json.dumps(_nested(receipt), ensure_ascii=False) + "\n")
        case _:
            write_table(*_RECEIPT, [_row(receipt) for receipt in receipts], out, nothing="no receipts")


def write_totals(totals: Sequence[Total], form: str, out: TextIO) -> None:
    """Totals as a table, as CSV, or as one JSON object per line."""
    match form:
        case "csv":
            _write_csv([asdict(total) for total in totals], [field.name for field in fields(Total)], out)
        case "jsonl":
            for total in totals:
                out.write(json.dumps(asdict(total), ensure_ascii=False) + "\n")
        case _:
            write_table(*_TOTAL, [_total_row(total) for total in totals], out, nothing="no receipts")


def usd(nano_usd: int) -> str:
    """An amount in USD, exact, with at least six decimals."""
    sign = "-" if nano_usd < 0 else ""
    whole, nano = divmod(abs(nano_usd), NANO)
    decimals = f"{nano:09d}"
    return f"{sign}{whole}.{decimals[:6]}{decimals[6:].rstrip('0')}"


def _row(receipt: Receipt) -> tuple[str, ...]:
    used = receipt.settled
    return (
        _time(receipt.created),
        receipt.receipt_id,
        receipt.tenant,
        receipt.model,
        _finish(receipt),
        f"{used.prompt_tokens:,}",
        f"{used.cached_prompt_tokens:,}",
        f"{used.completion_tokens:,}",
        f"{used.search_calls:,}",
        usd(used.cost_nano_usd),
    )


def _total_row(total: Total) -> tuple[str, ...]:
    return (
        total.by,
        total.name,
        f"{total.turns:,}",
        f"{total.running:,}",
        f"{total.prompt_tokens:,}",
        f"{total.cached_prompt_tokens:,}",
        f"{total.completion_tokens:,}",
        f"{total.search_calls:,}",
        usd(total.cost_nano_usd),
    )


def _finish(receipt: Receipt) -> str:
    if receipt.finish is None:
        return "running"
    word = receipt.finish.name.lower()
    return f"{word}: {receipt.reason}" if receipt.reason else word


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _nested(receipt: Receipt) -> dict[str, object]:
    """The receipt with the same names as in the house; digests in hex, words for enumerations."""
    return {
        **asdict(receipt),
        "body_sha256": receipt.body_sha256.hex(),
        "finish": None if receipt.finish is None else receipt.finish.name.lower(),
        "reserved": _usage(receipt.reserved),
        "settled": _usage(receipt.settled),
        "attempts": [{**asdict(attempt), "usage": _usage(attempt.usage)} for attempt in receipt.attempts],
    }


def _usage(usage: Usage) -> dict[str, object]:
    return {**asdict(usage), "basis": usage.basis.name.lower()}


def _flat(receipt: Receipt) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in _nested(receipt).items():
        if name in ("reserved", "settled") and isinstance(value, dict):
            flat.update({f"{name}_{part}": number for part, number in value.items()})
        elif isinstance(value, list | dict):
            flat[name] = json.dumps(value, ensure_ascii=False)
        else:
            flat[name] = value
    return flat


def _write_csv(rows: Sequence[dict[str, object]], names: Sequence[str], out: TextIO) -> None:
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is quoted with an apostrophe (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _date(text: str) -> float:
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC).timestamp()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it like 2026-01-31") from error


def _positive(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
