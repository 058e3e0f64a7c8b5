"""`gateway health` says whether a gateway is ready, by its exit code and in one word."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.commands import health
from tests.support.served_gateway import Served, served


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that is ready."""
    with served(tmp_path_factory.mktemp("health")) as running:
        yield running


def asked(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command as a health check runs it."""
    command = [sys.executable, "-m", "gateway", "health", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_gateway_that_serves_is_healthy(gateway: Served) -> None:
    """Exit code 0, no credential needed."""
    done = asked("--target", gateway.target)
    assert (done.returncode, done.stdout) == (0, "SERVING\n")


def test_a_service_that_is_not_there_is_not_healthy(gateway: Served) -> None:
    """Exit code 1, and the reason in words."""
    done = asked("--target", gateway.target, "--service", "gateway.v1.Nothing")
    assert done.returncode == 1
    assert done.stdout.startswith("NOT_FOUND")


def test_where_nobody_listens_nothing_is_healthy() -> None:
    """Exit code 1; a check must not hang either."""
    done = asked("--target", "127.0.0.1:1", "--timeout", "2")
    assert done.returncode == 1
    assert done.stdout.startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED"))
    assert "nothing answers at 127.0.0.1:1: start the gateway" in done.stderr


def test_roots_that_cannot_be_read_are_wrong_usage(tmp_path: Path) -> None:
    """Exit code 2: waiting will not help."""
    done = asked("--target", "127.0.0.1:1", "--ca-file", str(tmp_path / "none.pem"))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("address", "target"),
    [("0.0.0.0:50051", "127.0.0.1:50051"), ("[::]:9", "[::1]:9"), ("127.0.0.1:7", "127.0.0.1:7")],
)
def test_the_gateway_of_this_machine_is_asked(address: str, target: str) -> None:
    """An address to listen on is no address to call."""
    assert health.own_target(address) == target
