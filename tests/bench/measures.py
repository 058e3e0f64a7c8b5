"""The measurements: each does one thing to one target and returns numbers by name.

CPU is that of the measured process and its children alone, in microseconds; latency is what a client sees, in
milliseconds, on the clock that all processes share.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.clients import client, done
from tests.bench.machine import cpu_s, rss_mib
from tests.bench.script import Script
from tests.bench.targets import Target
from tests.bench.upstream_client import Upstream

Numbers = Mapping[str, float]
US = 1e6
ENDLESS = -1
SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done in one repeat."""

    paced_s: float = 10.0
    calls: int = 4000
    probes: int = 400
    rounds: int = 20
    open_streams: tuple[int, ...] = (500, 2000)


@dataclass(frozen=True, slots=True)
class Scene:
    """One target, freshly started, with the upstream it talks to."""

    target: Target
    upstream: Upstream
    folder: Path
    size: Size

    def cpu_s(self) -> float:
        """CPU seconds of the target so far; nothing for the upstream itself."""
        return cpu_s(self.target.pid) if self.target.pid else 0.0


Measure = Callable[[Scene], Numbers]


def paced(scene: Scene, streams: int = 300) -> Numbers:
    """Streams that get an event each 30 ms, in their middle: what an event costs, and how much later it comes."""
    warm(scene)
    seconds = scene.size.paced_s
    events = int((seconds + streams / 1000 + 4) / 0.03)
    with client(scene.target, scene.folder, "hold", Script(events, gap_ms=30), streams=streams) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        sent, cpu = scene.upstream.stats().sent, scene.cpu_s()
        time.sleep(seconds)
        cpu, sent = scene.cpu_s() - cpu, scene.upstream.stats().sent - sent
        heard = load.result()
    return {
        "cpu_us": cpu / sent * US,
        "delay_p50_ms": heard["delay_p50_ms"],
        "delay_p99_ms": heard["delay_p99_ms"],
        "load": sent / seconds / streams * 0.03,
    }


def burst(scene: Scene, one_chunk: int = 0) -> Numbers:
    """Answers of 200 events that arrive at once, 16 streams at a time, each call's own cost included."""
    warm(scene)
    calls = scene.size.calls // 16 * 16
    script = Script(200, together=200, one_chunk=one_chunk)
    cpu, begun = scene.cpu_s(), time.monotonic()
    heard = done(scene.target, scene.folder, "loop", script, streams=16, calls=calls)
    cpu = scene.cpu_s() - cpu
    return {"cpu_us": cpu / heard["events"] * US, "events_per_s": heard["events"] / (time.monotonic() - begun)}


def long_burst(scene: Scene) -> Numbers:
    """16 streams that get 200 events at once every 100 ms: the same without the cost of calls."""
    warm(scene)
    seconds = scene.size.paced_s
    script = Script(200 * int((seconds + 3) * 10), together=200, gap_ms=100)
    with client(scene.target, scene.folder, "hold", script, streams=16) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        sent, cpu = scene.upstream.stats().sent, scene.cpu_s()
        time.sleep(seconds)
        cpu, sent = scene.cpu_s() - cpu, scene.upstream.stats().sent - sent
        load.result()
    return {"cpu_us": cpu / sent * US}


def first_token(scene: Scene) -> Numbers:
    """Calls one after the other, the upstream answering at once: how long until the first piece is there."""
    warm(scene)
    heard = done(scene.target, scene.folder, "loop", Script(4, gap_ms=2), calls=scene.size.probes)
    return {"p50_ms": heard["first_p50_ms"], "p99_ms": heard["first_p99_ms"]}


def first_token_among(scene: Scene, streams: int = 100) -> Numbers:
    """The same while other streams get an event each 30 ms."""
    warm(scene)
    background = Script(int((scene.size.probes * 0.02 + 5) / 0.03), gap_ms=30)
    with client(scene.target, scene.folder, "hold", background, streams=streams) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        heard = done(scene.target, scene.folder, "loop", Script(4, gap_ms=2), calls=scene.size.probes)
        load.result()
    return {"p50_ms": heard["first_p50_ms"], "p99_ms": heard["first_p99_ms"]}


def plain_calls(scene: Scene) -> Numbers:
    """Whole tiny answers, 8 calls at a time: what a call costs."""
    warm(scene)
    calls = scene.size.calls // 8 * 8
    cpu = scene.cpu_s()
    heard = done(scene.target, scene.folder, "whole", Script(2, together=2), streams=8, calls=calls)
    cpu = scene.cpu_s() - cpu
    return {"cpu_us": cpu / calls * US, "p50_ms": heard["first_p50_ms"]}


def memory(scene: Scene) -> Numbers:
    """Resident memory before the first call, and with many streams open at once."""
    time.sleep(SETTLE_S)
    idle = rss_mib(scene.target.pid)
    found = {"idle_mib": idle}
    for streams in scene.size.open_streams:
        # Events every 300 ms: open streams that live, in a process that is not saturated by them.
        script = Script(30, gap_ms=300)
        with client(scene.target, scene.folder, "hold", script, streams=streams, ramp_ms=2.0) as load:
            load.wait_open()
            time.sleep(SETTLE_S)
            found[f"at_{streams}_mib"] = now = rss_mib(scene.target.pid)
            found[f"at_{streams}_kib_each"] = (now - idle) * 1024 / streams
            load.result()
    return found


def growth(scene: Scene) -> Numbers:
    """Rounds of 500 streams: resident memory after each, at rest."""
    after = []
    for _ in range(scene.size.rounds):
        done(scene.target, scene.folder, "hold", Script(5, gap_ms=100), streams=500, ramp_ms=2.0)
        time.sleep(SETTLE_S)
        after.append(rss_mib(scene.target.pid))
    half = after[len(after) // 2 :]
    return {
        "first_mib": after[0],
        "middle_mib": half[0],
        "last_mib": after[-1],
        "late_kib_per_round": (half[-1] - half[0]) * 1024 / max(1, len(half) - 1),
    }


def warm(scene: Scene) -> None:
    """The first calls of a process are slower: imports, pools, connections."""
    done(scene.target, scene.folder, "loop", Script(20, together=10, gap_ms=5), streams=4, calls=200)
