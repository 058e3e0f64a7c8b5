"""The scripted upstream as the bench sees it: a process, its address, and what it has counted."""

import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.certificate import write_certificate
from tests.bench.machine import cores
from tests.bench.processes import Child


@dataclass(frozen=True, slots=True)
class Stats:
    """What the upstream has counted since it began."""

    sent: int
    open: int
    connections: int
    closed_us: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where it listens; `trust` is the environment of a process that shall believe its certificate."""

    address: str
    pid: int
    trust: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{'https' if self.trust else 'http'}://{self.address}"

    def stats(self) -> Stats:
        """Asks it now."""
        trusted = ssl.create_default_context(cafile=self.trust["SSL_CERT_FILE"]) if self.trust else None
        with urllib.request.urlopen(f"{self.url}/stats", context=trusted) as answer:  # noqa: S310 - our own
            return Stats(**json.load(answer))


@contextmanager
def upstream(folder: Path, *, tls: bool = False) -> Iterator[Upstream]:
    """The process, on the cores that are not measured."""
    pair = write_certificate(folder) if tls else None
    arguments = [str(path) for path in pair] if pair else []
    trust = {"SSL_CERT_FILE": str(pair[0])} if pair else {}
    with Child.module("upstream", *arguments, cores=cores()[1], log=folder / "upstream.log") as child:
        port = child.expect(r"ready (\d+)")[1]
        yield Upstream(f"127.0.0.1:{port}", child.pid, trust)
