"""grpcurl for tests: the one on this machine, or built once by Go into a cache of the repository."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "v1.9.3"
TOOLS = Path(__file__).parents[2] / ".cache" / "tools"
BUILD_S = 300


def grpcurl() -> Path:
    """The program. Skips the test, with the reason, where it is not here and cannot be built."""
    here = shutil.which("grpcurl") or shutil.which("grpcurl", path=str(TOOLS))
    if here is not None:
        return Path(here)
    go = shutil.which("go")
    if go is None:
        pytest.skip("neither grpcurl nor Go is on this machine")
    TOOLS.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [go, "install", f"github.com/fullstorydev/grpcurl/cmd/grpcurl@{VERSION}"],
        env={**os.environ, "GOBIN": str(TOOLS)},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"grpcurl cannot be built: {built.stderr.strip()[-300:]}")
    return TOOLS / "grpcurl"
