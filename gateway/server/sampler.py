"""Looks at the worker itself four times a second: how late its loop is, how full it is, how much memory it has."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.pipeline.ladder import Signals
from gateway.telemetry import Load, LoadObserver, SlotLoad

PROBE_S = 0.125
PROBES_A_LOOK = 2
REMEMBERED = PROBES_A_LOOK
"""Probes that the lag is told from. None is seen twice: what was late once would last longer than it did."""
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where the sampler looks, and what there is at most."""

    calls: Callable[[], int]
    most_calls: int
    memory: Callable[[], int]
    most_memory: int
    slots: Callable[[], Sequence[SlotLoad]]


class Sampler:
    """Use `follow` as long as the worker lives."""

    def __init__(
        self, gauges: Gauges, observer: LoadObserver, tell: Callable[[Signals, float], None] | None
    ) -> None:
        """`tell` hears of every look, with the moment on the event loop's clock."""
        self._gauges = gauges
        self._observer = observer
        self._tell = tell
        self._lags: deque[float] = deque(maxlen=REMEMBERED)

    async def follow(self) -> None:
        """Probes and looks, for ever."""
        loop, probes = asyncio.get_running_loop(), 0
        while True:
            due = loop.time() + PROBE_S
            await asyncio.sleep(PROBE_S)
            self._lags.append(max(loop.time() - due, 0.0))
            probes += 1
            if probes % PROBES_A_LOOK == 0:
                self.look(loop.time())

    def look(self, now: float) -> None:
        """One look."""
        gauges = self._gauges
        calls, memory, lag_s = gauges.calls(), gauges.memory(), max(self._lags, default=0.0)
        slots = gauges.slots()
        self._observer.sampled(Load(lag_s, calls, memory, slots))
        if self._tell is not None:
            seen = Signals(
                lag_s,
                calls / gauges.most_calls,
                memory / gauges.most_memory if gauges.most_memory else 0.0,
                max((slot.fullness for slot in slots), default=0.0),
            )
            self._tell(seen, now)


def resident_bytes() -> int:
    """The memory of this process that is in RAM; 0 on a system that does not say."""
    try:
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def memory_limit(configured: int, workers: int) -> int:
    """What this process may use, in bytes: its part of the setting, of the container's limit or of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [machine]
    for path in CGROUP_LIMITS:
        try:
            limits.append(int(Path(path).read_text("ascii")))
        except (OSError, ValueError):  # not this version, or "max"
            continue
    return (configured or min(limits)) // workers
