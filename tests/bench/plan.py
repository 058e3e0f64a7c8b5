"""Which rows there are: what is measured for whom, what it is aimed at, and how it is written in the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench.inside_lines import Line
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
from tests.bench.scale_measures import capacity, flat, overload, workers
from tests.bench.summary import ratio, with_range
from tests.bench.targets import Start, bare, bridged, crew, direct, ours

Samples = dict[str, dict[str, list[float]]]
"""By target, then by number: one value for each repeat."""


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
    *(
        Row(
            name,
            partial(paced, streams=streams),
            (ours, bare, direct),
            (
                Line(f"CPU per event, {told}, 30 ms gaps (µs)", "cpu_us", aim),
                Line(f"added delay of an event, {told}, p50 (ms)", "delay_p50_ms", waits[0], added=True),
                Line(f"added delay of an event, {told}, p99 (ms)", "delay_p99_ms", waits[1], added=True),
            ),
        )
        for name, streams, told, aim, waits in (
            ("paced", 500, "500 streams", "≤ 40", ("≤ 0.5", "≤ 3")),
            ("paced-100", 100, "100 streams", "", ("", "")),
            ("paced-1", 1, "one stream", "", ("", "")),
        )
    ),
    Row(
        "burst",
        burst,
        (ours, bare),
        (
            Line("CPU per event, answers of 200 at once, 16 streams (µs)", "cpu_us", "≤ 3.5"),
            Line("events per second on one core, the same", "events_per_s"),
        ),
    ),
    Row(
        "long-burst",
        long_burst,
        (ours, bare),
        (Line("CPU per event, 200 at once each 100 ms, 16 long streams (µs)", "cpu_us", "≤ 3.5"),),
    ),
    Row("first-token", first_token, (ours, bare, direct), _first_token_lines("one stream", "≤ 0.9")),
    Row(
        "first-token-among", first_token_among, (ours, bare, direct), _first_token_lines("100 others running", "")
    ),
    Row(
        "first-token-among-500",
        partial(first_token_among, streams=500),
        (ours, bare, direct),
        _first_token_lines("500 others running", ""),
        long=True,
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
            Line("memory, 500 open streams (MiB)", "at_500_mib", "≤ 130"),
            Line("memory, 2,000 open streams (MiB)", "at_2000_mib", "≤ 210"),
            Line("memory per open stream, 2,000 open (KiB)", "at_2000_kib_each", "≤ 58.6"),
        ),
    ),
    Row(
        "capacity",
        capacity,
        (ours, bare),
        (
            Line("events per second on one core, none waiting longer than 250 ms", "events_per_s"),
            Line("streams that makes, one event each 30 ms", "streams"),
        ),
    ),
    Row(
        "overload",
        overload,
        (ours,),
        (
            Line("twice the saturation load: streams", "streams"),
            Line("twice the saturation load: delay of an event, p50 (ms)", "p50_ms"),
            Line("twice the saturation load: delay of an event, p99 (ms)", "p99_ms"),
            Line("twice the saturation load: longest delay (ms)", "max_ms", "≤ 250"),
            Line("twice the saturation load: events in one frame", "per_frame"),
            Line("twice the saturation load: streams not whole to the byte", "broken", "0"),
        ),
    ),
    Row(
        "flat",
        flat,
        (ours,),
        (
            *(
                Line(f"CPU per event, 3,333 a second over {streams:,} streams (µs)", f"event_{streams}_us")
                for streams in (10, 100, 500, 2000)
            ),
            Line("the largest of these above the smallest (%)", "event_spread", "≤ 15"),
            Line("CPU per call beside 10 open streams (µs)", "call_10_us"),
            Line("CPU per call beside 2,000 open streams (µs)", "call_2000_us"),
            Line("growth of that (%)", "call_growth", "≤ 15"),
        ),
    ),
    *(
        Row(
            name,
            workers,
            (crew(count),),
            (
                Line(f"{told} on one core: CPU per event, 480 streams (µs)", "cpu_us", aim),
                *(
                    (Line(f"{told}: the largest share of 16 connections (%)", "largest_share", share),)
                    if aim
                    else ()
                ),
            ),
            long=count > 2,
        )
        for name, count, told, aim, share in (
            ("one-worker", 1, "one worker", "", ""),
            ("two-workers", 2, "two workers", "≤ 1.15 × one's", "≤ 60"),
            ("four-workers", 4, "four workers", "≤ 1.15 × one's", ""),
        )
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
        (Line("memory per open stream, 2,000 open, upstream by TLS (KiB)", "at_2000_kib_each", "≤ 58.6"),),
        long=True,
        tls=True,
    ),
)

HEADER = ("measured", "aim", "gateway", "bare loop", "ratio", "direct")


def cells(row: Row, samples: Samples) -> list[list[str]]:
    """The lines of a row, filled."""
    return [_cells(line, lambda target, line=line: _values(line, target, samples)) for line in row.lines]


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
