"""Recorded streams of real chat servers, through gateway and bridge, as the `openai` package and Dify read them.

The recordings lie beside the project (`GATEWAY_WIRE_DIR`, default `../shared/wire`) and are never copied into it.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.bridge import Bridge, raw_exchange
from tests.support.gateway import running
from tests.support.upstream import Reply, ScriptedUpstream

WIRE = Path(os.environ.get("GATEWAY_WIRE_DIR") or Path(__file__).parents[3] / "shared" / "wire")
HI: Any = [{"role": "user", "content": "hi"}]  # Any: the package's own type is a union of dicts
# Without a finish reason it is a truncated stream, never a clean end.
NO_END = {"openai__chat-streaming-many-chunks-no-usage.sse"}


def recordings() -> list[dict[str, Any]]:  # Any: JSON of the index
    """Every recorded chat.completions stream; none where the recordings are not at hand."""
    index = WIRE / "index.jsonl"
    if not index.exists():
        return []
    lines = map(json.loads, index.read_text("utf-8").splitlines())
    return [line for line in lines if line["kind"] == "sse" and line["api"] == "chat.completions"]


RECORDINGS = recordings()
pytestmark = pytest.mark.skipif(not RECORDINGS, reason=f"no recorded streams in {WIRE}: set GATEWAY_WIRE_DIR")


@dataclass
class Read:
    """What a reader has at the end of a stream."""

    text: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list)
    finish: str | None = None
    usage: Any = None  # Any: JSON

    def add(self, chunk: Any) -> None:  # Any: JSON
        """One chunk, read as Dify does: a fragment without an id belongs to the last call."""
        choice = chunk["choices"][0]
        delta = choice["delta"]
        self.text += delta.get("content") or ""
        self.reasoning += delta.get("reasoning_content") or ""
        for piece in delta.get("tool_calls") or ():
            function = piece["function"]
            if piece.get("id"):
                self.calls.append([piece["id"], function["name"], ""])
            self.calls[-1][2] += function.get("arguments") or ""
        self.finish = choice["finish_reason"] or self.finish
        self.usage = chunk.get("usage") or self.usage


def read_like_dify(body: bytes) -> Read:
    """Blocks between blank lines; one leading `data:` is taken off, the rest must be one JSON object."""
    read = Read()
    for block in map(str.strip, body.decode().split("\n\n")):
        if not block or block.startswith(":"):
            continue
        data = block.removeprefix("data:").strip()
        if data == "[DONE]":
            continue
        chunk = json.loads(data)
        assert isinstance(chunk, dict)
        read.add(chunk)
    return read


async def read_with_openai(client: openai.AsyncOpenAI) -> Read:
    """The chunks as the package hands them over."""
    read = Read()
    stream = await client.chat.completions.create(model="deepseek-flash", messages=HI, stream=True)
    async for chunk in stream:
        read.add(chunk.model_dump())
    return read


def check(read: Read, line: dict[str, Any]) -> None:  # Any: JSON of the index
    """The reader has what was recorded."""
    expect = line["expect"]
    assert read.text == expect["text"]
    assert read.reasoning == expect["reasoning"]
    assert read.finish == expect["finish_reason"]
    wanted = [[call["id"], call["name"], call["arguments"]] for call in expect["tool_calls"]]
    assert read.calls == wanted
    assert read.usage is not None
    if expect["usage"]:
        assert read.usage["prompt_tokens"] == expect["usage"]["prompt_tokens"]
        assert read.usage["completion_tokens"] == expect["usage"]["completion_tokens"]
        assert read.usage["total_tokens"] == read.usage["prompt_tokens"] + read.usage["completion_tokens"]


def groups(size: int = 40) -> list[list[dict[str, Any]]]:
    """The recordings in groups that share a gateway."""
    lines = [line for line in RECORDINGS if Path(line["file"]).name not in NO_END]
    return [lines[i : i + size] for i in range(0, len(lines), size)]


@pytest.mark.parametrize("lines", groups(), ids=lambda lines: f"{Path(lines[0]['file']).name}…")
async def test_every_recorded_stream_reaches_both_readers_whole(
    lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Text, reasoning, tool calls, finish and usage are those recorded, whatever oddities the server had."""
    config = "[tenant_defaults.limits]\nrequests_per_minute = 0\ntokens_per_minute = 0\nusd_per_day = 0\n"
    body: Any = {"model": "deepseek-flash", "messages": HI, "stream": True}
    async with (
        ScriptedUpstream(Reply()) as upstream,
        running(tmp_path, upstream=upstream.url, config=config + "usd_per_month = 0\n") as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.http_url}/v1", api_key=gateway.token(), max_retries=0) as client,
    ):
        faults = []
        for line in lines:
            upstream.script = Reply([(WIRE / line["file"]).read_bytes()])
            try:
                check(await read_with_openai(client), line)
                _, data = await raw_exchange(Bridge(gateway.http_url), body)
                check(read_like_dify(data), line)
            except (AssertionError, openai.APIError) as error:
                faults.append(f"{Path(line['file']).name}: {str(error)[:300]}")
        assert not faults, "\n".join(faults)
