"""The numbers of gateways side by side, as a table: one column for each, one line for each number (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.summary import with_range

HEADER_NOTE = (
    "“added” is beside the direct way; “saturated” used its whole core, so that its delays grow with the length "
    "of the run"
)
LINES = (
    ("added to the first token, one stream, p50 (ms)", "first_p50_ms", True),
    ("added to the first token, one stream, p99 (ms)", "first_p99_ms", True),
    ("CPU per event, 100 paced streams (µs)", "paced_100_cpu_us", False),
    ("added delay per event, 100 streams, p50 (ms)", "paced_100_delay_p50_ms", True),
    ("added delay per event, 100 streams, p99 (ms)", "paced_100_delay_p99_ms", True),
    ("CPU per event, 500 paced streams (µs)", "paced_500_cpu_us", False),
    ("added delay per event, 500 streams, p50 (ms)", "paced_500_delay_p50_ms", True),
    ("added delay per event, 500 streams, p99 (ms)", "paced_500_delay_p99_ms", True),
    ("burst, CPU per event (µs)", "burst_cpu_us", False),
    ("burst, events per second", "burst_per_s", False),
    ("plain calls, CPU each (µs)", "plain_cpu_us", False),
    ("memory, idle (MiB)", "idle_mib", False),
    ("memory, 300 open streams (MiB)", "open_mib", False),
)
SATURATED = 0.97


@dataclass(slots=True)
class Found:
    """What was found of one of them: its version, its numbers by name, and what went wrong."""

    version: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)


def rows(found: Mapping[str, Found]) -> tuple[Sequence[str], list[list[str]]]:
    """The header and the lines. A number that nobody has makes no line, and who has no number no column."""
    shown = {name: one for name, one in found.items() if name != "direct" and one.samples}
    header = ["measured", *(f"{name} {one.version}".strip() for name, one in shown.items())]
    without = found["direct"].samples if "direct" in found else {}
    lines = []
    for text, number, added in LINES:
        less = without.get(number, []) if added else []
        cells = [_cell(one, number, less) for one in shown.values()]
        if any(cell != "–" for cell in cells):
            lines.append([text, *cells])
    return header, lines


def _cell(one: Found, number: str, less: Sequence[float]) -> str:
    values = one.samples.get(number, [])
    if not values:
        return "–"
    # Repeats are interleaved, so each is held against the direct one of the same round.
    values = [value - less[i] if i < len(less) else value for i, value in enumerate(values)]
    used = one.samples.get(f"{number.partition('_cpu')[0].partition('_delay')[0]}_used", [0.0])
    return with_range(values) + (" saturated" if max(used) > SATURATED else "")
