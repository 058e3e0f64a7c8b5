"""The `openai` package as it is, against the whole gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.v1 import account_pb2, inference_pb2
from tests.support.chat_events import DONE, LAST_CHUNK, USAGE, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import RESET, STALL, Exchange, Reply, Script, ScriptedUpstream

HI: Any = [{"role": "user", "content": "hi"}]  # Any: the package's own type is a union of dicts
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLS = Reply.events(
    chat_chunk({"role": "assistant", "content": None, "reasoning_content": "weather"}),
    chat_chunk(
        {"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "get_weather"}}]}
    ),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "Hangzhou"}'}}]}),
    chat_chunk({"content": ""}, finish="tool_calls", usage=USAGE),
    DONE,
)


@asynccontextmanager
async def client_of(
    folder: Path, script: Script, *, retries: int = 0, config: str = "", tenant: str = "acme"
) -> AsyncIterator[tuple[openai.AsyncOpenAI, Running, ScriptedUpstream]]:
    """A client, the gateway that it talks to, and the upstream behind that."""
    async with (
        ScriptedUpstream(script) as upstream,
        running(folder, upstream=upstream.url, config=config) as gateway,
        openai.AsyncOpenAI(
            base_url=f"{gateway.http_url}/v1", api_key=gateway.token(tenant), max_retries=retries
        ) as client,
    ):
        yield client, gateway, upstream


async def test_a_whole_answer_has_text_finish_usage_and_the_facts_in_headers(tmp_path: Path) -> None:
    """The receipt that the header names is the caller's own, and says what the body says."""
    async with client_of(tmp_path, Reply.answer("Hel", "lo")) as (client, gateway, _):
        raw = await client.chat.completions.with_raw_response.create(model="deepseek-v4-flash", messages=HI)
        answer = raw.parse()
        assert (answer.object, answer.choices[0].message.content) == ("chat.completion", "Hello")
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 13
        assert raw.headers["x-gateway-served-by"] == "deepseek"
        assert raw.headers["x-gateway-degraded"] == "false"
        assert int(raw.headers["x-ratelimit-limit-requests"]) == 600
        assert int(raw.headers["x-ratelimit-remaining-requests"]) < 600
        wanted = account_pb2.GetReceiptRequest(receipt_id=raw.headers["x-gateway-receipt-id"])
        receipt = await gateway.account.GetReceipt(wanted, metadata=gateway.bearer())
        assert receipt.settled.completion_tokens == answer.usage.completion_tokens
        assert receipt.request_id == raw.headers["x-request-id"]


async def test_a_stream_gives_reasoning_text_finish_and_usage(tmp_path: Path) -> None:
    """Usage comes without being asked for, in the last chunk."""
    reply = Reply.events(reasoning_chunk("hm"), text_chunk("Hel"), text_chunk("lo"), LAST_CHUNK, DONE)
    async with client_of(tmp_path, reply) as (client, _, upstream):
        stream = await client.chat.completions.create(
            model="deepseek-flash", messages=HI, stream=True, reasoning_effort="high"
        )
        chunks = [chunk async for chunk in stream]
        assert upstream.exchanges[0].json["thinking"] == {"type": "enabled"}
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "hm"
    assert "".join(delta.content or "" for delta in deltas) == "Hello"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 13


@pytest.mark.parametrize("known", [True, False])
async def test_a_tool_call_and_its_follow_up_without_reasoning(known: bool, tmp_path: Path) -> None:
    """Most clients drop the reasoning: it is put back; of a call made elsewhere thinking is switched off."""
    scripts = [CALLS, Reply.answer("It is ", "sunny.")]
    thinking: Any = {"thinking": {"type": "enabled"}}  # Any: a parameter that the package does not know
    async with client_of(tmp_path, scripts) as (client, _, upstream):
        async with client.chat.completions.stream(
            model="deepseek-flash", messages=HI, tools=[TOOL], extra_body=thinking
        ) as stream:
            completion = await stream.get_final_completion()
        call = completion.choices[0].message.tool_calls[0]  # type: ignore[index]  # the answer has one
        assert json.loads(call.function.arguments) == {"city": "Hangzhou"}
        history: Any = [
            *HI,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": call.id if known else "call_made_elsewhere",
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                ],
            },
            {
                "role": "tool",
                "tool_call_id": call.id if known else "call_made_elsewhere",
                "content": "24 C, sunny",
            },
        ]
        raw = await client.chat.completions.with_raw_response.create(
            model="deepseek-flash", messages=history, tools=[TOOL], extra_body=thinking
        )
        assert raw.parse().choices[0].message.content == "It is sunny."
        asked = upstream.exchanges[1].json
        assert ("switched off" in raw.headers.get("x-gateway-notice", "")) is not known
        assert asked["thinking"] == {"type": "enabled" if known else "disabled"}
        assert bool(asked["messages"][1].get("reasoning_content")) is known


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_key_is_an_authentication_error(stream: bool, tmp_path: Path) -> None:
    """A stream fails before its first byte."""
    async with client_of(tmp_path, Reply.answer("x")) as (client, _, upstream):
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.with_options(api_key="wrong").chat.completions.create(
                model="deepseek-flash", messages=HI, stream=stream
            )
        assert refused.value.code == "invalid_api_key"
        assert refused.value.response.headers["www-authenticate"].startswith("Bearer")
        assert upstream.exchanges == []


async def test_a_rate_limit_is_typed_and_says_when_to_come_back(tmp_path: Path) -> None:
    """The headers of a refusal tell the limit too."""
    config = "[tenants.acme.limits]\nrequests_per_minute = 1\n"
    async with client_of(tmp_path, Reply.answer("x"), config=config) as (client, _, _upstream):
        await client.chat.completions.create(model="deepseek-flash", messages=HI)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="deepseek-flash", messages=HI)
        headers = refused.value.response.headers
        assert float(headers["retry-after"]) > 0
        assert headers["x-should-retry"] == "true"
        assert headers["x-ratelimit-limit-requests"] == "1"
        assert headers["x-ratelimit-remaining-requests"] == "0"


async def test_a_busy_upstream_is_an_internal_server_error_of_the_client(tmp_path: Path) -> None:
    """502 for an upstream that answers with 5xx."""
    async with client_of(tmp_path, Reply.json(503, {"error": {"message": "busy"}})) as (client, _, _upstream):
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model="deepseek-flash", messages=HI)
        assert refused.value.status_code == 502
        assert refused.value.code == "upstream_unavailable"


async def test_what_cannot_succeed_is_not_tried_again_by_the_client(tmp_path: Path) -> None:
    """An empty balance is a 503 that says so; the package would repeat any other 503."""
    config = "[tenant_defaults]\nallow_degraded = false\n"
    reply = Reply.json(402, {"error": {"message": "Insufficient Balance"}})
    async with client_of(tmp_path, reply, retries=2, config=config) as (client, _, upstream):
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model="deepseek-flash", messages=HI)
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert "balance" not in str(refused.value).lower()
        assert len(upstream.exchanges) == 1


async def test_a_failure_inside_a_stream_is_an_api_error(tmp_path: Path) -> None:
    """It is never a normal end."""
    reply = Reply.events(text_chunk("Hel"), text_chunk("lo"), 0.05, RESET)
    async with client_of(tmp_path, reply) as (client, _, _upstream):
        stream = await client.chat.completions.create(model="deepseek-flash", messages=HI, stream=True)
        received = ""
        with pytest.raises(openai.APIError, match="broke off"):
            async for chunk in stream:
                received += chunk.choices[0].delta.content or ""
        assert received == "Hello"


async def test_a_stream_that_is_closed_early_closes_the_upstream(tmp_path: Path) -> None:
    """Nothing is generated for a reader who has left, and the receipt says that he left."""
    reply = Reply.events(text_chunk("Hel"), STALL)
    async with client_of(tmp_path, reply) as (client, gateway, upstream):
        raw = await client.chat.completions.with_raw_response.create(
            model="deepseek-flash", messages=HI, stream=True
        )
        stream = raw.parse()
        await anext(aiter(stream))
        await stream.close()
        await asyncio.wait_for(upstream.exchanges[0].closed.wait(), 5)
        wanted = account_pb2.GetReceiptRequest(receipt_id=raw.headers["x-gateway-receipt-id"])
        receipt = await gateway.account.GetReceipt(wanted, metadata=gateway.bearer())
        while receipt.finish == inference_pb2.FINISH_UNSPECIFIED:
            await asyncio.sleep(0.01)
            receipt = await gateway.account.GetReceipt(wanted, metadata=gateway.bearer())
        assert receipt.finish == inference_pb2.FINISH_CANCELLED


async def test_the_same_idempotency_key_is_charged_once(tmp_path: Path) -> None:
    """The second one is refused with the receipt of the first, and not tried again."""
    async with client_of(tmp_path, Reply.answer("x"), retries=2) as (client, _, upstream):
        headers = {"Idempotency-Key": "order-17"}
        first = await client.chat.completions.with_raw_response.create(
            model="deepseek-flash", messages=HI, extra_headers=headers
        )
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            await client.chat.completions.create(model="deepseek-flash", messages=HI, extra_headers=headers)
        assert refused.value.code == "turn_settled"
        assert refused.value.response.headers["x-gateway-receipt-id"] == first.headers["x-gateway-receipt-id"]
        assert len(upstream.exchanges) == 1


async def test_models_are_listed_and_found_by_name(tmp_path: Path) -> None:
    """What is not there is a 404."""
    async with client_of(tmp_path, Reply.answer("x")) as (client, _, _upstream):
        names = [model.id async for model in client.models.list()]
        assert names == ["deepseek-flash", "deepseek-v4-pro", "embedded"]
        assert (await client.models.retrieve("embedded")).id == "embedded"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-9")
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(model="gpt-9", messages=HI)
        assert refused.value.code == "model_not_found"


async def test_search_sources_arrive_as_annotations(tmp_path: Path) -> None:
    """Each span of the answer that rests on a source names it, counted in characters."""
    question: Any = [{"role": "user", "content": "how does the gateway meter a broken stream?"}]
    async with (
        running(tmp_path) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.http_url}/v1", api_key=gateway.token()) as client,
    ):
        ask: Any = {"model": "embedded", "messages": question, "extra_body": {"web_search": True}}
        answer = await client.chat.completions.create(**ask)
        chunks = [chunk async for chunk in await client.chat.completions.create(**ask, stream=True)]
    message = answer.choices[0].message
    assert message.annotations
    assert message.content
    for annotation in message.annotations:
        cited = annotation.url_citation
        assert 0 <= cited.start_index < cited.end_index <= len(message.content)
        assert cited.url
    streamed: Any = chunks[-1].choices[0].delta  # Any: fields that the package passes through
    assert [a["url_citation"] for a in streamed.annotations] == [
        a.url_citation.model_dump() for a in message.annotations
    ]


async def test_dify_reads_sources_as_lines_below_the_answer(tmp_path: Path) -> None:
    """The base URL decides; streamed and whole are the same text, and annotations fit it."""
    question: Any = [{"role": "user", "content": "how does the gateway meter a broken stream?"}]
    async with (
        running(tmp_path) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.http_url}/dify/v1", api_key=gateway.token()) as client,
    ):
        ask: Any = {"model": "embedded", "messages": question, "extra_body": {"web_search": True}}
        answer = await client.chat.completions.create(**ask)
        chunks = [chunk async for chunk in await client.chat.completions.create(**ask, stream=True)]
        plain = await client.with_options(base_url=f"{gateway.http_url}/v1").chat.completions.create(**ask)
    text = answer.choices[0].message.content or ""
    assert "\n\nSources:\n[1] " in text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    for lines, bare in zip(
        answer.choices[0].message.annotations or [], plain.choices[0].message.annotations or [], strict=True
    ):
        there, here = lines.url_citation, bare.url_citation
        bare_text = plain.choices[0].message.content or ""
        wanted = bare_text[here.start_index : here.end_index]
        found = text[there.start_index : there.end_index]
        assert found.replace(" [1]", "").replace("[1]", "")[:40] == wanted[:40]


def reply_by_search(exchange: Exchange) -> Reply:
    """Whether evidence stands in the prompt."""
    found = "evidence" in json.dumps(exchange.json["messages"])
    return Reply.answer("searched" if found else "not searched")


@pytest.mark.parametrize(
    ("wish", "searched"),
    [
        ({"web_search": True}, True),
        ({"web_search": False}, False),
        ({"tools": [{"type": "web_search", "web_search": {"enable": True}}]}, True),
        ({"tools": [{"type": "web_search", "web_search": {"enable": False}}]}, False),
        ({"tools": [{"type": "web_search"}], "tool_choice": "auto"}, True),
        ({"web_search_options": {"search_context_size": "low"}}, True),
    ],
)
async def test_every_shape_of_the_wish_to_search_is_understood(
    wish: dict[str, Any], searched: bool, tmp_path: Path
) -> None:
    """Dify's three shapes and OpenAI's own."""
    about: Any = [{"role": "user", "content": "receipts and bills"}]
    async with client_of(tmp_path, reply_by_search) as (client, _, _upstream):
        answer = await client.chat.completions.create(model="deepseek-flash", messages=about, extra_body=wish)
        assert answer.choices[0].message.content == ("searched" if searched else "not searched")
