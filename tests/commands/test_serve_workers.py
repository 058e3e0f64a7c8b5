"""`gateway serve` with two workers: how a start fails or is broken off, and workers without a parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.many_workers import children

GUARD_S = 60.0


def environment(folder: Path, **values: str) -> dict[str, str]:
    """Two workers on free ports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "DEEPSEEK_"))}
    ports = {f"GATEWAY_{name}_ADDRESS": "127.0.0.1:0" for name in ("GRPC", "HTTP", "METRICS")}
    return {**kept, **ports, "GATEWAY_WORKERS": "2", "GATEWAY_DATA_DIR": str(folder / "data"), **values}


@contextmanager
def started(folder: Path, **values: str) -> Iterator["subprocess.Popen[str]"]:
    """The parent, which is ended in any case."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--dev"],
        env=environment(folder, **values),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def workers_of(process: "subprocess.Popen[str]", count: int) -> list[int]:
    """The process ids of its workers, as soon as there are so many."""
    until = time.monotonic() + GUARD_S
    while len(found := children(process.pid)) < count:
        assert time.monotonic() < until, "no worker was started"
        time.sleep(0.01)
    return found


def all_end(pids: list[int]) -> None:
    """Waits until none of these is left."""
    until = time.monotonic() + GUARD_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until, "a worker outlived its parent"
        time.sleep(0.02)


def test_a_port_that_is_taken_stops_the_start_and_is_named(tmp_path: Path) -> None:
    """Before any worker is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for variable in ("GATEWAY_GRPC_ADDRESS", "GATEWAY_HTTP_ADDRESS", "GATEWAY_METRICS_ADDRESS"):
            with started(tmp_path, **{variable: address}) as process:
                _, said = process.communicate(timeout=GUARD_S)
            assert process.returncode == 1
            assert f"cannot listen on {address}: another program listens there" in said
            assert variable in said


def test_a_worker_that_cannot_start_stops_the_start_and_says_why_once(tmp_path: Path) -> None:
    """With its own exit code, and no second try."""
    with started(tmp_path, GATEWAY_BILLING_PRICE_BOOK=str(tmp_path / "missing.toml")) as process:
        out, said = process.communicate(timeout=GUARD_S)
    assert (process.returncode, out) == (2, "")
    assert said.count("gateway serve: billing.price_book") == 1


def test_a_signal_during_the_start_ends_all_of_it(tmp_path: Path) -> None:
    """P-3: in order, with nothing left."""
    with started(tmp_path) as process:
        workers = workers_of(process, 1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=GUARD_S)
        assert (process.returncode, out) == (0, "")
        all_end(workers)


def test_workers_whose_parent_is_killed_end_by_themselves(tmp_path: Path) -> None:
    """Nobody would start them again, or keep their limits."""
    with started(tmp_path) as process:
        assert process.stdout is not None
        assert "listens" in process.stdout.readline()
        workers = workers_of(process, 2)
        process.kill()
        all_end(workers)
