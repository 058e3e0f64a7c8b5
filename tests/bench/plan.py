"""Which rows there are: what is measured for whom, what it is aimed at, and how it is written in the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.leaving_measures import leaving
from tests.bench.measures import (
    Measure,
    burst,
    first_token,
    first_token_among,
    growth,
    long_burst,
    memory,
    paced,
    plain_calls,
)
from tests.bench.summary import ratio, with_range
from tests.bench.targets import Start, bare, bridged, direct, ours

Samples = dict[str, dict[str, list[float]]]
"""By target, then by number: one value for each repeat."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a number of a measurement. `added` subtracts what the direct way takes."""

    text: str
    number: str
    aim: str = ""
    added: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, its targets and its lines. What is `long` runs only when asked for, or in a full run."""

    name: str
    measure: Measure
    starts: Sequence[Start]
    lines: Sequence[Line]
    long: bool = False
    tls: bool = False


def _first_token_lines(streams: str, aim: str) -> tuple[Line, ...]:
    return (
        Line(f"added to the first token, {streams}, p50 (ms)", "p50_ms", aim, added=True),
        Line(f"the first token, {streams}, p99 (ms)", "p99_ms"),
    )


ROWS = (
    Row(
        "paced",
        paced,
        (ours, bare, direct),
        (
            Line("CPU per event, 300 streams, 30 ms gaps (µs)", "cpu_us", "≤ 60"),
            Line("delay of an event, 300 streams, p50 (ms)", "delay_p50_ms"),
            Line("delay of an event, 300 streams, p99 (ms)", "delay_p99_ms"),
        ),
    ),
    Row(
        "burst",
        burst,
        (ours, bare),
        (
            Line("CPU per event, answers of 200 at once, 16 streams (µs)", "cpu_us", "≤ 8"),
            Line("events per second on one core, the same", "events_per_s"),
        ),
    ),
    Row(
        "long-burst",
        long_burst,
        (ours, bare),
        (Line("CPU per event, 200 at once each 100 ms, 16 long streams (µs)", "cpu_us", "≤ 8"),),
    ),
    Row("first-token", first_token, (ours, bare, direct), _first_token_lines("one stream", "< 1.5")),
    Row(
        "first-token-among", first_token_among, (ours, bare, direct), _first_token_lines("100 others running", "")
    ),
    Row(
        "paced-http",
        paced,
        (bridged,),
        (
            Line("over HTTP: CPU per event, 300 streams, 30 ms gaps (µs)", "cpu_us", "≤ 40 more than by gRPC"),
            Line("over HTTP: delay of an event, 300 streams, p50 (ms)", "delay_p50_ms"),
            Line("over HTTP: delay of an event, 300 streams, p99 (ms)", "delay_p99_ms"),
        ),
    ),
    Row(
        "long-burst-http",
        long_burst,
        (bridged,),
        (Line("over HTTP: CPU per event, 200 at once each 100 ms, 16 long streams (µs)", "cpu_us"),),
    ),
    Row("first-token-http", first_token, (bridged, direct), _first_token_lines("one stream over HTTP", "")),
    Row(
        "plain",
        plain_calls,
        (ours, bare),
        (
            Line("CPU per whole call, tiny answer (µs)", "cpu_us", "≤ 500"),
            Line("time of such a call, 8 at a time, p50 (ms)", "p50_ms"),
        ),
    ),
    Row(
        "memory",
        memory,
        (ours, bare),
        (
            Line("memory, idle (MiB)", "idle_mib", "≤ 100"),
            Line("memory per open stream, 300 open (KiB)", "at_300_kib_each", "≤ 60"),
            Line("memory per open stream, 1,000 open (KiB)", "at_1000_kib_each", "≤ 60"),
            Line("memory, 1,000 open streams (MiB)", "at_1000_mib"),
        ),
    ),
    Row(
        "leaving",
        leaving,
        (ours,),
        (
            Line("call cancelled → upstream closed, p50 (ms)", "cancel_calls_p50_ms", "< 100"),
            Line("call cancelled → upstream closed, max (ms)", "cancel_calls_max_ms", "< 100"),
            Line("turn cancelled → upstream closed, p50 (ms)", "cancel_turns_p50_ms", "< 100"),
            Line("turn cancelled → upstream closed, max (ms)", "cancel_turns_max_ms", "< 100"),
            Line("client killed → upstream closed, max (ms)", "kill_max_ms", "< 100"),
        ),
    ),
    Row(
        "growth",
        growth,
        (ours,),
        (
            Line("memory after the 1st round of 500 streams (MiB)", "first_mib"),
            Line("memory after half of 20 rounds (MiB)", "middle_mib"),
            Line("memory after 20 rounds (MiB)", "last_mib"),
            Line("growth per round in the second half (KiB)", "late_kib_per_round", "0"),
        ),
        long=True,
    ),
    Row(
        "paced-tls",
        paced,
        (ours,),
        (Line("CPU per event, 300 streams, 30 ms gaps, upstream by TLS (µs)", "cpu_us", "≤ 60"),),
        long=True,
        tls=True,
    ),
    Row(
        "memory-tls",
        memory,
        (ours,),
        (Line("memory per open stream, 1,000 open, upstream by TLS (KiB)", "at_1000_kib_each", "≤ 60"),),
        long=True,
        tls=True,
    ),
)

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

HEADER = ("measured", "aim", "gateway", "bare loop", "ratio", "direct")


def cells(row: Row, samples: Samples) -> list[list[str]]:
    """The lines of a row, filled."""
    return [_cells(line, lambda target, line=line: _values(line, target, samples)) for line in row.lines]


def inside_cells(numbers: dict[str, list[float]]) -> list[list[str]]:
    """The lines of what runs without a server."""
    return [
        [line.text, line.aim, with_range(numbers[line.number]), "", "", ""]
        for line in INSIDE
        if line.number in numbers
    ]


def _cells(line: Line, values: Callable[[str], list[float]]) -> list[str]:
    gateway, reference, directly = values("gateway"), values("bare loop"), values("direct")
    return [
        line.text,
        line.aim,
        with_range(gateway),
        with_range(reference) if reference else "",
        ratio(gateway, reference) if reference else "",
        with_range(directly) if directly and any(directly) else "",
    ]


def _values(line: Line, target: str, samples: Samples) -> list[float]:
    found = samples.get(target, {}).get(line.number, [])
    less = samples.get("direct", {}).get(line.number, [])
    if found and line.added and target != "direct":
        # Repeats are interleaved, so each is held against the direct one of the same moment.
        return [value - without for value, without in zip(found, less, strict=True)]
    return found
