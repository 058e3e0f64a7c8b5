"""Pages of metrics of several workers as one page (text exposition 0.0.4). Pure.

Counters and histograms are added up. So are gauges, which count what is there, but for those whose name says that
they are a state, a duration or a limit: of them the largest is told, and the smallest of what may be usable.

What the parent knows beside that: `gateway_workers` (that take calls), `gateway_worker_restarts_total`, and for
each worker `gateway_worker_resident_memory_bytes` and `gateway_worker_connections`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

LARGEST = ("_level", "_limit", "_ratio", "_seconds", "_state")
SMALLEST = ("_usable",)


@dataclass(slots=True)
class _Family:
    """One metric: its lines of help and type, and its samples in the order in which they came."""

    head: list[str] = field(default_factory=list)
    kind: str = ""
    samples: dict[str, float] = field(default_factory=dict)


def merged(pages: Iterable[str]) -> str:
    """One page that says what all of them say together."""
    families: dict[str, _Family] = {}
    for page in pages:
        _add(page, families)
    return _page(families)


def without_gauges(page: str) -> str:
    """What stays true of a worker that is dead: what it counted."""
    families: dict[str, _Family] = {}
    _add(page, families)
    return _page({name: family for name, family in families.items() if family.kind != "gauge"})


@dataclass(frozen=True, slots=True)
class Standing:
    """One worker as the parent sees it: memory in bytes, connections to the gRPC port."""

    name: str
    resident_bytes: int
    connections: int


def own_page(workers: Sequence[Standing], serving: int, restarts: int) -> str:
    """The metrics of the parent."""
    lines = [
        *_head("gateway_workers", "gauge", "Workers that take calls"),
        f"gateway_workers {float(serving)}",
        *_head("gateway_worker_restarts_total", "counter", "Workers that died and were started again"),
        f"gateway_worker_restarts_total {float(restarts)}",
        *_head("gateway_worker_resident_memory_bytes", "gauge", "Resident memory of each worker"),
        *(
            f'gateway_worker_resident_memory_bytes{{worker="{one.name}"}} {float(one.resident_bytes)}'
            for one in workers
        ),
        *_head("gateway_worker_connections", "gauge", "Connections to the gRPC port, by worker"),
        *(f'gateway_worker_connections{{worker="{one.name}"}} {float(one.connections)}' for one in workers),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _add(page: str, families: dict[str, _Family]) -> None:
    family, name, new = _Family(), "", True
    for line in page.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            new = name not in families
            family = families.setdefault(name, family if not family.head and not family.samples else _Family())
        elif line.startswith("# TYPE "):
            family.kind = line.rpartition(" ")[2]
        if line.startswith("#"):
            if new:
                family.head.append(line)
        elif line:
            series, _, value = line.rpartition(" ")
            amount, standing = float(value), family.samples.get(series)
            if standing is not None and family.kind == "gauge" and name.endswith(LARGEST + SMALLEST):
                amount = min(standing, amount) if name.endswith(SMALLEST) else max(standing, amount)
            elif standing is not None:
                amount += standing
            family.samples[series] = amount


def _page(families: dict[str, _Family]) -> str:
    lines: list[str] = []
    for family in families.values():
        lines += family.head
        lines += [f"{series} {value}" for series, value in family.samples.items()]
    return "\n".join(lines) + "\n" if lines else ""
