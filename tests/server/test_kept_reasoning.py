"""A thinking model wants the reasoning of its earlier tool calls back; the gateway remembers what clients drop."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.v1 import content_pb2, inference_pb2
from tests.support.calls import NEVER, NOT_DEGRADED, streamed
from tests.support.chat_events import DONE, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import Reply, ScriptedUpstream

TOOL = content_pb2.Tool(name="clock", description="tells the time")
THINKING = inference_pb2.GenerationOptions(thinking=inference_pb2.THINKING_HIGH)
SEALED = {"GATEWAY_SEAL_KEY": "a1" * 32}
ARGUMENTS = '{"zone": "utc", "style": "long"}'


def call_chunk(call_id: str = "c1", arguments: str = ARGUMENTS) -> dict[str, Any]:  # Any: JSON
    function = {"name": "clock", "arguments": arguments}
    return chat_chunk({"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]})


def calls(*reasoning: str) -> Reply:
    """An answer that reasons and asks for the tool."""
    return Reply.events(*map(reasoning_chunk, reasoning), call_chunk(), chat_chunk({}, finish="tool_calls"), DONE)


ASKS = calls("The user wants ", "the time.")
ANSWERS = Reply.events(text_chunk("noon"), chat_chunk({}, finish="stop"), DONE)


def asking(**fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """The first turn."""
    options = {"prompt": "what time is it?", "generation": THINKING, **fields}
    return inference_pb2.Turn(search=NEVER, routing=NOT_DEGRADED, tools=[TOOL], **options)


def following(*, arguments: str = ARGUMENTS, call_id: str = "c1", reasoning: str = "") -> inference_pb2.Turn:
    """The turn that brings the tool's result, as most clients write it."""
    call = content_pb2.ToolCall(call_id=call_id, name="clock", arguments_json=arguments)
    history = [
        content_pb2.Message(role=content_pb2.ROLE_USER, content="what time is it?"),
        content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, tool_calls=[call], reasoning=reasoning),
        content_pb2.Message(role=content_pb2.ROLE_TOOL, tool_call_id=call_id, content="12:00"),
    ]
    return asking(prompt="", messages=history)


async def told(gateway: Running, turn: inference_pb2.Turn, tenant: str = "acme") -> list[str]:
    """The fields whose options were changed, of a turn that ends OK."""
    frames, status = await streamed(gateway.inference.Generate(turn, metadata=gateway.bearer(tenant)))
    assert status.code is grpc.StatusCode.OK, status
    return [frame.notice.facts["field"] for frame in frames if frame.HasField("notice")]


@pytest.mark.parametrize("recalls", [True, False], ids=["with the cache", "without it"])
async def test_reasoning_is_put_back(tmp_path: Path, recalls: bool) -> None:
    """By the call, also where the client wrote its arguments anew; thinking stays on."""
    anew = '{"style":"long","zone":"utc"}'
    async with (
        ScriptedUpstream([ASKS, ANSWERS]) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=recalls) as gateway,
    ):
        await told(gateway, asking())
        assert await told(gateway, following(arguments=anew)) == []
        sent = upstream.exchanges[1].json
        assert sent["thinking"] == {"type": "enabled"}
        assert sent["messages"][1]["reasoning_content"] == "The user wants the time."
        assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == anew


async def test_what_the_caller_brings_itself_is_left_alone(tmp_path: Path) -> None:
    """Its own reasoning is the one that is sent."""
    async with (
        ScriptedUpstream([ASKS, ANSWERS]) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        await told(gateway, asking())
        assert await told(gateway, following(reasoning="mine")) == []
        assert upstream.exchanges[1].json["messages"][1]["reasoning_content"] == "mine"


UNKNOWN: dict[str, dict[str, Any]] = {
    "another call": {"call_id": "c2"},
    "other arguments": {"arguments": "{}"},
}


@pytest.mark.parametrize("kind", [*UNKNOWN, "another tenant"])
async def test_reasoning_that_is_not_known_switches_thinking_off(tmp_path: Path, kind: str) -> None:
    """And says so: another call, other arguments, another tenant's."""
    async with (
        ScriptedUpstream([ASKS, ANSWERS]) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        await told(gateway, asking())
        tenant = "other" if kind == "another tenant" else "acme"
        assert await told(gateway, following(**UNKNOWN.get(kind, {})), tenant) == ["generation.thinking"]
        sent = upstream.exchanges[1].json
        assert sent["thinking"] == {"type": "disabled"}
        assert "reasoning_content" not in sent["messages"][1]


async def test_reasoning_survives_a_restart_sealed(tmp_path: Path) -> None:
    """On the disk under a seal key, and unreadable there."""
    async with ScriptedUpstream([ASKS, ANSWERS]) as upstream:
        async with running(tmp_path, upstream=upstream.url, environment=SEALED) as gateway:
            await told(gateway, asking())
        async with running(tmp_path, upstream=upstream.url, environment=SEALED) as gateway:
            assert await told(gateway, following()) == []
        assert upstream.exchanges[1].json["messages"][1]["reasoning_content"] == "The user wants the time."
    files = [path for path in (tmp_path / "data" / "cache").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert b"wants" not in files[0].read_bytes()
