"""`gateway audit`: proves offline that the audit stands as it was written, and shows what stands in it."""

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.audit.folder import NAME
from gateway.audit.listing import Line, read_lines
from gateway.audit.verify import ChainReport, Heads, head_line, parse_heads, verify
from gateway.commands.table import printable, write_table
from gateway.settings import data_dir

WHOLE, BROKEN, WRONG = 0, 1, 2
_HEADS = (
    *("time", "chain", "seq", "tenant", "subject", "caller", "method", "model", "receipt", "outcome"),
    "cost USD",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.description = "Reads the audit; the gateway may be running."
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    check = acts.add_parser("verify", help="prove that no record was changed, moved, added or taken out")
    check.add_argument("--head", metavar="FILE", help="heads that were kept elsewhere, from `gateway audit head`")
    head = acts.add_parser("head", help="print the end of every chain, to be kept elsewhere")
    show = acts.add_parser("list", help="show who asked for what, and what came of it")
    show.add_argument("--tenant", help="only this tenant's")
    show.add_argument("--since", type=_moment, help="only from then on (UTC): 2026-11-21 or 2026-11-21T08:00")
    show.add_argument("--receipt", help="only what belongs to this receipt")
    for each in (check, head, show):
        each.add_argument("dir", nargs="?", help=f"the audit's folder (default: {NAME} in the data directory)")
        each.add_argument("--data-dir", help="the data directory (default: GATEWAY_DATA_DIR, or .gateway)")
    for each in (check, show):
        each.add_argument("--json", action="store_true", help="one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """0 when all is whole, 1 when the audit is broken or cannot be read, 2 for wrong usage."""
    folder = Path(args.dir) if args.dir else data_dir(args.data_dir) / NAME
    acts: dict[str, Callable[[argparse.Namespace, Path], int]] = {"verify": _verify, "head": _head, "list": _list}
    try:
        if not folder.is_dir():
            raise FileNotFoundError(2, "there is no such folder; was the gateway started there?", str(folder))
        code = acts[args.act](args, folder)
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `| head` has seen enough; nothing is flushed into it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return WHOLE
        sys.stderr.write(f"gateway audit {args.act}: {error.filename}: {error.strerror}\n")
        return BROKEN
    return code


def _verify(args: argparse.Namespace, folder: Path) -> int:
    try:
        heads = parse_heads(Path(args.head).read_text(encoding="utf-8")) if args.head else {}
    except ValueError as error:
        sys.stderr.write(f"gateway audit verify: {args.head}: {error}\n")
        return WRONG
    reports = verify(folder, heads)
    for report in reports:
        sys.stdout.write(_as_json(report) if args.json else _as_text(report, heads))
    if not reports and not args.json:
        sys.stdout.write(f"{folder}: there is no chain\n")
    return BROKEN if any(report.fault for report in reports) else WHOLE


def _head(_args: argparse.Namespace, folder: Path) -> int:
    """Only of what is whole: a head vouches for everything before it."""
    reports = verify(folder, {})
    for report in reports:
        if report.fault is None and report.records:
            sys.stdout.write(f"{head_line(report)}\n")
        elif report.fault is not None:
            sys.stderr.write(f"gateway audit head: {_fault(report)}\n")
    return BROKEN if any(report.fault for report in reports) else WHOLE


def _list(args: argparse.Namespace, folder: Path) -> int:
    lines, reports = read_lines(folder, tenant=args.tenant, since=args.since, receipt=args.receipt)
    if args.json:
        for line in lines:
            sys.stdout.write(json.dumps(line.nested(), ensure_ascii=False) + "\n")
    else:
        write_table(_HEADS, "<<><<<<<<<>", [_row(line) for line in lines], sys.stdout, nothing="no records")
    for report in reports:
        if report.fault is not None:
            sys.stderr.write(f"gateway audit list: not all of it is shown: {_fault(report)}\n")
    return BROKEN if any(report.fault for report in reports) else WHOLE


def _as_text(report: ChainReport, heads: Heads) -> str:
    state = "BROKEN" if report.fault else "whole"
    lines = [
        f"chain {report.chain}: {state}",
        f"  {report.records:,} records in {report.segments:,} segments, {report.intents:,} intents, "
        f"{report.outcomes:,} outcomes, {len(report.open):,} intents without one",
        *([f"  without an outcome: records {_numbers(report.open)}"] if report.open else []),
        *(["  the newest record was never finished, and counted for nothing"] if report.torn else []),
        f"  {_tail(report, heads)}",
        f"  head: {head_line(report)}",
    ]
    if report.fault is not None:
        lines[1:1] = [f"  the first broken record: {_fault(report)}"]
    return "\n".join(lines) + "\n"


def _tail(report: ChainReport, heads: Heads) -> str:
    vouched = f"{report.vouched:,} kept heads fit" if report.chain in heads else "no kept head was given (--head)"
    newest = "sealed" if report.sealed else "not sealed: a gateway writes it, or its process died"
    return f"the newest segment is {newest}; {vouched}"


def _as_json(report: ChainReport) -> str:
    fault = report.fault
    found = {
        "chain": report.chain,
        "whole": fault is None,
        "records": report.records,
        "segments": report.segments,
        "intents": report.intents,
        "outcomes": report.outcomes,
        "open": list(report.open),
        "torn": report.torn,
        "sealed": report.sealed,
        "heads_found": report.vouched,
        "head": {"count": report.head.count, "hash": report.head.hash.hex()},
        "fault": None if fault is None else {"file": str(fault.path), "offset": fault.offset, "why": fault.why},
    }
    return json.dumps(found) + "\n"


def _fault(report: ChainReport) -> str:
    fault = report.fault
    return "" if fault is None else f"{fault.path}, at byte {fault.offset}: {printable(fault.why)}"


def _numbers(places: Sequence[int], most: int = 10) -> str:
    shown = ", ".join(map(str, places[:most]))
    return shown if len(places) <= most else f"{shown} and {len(places) - most:,} more"


def _row(line: Line) -> tuple[str, ...]:
    return tuple(_cells(line))


def _cells(line: Line) -> Iterator[str]:
    intent, outcome = line.intent, line.outcome
    yield dt.datetime.fromtimestamp(line.time_us / 1e6, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    yield line.chain
    yield str(line.seq)
    yield from (intent.tenant, intent.subject, intent.caller_ip, intent.method, intent.model, intent.receipt_id)
    if outcome is None:
        yield from ("none", "")
    else:
        yield outcome.cause or outcome.finish or "ok"
        yield f"{outcome.cost_nano_usd / 1e9:.6f}"


def _moment(text: str) -> float:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment like 2026-11-21 or 2026-11-21T08:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
