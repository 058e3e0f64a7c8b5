"""The body of a chat request, for DeepSeek and for vendors with other habits."""

import json
from typing import Any

import pytest

from gateway.domain.errors import CallerError
from gateway.domain.turn import Generation, Image, Message, Role, Thinking, Tool, ToolCall, ToolMode
from gateway.models import Prompt
from gateway.models.deepseek import QUIRKS
from gateway.models.openai_request import Quirks, build_request

USER = Message(Role.USER, "hello")
CALLED = Message(Role.ASSISTANT, tool_calls=(ToolCall(0, "c1", "f", '{"a":1}'),), reasoning="because")
RESULT = Message(Role.TOOL, "42", tool_call_id="c1", name="f")
WEATHER = Tool("weather", "Tells the weather.", '{"type":"object"}', strict=True)


def prompt(*messages: Message, tools: tuple[Tool, ...] = (), user_id: str = "u1", **generation: Any) -> Prompt:
    """A prompt as the pipeline gives it. Any: the fields of Generation."""
    return Prompt(
        model="deepseek-v4-flash",
        messages=messages or (USER,),
        generation=Generation(**{"max_tokens": 100, **generation}),
        tools=tools,
        question="hello",
        sources=(),
        user_id=user_id,
        deadline=0.0,
    )


def body(asked: Prompt, quirks: Quirks = QUIRKS) -> dict[str, Any]:
    """The request body. Any: JSON."""
    return build_request(asked, "deepseek-flash", quirks).body


def messages(asked: Prompt, quirks: Quirks = QUIRKS) -> Any:
    """Its messages. Any: JSON."""
    return body(asked, quirks)["messages"]


def test_deepseek_always_gets_what_its_defaults_would_get_wrong() -> None:
    """Thinking, the output limit, usage and the opaque user are never left to the vendor's default."""
    assert body(prompt()) == {
        "model": "deepseek-flash",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 100,
        "thinking": {"type": "disabled"},
        "user_id": "u1",
    }


def test_the_same_prompt_gives_the_same_bytes() -> None:
    """The vendor's prefix cache depends on it."""
    asked = prompt(USER, CALLED, RESULT, tools=(WEATHER,), thinking=Thinking.HIGH)
    assert json.dumps(body(asked)) == json.dumps(body(asked))


@pytest.mark.parametrize("thinking", [Thinking.LOW, Thinking.HIGH, Thinking.MAX])
def test_thinking_names_its_effort(thinking: Thinking) -> None:
    """On, with one of the vendor's three words."""
    sent = body(prompt(thinking=thinking))
    assert sent["thinking"] == {"type": "enabled"}
    assert sent["reasoning_effort"] == thinking.value


def test_sampling_is_sent_only_when_asked_for() -> None:
    """Zero is a wish, absence is none."""
    sent = body(prompt(temperature=0.0, top_p=0.5, stop=("a", "b")))
    assert (sent["temperature"], sent["top_p"], sent["stop"]) == (0.0, 0.5, ["a", "b"])
    assert not {"temperature", "top_p", "stop"} & body(prompt()).keys()


def test_a_plain_vendor_gets_plain_fields() -> None:
    """Names come from the quirks, and an empty name sends nothing."""
    quirks = Quirks(max_tokens_field="max_completion_tokens", user_field="", include_usage=False)
    sent = body(prompt(thinking=Thinking.HIGH), quirks)
    assert sent.keys() == {"model", "messages", "stream", "max_completion_tokens"}
    assert body(prompt(user_id=""), Quirks()).keys() == {
        "model",
        "messages",
        "stream",
        "max_tokens",
        "stream_options",
    }


class TestMessages:
    """The conversation."""

    def test_every_role_keeps_its_form(self) -> None:
        """Calls carry their raw arguments, results the id they answer; a result's name is not sent."""
        asked = prompt(Message(Role.SYSTEM, "s"), Message(Role.USER, "q", name="ann"), CALLED, RESULT)
        function = {"name": "f", "arguments": '{"a":1}'}
        assert messages(asked) == [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "q", "name": "ann"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            },
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ]

    def test_images_become_parts_in_order(self) -> None:
        """Bytes as a data URL, addresses as they are, text around them kept."""
        parts = ("see", Image("image/png", b"\x89P"), Image(url="https://x.example/a.png"))
        assert messages(prompt(Message(Role.USER, parts=parts)))[0]["content"] == [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVA="}},
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        ]

    def test_text_parts_become_one_string(self) -> None:
        """Text-only models accept no parts."""
        assert messages(prompt(Message(Role.USER, parts=("a", "b"))))[0]["content"] == "a\nb"

    def test_a_refusal_in_the_history_is_said_as_text(self) -> None:
        """There is no field for it in the vendor's format."""
        assert messages(prompt(USER, Message(Role.ASSISTANT, refusal="no")))[1]["content"] == "no"


class TestReasoningOfToolTurns:
    """DeepSeek refuses a thinking turn whose history lost the reasoning beside a tool call."""

    def test_it_goes_back_with_the_calls_while_thinking(self) -> None:
        """And only there: beside plain answers and without thinking it is not sent."""
        plain = Message(Role.ASSISTANT, "a", reasoning="r")
        sent = messages(prompt(USER, CALLED, RESULT, plain, thinking=Thinking.LOW))
        assert [message.get("reasoning_content") for message in sent] == [None, "because", None, None]
        assert not any("reasoning_content" in message for message in messages(prompt(USER, CALLED, RESULT)))

    def test_thinking_is_switched_off_where_it_is_lost(self) -> None:
        """And the change is told."""
        lost = Message(Role.ASSISTANT, tool_calls=CALLED.tool_calls)
        request = build_request(prompt(USER, lost, RESULT, thinking=Thinking.HIGH), "m", QUIRKS)
        assert request.body["thinking"] == {"type": "disabled"}
        assert "reasoning_effort" not in request.body
        assert request.changes == ("thinking_off",)
        assert build_request(prompt(USER, lost, RESULT), "m", QUIRKS).changes == ()


class TestTools:
    """The caller's functions."""

    def test_a_function_carries_its_schema(self) -> None:
        """Without one it takes no arguments; strict only where the vendor knows it."""
        sent = body(prompt(tools=(WEATHER, Tool("now"))))
        weather = {"name": "weather", "description": "Tells the weather.", "parameters": {"type": "object"}}
        now = {"name": "now", "parameters": {"type": "object", "properties": {}}}
        assert [tool["function"] for tool in sent["tools"]] == [weather, now]
        assert "tool_choice" not in sent
        strict = body(prompt(tools=(WEATHER,)), Quirks(strict_tools=True))
        assert strict["tools"][0]["function"]["strict"] is True

    @pytest.mark.parametrize(
        ("mode", "choice"),
        [
            (ToolMode.AUTO, "auto"),
            (ToolMode.NONE, "none"),
            (ToolMode.REQUIRED, "required"),
            (ToolMode.NAMED, {"type": "function", "function": {"name": "weather"}}),
        ],
    )
    def test_the_choice_is_the_callers(self, mode: ToolMode, choice: object) -> None:
        """And without tools there is nothing to choose."""
        assert body(prompt(tools=(WEATHER,), tool_mode=mode, tool_name="weather"))["tool_choice"] == choice
        assert "tool_choice" not in body(prompt(tool_mode=mode))

    @pytest.mark.parametrize("mode", [ToolMode.REQUIRED, ToolMode.NAMED])
    def test_a_forced_choice_gives_way_to_thinking(self, mode: ToolMode) -> None:
        """DeepSeek answers 400 to both together; the change is told."""
        asked = prompt(tools=(WEATHER,), tool_mode=mode, tool_name="weather", thinking=Thinking.LOW)
        request = build_request(asked, "m", QUIRKS)
        assert request.body["tool_choice"] == "auto"
        assert request.changes == ("tool_choice_auto",)
        assert build_request(asked, "m", Quirks()).changes == ()

    @pytest.mark.parametrize("schema", ["{", "[]", '"x"', "[" * 100_000])
    def test_a_schema_that_is_no_object_is_the_callers_fault(self, schema: str) -> None:
        """The refusal names the field."""
        with pytest.raises(CallerError) as refused:
            body(prompt(tools=(Tool("a"), Tool("b", parameters_json=schema))))
        assert refused.value.fields[0].field == "tools[1].parameters_json"


class TestJsonMode:
    """Answers as JSON."""

    def test_the_word_json_is_put_into_the_prompt_when_it_is_missing(self) -> None:
        """After the system text, where it stays the same from turn to turn."""
        asked = prompt(Message(Role.SYSTEM, "s"), USER, json_object=True)
        assert body(asked)["response_format"] == {"type": "json_object"}
        assert [message["role"] for message in messages(asked)] == ["system", "system", "user"]
        assert "JSON" in messages(asked)[1]["content"]
        assert len(messages(prompt(Message(Role.USER, "as JSON, please"), json_object=True))) == 1

    def test_a_schema_the_vendor_does_not_know_is_stated_in_the_prompt(self) -> None:
        """Also where the prompt speaks of JSON already."""
        asked = prompt(Message(Role.USER, "json"), json_schema='{"type":"object"}')
        assert body(asked)["response_format"] == {"type": "json_object"}
        assert messages(asked)[0]["content"].endswith('{"type":"object"}')

    def test_a_vendor_that_knows_schemas_gets_it_as_one(self) -> None:
        """And the prompt stays as it was."""
        sent = body(prompt(json_schema='{"type":"object"}'), Quirks(json_schema=True))
        wanted = {"name": "answer", "schema": {"type": "object"}}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": wanted}
        assert len(sent["messages"]) == 1

    def test_a_schema_that_is_no_object_is_the_callers_fault(self) -> None:
        """Before the vendor is asked."""
        with pytest.raises(CallerError, match=r"generation\.json_schema"):
            body(prompt(json_schema="nope"))


def test_what_is_above_the_vendors_limits_is_refused() -> None:
    """Cutting it silently would change what the caller asked for."""
    with pytest.raises(CallerError, match=r"generation\.stop.*16"):
        body(prompt(stop=tuple("abcdefghijklmnopq")))
    with pytest.raises(CallerError, match=r"tools.*128"):
        body(prompt(tools=tuple(Tool(f"t{i}") for i in range(129))))
