"""What the example of every client must do, whatever language it is written in: one suite, run by each of them."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.chat_events import text_chunk
from tests.support.served_gateway import Served, served
from tests.support.upstream import STALL, Reply, ScriptedUpstream

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
GUARD_S = 60
FEW = "[tenants.dev.limits]\nrequests_per_minute = 12\n"
STEPS = ("answer", "cancel", "deadline", "error", "renew", "limit")


def fetch(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Downloads what a build needs; the test is skipped where the registry cannot be reached."""
    done = _run(command, folder, environment)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:3])} failed, is there a network? {done.stderr.strip()[-300:]}")


def build(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Compiles; what does not compile is a failure."""
    done = _run(command, folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


async def said(command: Sequence[str], gateway: Served, *steps: str) -> dict[str, str]:
    """What the example wrote: the last line of each kind, by the word before its colon."""
    process = await asyncio.create_subprocess_exec(
        *command, *steps, env=gateway.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(GUARD_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode() + err.decode()
    pairs = (line.partition(": ") for line in out.decode().splitlines())
    return {word: rest for word, colon, rest in pairs if colon}


async def takes_every_step(command: Sequence[str], folder: Path) -> None:
    """An answer with sources and receipt, a cancel, a deadline, two rich errors, and a renewed token."""
    with served(folder, config=FEW) as gateway:
        heard = await said(command, gateway, *STEPS)
    assert "quoted from the sources" in heard["answer"]
    assert heard["receipt"].endswith("FINISH_STOP")
    assert heard["source"].startswith("S")
    assert heard["cancel"] in ("CANCELLED", "the answer had ended before")
    assert heard["deadline"] == "DEADLINE_EXCEEDED"
    assert "MODEL_NOT_FOUND retryable=false" in heard["error"]
    assert heard["renew"].startswith("1 renewal, then ")
    assert "RATE_LIMITED, again in " in heard["limit"]


async def cancels_upstream(command: Sequence[str], folder: Path) -> None:
    """Leaving an answer that has begun closes the gateway's own call to the model."""
    async with ScriptedUpstream(Reply.events(text_chunk("one, "), text_chunk("two"), STALL)) as upstream:
        with served(folder, upstream=upstream.url) as gateway:
            heard = await said(command, gateway, "cancel")
            async with asyncio.timeout(GUARD_S):
                await upstream.exchanges[0].closed.wait()
    assert heard["cancel"] == "CANCELLED"
