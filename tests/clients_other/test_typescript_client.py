"""The TypeScript client compiles without a complaint, and its example does what every caller needs."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import client_example
from tests.support.client_example import CACHE, ROOT

FOLDER = ROOT / "clients" / "typescript"
ENVIRONMENT = {**os.environ, "npm_config_cache": str(CACHE / "npm")}
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"


@pytest.fixture(scope="module")
def command() -> list[str]:
    """The compiled example and what runs it."""
    if shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    lock = FOLDER / "package-lock.json"
    if not INSTALLED.is_file() or INSTALLED.stat().st_mtime < lock.stat().st_mtime:
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        client_example.fetch(install, FOLDER, ENVIRONMENT)
        INSTALLED.touch()
    client_example.build(["node", "node_modules/typescript/bin/tsc"], FOLDER, ENVIRONMENT)
    return ["node", str(FOLDER / "dist" / "example" / "main.js")]


async def test_the_typescript_example_takes_every_step(command: list[str], tmp_path: Path) -> None:
    """Sources, cancel, deadline, ErrorInfo, RetryInfo and a renewed token."""
    await client_example.takes_every_step(command, tmp_path)


async def test_the_typescript_example_stops_the_model_by_leaving(command: list[str], tmp_path: Path) -> None:
    """A cancelled call is cancelled all the way."""
    await client_example.cancels_upstream(command, tmp_path)
