"""What is measured side by side: our gateway as an operator starts it, the bare loop, and the upstream itself.

A target is one more function here: it starts something on the measured core and says how clients speak to it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.machine import cores
from tests.bench.processes import Child
from tests.bench.script import MODEL
from tests.bench.upstream_client import Upstream

# Every limit is there and is checked at every turn; none of them is reached. The slots of upstreams are off: a
# measurement may hold more calls open than an account may.
CONFIG = """
[grpc]
address = "127.0.0.1:0"
[http]
address = "127.0.0.1:0"
[metrics]
address = "127.0.0.1:0"
[slots]
enabled = false
[tenant_defaults.limits]
requests_per_minute = 1000000000
tokens_per_minute = 1000000000000
concurrent_streams = 100000
usd_per_day = 1000000.0
usd_per_month = 1000000.0
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers: its process (0 = the upstream itself), its address, what it speaks and how."""

    name: str
    pid: int
    address: str
    speaks: str
    credential: str
    path: str = "/chat/completions"
    model: str = MODEL
    headers: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[Upstream, Path], "contextmanager[Target]"]


@contextmanager
def started(upstream: Upstream, folder: Path, workers: int = 1, under: Sequence[str] = ()) -> Iterator[Child]:
    """`gateway serve --dev` with everything on: token, limits, receipt, metrics, a log line per turn.

    `under` is a program that runs it and watches.
    """
    data, config = folder / "data", folder / "gateway.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [*under, sys.executable, "-m", "gateway", "serve", "--dev", "--config", str(config)]
    environment = {
        "GATEWAY_DATA_DIR": str(data),
        "DEEPSEEK_API_KEY": "sk-measured",
        "DEEPSEEK_BASE_URL": upstream.url,
        "GATEWAY_WORKERS": str(workers),
        # A measurement drives workers to their limit on purpose: all of its turns are to be answered in full.
        "GATEWAY_OVERLOAD_ENABLED": "false",
        **upstream.trust,
    }
    with Child(command, cores()[0], folder / "gateway.log", environment) as child:
        yield child


@contextmanager
def ours(upstream: Upstream, folder: Path, workers: int = 1, under: Sequence[str] = ()) -> Iterator[Target]:
    """Our gateway, asked by gRPC."""
    with started(upstream, folder, workers, under) as child:
        port = child.expect_log(r'"grpc_port": ?(\d+)')[1]
        credential = (folder / "data" / "dev-token").read_text(encoding="utf-8").strip()
        yield Target("gateway", child.pid, f"127.0.0.1:{port}", "grpc", credential)


def crew(workers: int) -> Start:
    """The same with so many workers behind its port, all on the measured core."""
    return partial(ours, workers=workers)


@contextmanager
def bridged(upstream: Upstream, folder: Path) -> Iterator[Target]:
    """The same gateway, asked over its HTTP bridge, which runs in the same process and on the same core."""
    with started(upstream, folder) as child:
        port = child.expect_log(r'"http_port": ?(\d+)')[1]
        credential = (folder / "data" / "dev-token").read_text(encoding="utf-8").strip()
        yield Target("gateway", child.pid, f"127.0.0.1:{port}", "sse", credential)


@contextmanager
def bare(upstream: Upstream, folder: Path, under: Sequence[str] = ()) -> Iterator[Target]:
    """The reference loop."""
    command = [*under, sys.executable, "-m", "tests.bench.bare", upstream.url]
    with Child(command, cores()[0], folder / "bare.log") as child:
        port = child.expect(r"ready (\d+)")[1]
        yield Target("bare loop", child.pid, f"127.0.0.1:{port}", "grpc", "nobody")


@contextmanager
def direct(upstream: Upstream, _folder: Path) -> Iterator[Target]:
    """Nothing between the client and the upstream."""
    yield Target("direct", 0, upstream.address, "sse", "nobody")
