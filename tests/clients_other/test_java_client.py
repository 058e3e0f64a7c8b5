"""The Java client compiles, and its example does what every caller needs."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import client_example
from tests.support.client_example import CACHE, ROOT

FOLDER = ROOT / "clients" / "java"
MAVEN = ["mvn", "-q", "-B", f"-Dmaven.repo.local={CACHE / 'm2'}"]
ENVIRONMENT = dict(os.environ)

pytestmark = pytest.mark.full  # the first build fetches Maven's own plugins as well, some 150 of them


@pytest.fixture(scope="module")
def command() -> list[str]:
    """The compiled example and what runs it."""
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("java and mvn are not installed")
    fetched = [*MAVEN, "dependency:copy-dependencies", "-DincludeScope=runtime"]
    client_example.fetch(fetched, FOLDER, ENVIRONMENT)
    client_example.build([*MAVEN, "compile"], FOLDER, ENVIRONMENT)
    classes = os.pathsep.join((str(FOLDER / "target/classes"), f"{FOLDER}/target/dependency/*"))
    return ["java", "-cp", classes, "inferencegateway.example.Example"]


async def test_the_java_example_takes_every_step(command: list[str], tmp_path: Path) -> None:
    """Sources, cancel, deadline, ErrorInfo, RetryInfo and a renewed token."""
    await client_example.takes_every_step(command, tmp_path)


async def test_the_java_example_stops_the_model_by_leaving(command: list[str], tmp_path: Path) -> None:
    """A cancelled call is cancelled all the way."""
    await client_example.cancels_upstream(command, tmp_path)
