"""The lines of the table, and those of what is called without a server."""

from dataclasses import dataclass

from tests.bench.summary import with_range


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a number of a measurement. `added` subtracts what the direct way takes."""

    text: str
    number: str
    aim: str = ""
    added: bool = False


INSIDE = (
    Line("CPU per admission: reserve and settle, every limit set (µs)", "decision_us"),
    Line("admissions per second on one core", "decisions_per_s"),
    Line("CPU per admission through Redis: reserve and settle (µs)", "shared_decision_us"),
    Line("admissions per second on one core through Redis", "shared_decisions_per_s"),
    Line("added to a turn by Redis, p50 (ms)", "shared_wait_p50_ms"),
    Line("added to a turn by Redis, p99 (ms)", "shared_wait_p99_ms"),
    *(
        Line(f"CPU per {kind} {when} (µs)", f"{name}_{number}_us")
        for kind, name in (
            ("RS256 token", "RS256"),
            ("ES256 token", "ES256"),
            ("EdDSA token", "EdDSA"),
            ("API key", "api_key"),
        )
        for when, number in (("seen first", "first"), ("seen again", "again"))
    ),
    Line("kept answer of 1,000 tokens, first frame, from memory, p50 (ms)", "hit_memory_p50_ms", "≤ 1"),
    Line("the same, p99 (ms)", "hit_memory_p99_ms"),
    *(
        Line(f"first frame from {level}, {state}, {place} (ms)", f"hit_{level}_{state}_{place}_ms", aim)
        for level, most in (("redis", "≤ 2"), ("disk", "≤ 3"))
        for state in ("cold", "warm")
        for place, aim in (("p50", most), ("p99", ""))
    ),
    Line("CPU of the whole replay (ms)", "hit_replay_cpu_ms", "< 5"),
    Line("CPU of a look that finds nothing (µs)", "cache_miss_cpu_us"),
    Line("embedded search, p50 (ms)", "search_p50_ms"),
    Line("embedded search, p99 (ms)", "search_p99_ms"),
)


def inside_cells(numbers: dict[str, list[float]]) -> list[list[str]]:
    """The lines of what runs without a server."""
    return [
        [line.text, line.aim, with_range(numbers[line.number]), "", "", ""]
        for line in INSIDE
        if line.number in numbers
    ]
