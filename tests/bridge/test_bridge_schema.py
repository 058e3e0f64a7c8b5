"""Schemathesis against the bridge's own OpenAPI document: whatever it makes up, the answer has a described shape.

It runs in an environment of its own under `.cache/`, made when the package index can be reached.
"""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import running

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bridge" / "schemathesis"
VERSION = "schemathesis==4.*"


def schemathesis() -> Path:
    """The command; the test is skipped where it cannot be had."""
    command = CACHE / "bin" / "schemathesis"
    if not command.exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(CACHE)], capture_output=True, check=False)
        install = [str(CACHE / "bin" / "python"), "-m", "pip", "install", "-q", VERSION]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if made.returncode or done.returncode:
            pytest.skip(f"schemathesis cannot be installed, is there a network? {done.stderr.strip()[-300:]}")
    return command


@pytest.mark.full
async def test_no_made_up_request_gets_an_answer_that_is_not_described(tmp_path: Path) -> None:
    """No 5xx, no undescribed status, type or shape."""
    command = schemathesis()
    limits = "[tenant_defaults.limits]\nrequests_per_minute = 0\ntokens_per_minute = 0\nusd_per_day = 0\n"
    async with running(tmp_path, config=limits) as gateway:
        process = await asyncio.create_subprocess_exec(
            str(command),
            "run",
            f"{gateway.http_url}/openapi.json",
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--header",
            f"Authorization: Bearer {gateway.token()}",
            "--max-examples",
            "40",
            "--seed",
            "7",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()[-4000:]
