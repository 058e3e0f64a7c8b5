"""The Go client builds as a module of its own, and its example does what every caller needs."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import client_example
from tests.support.client_example import CACHE, ROOT

pytestmark = pytest.mark.full  # the first build compiles gRPC as well

FOLDER = ROOT / "clients" / "go"
ENVIRONMENT = {
    **os.environ,
    "GOPATH": str(CACHE / "go"),
    "GOCACHE": str(CACHE / "go-build"),
    "GOFLAGS": "-modcacherw -buildvcs=false -mod=readonly",
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The compiled example."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    program = tmp_path_factory.mktemp("go") / "example"
    client_example.fetch(["go", "mod", "download"], FOLDER, ENVIRONMENT)
    client_example.build(["go", "vet", "./..."], FOLDER, ENVIRONMENT)
    client_example.build(["go", "build", "-o", str(program), "./example"], FOLDER, ENVIRONMENT)
    return [str(program)]


async def test_the_go_example_takes_every_step(command: list[str], tmp_path: Path) -> None:
    """Sources, cancel, deadline, ErrorInfo, RetryInfo and a renewed token."""
    await client_example.takes_every_step(command, tmp_path)


async def test_the_go_example_stops_the_model_by_leaving(command: list[str], tmp_path: Path) -> None:
    """A cancelled call is cancelled all the way."""
    await client_example.cancels_upstream(command, tmp_path)
