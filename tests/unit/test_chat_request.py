"""A chat request becomes a turn: every parameter is mapped, noted, or refused by name."""

import json
from typing import Any

import pytest

from gateway.bridge.errors import Refused
from gateway.bridge.json_body import read_object
from gateway.bridge.openai import ChatRequest, read_chat
from gateway.v1 import content_pb2, inference_pb2

USER = {"role": "user", "content": "hi"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def read(**body: Any) -> ChatRequest:
    """The request with one message, unless it brings its own."""
    return read_chat({"messages": [USER], **body}, None, b"key")


def refused(**body: Any) -> Refused:
    """The refusal of such a request."""
    with pytest.raises(Refused) as caught:
        read(**body)
    assert caught.value.refusal.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_completion_tokens": 7}, "max_tokens", 7),
        ({"max_tokens": 9, "max_completion_tokens": 7}, "max_tokens", 7),
        ({"max_tokens": 10**18}, "max_tokens", 2**31 - 1),
        ({"temperature": 0}, "temperature", 0.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"stop": "END"}, "stop", ["END"]),
        ({"stop": ["a", "b"]}, "stop", ["a", "b"]),
        ({"logprobs": True}, "top_logprobs", 0),
        ({"logprobs": True, "top_logprobs": 3}, "top_logprobs", 3),
        ({"thinking": {"type": "enabled"}}, "thinking", inference_pb2.THINKING_HIGH),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "max"}, "thinking", inference_pb2.THINKING_OFF),
        ({"reasoning_effort": "minimal"}, "thinking", inference_pb2.THINKING_LOW),
        ({"reasoning_effort": "none"}, "thinking", inference_pb2.THINKING_OFF),
        ({"reasoning_effort": "ultra"}, "thinking", inference_pb2.THINKING_MAX),
        (
            {"response_format": {"type": "json_object"}},
            "response_format",
            inference_pb2.RESPONSE_FORMAT_JSON_OBJECT,
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "object"}},
                }
            },
            "json_schema",
            '{"type":"object"}',
        ),
        ({"tools": [FUNCTION], "tool_choice": "required"}, "tool_mode", inference_pb2.TOOL_MODE_REQUIRED),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_name",
            "f",
        ),
    ],
)
def test_an_option_is_mapped(body: dict[str, Any], field: str, value: object) -> None:
    """Under its name in the contract."""
    found = getattr(read(**body).turn.generation, field)
    assert (list(found) if isinstance(value, list) else found) == value


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "content": "x", "prefix": True}]}, "messages[0].prefix"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, "messages[0].function_call"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 2}, "n"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"web_search": "maybe"}, "web_search"),
        ({"web_search_options": {"search_context_size": "xl"}}, "web_search_options.search_context_size"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"prediction": {"type": "content"}}, "prediction"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    """The error names the field as the caller wrote it."""
    refusal = refused(**body).refusal
    assert refusal.param == param
    assert refusal.message.startswith(param)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"store": True}, "store"),
        ({"enable_thinking": True}, "enable_thinking"),
        ({"chat_template_kwargs": {"x": 1}}, "chat_template_kwargs"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"stream_options": {"include_usage": True, "x": 1}}, "stream_options.x"),
    ],
)
def test_what_has_no_effect_is_noted(body: dict[str, Any], name: str) -> None:
    """Never dropped silently."""
    notices = read(**body).notices
    assert [notice.split(": ")[:2] for notice in notices] == [["option_ignored", name]]


def test_defaults_and_nulls_are_not_worth_a_notice() -> None:
    """What clients send by themselves stays quiet."""
    found = read(
        n=1, stop=None, tools=[], frequency_penalty=0, presence_penalty=0.0, parallel_tool_calls=True,
        logit_bias={}, store=False, service_tier="auto", stream_options={"include_usage": True}, functions=None,
        modalities=["text"],
    )  # fmt: skip
    assert found.notices == ()
    assert found.turn == read().turn


def test_messages_keep_roles_parts_calls_and_reasoning() -> None:
    """Text and images in order, tool calls whole, results by their id."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = read(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what?"}, image, linked]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "24 C"}]},
        ]
    ).turn
    system, user, assistant, tool = turn.messages
    assert (system.role, system.content) == (content_pb2.ROLE_SYSTEM, "be brief")
    assert [part.WhichOneof("kind") for part in user.parts] == ["text", "image", "image"]
    assert (user.parts[1].image.mime_type, user.parts[1].image.data) == ("image/png", b"hi")
    assert user.parts[2].image.url == "https://example.org/a.png"
    assert (assistant.reasoning, assistant.tool_calls[0].call_id) == ("hm", "c1")
    assert (tool.tool_call_id, tool.parts[0].text) == ("c1", "24 C")


def test_users_become_labels_that_do_not_name_them() -> None:
    """The same name has the same digest under one key, and another under another."""
    turn = read(user="alice@example.org", metadata={"team": "a"}).turn
    assert turn.labels["team"] == "a"
    assert "alice" not in turn.labels["user"]
    assert turn.labels["user"] == read(user="alice@example.org").turn.labels["user"]
    other = read_chat({"messages": [USER], "user": "alice@example.org"}, None, b"another").turn
    assert other.labels["user"] != turn.labels["user"]


def test_the_idempotency_key_is_the_turn_id() -> None:
    """One that cannot be a turn id is refused by the header's name."""
    assert read_chat({"messages": [USER]}, "order-17", b"").turn.turn_id == "order-17"
    with pytest.raises(Refused, match="Idempotency-Key"):
        read_chat({"messages": [USER]}, "two words", b"")


def test_search_options_carry_place_size_and_domains() -> None:
    """OpenAI's own words for them."""
    location = {"type": "approximate", "approximate": {"country": "ch", "city": "Bern"}}
    found = read(web_search_options={"search_context_size": "high", "user_location": location})
    assert found.turn.search.mode == inference_pb2.SEARCH_MODE_ALWAYS
    assert (found.turn.search.max_results, found.turn.search.locale) == (10, "und-CH")
    assert found.notices == ("option_ignored: web_search_options.user_location.approximate.city",)
    tool = {"type": "web_search", "filters": {"allowed_domains": ["python.org"]}}
    assert list(read(tools=[tool]).turn.search.only_domains) == ["python.org"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": {"b": 1, "b": 1}}', "twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ('{"a": "\\ud800"}', "half a character"),
        ("[1]", "must be a JSON object"),
        ("", "empty"),
        ("{", "not valid JSON"),
        ('{"a": 1} x', "not valid JSON"),
        ("[" * 100_000, "nests deeper"),
        ('{"a":' * 65 + "1" + "}" * 65, "nests deeper"),
    ],
)
def test_json_with_two_meanings_is_refused(text: str, words: str) -> None:
    """And what would exhaust a stack."""
    with pytest.raises(Refused, match=words):
        read_object(text.encode())


def test_json_that_is_not_utf8_is_refused() -> None:
    """Other encodings are not guessed."""
    with pytest.raises(Refused, match="UTF-8"):
        read_object('{"a": "ä"}'.encode("latin-1"))


def test_json_of_sixty_four_levels_is_read() -> None:
    """Deep enough for any schema."""
    assert read_object(('{"a":' * 64 + "1" + "}" * 64).encode())
    assert read_object(json.dumps({"a": "\U0001f600"}).encode()) == {"a": "\U0001f600"}
