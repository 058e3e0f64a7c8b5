"""What an event and a call cost in instructions, beside the bare loop: `python -m tests.bench.guard`.

Times on a shared machine differ by a factor of two; the instructions that a process executes do not. Gateway and
bare loop run under Valgrind with the same load, and what counts is the ratio of the two, which other versions of
libraries and interpreter move less. It fails when a ratio has grown by more than a quarter over the one in
`guard.json`; `--renew` writes those of this run there, for the commit that means to cost more, or less.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.clients import done
from tests.bench.script import Script
from tests.bench.targets import Target, bare, ours
from tests.bench.upstream_client import Upstream, upstream

RECORDED = Path(__file__).with_name("guard.json")
GROWTH = 1.25
START_S = 180.0
CALLS, BURST, ROUNDS = 60, 200, 3
FEW, MANY, GAP_MS = 4, 120, 45
_TOTAL = re.compile(r"^(?:summary|totals):\s*(\d+)", re.MULTILINE)


def main() -> int:
    """Prints the ratios; 1 when one has grown too much. Without Valgrind it says that it checked nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.guard", description=__doc__)
    parser.add_argument("--renew", action="store_true", help=f"write the ratios of this run to {RECORDED.name}")
    args = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("guard: valgrind is not installed (apt-get install valgrind); nothing was checked")
        return 0
    found = ratios()
    if args.renew:
        RECORDED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    recorded: dict[str, float] = json.loads(RECORDED.read_text(encoding="utf-8"))
    print("\n".join(told(found, recorded)))
    return 1 if grown(found, recorded) else 0


def told(found: Mapping[str, float], recorded: Mapping[str, float]) -> Iterator[str]:
    """A line for each ratio."""
    for name, value in found.items():
        verdict = "TOO MUCH" if name in grown(found, recorded) else "ok"
        yield f"guard: {name}: {value:.2f} times the bare loop, {recorded[name]:.2f} recorded: {verdict}"


def grown(found: Mapping[str, float], recorded: Mapping[str, float]) -> Sequence[str]:
    """What costs more than a quarter above what is recorded."""
    return [name for name, value in found.items() if value > recorded[name] * GROWTH]


def ratios() -> dict[str, float]:
    """The instructions of the gateway over those of the bare loop, for an event and for a call."""
    ours, bare = measured("gateway"), measured("bare loop")
    return {name: round(ours[name] / bare[name], 3) for name in ours}


def measured(name: str) -> dict[str, float]:
    """Instructions for each paced event, each burst and each plain call."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        with upstream(folder) as server, _counted(name, server, folder) as (target, counter):
            done(target, folder, "loop", Script(20, together=10, gap_ms=5), streams=2, calls=20)
            counter.start()
            done(target, folder, "loop", Script(FEW, gap_ms=20), calls=4)
            counter.taken()
            done(target, folder, "whole", Script(2, together=2), calls=CALLS)
            plain = counter.taken() / CALLS
            done(target, folder, "loop", Script(BURST, together=BURST), calls=CALLS)
            burst = counter.taken() / CALLS
            event = median([_paced_event(target, folder, counter) for _ in range(ROUNDS)])
    print(
        f"# {name}: call {plain:,.0f}, burst {burst:,.0f}, paced event {event:,.0f}", file=sys.stderr, flush=True
    )
    return {"paced event": event, "burst of 200": burst, "plain call": plain}


def _paced_event(target: Target, folder: Path, counter: "Counter") -> float:
    """A stream of many events beside one of few that takes as long: timers and samplers cost both the same."""
    done(target, folder, "loop", Script(FEW, gap_ms=GAP_MS * MANY // FEW))
    few = counter.taken()
    done(target, folder, "loop", Script(MANY, gap_ms=GAP_MS))
    return (counter.taken() - few) / (MANY - FEW)


class Counter:
    """The instructions of one process under Callgrind; its files lie in `folder`."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder

    def start(self) -> None:
        """Counts from now on: until here the process ran faster, uncounted."""
        self._control("-i", "on")

    def taken(self) -> int:
        """The instructions since it was last asked."""
        self._control("-d")
        total = 0
        for path in self._folder.glob("callgrind.*"):
            found = _TOTAL.findall(path.read_text(encoding="utf-8", errors="replace"))
            total += int(found[0]) if found else 0
            path.unlink()
        return total

    def _control(self, *words: str) -> None:
        command = ["callgrind_control", *words, str(self._pid)]
        subprocess.run(command, check=True, capture_output=True, timeout=START_S)


@contextmanager
def _counted(name: str, server: Upstream, folder: Path) -> Iterator[tuple[Target, Counter]]:
    """The gateway or the bare loop under Valgrind."""
    files = folder / "counts"
    files.mkdir()
    under = (
        "valgrind",
        "--tool=callgrind",
        "--fair-sched=yes",
        "--instr-atstart=no",
        f"--callgrind-out-file={files}/callgrind.%p",
    )
    with (ours if name == "gateway" else bare)(server, folder, under=under) as target:
        yield target, Counter(target.pid, files)


if __name__ == "__main__":
    sys.exit(main())
