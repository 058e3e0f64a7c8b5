"""A certified OpenID provider that nobody here wrote (npm `oidc-provider`), installed once and run by a test."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support import tools

SOURCE = Path(__file__).resolve().parent.parent / "oidc"
PLACE = SOURCE.parent.parent / ".cache" / "oidc"
CLIENT, SECRET = "billing", "a-secret-for-tests-only"
AUDIENCE = "https://gateway.test"
OPAQUE = "https://opaque.gateway.test"
INSTALL_S = 180


def installed() -> Path:
    """The folder it runs in; skips the test where it cannot be installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    with tools.alone("npm"):
        _install()
    return PLACE


def _install() -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    for file in SOURCE.iterdir():
        shutil.copy(file, PLACE / file.name)
    if not (PLACE / "node_modules" / "oidc-provider").is_dir():
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            subprocess.run(command, cwd=PLACE, check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"oidc-provider cannot be installed: {error}")


class Provider:
    """A provider that runs; `issuer` is its URL."""

    def __init__(self, process: asyncio.subprocess.Process, issuer: str, session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session
        self.issuer = issuer

    async def token(self, scope: str = "model.read", resource: str = "") -> str:
        """A token by client credentials."""
        form = {"grant_type": "client_credentials", "scope": scope, **({"resource": resource} if resource else {})}
        auth = aiohttp.encode_basic_auth(CLIENT, SECRET)
        async with self._session.post(
            f"{self.issuer}/token", data=form, headers={"Authorization": auth}
        ) as response:
            body = await response.json()
            assert response.status == 200, body
            return str(body["access_token"])

    async def keys(self, act: str) -> list[str]:
        """Does `publish`, `switch` or `retire`; the ids of the published keys, the one that signs first."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{act}\n".encode())
        return [str(kid) for kid in (await _line(self._process))["kids"]]


@asynccontextmanager
async def oidc_provider() -> AsyncIterator[Provider]:
    """The provider on a free port; leaving ends it."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "provider.mjs",
        cwd=installed(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        issuer = str((await _line(process))["issuer"])
        async with aiohttp.ClientSession() as session:
            yield Provider(process, issuer, session)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, list[str] | str]:
    assert process.stdout is not None
    line = b"\n"
    while not line.startswith(b"{"):  # it gives advice between its answers
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line, "the provider ended"
    found: dict[str, list[str] | str] = json.loads(line)
    return found
