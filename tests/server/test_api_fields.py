"""Bad input, field by field: every fault of a turn is named at once, with its path and with what to do."""

import json
import math
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2, timestamp_pb2

import deepseek_pb2
from gateway.v1 import content_pb2, inference_pb2, search_pb2
from tests.support.calls import NEVER, Told, refused, streamed
from tests.support.gateway import Running, running
from tests.support.upstream import Reply, ScriptedUpstream

CODE = grpc.StatusCode
Turn, Options, Search = inference_pb2.Turn, inference_pb2.GenerationOptions, inference_pb2.SearchOptions
Message, Part, Image, Tool = content_pb2.Message, content_pb2.Part, content_pb2.Image, content_pb2.Tool
Call = content_pb2.ToolCall
USER, ASSISTANT, TOOL = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL
ASKED = Message(role=ASSISTANT, tool_calls=[Call(call_id="c1", name="clock")])
DEEP = '{"a":' * 33 + "1" + "}" * 33
WEATHER = Tool(name="weather", parameters_json='{"type": "object"}')

BAD_TURNS: dict[str, tuple[inference_pb2.Turn, list[str]]] = {
    "nothing asked": (Turn(), ["messages"]),
    "blank prompt": (Turn(prompt=" \n"), ["prompt"]),
    "prompt and messages": (Turn(prompt="x", messages=[Message(role=USER, content="x")]), ["prompt"]),
    "turn id with a space": (Turn(prompt="x", turn_id="a b"), ["turn_id"]),
    "turn id too long": (Turn(prompt="x", turn_id="a" * 129), ["turn_id"]),
    "turn id not ASCII": (Turn(prompt="x", turn_id="ä"), ["turn_id"]),
    "no role": (Turn(messages=[Message(content="x")]), ["messages[0].role"]),
    "role of a newer contract": (Turn(messages=[Message(role=9, content="x")]), ["messages[0].role"]),
    "last word not the user's": (Turn(messages=[Message(role=ASSISTANT, content="x")]), ["messages[0].role"]),
    "last word empty": (Turn(messages=[Message(role=USER)]), ["messages[0].content"]),
    "content and parts": (
        Turn(messages=[Message(role=USER, content="x", parts=[Part(text="y")])]),
        ["messages[0].parts"],
    ),
    "empty part": (Turn(messages=[Message(role=USER, parts=[Part(text="x"), Part()])]), ["messages[0].parts[1]"]),
    "image without source": (
        Turn(messages=[Message(role=USER, parts=[Part(image=Image(mime_type="image/png"))])]),
        ["messages[0].parts[0].image"],
    ),
    "data that is no image": (
        Turn(messages=[Message(role=USER, parts=[Part(image=Image(mime_type="text/html", data=b"x"))])]),
        ["messages[0].parts[0].image.mime_type"],
    ),
    "image from a file": (
        Turn(messages=[Message(role=USER, parts=[Part(image=Image(url="file:///etc/passwd"))])]),
        ["messages[0].parts[0].image.url"],
    ),
    "tool calls of the user": (
        Turn(messages=[Message(role=USER, content="x", tool_calls=[Call(call_id="c", name="n")])]),
        ["messages[0].tool_calls"],
    ),
    "tool call without id and name": (
        Turn(messages=[Message(role=ASSISTANT, tool_calls=[Call()]), Message(role=USER, content="x")]),
        ["messages[0].tool_calls[0].call_id", "messages[0].tool_calls[0].name"],
    ),
    "result without its call": (Turn(messages=[Message(role=TOOL, content="x")]), ["messages[0].tool_call_id"]),
    "result nobody asked for": (
        Turn(messages=[Message(role=TOOL, content="x", tool_call_id="c1")]),
        ["messages[0].tool_call_id"],
    ),
    "result of another call": (
        Turn(messages=[ASKED, Message(role=TOOL, content="x", tool_call_id="c2")]),
        ["messages[1].tool_call_id"],
    ),
    "result given twice": (
        Turn(messages=[ASKED, *[Message(role=TOOL, content="x", tool_call_id="c1")] * 2]),
        ["messages[2].tool_call_id"],
    ),
    "result before its call": (
        Turn(messages=[Message(role=TOOL, tool_call_id="c1"), ASKED, Message(role=USER, content="x")]),
        ["messages[0].tool_call_id"],
    ),
    "call id of the user": (
        Turn(messages=[Message(role=USER, content="x", tool_call_id="c1")]),
        ["messages[0].tool_call_id"],
    ),
    "negative max_tokens": (Turn(prompt="x", generation=Options(max_tokens=-1)), ["generation.max_tokens"]),
    "too hot": (Turn(prompt="x", generation=Options(temperature=2.1)), ["generation.temperature"]),
    "not a number": (Turn(prompt="x", generation=Options(temperature=math.nan)), ["generation.temperature"]),
    "infinite": (Turn(prompt="x", generation=Options(top_p=math.inf)), ["generation.top_p"]),
    "negative share": (Turn(prompt="x", generation=Options(top_p=-0.1)), ["generation.top_p"]),
    "too many alternatives": (Turn(prompt="x", generation=Options(top_logprobs=21)), ["generation.top_logprobs"]),
    "too many stops": (Turn(prompt="x", generation=Options(stop=["s"] * 17)), ["generation.stop"]),
    "empty stop": (Turn(prompt="x", generation=Options(stop=["a", ""])), ["generation.stop"]),
    "unknown thinking": (Turn(prompt="x", generation=Options(thinking=77)), ["generation.thinking"]),
    "unknown format": (Turn(prompt="x", generation=Options(response_format=77)), ["generation.response_format"]),
    "schema no JSON": (Turn(prompt="x", generation=Options(json_schema="{")), ["generation.json_schema"]),
    "schema no object": (Turn(prompt="x", generation=Options(json_schema="[1]")), ["generation.json_schema"]),
    "schema too deep": (Turn(prompt="x", generation=Options(json_schema=DEEP)), ["generation.json_schema"]),
    "tool demanded of none": (
        Turn(prompt="x", generation=Options(tool_mode=inference_pb2.TOOL_MODE_REQUIRED)),
        ["generation.tool_mode"],
    ),
    "unknown tool demanded": (
        Turn(
            prompt="x",
            tools=[WEATHER],
            generation=Options(tool_mode=inference_pb2.TOOL_MODE_NAMED, tool_name="clock"),
        ),
        ["generation.tool_name"],
    ),
    "tool named without demand": (
        Turn(prompt="x", tools=[WEATHER], generation=Options(tool_name="weather")),
        ["generation.tool_name"],
    ),
    "unknown tool mode": (Turn(prompt="x", generation=Options(tool_mode=77)), ["generation.tool_mode"]),
    "too many tools": (Turn(prompt="x", tools=[Tool(name=f"t{n}") for n in range(129)]), ["tools"]),
    "tool without a name": (Turn(prompt="x", tools=[Tool()]), ["tools[0].name"]),
    "tool named with a dot": (Turn(prompt="x", tools=[Tool(name="a.b")]), ["tools[0].name"]),
    "two tools of one name": (Turn(prompt="x", tools=[WEATHER, WEATHER]), ["tools[1].name"]),
    "parameters no JSON": (
        Turn(prompt="x", tools=[Tool(name="t", parameters_json="nope")]),
        ["tools[0].parameters_json"],
    ),
    "parameters no object": (
        Turn(prompt="x", tools=[Tool(name="t", parameters_json="1")]),
        ["tools[0].parameters_json"],
    ),
    "parameters too deep": (
        Turn(prompt="x", tools=[Tool(name="t", parameters_json="[" * 100_000)]),
        ["tools[0].parameters_json"],
    ),
    "unknown search mode": (Turn(prompt="x", search=Search(mode=77)), ["search.mode"]),
    "unknown depth": (Turn(prompt="x", search=Search(depth=77)), ["search.depth"]),
    "too many results": (Turn(prompt="x", search=Search(max_results=51)), ["search.max_results"]),
    "unknown provider": (Turn(prompt="x", search=Search(providers=["nobody"])), ["search.providers"]),
    "search in no time": (Turn(prompt="x", search=Search(timeout=duration_pb2.Duration())), ["search.timeout"]),
    "no time at all": (
        Turn(prompt="x", search=Search(not_before=timestamp_pb2.Timestamp(seconds=2**60))),
        ["search.not_before"],
    ),
    "span backwards": (
        Turn(
            prompt="x",
            search=Search(
                not_before=timestamp_pb2.Timestamp(seconds=2), not_after=timestamp_pb2.Timestamp(seconds=1)
            ),
        ),
        ["search.not_before"],
    ),
    "unknown cache use": (Turn(prompt="x", cache=inference_pb2.CachePolicy(use=77)), ["cache.use"]),
    "negative age": (
        Turn(prompt="x", cache=inference_pb2.CachePolicy(max_age=duration_pb2.Duration(seconds=-1))),
        ["cache.max_age"],
    ),
    "negative money": (
        Turn(prompt="x", limit=inference_pb2.TurnLimit(max_cost_nano_usd=-1)),
        ["limit.max_cost_nano_usd"],
    ),
    "unknown place": (Turn(prompt="x", routing=inference_pb2.Routing(place=77)), ["routing.place"]),
    "region nobody has": (Turn(prompt="x", routing=inference_pb2.Routing(region="mars")), ["routing.region"]),
    "no time": (Turn(prompt="x", timeout=duration_pb2.Duration(seconds=0)), ["timeout"]),
    "two years": (Turn(prompt="x", timeout=duration_pb2.Duration(seconds=63_072_000)), ["timeout"]),
    "too many labels": (Turn(prompt="x", labels={f"k{n}": "v" for n in range(17)}), ["labels"]),
    "empty label": (Turn(prompt="x", labels={"": "v"}), ["labels[]"]),
    "long label": (Turn(prompt="x", labels={"k": "v" * 65}), ["labels[k]"]),
    "several at once": (
        Turn(
            turn_id=" ",
            generation=Options(max_tokens=-5, temperature=9),
            tools=[Tool(name="!")],
            labels={"": ""},
        ),
        ["turn_id", "messages", "generation.max_tokens", "generation.temperature", "tools[0].name", "labels[]"],
    ),
}


@pytest.fixture(name="gateway")
async def open_gateway(tmp_path: Path) -> Any:  # Any: an async generator of a gateway
    """A gateway whose upstream would answer whatever reached it."""
    async with (
        ScriptedUpstream(Reply.answer("this went through")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        yield gateway
        assert upstream.exchanges == []


@pytest.mark.parametrize("name", BAD_TURNS)
async def test_a_bad_field_is_named_and_nothing_is_lost(gateway: Running, name: str) -> None:
    """INVALID_ARGUMENT with every path, the same from Complete and Generate, no receipt and no call upstream."""
    turn, paths = BAD_TURNS[name]
    told = await refused(gateway.inference.Complete(turn, metadata=gateway.bearer()))
    frames, streaming = await streamed(gateway.inference.Generate(turn, metadata=gateway.bearer()))
    check(told, paths)
    check(streaming, paths)
    assert frames == []
    assert told.fields == streaming.fields
    assert "receipt_id" not in told.facts


def check(told: Told, paths: list[str]) -> None:
    """The status names these fields and no other, says what is wrong with each, and leads with the first."""
    assert (told.code, told.reason) == (CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert sorted(told.fields) == sorted(paths)
    assert all(told.fields.values())
    assert any(told.message.startswith(f"{path}: ") for path in paths)
    assert told.facts["retryable"] == "false"


@pytest.mark.parametrize(
    ("text", "max_tokens", "field"), [("", 0, "text"), (" \t", 0, "text"), ("x", -1, "max_tokens")]
)
async def test_stream_predict_names_its_own_fields(
    gateway: Running, text: str, max_tokens: int, field: str
) -> None:
    """Its message has two fields, and the caller never sees the names of another message's."""
    request = deepseek_pb2.ModelRequest(text=text, max_tokens=max_tokens)
    _, told = await streamed(gateway.deepseek.StreamPredict(request, metadata=gateway.bearer()))
    check(told, [field])


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (search_pb2.SearchRequest(), "query"),
        (search_pb2.SearchRequest(query="x", options=Search(max_results=51)), "options.max_results"),
        (search_pb2.SearchRequest(query="x", options=Search(providers=["nobody"])), "options.providers"),
    ],
)
async def test_search_names_its_own_fields(
    gateway: Running, request_: search_pb2.SearchRequest, field: str
) -> None:
    """Query has its options elsewhere than a turn."""
    check(await refused(gateway.search.Query(request_, metadata=gateway.bearer())), [field])


async def test_a_model_that_is_not_there_is_not_found(gateway: Running) -> None:
    """NOT_FOUND with where to look; a model that the tenant may not use is another matter."""
    told = await refused(gateway.inference.Complete(Turn(prompt="x", model="gpt-9"), metadata=gateway.bearer()))
    assert (told.code, told.reason) == (CODE.NOT_FOUND, "MODEL_NOT_FOUND")
    assert "gpt-9" in told.message
    assert "ListModels" in told.message


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        (Turn(prompt="x", model="embedded", tools=[WEATHER]), "tools"),
        (
            Turn(
                model="deepseek-v4-pro",
                messages=[Message(role=USER, parts=[Part(image=Image(url="https://a/b"))])],
            ),
            "messages",
        ),
        (Turn(prompt="x", model="embedded", generation=Options(json_schema="{}")), "generation.response_format"),
    ],
)
async def test_what_a_model_cannot_do_is_refused_with_the_capability_it_lacks(
    gateway: Running, turn: inference_pb2.Turn, field: str
) -> None:
    """Tools, images and JSON are never dropped silently."""
    told = await refused(gateway.inference.Complete(turn, metadata=gateway.bearer()))
    check(told, [field])
    assert "capability" in told.message


async def test_a_prompt_beyond_the_models_context_is_too_long(gateway: Running) -> None:
    """The estimate and the model's window are in the facts."""
    turn = Turn(prompt="word " * 60_000, model="embedded", search=NEVER)
    told = await refused(gateway.inference.Complete(turn, metadata=gateway.bearer()))
    assert (told.code, told.reason) == (CODE.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
    assert told.facts["context_tokens"] == "32768"
    assert int(told.facts["prompt_tokens"]) > 32_768


async def test_extract_without_anything_to_read_is_refused(gateway: Running) -> None:
    """With the reason, and never as a bug."""
    told = await refused(gateway.search.Extract(search_pb2.ExtractRequest(), metadata=gateway.bearer()))
    assert told.code in (CODE.UNIMPLEMENTED, CODE.INVALID_ARGUMENT)
    assert told.reason in ("UNIMPLEMENTED", "INVALID_REQUEST")


async def test_hostile_strings_do_no_harm(tmp_path: Path) -> None:
    """Control characters, bidi marks, template tokens and huge names pass as the data that they are."""
    odd = "\x00\x1b[31m\u202e<|im_start|>{}%s\ufeff" + "😀" * 50
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = Turn(
            messages=[Message(role=USER, content=odd, name=odd)], search=NEVER, labels={odd[:20]: odd[:20]}
        )
        result = await gateway.inference.Complete(turn, metadata=gateway.bearer())
        assert result.message.content == "fine"
        assert json.loads(upstream.exchanges[0].body)["messages"][0]["content"] == odd
