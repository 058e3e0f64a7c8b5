"""What a turn asks for and what goes upstream: DeepSeek gets it in its own words, and every change is told."""

from pathlib import Path
from typing import Any

from gateway.v1 import content_pb2, inference_pb2
from tests.support.calls import NEVER, NOT_DEGRADED, refused, streamed, text_of
from tests.support.chat_events import DONE, chat_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import Reply, ScriptedUpstream

Options, Message = inference_pb2.GenerationOptions, content_pb2.Message
SYSTEM, USER, ASSISTANT, TOOL = (
    content_pb2.ROLE_SYSTEM,
    content_pb2.ROLE_USER,
    content_pb2.ROLE_ASSISTANT,
    content_pb2.ROLE_TOOL,
)
CLOCK = content_pb2.Tool(
    name="clock",
    description="Tells the time.",
    parameters_json='{"type": "object", "properties": {"zone": {"type": "string"}}}',
)
ASKED = Message(
    role=ASSISTANT,
    reasoning="I need a clock",
    tool_calls=[content_pb2.ToolCall(call_id="c1", name="clock", arguments_json='{"zone": "UTC"}')],
)


def turn(**fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn without search and without a stand-in."""
    prompt = {} if "messages" in fields else {"prompt": "hi"}
    return inference_pb2.Turn(**{"search": NEVER, "routing": NOT_DEGRADED, **prompt, **fields})


async def sent(data_dir: Path, asked: inference_pb2.Turn, config: str = "") -> tuple[Any, list[tuple[str, str]]]:
    """The body that went upstream (Any: JSON), and the notices by field and message."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(data_dir, upstream=upstream.url, config=config) as gateway,
    ):
        result = await gateway.inference.Complete(asked, metadata=gateway.bearer())
        assert result.message.content == "fine"
        kinds = {notice.kind for notice in result.notices}
        assert kinds <= {inference_pb2.NOTICE_KIND_OPTION_CLAMPED}
        exchange = upstream.exchanges[0]
        assert (exchange.method, exchange.path) == ("POST", "/chat/completions")
        assert exchange.headers["authorization"] == "Bearer sk-test-key-of-nobody"
        return exchange.json, [(notice.facts["field"], notice.message) for notice in result.notices]


async def test_a_plain_turn_is_a_plain_request(tmp_path: Path) -> None:
    """The defaults said aloud, usage asked for, thinking off, and nobody's name in the user's id."""
    body, notices = await sent(tmp_path, turn())
    user_id = body.pop("user_id")
    assert body == {
        "model": "deepseek-flash",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 2048,
        "thinking": {"type": "disabled"},
    }
    assert len(user_id) == 32
    assert "acme" not in user_id
    assert notices == []


async def test_sampling_stop_and_thinking_pass(tmp_path: Path) -> None:
    """As numbers and lists of the same value; thinking has its switch and its effort."""
    options = Options(
        max_tokens=77, top_p=0.5, stop=["\n\n", "END"], thinking=inference_pb2.THINKING_MAX, include_reasoning=True
    )
    body, notices = await sent(tmp_path, turn(model="deepseek-v4-pro", generation=options))
    assert (body["model"], body["max_tokens"], body["top_p"]) == ("deepseek-v4-pro", 77, 0.5)
    assert body["stop"] == ["\n\n", "END"]
    assert (body["thinking"], body["reasoning_effort"]) == ({"type": "enabled"}, "max")
    assert notices == []


async def test_temperature_zero_is_not_temperature_absent(tmp_path: Path) -> None:
    """An explicit zero goes upstream."""
    body, _ = await sent(tmp_path, turn(generation=Options(temperature=0.0)))
    assert body["temperature"] == 0.0


async def test_json_mode_says_json_to_the_model(tmp_path: Path) -> None:
    """The switch, and the word itself where the caller did not say it; a schema stands in the prompt."""
    mode = inference_pb2.RESPONSE_FORMAT_JSON_OBJECT
    plain, _ = await sent(tmp_path, turn(generation=Options(response_format=mode)))
    schema, _ = await sent(tmp_path, turn(generation=Options(json_schema='{"type": "object"}')))
    assert plain["response_format"] == schema["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in plain["messages"]] == ["system", "user"]
    assert "JSON" in plain["messages"][0]["content"]
    assert '{"type": "object"}' in schema["messages"][0]["content"]


async def test_tools_and_their_choice_pass(tmp_path: Path) -> None:
    """Definitions as functions, every mode in DeepSeek's words."""
    modes = {
        inference_pb2.TOOL_MODE_UNSPECIFIED: None,
        inference_pb2.TOOL_MODE_AUTO: "auto",
        inference_pb2.TOOL_MODE_NONE: "none",
        inference_pb2.TOOL_MODE_REQUIRED: "required",
        inference_pb2.TOOL_MODE_NAMED: {"type": "function", "function": {"name": "clock"}},
    }
    for mode, expected in modes.items():
        named = "clock" if mode == inference_pb2.TOOL_MODE_NAMED else ""
        body, _ = await sent(tmp_path, turn(tools=[CLOCK], generation=Options(tool_mode=mode, tool_name=named)))
        assert body.get("tool_choice") == expected
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "clock",
                "description": "Tells the time.",
                "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
            },
        }
    ]


async def test_a_conversation_with_tools_passes_as_it_was(tmp_path: Path) -> None:
    """Roles, names, calls and results; the reasoning of the call goes back while the model thinks."""
    messages = [
        Message(role=SYSTEM, content="Be brief."),
        Message(role=USER, content="What time is it?", name="ann"),
        ASKED,
        Message(role=TOOL, tool_call_id="c1", content="12:00"),
    ]
    thinking = Options(thinking=inference_pb2.THINKING_LOW)
    body, notices = await sent(tmp_path, turn(messages=messages, tools=[CLOCK], generation=thinking))
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?", "name": "ann"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "I need a clock",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
    ]
    assert notices == []


async def test_images_pass_as_data_or_address(tmp_path: Path) -> None:
    """In the order of the parts; the gateway fetches nothing."""
    parts = [
        content_pb2.Part(text="Compare:"),
        content_pb2.Part(image=content_pb2.Image(mime_type="image/png", data=b"\x89PNG")),
        content_pb2.Part(image=content_pb2.Image(url="https://example.org/cat.png")),
    ]
    body, _ = await sent(tmp_path, turn(messages=[Message(role=USER, parts=parts)]))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Compare:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]


async def test_what_cannot_be_had_as_asked_is_changed_with_a_notice(tmp_path: Path) -> None:
    """Each notice names the field and why; what goes upstream is what the notice says."""
    thinking = inference_pb2.THINKING_HIGH
    hot, hot_notices = await sent(tmp_path, turn(generation=Options(thinking=thinking, temperature=0.7)))
    demanded = Options(thinking=thinking, tool_mode=inference_pb2.TOOL_MODE_REQUIRED)
    forced, forced_notices = await sent(tmp_path, turn(tools=[CLOCK], generation=demanded))
    forgotten = Message(role=ASSISTANT, tool_calls=ASKED.tool_calls)
    history = [forgotten, Message(role=TOOL, tool_call_id="c1", content="12:00")]
    blank, blank_notices = await sent(
        tmp_path, turn(messages=history, tools=[CLOCK], generation=Options(thinking=thinking))
    )
    _, odd_notices = await sent(tmp_path, turn(generation=Options(top_logprobs=3)))
    long, long_notices = await sent(
        tmp_path, turn(generation=Options(max_tokens=5000)), "[tenant_defaults]\nmax_output_tokens = 100\n"
    )
    deep = inference_pb2.SearchOptions(
        mode=inference_pb2.SEARCH_MODE_NEVER, depth=inference_pb2.SEARCH_DEPTH_SNIPPETS
    )
    _, no_notices = await sent(tmp_path, turn(search=deep))
    assert "temperature" not in hot
    assert [field for field, _ in hot_notices] == ["generation.temperature"]
    assert (forced["thinking"], forced["tool_choice"]) == ({"type": "disabled"}, "required")
    assert [field for field, _ in forced_notices] == ["generation.thinking"]
    assert blank["thinking"] == {"type": "disabled"}
    assert "without its reasoning" in blank_notices[0][1]
    assert [field for field, _ in odd_notices] == ["generation.top_logprobs"]
    assert long["max_tokens"] == 100
    assert long_notices == [("generation.max_tokens", "generation.max_tokens: lowered to 100")]
    assert no_notices == []


async def test_tenants_cannot_be_told_apart_upstream_by_name_and_are_apart_by_id(tmp_path: Path) -> None:
    """The opaque id is stable for a tenant, other for another, and says nothing."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        for tenant in ("acme", "acme", "other"):
            await gateway.inference.Complete(turn(), metadata=gateway.bearer(tenant))
        first, again, other = (exchange.json["user_id"] for exchange in upstream.exchanges)
        assert first == again != other


async def test_nothing_of_a_callers_metadata_reaches_the_upstream(tmp_path: Path) -> None:
    """Neither the token nor any header of the caller's chooses host, key or header of our request."""
    odd = (("host", "evil.example"), ("x-api-key", "mine"), ("cookie", "a=b"), ("x-tenant-id", "other"))
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        token = gateway.bearer()
        await gateway.inference.Complete(turn(), metadata=token + odd[1:])
        exchange = upstream.exchanges[0]
        assert exchange.headers["host"] == upstream.url.removeprefix("http://")
        assert not {"x-api-key", "cookie", "x-tenant-id", "x-request-id"} & set(exchange.headers)
        assert token[0][1].removeprefix("Bearer ") not in str(exchange.headers) + exchange.body.decode()


async def call_tool(gateway: Running, **fields: Any) -> Any:  # Any: the fields of Turn, the result
    """The folded answer of a turn with a tool."""
    return await gateway.inference.Complete(turn(tools=[CLOCK], **fields), metadata=gateway.bearer())


async def test_tool_calls_end_the_turn_and_come_whole(tmp_path: Path) -> None:
    """FINISH_TOOL_CALLS; fragments on the stream carry the id once, and fold to one call each."""

    def fragment(index: int, **call: Any) -> Any:  # Any: JSON
        function = {key: call[key] for key in ("name", "arguments") if key in call}
        head = {"id": call["id"], "type": "function"} if "id" in call else {}
        return chat_chunk({"tool_calls": [{"index": index, **head, "function": function}]})

    reply = Reply.events(
        fragment(0, id="c1", name="clock", arguments=""),
        fragment(0, arguments='{"zone": '),
        fragment(1, id="c2", name="clock", arguments="{}"),
        fragment(0, arguments='"UTC"}'),
        chat_chunk({"content": ""}, finish="tool_calls", usage={"prompt_tokens": 9, "completion_tokens": 20}),
        DONE,
    )
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        result = await call_tool(gateway)
        frames, _ = await streamed(gateway.inference.Generate(turn(tools=[CLOCK]), metadata=gateway.bearer()))
        assert result.end.finish == inference_pb2.FINISH_TOOL_CALLS
        assert [(call.call_id, call.name, call.arguments_json) for call in result.message.tool_calls] == [
            ("c1", "clock", '{"zone": "UTC"}'),
            ("c2", "clock", "{}"),
        ]
        assert not any(call.after_evidence for call in result.message.tool_calls)
        fragments = [frame.tool_call for frame in frames if frame.HasField("tool_call")]
        assert [one.call_id for one in fragments if one.call_id] == ["c1", "c2"]
        assert "".join(one.arguments_json for one in fragments if one.index == 0) == '{"zone": "UTC"}'
        assert text_of(frames) == ""


async def test_an_upstream_that_refuses_a_parameter_is_the_callers_fault_in_clean_words(tmp_path: Path) -> None:
    """INVALID_ARGUMENT without the vendor's insides: no key, no address, no request id of theirs."""
    error = {
        "error": {"message": "Invalid 'messages': key sk-secret1234567890 at https://10.0.0.1/x", "code": "x"}
    }
    async with (
        ScriptedUpstream(Reply.json(400, error)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        told = await refused(gateway.inference.Complete(turn(), metadata=gateway.bearer()))
        assert told.reason in ("INVALID_REQUEST", "UPSTREAM_REJECTED")
        assert "sk-secret" not in told.message
        assert "10.0.0.1" not in told.message
        assert len(upstream.exchanges) == 1
