"""What many gateways would carry, from what one was measured to cost: `python -m tests.bench.scaling`.

The table is simulated (see `scaling_model`). `--check` holds the model against real gateways of 1, 2 and 4 workers
on one core: the first run with one worker gives the cost of an event, and the table says what the model expects of
the others and what they did.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests.bench.clients import client
from tests.bench.machine import cpu_s, facts
from tests.bench.processes import REPOSITORY
from tests.bench.scaling_model import Balancing, Callers, Costs, House, Outcome, simulate
from tests.bench.script import Script
from tests.bench.summary import between_markers, facts_line, number, table
from tests.bench.targets import Target, crew
from tests.bench.upstream_client import Upstream, upstream

PAGE = REPOSITORY / "docs" / "scaling.md"
REPLICAS = (2, 4, 10, 30, 100, 300, 1000)
WORKERS = (1, 2, 4)
STREAMS = (80, 160)
CLIENTS = 8
GAP_S = 0.03
HELD_S = 8.0
SETTLE_S = 2.0
FULL = 0.6
"""The share of a core up to which a gateway is filled, so that one may fail and its callers find room."""


def main() -> int:
    """Prints the table, or the check."""
    args = arguments()
    costs = Costs(args.turn_us / 1e6, args.event_us / 1e6, args.folded_us / 1e6, args.decision_us / 1e6)
    if args.check:
        with tempfile.TemporaryDirectory() as folder, upstream(Path(folder)) as source:
            report = checked(source, Path(folder), costs)
        report += f"\n{facts_line(facts())}\n"
    else:
        report = simulated(costs)
    print(report, end="")
    if args.write:
        name = "checked" if args.check else "simulated"
        PAGE.write_text(between_markers(PAGE.read_text("utf-8"), report, name), encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """The command line; costs in microseconds of one core, as `make bench` prints them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling", description=__doc__)
    parser.add_argument("--turn-us", type=float, default=900.0, help="a whole turn without its events")
    parser.add_argument("--event-us", type=float, default=60.0, help="an event of a paced stream")
    parser.add_argument("--folded-us", type=float, default=8.0, help="an event that waited for others")
    parser.add_argument("--decision-us", type=float, default=55.0, help="Redis' CPU for one call of the limiter")
    parser.add_argument("--check", action="store_true", help="hold the model against real workers on one core")
    parser.add_argument("--write", action="store_true", help=f"put the result into {PAGE.name}")
    return parser.parse_args()


# --- on paper ---------------------------------------------------------------------------------------


def simulated(costs: Costs) -> str:
    """From 2 to 1,000 gateways of one worker each, filled to FULL of a core."""
    answer = Callers(turns_per_s=1.0, gap_s=GAP_S)
    per_s = FULL / (costs.turn_s + answer.events * costs.event_s)
    rows = []
    for replicas in REPLICAS:
        house = House(workers=replicas, costs=costs)
        callers = replace(answer, turns_per_s=per_s * replicas, connections=4 * replicas)
        fair = simulate(house, callers, seconds=20)
        hashed = simulate(house, replace(callers, balancing=Balancing.CONNECTION), seconds=20)
        rows.append(_row(replicas, callers, fair, hashed))
    head = (
        "gateways",
        "turns a second",
        "streams",
        "busiest, by call",
        "busiest, by connection",
        "its lag p99 (ms)",
    )
    return table((*head, "Redis busy", "Redis nodes"), rows)


def _row(replicas: int, callers: Callers, fair: Outcome, hashed: Outcome) -> tuple[str, ...]:
    return (
        f"{replicas:,}",
        number(callers.turns_per_s),
        number(fair.streams),
        f"{fair.utilisation_max:.0%}",
        f"{hashed.utilisation_max:.0%}",
        number(hashed.lag_p99_s * 1000),
        f"{fair.redis_utilisation:.1%}",
        str(max(1, -int(-fair.redis_utilisation // FULL))),
    )


# --- against real workers ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Real:
    """What a crew of workers did with streams that were held: cores used, the busiest worker's part, delays."""

    used: float
    busiest: float
    events_per_s: float
    delay_p99_ms: float


def checked(source: Upstream, folder: Path, costs: Costs) -> str:
    """A table of what the model expects and what was measured."""
    rows, event_s = [], 0.0
    for workers in WORKERS:
        for streams in STREAMS:
            with _place(folder, f"{workers}-{streams}") as place, crew(workers)(source, place) as target:
                real = held(target, source, place, streams)
            # Only the first run teaches the model; all others are foretold.
            event_s = event_s or real.used / real.events_per_s
            told = foretold(workers, streams, replace(costs, event_s=event_s))
            rows.append(_compared(workers, streams, told, real))
    head = ("workers", "streams", "cores used, model", "measured", "busiest worker, model", "measured")
    found = table((*head, "lag p99, model (ms)", "delay p99, measured (ms)"), rows)
    learned = f"An event cost {number(event_s * 1e6)} µs in the first row; all other rows are foretold from it."
    return f"{found}\n{learned}\n"


def held(target: Target, source: Upstream, folder: Path, streams: int) -> Real:
    """Streams of several callers, each with a connection of its own, in their middle."""
    script = Script(int((HELD_S + SETTLE_S + 6) / GAP_S), gap_ms=round(GAP_S * 1000))
    with ExitStack() as stack:
        loads = []
        for number_of in range(CLIENTS):
            own = stack.enter_context(_place(folder, f"client-{number_of}"))
            loads.append(stack.enter_context(client(target, own, "hold", script, streams=streams // CLIENTS)))
        for load in loads:
            load.wait_open()
        time.sleep(SETTLE_S)
        sent, used, each = source.stats().sent, cpu_s(target.pid), _by_worker(target.pid)
        time.sleep(HELD_S)
        sent, used = source.stats().sent - sent, cpu_s(target.pid) - used
        after = _by_worker(target.pid)
        spent = [after[pid] - before for pid, before in each.items() if pid in after]
        delays = [load.result()["delay_p99_ms"] for load in loads]
    return Real(used / HELD_S, max(spent) / (sum(spent) or 1.0), sent / HELD_S, max(delays))


def foretold(workers: int, streams: int, costs: Costs) -> Outcome:
    """What the model says of streams that are held: they arrive at once and stay."""
    house = House(workers=workers, cores=1, costs=costs)
    lasts = Callers(1.0, gap_s=GAP_S).lasts_s
    callers = Callers(streams / lasts, gap_s=GAP_S, connections=CLIENTS, balancing=Balancing.LEAST)
    return simulate(house, callers, seconds=30)


def _compared(workers: int, streams: int, told: Outcome, real: Real) -> tuple[str, ...]:
    return (
        str(workers),
        str(streams),
        f"{told.utilisation * workers:.2f}",
        f"{real.used:.2f}",
        f"{told.busiest_share / workers:.0%}",
        f"{real.busiest:.0%}",
        number(told.lag_p99_s * 1000),
        number(real.delay_p99_ms),
    )


def _by_worker(pid: int) -> dict[int, float]:
    """CPU seconds of each process that serves: the children of the parent, or the only process."""
    root = psutil.Process(pid)
    serving: Sequence[psutil.Process] = root.children() or [root]
    return {one.pid: sum(one.cpu_times()[:2]) for one in serving}


@contextmanager
def _place(folder: Path, name: str) -> Iterator[Path]:
    place = folder / name
    place.mkdir()
    yield place


if __name__ == "__main__":
    sys.exit(main())
