"""How it grows: more streams, more load than it can carry, more workers.

Latency is in milliseconds and CPU in microseconds, as in `measures.py`.
"""

import time
from collections.abc import Callable

import psutil

from tests.bench.clients import client, done
from tests.bench.machine import tree
from tests.bench.measures import SETTLE_S, US, Numbers, Scene, warm
from tests.bench.script import Script

STALL_MS = 250.0
"""The longest wait that is still called a lag and not a stall."""
STEPS = (100, 200, 300, 400, 600, 800, 1000, 1400, 2000)
EVENTS_PER_S = 3333
CALLS_AMONG = 400


def capacity(scene: Scene) -> Numbers:
    """More and more streams with an event each 30 ms, until one event waits longer than a stall."""
    warm(scene)
    best = {"streams": 0.0, "events_per_s": 0.0, "max_ms": 0.0}
    for streams in STEPS:
        script = Script(int((3 + streams / 500) / 0.03), gap_ms=30)
        with client(scene.target, scene.folder, "hold", script, streams=streams, ramp_ms=2.0) as load:
            load.wait_open()
            heard = load.result()
        if heard["delay_max_ms"] > STALL_MS:
            break
        best = {"streams": streams, "events_per_s": streams / 0.03, "max_ms": heard["delay_max_ms"]}
    return best


def overload(scene: Scene) -> Numbers:
    """Twice the load that one core can carry: how far it lags, and whether every stream is whole, to the byte."""
    warm(scene)
    cost = _paced(scene, 100, 30)["cpu_us"]
    streams = min(2000, max(100, int(2 * 0.03 * US / cost)))
    name = "overload"
    script = Script(int((scene.size.paced_s + 2 + streams / 250) / 0.03), gap_ms=30, name=name)
    with client(scene.target, scene.folder, "hold", script, streams=streams, ramp_ms=2.0) as load:
        load.wait_open()
        heard = load.result()
    sent = {stream: digest for stream, digest in scene.upstream.stats().digests.items() if stream.startswith(name)}
    different = sum(heard["digests"].get(stream) != digest for stream, digest in sent.items())
    return {
        "streams": streams,
        "p50_ms": heard["delay_p50_ms"],
        "p99_ms": heard["delay_p99_ms"],
        "max_ms": heard["delay_max_ms"],
        "per_frame": heard["events"] / heard["frames"],
        "broken": different + abs(streams - len(sent)),
    }


def flat(scene: Scene) -> Numbers:
    """The same events per second over 10 to 2,000 streams, and calls beside as many that are open."""
    warm(scene)
    found = {}
    for streams in (10, 100, 500, 2000):
        found[f"event_{streams}_us"] = _paced(scene, streams, streams * 1000 // EVENTS_PER_S)["cpu_us"]
    for streams in (10, 2000):
        found[f"call_{streams}_us"] = _call_among(scene, streams)
    events = [found[f"event_{streams}_us"] for streams in (10, 100, 500, 2000)]
    calls = [found[f"call_{streams}_us"] for streams in (10, 2000)]
    found["event_spread"] = (max(events) / min(events) - 1) * 100
    found["call_growth"] = (calls[1] / calls[0] - 1) * 100
    return found


def workers(scene: Scene, streams: int = 480) -> Numbers:
    """Streams over connections of 30: what an event costs all workers together, and who got how many of them."""
    warm(scene)
    split: list[int] = []
    found = _paced(scene, streams, 60, per_channel=30, look=lambda: split.extend(_split(scene)))
    serving = [count for count in split if count]
    return {**found, "largest_share": max(serving) / sum(serving) * 100, "serving": len(serving)}


def _paced(
    scene: Scene, streams: int, gap_ms: int, per_channel: int = 60, look: Callable[[], None] = lambda: None
) -> dict[str, float]:
    seconds = scene.size.paced_s
    script = Script(int((seconds + streams / 500 + 4) * 1000 / gap_ms), gap_ms=gap_ms)
    more = {"streams": streams, "ramp_ms": 2.0, "per_channel": per_channel}
    with client(scene.target, scene.folder, "hold", script, **more) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        look()
        sent, cpu = scene.upstream.stats().sent, scene.cpu_s()
        time.sleep(seconds)
        cpu, sent = scene.cpu_s() - cpu, scene.upstream.stats().sent - sent
        heard = load.result()
    return {"cpu_us": cpu / sent * US, "delay_p99_ms": heard["delay_p99_ms"]}


def _split(scene: Scene) -> list[int]:
    """How many of the clients' connections each process of the gateway holds."""
    port = int(scene.target.address.rpartition(":")[2])
    return [
        sum(
            one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
            for one in process.net_connections(kind="tcp")
        )
        for process in tree(scene.target.pid)
    ]


def _call_among(scene: Scene, streams: int) -> float:
    """CPU per call beside open streams that hardly say anything, less what those take themselves."""
    background = Script(8, gap_ms=4000)
    with client(scene.target, scene.folder, "hold", background, streams=streams, ramp_ms=2.0) as load:
        load.wait_open()
        time.sleep(SETTLE_S)
        cpu, begun = scene.cpu_s(), time.monotonic()
        time.sleep(3.0)
        idle = (scene.cpu_s() - cpu) / (time.monotonic() - begun)
        cpu, begun = scene.cpu_s(), time.monotonic()
        done(scene.target, scene.folder, "whole", Script(2, together=2), streams=8, calls=CALLS_AMONG)
        cpu = scene.cpu_s() - cpu - idle * (time.monotonic() - begun)
        load.child.kill()
    return cpu / CALLS_AMONG * US
