"""What is measured of every gateway alike: one start of it, and everything in turn, each part bounded in time."""

import time

from tests.bench.clients import client, done
from tests.bench.machine import rss_mib
from tests.bench.measures import SETTLE_S, US, Numbers, Scene
from tests.bench.script import Script

SATURATED = 0.97
"""The share of its core above which a gateway is said to be saturated."""
LOOP_S = 3.0
OPEN = 300


def everything(scene: Scene) -> Numbers:
    """Memory, first token, paced streams, burst and plain calls, of one process."""
    time.sleep(SETTLE_S)
    idle = rss_mib(scene.target.pid) if scene.target.pid else 0.0
    done(scene.target, scene.folder, "loop", Script(20, together=10, gap_ms=5), streams=4, calls=100)
    probes = done(scene.target, scene.folder, "loop", Script(4, gap_ms=2), calls=scene.size.probes)
    found = {"idle_mib": idle, "first_p50_ms": probes["first_p50_ms"], "first_p99_ms": probes["first_p99_ms"]}
    streams = scene.size.open_streams
    for count in streams:
        one = paced(scene, count, count * probes["first_p50_ms"] / 1000)
        found |= {f"paced_{count}_{name}": value for name, value in one.items()}
        if one["used"] > SATURATED:
            break  # more streams would only wait longer
    if not scene.target.pid:
        return found
    return found | burst(scene) | plain(scene) | memory(scene, idle)


def paced(scene: Scene, streams: int, opening_s: float) -> Numbers:
    """Streams that get an event each 30 ms: CPU per event, delay, and how much of its core the gateway used.

    `opening_s` is about how long it takes to open them all, in seconds; a gateway that needs longer has more.
    """
    for factor in (1, 3, 9):
        found = _paced(scene, streams, opening_s * factor)
        if found is not None:
            return found
    raise RuntimeError(f"{streams} streams were never open together: the first had ended before the last was open")


def _paced(scene: Scene, streams: int, opening_s: float) -> Numbers | None:
    """None when the first streams had ended before the last was open.

    A saturated gateway lags behind what was sent, so its cost is taken over the whole run.
    """
    seconds = scene.size.paced_s
    events = int((seconds + opening_s + streams / 1000 + 3) / 0.03)
    whole = scene.cpu_s()
    with client(scene.target, scene.folder, "hold", Script(events, gap_ms=30), streams=streams) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        sent, cpu, begun = scene.upstream.stats().sent, scene.cpu_s(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begun
        cpu, sent = scene.cpu_s() - cpu, scene.upstream.stats().sent - sent
        heard = load.result()
    if "delay_p50_ms" not in heard or not sent:
        return None
    used = cpu / took
    cost = cpu / sent if used < SATURATED else (scene.cpu_s() - whole) / heard["events"]
    return {
        "cpu_us": cost * US,
        "delay_p50_ms": heard["delay_p50_ms"],
        "delay_p99_ms": heard["delay_p99_ms"],
        "used": used,
    }


def burst(scene: Scene) -> Numbers:
    """Answers of 200 events at once, 16 at a time."""
    script, cpu_us, per_s = Script(200, together=200), 0.0, 0.0
    for calls in (16, _many(scene, "loop", script, 16)):
        cpu, begun = scene.cpu_s(), time.monotonic()
        heard = done(scene.target, scene.folder, "loop", script, streams=16, calls=calls)
        cpu_us = (scene.cpu_s() - cpu) / heard["events"] * US
        per_s = heard["events"] / (time.monotonic() - begun)
    return {"burst_cpu_us": cpu_us, "burst_per_s": per_s}


def plain(scene: Scene) -> Numbers:
    """Whole tiny answers, 8 at a time."""
    script = Script(2, together=2)
    calls = _many(scene, "whole", script, 8)
    cpu = scene.cpu_s()
    done(scene.target, scene.folder, "whole", script, streams=8, calls=calls)
    return {"plain_cpu_us": (scene.cpu_s() - cpu) / calls * US}


def memory(scene: Scene, idle: float) -> Numbers:
    """Resident memory while many streams are open that get an event each 300 ms."""
    script = Script(20, gap_ms=300)
    with client(scene.target, scene.folder, "hold", script, streams=OPEN, ramp_ms=4.0) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        now = rss_mib(scene.target.pid)
        load.result()
    return {"open_mib": now, "open_kib_each": (now - idle) * 1024 / OPEN}


def _many(scene: Scene, act: str, script: Script, streams: int) -> int:
    """As many calls as take about three seconds, and at most what one repeat shall make."""
    begun = time.monotonic()
    done(scene.target, scene.folder, act, script, streams=streams, calls=streams * 4)
    took = max(0.05, time.monotonic() - begun - 0.5)  # a client takes about half a second to start
    return max(streams, min(scene.size.calls, int(streams * 4 * LOOP_S / took)) // streams * streams)
