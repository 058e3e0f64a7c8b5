"""What is aimed at, and whether a run got there: the numbers decide, what was not run is not claimed (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.summary import number

Samples = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """At most so much of one number of one row; `added` subtracts what the direct way takes.

    `beside` is a row whose same number is divided by, so that the limit is a ratio.
    """

    text: str
    row: str
    number: str
    limit: float
    added: bool = False
    beside: str = ""


GOALS = (
    Goal("added to the first token, one stream, p50 (ms)", "first-token", "p50_ms", 0.9, added=True),
    Goal("added to the first token, one stream, p99 (ms)", "first-token", "p99_ms", 2.0, added=True),
    Goal("500 paced streams, CPU per event (µs)", "paced", "cpu_us", 40.0),
    Goal("500 paced streams, added delay per event, p50 (ms)", "paced", "delay_p50_ms", 0.5, added=True),
    Goal("500 paced streams, added delay per event, p99 (ms)", "paced", "delay_p99_ms", 3.0, added=True),
    Goal("burst, CPU per event (µs)", "burst", "cpu_us", 3.5),
    Goal("plain calls, CPU each (µs)", "plain", "cpu_us", 500.0),
    Goal("memory, idle (MiB)", "memory", "idle_mib", 100.0),
    Goal("memory, 500 open streams (MiB)", "memory", "at_500_mib", 130.0),
    Goal("memory, 2,000 open streams (MiB)", "memory", "at_2000_mib", 210.0),
    Goal("memory per stream, 2,000 open (KiB)", "memory", "at_2000_kib_each", 58.6),
    Goal("memory per stream, 2,000 open, upstream by TLS (KiB)", "memory-tls", "at_2000_kib_each", 58.6),
    Goal("twice the saturation load, longest wait of an event (ms)", "overload", "max_ms", 250.0),
    Goal("twice the saturation load, streams that are not whole to the byte", "overload", "broken", 0.0),
    Goal("cost per event from 10 to 2,000 streams, spread (%)", "flat", "event_spread", 15.0),
    Goal("cost per call from 10 to 2,000 open streams, growth (%)", "flat", "call_growth", 15.0),
    Goal("two workers, CPU per event beside one worker's", "two-workers", "cpu_us", 1.15, beside="one-worker"),
    Goal("two workers, the larger share of the connections (%)", "two-workers", "largest_share", 60.0),
)
HEADER = ("goal", "at most", "measured", "verdict")


def verdicts(samples: dict[str, Samples], goals: Sequence[Goal] = GOALS) -> list[list[str]]:
    """A line for each goal: the median of the run beside the limit."""
    return [_line(goal, samples) for goal in goals]


def _line(goal: Goal, samples: dict[str, Samples]) -> list[str]:
    value = _value(goal, samples)
    if value is None:
        return [goal.text, f"{goal.limit:g}", "–", "not measured in this run"]
    return [goal.text, f"{goal.limit:g}", number(value), "met" if value <= goal.limit else "**not met**"]


def _value(goal: Goal, samples: dict[str, Samples]) -> float | None:
    row = samples.get(goal.row, {})
    values = row.get("gateway", {}).get(goal.number, [])
    less = row.get("direct", {}).get(goal.number, []) if goal.added else []
    if not values or (goal.added and len(less) != len(values)):
        return None
    middle = median([value - less[i] if less else value for i, value in enumerate(values)])
    if not goal.beside:
        return middle
    reference = samples.get(goal.beside, {}).get("gateway", {}).get(goal.number, [])
    return middle / median(reference) if reference else None
