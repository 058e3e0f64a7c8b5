"""The bytes of a chat stream: the one form that OpenAI's clients and Dify both read."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.v1 import content_pb2, inference_pb2
from tests.support.bridge import Bridge, events_of, raw_exchange, scripted_bridge
from tests.support.chat_events import DONE, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import running
from tests.support.scripted_gateway import Refusal, ended, forever, frames_of, text, unavailable
from tests.support.upstream import RESET, Reply, ScriptedUpstream

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True}  # Any: JSON


def accepted() -> inference_pb2.Accepted:
    return inference_pb2.Accepted(receipt_id="r1")


async def test_a_stream_is_chunked_and_every_block_is_one_line_of_data() -> None:
    """LF only, no field but data, one id, one choice, the role first, usage with the finish, then [DONE]."""
    frames = frames_of(accepted(), text("Hel"), text("lo\u2028\u0085!", 3), ended())
    async with scripted_bridge(Generate=frames) as bridge:
        head, body = await raw_exchange(bridge, ASK)
    assert head.startswith("HTTP/1.1 200")
    assert "transfer-encoding: chunked" in head.lower()
    assert "content-type: text/event-stream; charset=utf-8" in head.lower()
    assert "server:" not in head.lower()
    assert b"\r" not in body
    assert "\u2028".encode() not in body
    assert "\u0085".encode() not in body
    blocks = body.split(b"\n\n")
    assert blocks.pop() == b""
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    assert blocks.pop() == b"data: [DONE]"
    chunks = [json.loads(block[6:]) for block in blocks]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-r1"}
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "Hello\u2028\u0085!"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert [chunk.get("usage") is not None for chunk in chunks] == [False, False, True]


async def test_a_sign_of_life_is_a_comment_in_a_block_of_its_own() -> None:
    """It sends the headers too, and the chunk after it is whole."""
    beat = inference_pb2.Heartbeat()
    async with scripted_bridge(Generate=frames_of(accepted(), beat, text("Hi"), ended())) as bridge:
        _, body = await raw_exchange(bridge, ASK)
    blocks = body.split(b"\n\n")
    assert blocks[0] == b": ping"
    assert json.loads(blocks[1][6:])["choices"][0]["delta"]["content"] == "Hi"


async def test_parallel_tool_calls_come_one_after_the_other() -> None:
    """However their fragments are mixed, a reader that appends to the last call gets each one whole."""

    def call(index: int, arguments: str, name: str = "") -> content_pb2.ToolCall:
        return content_pb2.ToolCall(
            index=index, call_id=f"c{index}" if name else "", name=name, arguments_json=arguments
        )

    mixed = [call(0, "", "a"), call(1, "", "b"), call(0, '{"x"'), call(1, '{"y"'), call(0, ":1}"), call(1, ":2}")]
    end = ended(inference_pb2.FINISH_TOOL_CALLS)
    async with scripted_bridge(Generate=frames_of(accepted(), *mixed, end)) as bridge:
        chunks = await events_of(bridge, ASK)
    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [piece["index"] for piece in pieces] == sorted(piece["index"] for piece in pieces)
    whole: list[list[str]] = []
    for piece in pieces:
        if piece.get("id"):
            whole.append([piece["id"], piece["function"]["name"], ""])
        whole[-1][2] += piece["function"]["arguments"]
    assert whole == [["c0", "a", '{"x":1}'], ["c1", "b", '{"y":2}']]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_failure_in_mid_stream_is_an_error_without_choices_and_without_done() -> None:
    """The error says what happened, and nothing follows it."""
    broken = Refusal(grpc.StatusCode.ABORTED, "it broke off", "STREAM_INTERRUPTED", facts={"receipt_id": "r1"})
    async with scripted_bridge(Generate=[*frames_of(accepted(), text("Hel")), broken]) as bridge:
        _, body = await raw_exchange(bridge, ASK)
    blocks = body.split(b"\n\n")
    last = json.loads(blocks[-2][6:])
    assert blocks[-1] == b""
    assert set(last) == {"error"}
    assert last["error"]["code"] == "stream_interrupted"
    assert last["error"]["receipt_id"] == "r1"
    assert b"[DONE]" not in body


async def test_a_failure_before_the_first_output_is_a_plain_http_error() -> None:
    """Frames without output do not send the headers, so the status can still tell."""
    search = inference_pb2.SearchEvent(provider="embedded", status=inference_pb2.SEARCH_STATUS_OK)
    refusal = unavailable(retry_after_s=2.0, message="try again")
    async with (
        scripted_bridge(Generate=[*frames_of(accepted(), search), refusal]) as bridge,
        aiohttp.ClientSession() as http,
        http.post(f"{bridge.url}/v1/chat/completions", json=ASK) as response,
    ):
        body = await response.json()
        assert response.status == 503
        assert body["error"]["code"] == "overloaded"
        assert response.headers["retry-after"] == "2"
        assert response.headers["retry-after-ms"] == "2000"
        assert response.headers["x-should-retry"] == "true"


async def test_a_caller_who_leaves_cancels_the_call() -> None:
    """The gateway sees it at once, also while it has nothing to send."""
    steps = [*frames_of(accepted(), text("Hel")), forever]
    async with scripted_bridge(Generate=steps) as bridge, aiohttp.ClientSession() as http:
        response = await http.post(f"{bridge.url}/v1/chat/completions", json=ASK)
        await response.content.readuntil(b"\n\n")
        response.close()
        generate = next(call for call in bridge.gateway.calls if call.method == "Generate")
        await asyncio.wait_for(generate.left.wait(), 5)


async def test_a_caller_who_leaves_a_blocking_answer_cancels_the_call() -> None:
    """Nothing is generated for nobody."""
    ask = {**ASK, "stream": False}
    async with scripted_bridge(Complete=[forever]) as bridge, aiohttp.ClientSession() as http:
        request = asyncio.ensure_future(http.post(f"{bridge.url}/v1/chat/completions", json=ask))
        while not bridge.gateway.calls:
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await asyncio.wait_for(bridge.gateway.calls[0].left.wait(), 5)


async def test_an_upstream_that_breaks_off_reaches_the_reader_as_an_error(tmp_path: Path) -> None:
    """Through the whole gateway: an interrupted answer is never a clean end."""
    reply = Reply.events(text_chunk("Hel"), text_chunk("lo"), 0.05, RESET)
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        _, body = await raw_exchange(Bridge(gateway.http_url), ASK)
    assert b'"code":"stream_interrupted"' in body
    assert b"[DONE]" not in body


async def test_what_servers_do_oddly_comes_out_in_the_safe_form(tmp_path: Path) -> None:
    """Comments, empty choices, a finish reason twice, usage late and reasoning under its other name."""
    odd = Reply.events(
        b": queued\n\n",
        {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": []},
        chat_chunk({"role": "assistant", "reasoning": "hm"}),
        reasoning_chunk("!"),
        b": keep-alive\n",
        text_chunk("Hello"),
        chat_chunk({"content": ""}, finish="stop"),
        chat_chunk({}, finish="stop"),
        {"id": "y", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
        DONE,
    )
    async with ScriptedUpstream(odd) as upstream, running(tmp_path, upstream=upstream.url) as gateway:
        chunks = await events_of(Bridge(gateway.http_url), ASK)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "hm!"
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"][0]["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"]["total_tokens"] == 5


@pytest.mark.parametrize("finish", ["FINISH_LENGTH", "FINISH_LIMIT", "FINISH_CONTENT_FILTER"])
async def test_an_answer_without_a_character_still_has_role_finish_and_usage(finish: str) -> None:
    """`max_tokens` may be used up by reasoning."""
    end = ended(inference_pb2.Finish.Value(finish))
    async with scripted_bridge(Generate=frames_of(accepted(), end)) as bridge:
        chunks = await events_of(bridge, ASK)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[0]["choices"][0]["finish_reason"] in ("length", "content_filter")
    assert chunks[0]["usage"]["total_tokens"] == 13
