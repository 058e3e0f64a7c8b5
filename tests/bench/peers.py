"""Measures the gateway beside those that people would pick instead: `python -m tests.bench.peers`.

`make bench-peers` runs it. Each peer is installed, pinned, into a folder of its own, and started with the settings
that its makers recommend; all get the same upstream, the same load and the same core, one after the other, and the
whole round is repeated. Ours has everything on; of the others nothing is asked but to pass an answer on.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from gateway import __version__
from tests.bench.machine import Bystanders, facts
from tests.bench.measures import Scene, Size
from tests.bench.peer_install import RECIPES, CannotInstallError, installed, plotting_python
from tests.bench.peer_measures import everything
from tests.bench.peer_table import HEADER_NOTE, Found, rows
from tests.bench.peer_targets import STARTS
from tests.bench.processes import REPOSITORY
from tests.bench.summary import between_markers, facts_line, table
from tests.bench.targets import Target, bare, direct, ours
from tests.bench.upstream_client import Upstream, upstream

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "performance-peers"
Start = Callable[[Upstream, Path], AbstractContextManager[Target]]
FULL = Size(paced_s=5.0, calls=8000, probes=300, open_streams=(100, 500))
QUICK = Size(paced_s=2.0, calls=800, probes=60, open_streams=(50,))


def main() -> int:
    """Installs, measures, and prints or writes the table and the plots."""
    args = arguments()
    if platform.system() != "Linux":
        print("bench: CPU clocks of other processes and pinned cores are Linux's; run it there", file=sys.stderr)
        return 2
    found, starts = prepared(args)
    begun, took, repeats = time.monotonic(), 0.0, 0
    while repeats < args.repeats and time.monotonic() - begun + took < args.minutes * 60:
        at = time.monotonic()
        for name, start in starts.items():
            measure(found[name], start, QUICK if args.quick else FULL)
        took, repeats = time.monotonic() - at, repeats + 1
    report = written(found, repeats)
    print(f"\n{report}", end="")
    if args.write:
        PAGE.write_text(between_markers(PAGE.read_text(encoding="utf-8"), report, "peers"), encoding="utf-8")
    if args.write or args.plots:
        draw(found)
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    names = ["gateway", "bare loop", "direct", *RECIPES]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short repeat: to see that it runs, not to quote")
    parser.add_argument("--only", action="append", choices=names, default=[], help="only this one; repeatable")
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="rounds over all of them (2)")
    parser.add_argument(
        "--minutes", type=float, default=12.0, metavar="M", help="begin no round that would end later (12)"
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(REPOSITORY)} and its plots")
    parser.add_argument("--plots", action="store_true", help="write the plots alone")
    args = parser.parse_args()
    args.repeats = args.repeats or (1 if args.quick else 2)
    return args


def prepared(args: argparse.Namespace) -> tuple[dict[str, Found], dict[str, Start]]:
    """Everything that shall be measured and can be had, in the order of the table."""
    own: dict[str, Start] = {"gateway": ours, "bare loop": bare, "direct": direct}
    found = {name: Found(__version__ if name == "gateway" else "") for name in own}
    starts = dict(own)
    for name, recipe in RECIPES.items():
        if args.only and name not in args.only:
            continue
        found[name] = Found(recipe.pin)
        try:
            folder, found[name].version = installed(recipe)
        except (CannotInstallError, OSError, subprocess.SubprocessError) as error:
            found[name].trouble.append(f"not installed: {error}")
            print(f"# {name}: {found[name].trouble[-1]}", file=sys.stderr, flush=True)
        else:
            starts[name] = partial(STARTS[name], folder)
    for name in own:
        if args.only and name not in args.only:
            del starts[name], found[name]
    return found, starts


def measure(found: Found, start: Start, size: Size) -> None:
    """One repeat of one of them. One that fails is told of in the table, and does not stop the others."""
    name = "target"
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as place, Bystanders() as bystanders:
            folder = Path(place)
            with upstream(folder) as server, start(server, folder) as target:
                name = target.name
                numbers = everything(Scene(target, server, folder, size))
    except (RuntimeError, OSError, ArithmeticError, LookupError, psutil.Error) as error:
        # The last line of a log is the one that says what went wrong.
        lines = [line for line in str(error).splitlines() if line.strip()]
        found.trouble.append(f"failed: {lines[-1].strip()[-300:]}")
        print(f"# {name} {found.trouble[-1]}", file=sys.stderr, flush=True)
        return
    for key, value in {**numbers, "others": bystanders.share}.items():
        found.samples.setdefault(key, []).append(value)
    print(f"# {name}: {', '.join(f'{k} {v:.4g}' for k, v in numbers.items())}", file=sys.stderr, flush=True)


def written(found: dict[str, Found], repeats: int) -> str:
    """The table, what could not be measured, and what is needed to do it again."""
    command = shlex.join(["python", "-m", "tests.bench.peers", *sys.argv[1:]])
    today = datetime.now(UTC).date().isoformat()
    times = "one round" if repeats == 1 else f"medians of {repeats} interleaved rounds (range)"
    others = [share for one in found.values() for share in one.samples.get("others", ())]
    quiet = f"Other programs used up to {max(others) * 100:.0f} % of the machine meanwhile. " if others else ""
    header, lines = rows(found)
    trouble = [f"- {name}: {one.trouble[-1]}" for name, one in found.items() if one.trouble]
    missing = "\nNot, or not wholly, measured:\n\n" + "\n".join(trouble) + "\n" if trouble else ""
    picture = f"![Peers side by side]({PICTURE.name}.svg)\n" if PICTURE.with_suffix(".svg").exists() else ""
    head = f"`{command}`, {today}, {times}. {quiet}{facts_line(facts())}. {HEADER_NOTE}"
    return f"{head}\n\n{table(header, lines)}{missing}\n{picture}"


def draw(found: dict[str, Found]) -> None:
    """The plots, as PNG and SVG, drawn by an interpreter that has what it takes."""
    samples = {name: one.samples for name, one in found.items() if one.samples}
    try:
        python = plotting_python()
    except CannotInstallError as error:
        print(f"no plots: {error}", file=sys.stderr)
        return
    command = [str(python), str(Path(__file__).with_name("plots.py")), str(PICTURE)]
    subprocess.run(command, input=json.dumps(samples), text=True, check=True)


if __name__ == "__main__":
    sys.exit(main())
