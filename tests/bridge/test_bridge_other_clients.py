"""Clients of other makers, unchanged, each in an environment of its own.

OpenAI for Node, LangChain, LlamaIndex and Dify's plugin SDK. The environments are made under `.cache/` when the
package registries can be reached; the tests are skipped otherwise.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_events import DONE, USAGE, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import Exchange, Reply, ScriptedUpstream

pytestmark = pytest.mark.full

HERE = Path(__file__).parent / "clients"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bridge"
GUARD_S = 120


def upstream_reply(exchange: Exchange) -> Reply:
    """Calls the tool once it is offered, answers after its result, and thinks when asked to."""
    asked = exchange.json
    last = asked["messages"][-1]
    if asked.get("tools") and last["role"] != "tool":
        function = {"name": "get_weather", "arguments": ""}
        first = {"index": 0, "id": "call_1", "type": "function", "function": function}
        parts = [
            {"tool_calls": [first]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ' "Hangzhou"}'}}]},
        ]
        end = chat_chunk({"content": ""}, finish="tool_calls", usage=USAGE)
        return Reply.events(*map(chat_chunk, parts), end, DONE)
    thought = [reasoning_chunk("Let me "), reasoning_chunk("think.")]
    thinks = asked["thinking"]["type"] == "enabled"
    words = ["It is ", "sunny."] if last["role"] == "tool" else ["Hello", " there."]
    end = chat_chunk({"content": ""}, finish="stop", usage=USAGE)
    return Reply.events(*(thought if thinks else []), *map(text_chunk, words), end, DONE)


@asynccontextmanager
async def gateway_for(folder: Path) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """A gateway before that upstream."""
    async with (
        ScriptedUpstream(upstream_reply) as upstream,
        running(folder, upstream=upstream.url) as gateway,
    ):
        yield gateway, upstream


def python_with(name: str, *packages: str, python: str = sys.executable) -> Path:
    """An interpreter with these packages."""
    folder = CACHE / name
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text("utf-8") != " ".join(packages):
        shutil.rmtree(folder, ignore_errors=True)
        fetch([python, "-m", "venv", str(folder)], CACHE.parent)
        fetch([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *packages], CACHE.parent)
        stamp.write_text(" ".join(packages), "utf-8")
    return folder / "bin" / "python"


def node_with(package: str) -> Path:
    """A folder in which Node finds the package."""
    folder = CACHE / "node"
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}', "utf-8")
        fetch(["npm", "install", "--silent", package], folder)
    return folder


def fetch(command: Sequence[str], folder: Path) -> None:
    """Runs what needs a registry; the test is skipped where it cannot be reached."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:4])} failed, is there a network? {done.stderr.strip()[-300:]}")


async def said(command: Sequence[str | Path], gateway: Running, base: str = "/v1", cwd: Path | None = None) -> Any:
    """What the client printed last."""
    words = [str(word) for word in command] + [gateway.http_url + base, gateway.token()]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "LANGCHAIN_", "LANGSMITH_"))}
    process = await asyncio.create_subprocess_exec(
        *words, cwd=cwd, env=kept, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(GUARD_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (out + err).decode()[-3000:]
    return json.loads(out.decode().strip().splitlines()[-1])


async def test_openai_for_node(tmp_path: Path) -> None:
    """Streaming, blocking, tools, their results, errors and leaving early."""
    folder = node_with("openai@7")
    script = shutil.copy(HERE / "use_node.mjs", folder / "use_node.mjs")
    async with gateway_for(tmp_path) as (gateway, _):
        got = await said(["node", script], gateway, cwd=folder)
    assert got == {
        "blocking": "Hello there.",
        "stream": "Hello there.",
        "tokens": 13,
        "tool": ["get_weather", {"city": "Hangzhou"}],
        "follow_up": "It is sunny.",
        "bad_key": "refused",
        "models": ["deepseek-flash", "deepseek-v4-pro", "embedded"],
        "closed": 1,
    }


async def test_langchain(tmp_path: Path) -> None:
    """`ChatOpenAI`: whole, streamed with usage, tools bound and answered."""
    python = python_with("langchain", "langchain-openai>=1,<2")
    async with gateway_for(tmp_path) as (gateway, _):
        got = await said([python, HERE / "use_langchain.py"], gateway)
    assert got == {
        "blocking": "Hello there.",
        "stream": "Hello there.",
        "tokens": 13,
        "tool": ["get_weather", {"city": "Hangzhou"}],
        "follow_up": "It is sunny.",
    }


async def test_llamaindex(tmp_path: Path) -> None:
    """`OpenAILike`: whole, streamed, tools called and answered."""
    python = python_with("llamaindex", "llama-index-llms-openai-like<1")
    async with gateway_for(tmp_path) as (gateway, _):
        got = await said([python, HERE / "use_llamaindex.py"], gateway)
    assert got == {
        "blocking": "Hello there.",
        "stream": "Hello there.",
        "tool": ["get_weather", {"city": "Hangzhou"}],
        "follow_up": "It is sunny.",
    }


@pytest.mark.parametrize("base", ["/v1", "/dify/v1"])
async def test_difys_own_model_class(base: str, tmp_path: Path) -> None:
    """Validation, blocking, streaming, thinking, a tool call, and its follow-up without the reasoning."""
    python = python_with("dify", "dify_plugin==0.7.4")
    async with gateway_for(tmp_path) as (gateway, upstream):
        got = await said([python, HERE / "use_dify_sdk.py"], gateway, base)
        thinking = [exchange.json["thinking"]["type"] for exchange in upstream.exchanges]
    assert got["bad_key"] == "refused"
    assert (got["blocking"], got["blocking_tokens"]) == ("Hello there.", 13)
    assert got["stream"] == {"text": "Hello there.", "calls": [], "finish": "stop", "tokens": 13}
    assert got["thinking"]["text"].replace("\n", "") == "<think>Let me think.</think>Hello there."
    assert got["thinking"]["text"].count("<think>") == 1
    assert got["tool"]["calls"] == [["get_weather", '{"city": "Hangzhou"}']]
    assert got["follow_up"]["text"] == "It is sunny."
    assert thinking[-1] == "disabled"
