"""Measures the gateway beside a bare loop and the direct way: `python -m tests.bench`, or `make bench`.

Everything is on: a verified token, every limit, a receipt, metrics and a log line for each turn. The measured
process has one core of its own, clients and upstream share the others. Repeats are interleaved, and each has
processes started afresh; the table shows medians and the range.
"""

import argparse
import json
import platform
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import goals, plan
from tests.bench.inside_lines import inside_cells
from tests.bench.machine import Bystanders, cores, facts
from tests.bench.measures import Scene, Size
from tests.bench.processes import REPOSITORY, Child
from tests.bench.summary import between_markers, facts_line, table, with_range
from tests.bench.upstream_client import upstream

DISTURBED = 0.08
"""The share of the machine that others may use before a repeat is made again."""
ATTEMPTS = 3
PAGE = REPOSITORY / "docs" / "performance.md"
QUICK = Size(paced_s=4.0, calls=800, probes=150, rounds=4)


def main() -> int:
    """Runs what was asked for and prints one table."""
    args = arguments()
    if platform.system() != "Linux":
        print("bench: CPU clocks of other processes and pinned cores are Linux's; run it there", file=sys.stderr)
        return 2
    size = QUICK if args.quick else Size()
    chosen = [row for row in plan.ROWS if chosen_by(args, row)]
    samples: dict[str, plan.Samples] = {row.name: {} for row in chosen}
    inside: dict[str, list[float]] = {}
    for repeat in range(args.repeats):
        for row in chosen:
            run(row, size, samples[row.name], repeat)
        if not args.only or "inside" in args.only:
            run_inside(inside, repeat)
    lines = [cells for row in chosen for cells in plan.cells(row, samples[row.name])]
    lines += inside_cells(inside) if inside else []
    others = [share for row in samples.values() for numbers in row.values() for share in numbers["others"]]
    reached = table(goals.HEADER, goals.verdicts(samples))
    report = written(args, f"{table(plan.HEADER, lines)}\n{reached}", others)
    print(f"\n{report}", end="")
    if args.write:
        page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Performance\n"
        PAGE.write_text(between_markers(page, report), encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    names = [*(row.name for row in plan.ROWS), "inside"]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short repeat: to see that it runs, not to quote")
    parser.add_argument("--full", action="store_true", help="also what takes long: growth, TLS")
    parser.add_argument("--only", action="append", choices=names, default=[], help="only this row; repeatable")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="repeats of every row (3)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(REPOSITORY)}")
    args = parser.parse_args()
    args.repeats = args.repeats or (1 if args.quick else 3)
    return args


def chosen_by(args: argparse.Namespace, row: plan.Row) -> bool:
    """Whether this row is asked for."""
    return row.name in args.only if args.only else args.full or not row.long


def run(row: plan.Row, size: Size, samples: plan.Samples, repeat: int) -> None:
    """One repeat of a row, for each of its targets in turn; of disturbed attempts the quietest counts."""
    for start in row.starts:
        attempts: list[dict[str, float]] = []
        while not attempts or (attempts[-1]["others"] > DISTURBED and len(attempts) < ATTEMPTS):
            name, numbers = run_once(row, start, size)
            told = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
            print(f"# {repeat + 1} {row.name} {name}: {told}", file=sys.stderr, flush=True)
            attempts.append(numbers)
        found = samples.setdefault(name, {})
        for key, value in min(attempts, key=lambda attempt: attempt["others"]).items():
            found.setdefault(key, []).append(value)


def run_once(row: plan.Row, start: plan.Start, size: Size) -> tuple[str, dict[str, float]]:
    """The name of the target and its numbers; `others` is the share of the machine that other programs used."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Bystanders() as bystanders:
        folder = Path(name)
        with upstream(folder, tls=row.tls) as server, start(server, folder) as target:
            numbers = row.measure(Scene(target, server, folder, size))
    return target.name, {**numbers, "others": bystanders.share}


def run_inside(samples: dict[str, list[float]], repeat: int) -> None:
    """One repeat of what needs no server, on the measured core."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        log = Path(name) / "inside.log"
        with Child.module("inside", cores=cores()[0], log=log) as child:
            numbers: dict[str, float] = json.loads(child.expect(r"^\{.*", 300.0)[0])
    for key, value in numbers.items():
        samples.setdefault(key, []).append(value)
    print(f"# {repeat + 1} inside", file=sys.stderr, flush=True)


def written(args: argparse.Namespace, rows: str, others: list[float]) -> str:
    """The table with what is needed to do it again."""
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    today = datetime.now(UTC).date().isoformat()
    repeats = "one repeat" if args.repeats == 1 else f"medians of {args.repeats} interleaved repeats (range)"
    quiet = f"Other programs used {with_range([share * 100 for share in others])} % of the machine meanwhile. "
    return f"`{command}`, {today}, {repeats}. {quiet * bool(others)}{facts_line(facts())}.\n\n{rows}"


if __name__ == "__main__":
    sys.exit(main())
