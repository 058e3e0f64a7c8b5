"""What the machine tells of a process: CPU time and memory of it and its children, and which cores there are."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

MIB = 1024 * 1024
PACKAGES = ("grpcio", "protobuf", "aiohttp", "uvloop", "orjson")


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its children."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_s(pid: int) -> float:
    """CPU seconds of the process and its living children, by the scheduler's own clock of nanoseconds."""
    return sum(_process_clock(process.pid) for process in tree(pid))


def rss_mib(pid: int) -> float:
    """Resident memory of the process and its children."""
    return sum(process.memory_info().rss for process in tree(pid)) / MIB


def _process_clock(pid: int) -> float:
    # clock_getcpuclockid(3) on Linux: the complement of the process id, shifted, and 2 for the scheduler's clock.
    return time.clock_gettime(((~pid) << 3) | 2)


class Bystanders:
    """How much of the machine other programs used meanwhile: `share` of all cores, once the block has ended."""

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._busy = _busy_s() - _own_s()
        self.share = 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        others = _busy_s() - _own_s() - self._busy
        self.share = max(0.0, others / (time.monotonic() - self._begun) / (os.cpu_count() or 1))


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _own_s() -> float:
    """This process and every child that has ended; children must have ended when this is asked."""
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


def cores() -> tuple[set[int], set[int]]:
    """One core for what is measured, and the rest for everything else; the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return {allowed[0]}, set(allowed[1:] or allowed)


def facts() -> dict[str, str]:
    """The machine and the versions, as they belong under every table."""
    return {
        "CPU": f"{len(os.sched_getaffinity(0))} × {_cpu_model()}",
        "Linux": platform.release().split("-")[0],
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
