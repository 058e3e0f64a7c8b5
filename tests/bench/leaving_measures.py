"""How long after a caller has left the upstream's connection is closed, in the three ways of leaving."""

import time

from tests.bench.clients import client, done
from tests.bench.measures import Numbers, Scene
from tests.bench.script import Script
from tests.bench.summary import percentile
from tests.bench.upstream import now_us

LEFT = 40
CLOSE_S = 5.0


def leaving(scene: Scene) -> Numbers:
    """Cancels calls, cancels turns of a conversation, and kills clients."""
    found: dict[str, float] = {}
    for act in ("cancel_calls", "cancel_turns"):
        heard = done(scene.target, scene.folder, act, Script(-1, gap_ms=10, name=act), calls=LEFT)
        found |= _latencies(scene, act, heard["moments"])
    return found | _latencies(scene, "kill", _killed(scene, LEFT // 8))


def _killed(scene: Scene, times: int) -> dict[str, int]:
    moments = {}
    for i in range(times):
        script = Script(-1, gap_ms=10, name=f"kill.{i}")
        with client(scene.target, scene.folder, "hold", script) as load:
            load.wait_open()
            time.sleep(0.1)
            moments[f"{script.name}.0"] = now_us()
            load.child.kill()
    return moments


def _latencies(scene: Scene, name: str, moments: dict[str, int]) -> Numbers:
    """Raises RuntimeError when a connection is still open after five seconds."""
    give_up = time.monotonic() + CLOSE_S
    while moments.keys() - (closed := scene.upstream.stats().closed_us).keys():
        if time.monotonic() > give_up:
            raise RuntimeError(f"{name}: {len(moments.keys() - closed.keys())} connections were left open")
        time.sleep(0.05)
    times = [(closed[stream] - moment) / 1000 for stream, moment in moments.items()]
    return {f"{name}_p50_ms": percentile(times, 0.5), f"{name}_max_ms": max(times)}
