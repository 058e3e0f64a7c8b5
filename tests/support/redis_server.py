"""A real redis-server on a free port, its files in a directory of the test's own, gone when the test is."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support import tools

START_S = 10.0
SLOTS = 16_384


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """Its URL. Skips the test where redis-server is not installed and cannot be."""
    program = tools.command("redis-server", "redis-server")
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def say(url: str, *words: str) -> bytes:
    """One command over a connection of its own; what comes back first, as it is on the wire."""
    host, port = url.removeprefix("redis://").split("/")[0].split(":")
    body = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
    with socket.create_connection((host, int(port)), timeout=START_S) as connection:
        connection.sendall(b"*%d\r\n" % len(words) + body)
        return connection.recv(65_536)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if say(f"redis://127.0.0.1:{port}", "PING").startswith(b"+PONG"):
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"redis-server did not start on port {port}")


@contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[str]:
    """The URL of one node of a cluster whose slots are spread evenly; it is up."""
    with ExitStack() as stack:
        ports = [(free_port(), free_port()) for _ in range(nodes)]
        urls = [
            stack.enter_context(
                redis_server(folder / str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus), port=port)
            )
            for port, bus in ports
        ]
        edges = [SLOTS * node // nodes for node in range(nodes + 1)]
        for url, first, end in zip(urls, edges, edges[1:], strict=False):
            say(url, "CLUSTER", "ADDSLOTSRANGE", str(first), str(end - 1))
        for port, bus in ports[1:]:
            say(urls[0], "CLUSTER", "MEET", "127.0.0.1", str(port), str(bus))
        until = time.monotonic() + START_S
        while not all(b"cluster_state:ok" in say(url, "CLUSTER", "INFO") for url in urls):
            if time.monotonic() > until:
                raise RuntimeError("the cluster did not come up")
            time.sleep(0.02)
        yield urls[0]
