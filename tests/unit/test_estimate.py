"""How close the token estimate comes, and what is held and sent because of it."""

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.turn import Generation, Image, Message, Role, Thinking, Tool, ToolCall, ToolMode
from gateway.limits.estimate import count_text, effective_max_tokens, prompt_tokens, reserve_tokens

WIRE = Path(os.environ.get("GATEWAY_WIRE_DIR", Path(__file__).parents[3] / "shared" / "wire"))
EFFORT = 78
"""What DeepSeek adds to prompts that think hard, in some recordings and not in others."""


# Any: recorded JSON.
def recordings() -> list[dict[str, Any]]:
    """The recorded DeepSeek answers that have usage."""
    index = WIRE / "index.jsonl"
    if not index.exists():
        pytest.skip(f"no recordings at {WIRE}; set GATEWAY_WIRE_DIR")
    rows = map(json.loads, index.read_text(encoding="utf-8").splitlines())
    return [r for r in rows if r["provider"] == "deepseek" and (r["expect"] or {}).get("usage")]


def message(raw: dict[str, Any]) -> Message:
    """A recorded message as the house knows it."""
    content = raw.get("content") or ""
    calls = [call["function"] for call in raw.get("tool_calls") or []]
    return Message(
        Role(raw["role"]),
        content if isinstance(content, str) else "",
        tuple(part["text"] for part in content) if isinstance(content, list) else (),
        tuple(ToolCall(i, "", call["name"], call["arguments"]) for i, call in enumerate(calls)),
        reasoning=raw.get("reasoning_content") or "",
    )


def estimate(request: dict[str, Any]) -> int:
    """Our estimate for a recorded request, without the instruction to think hard."""
    tools = [tool["function"] for tool in request.get("tools") or []]
    choice = request.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else ""
    mode = ToolMode.NAMED if named else ToolMode.NONE if choice == "none" else None
    return prompt_tokens(
        [message(raw) for raw in request["messages"]],
        [Tool(t["name"], t.get("description", ""), json.dumps(t.get("parameters"))) for t in tools],
        Generation(tool_mode=mode, tool_name=named, json_object=bool(request.get("response_format"))),
    )


def different_prompts() -> Iterator[tuple[int, int]]:
    """(estimated, real) of each different recorded prompt."""
    seen = set()
    for row in recordings():
        request = row["request"]
        real, guess = row["expect"]["usage"]["prompt_tokens"], estimate(request)
        if (request.get("thinking") or {}).get("type") != "disabled" and real - guess > EFFORT // 2:
            guess += EFFORT
        key = json.dumps([real, request["messages"], request.get("tools"), request.get("tool_choice")])
        if key not in seen:
            seen.add(key)
            yield guess, real


def test_prompts_are_estimated_within_a_few_percent() -> None:
    """Median error at most 3 %, 95th percentile at most 10 %, over every recorded prompt."""
    errors = sorted(abs(guess - real) / real for guess, real in different_prompts())
    assert len(errors) > 80
    assert statistics.median(errors) <= 0.03
    assert errors[int(0.95 * len(errors))] <= 0.10


def test_what_is_held_covers_the_prompt() -> None:
    """1.05 times the estimate is enough for 95 of 100 recorded prompts, and never short by more than 4 %."""
    short = [(real - reserve_tokens(guess)) / real for guess, real in different_prompts()]
    assert sum(part > 0 for part in short) <= 0.05 * len(short)
    assert max(short) <= 0.04


def test_answers_are_counted_within_a_tenth() -> None:
    """Text of recorded answers over 60 tokens: median error at most 5 %, none above 10 %."""
    errors = []
    for row in recordings():
        expect = row["expect"]
        real = expect["usage"]["completion_tokens"]
        if real > 60 and not expect["tool_calls"]:
            counted = count_text(expect["text"]) + count_text(expect["reasoning"])
            errors.append(abs(counted - real) / real)
    assert statistics.median(errors) <= 0.05
    assert max(errors) <= 0.10


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("今天天气怎么样？我想去公园散步。", 9, 10),
        ("The quick brown fox jumps over the lazy dog.", 9, 12),
        ("    " * 200, 100, 260),
        ("1234567890", 4, 7),
        ("🙂🙂", 2, 6),
        ("Привет, мир", 4, 9),
        ("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 4, 28, 80),
    ],
)
def test_each_kind_of_text_has_its_weight(text: str, low: int, high: int) -> None:
    """English, Chinese, code, digits, emoji, Cyrillic and base64."""
    assert low <= count_text(text) <= high


def test_every_text_that_is_something_has_a_token() -> None:
    """Nothing is free because it is short or strange."""
    for text in ("\ud800", "\x00", "é", "\n"):
        assert count_text(text) >= 1


@given(st.text(), st.text())
def test_a_longer_text_never_has_fewer_tokens_than_its_parts_suggest(one: str, other: str) -> None:
    """Joining texts changes the count by rounding and merged spaces only."""
    together = count_text(one + other)
    assert 0 <= together <= count_text(one) + count_text(other)


def test_tools_that_the_model_is_not_shown_are_not_counted() -> None:
    """Recorded: none with tool_choice none, one with a named tool."""
    messages = [Message(Role.USER, "hello")]
    tools = [Tool("a", "first", "{}"), Tool("b", "second", "{}")]
    plain = prompt_tokens(messages)
    assert prompt_tokens(messages, tools, Generation(tool_mode=ToolMode.NONE)) == plain
    named = prompt_tokens(messages, tools, Generation(tool_mode=ToolMode.NAMED, tool_name="b"))
    assert plain < named < prompt_tokens(messages, tools)


def test_images_thinking_and_schemas_add_to_the_prompt() -> None:
    """Each of them makes the estimate larger."""
    text = Message(Role.USER, "hello")
    plain = prompt_tokens([text])
    assert prompt_tokens([Message(Role.USER, "hello", (Image(url="https://example.org/a.png"),))]) > plain
    assert prompt_tokens([text], (), Generation(thinking=Thinking.HIGH)) == plain + EFFORT
    assert prompt_tokens([text], (), Generation(json_schema='{"type": "object"}')) > plain


def test_the_reserve_is_five_percent_more_rounded_up() -> None:
    """Of 1 it is 2, of 100 it is 105."""
    assert [reserve_tokens(n) for n in (0, 1, 100, 101)] == [0, 2, 105, 107]


@pytest.mark.parametrize(
    ("generation", "model_cap", "tenant_cap", "default", "effective"),
    [
        (Generation(), 0, 0, 0, 2_048),
        (Generation(thinking=Thinking.OFF), 384_000, 0, 0, 2_048),
        (Generation(thinking=Thinking.LOW), 384_000, 0, 0, 8_192),
        (Generation(max_tokens=500), 384_000, 0, 0, 500),
        (Generation(max_tokens=999_999), 384_000, 0, 0, 384_000),
        (Generation(max_tokens=5_000), 384_000, 1_000, 0, 1_000),
        (Generation(thinking=Thinking.MAX), 0, 0, 512, 512),
    ],
)
def test_the_effective_max_tokens_is_the_smallest(
    generation: Generation, model_cap: int, tenant_cap: int, default: int, effective: int
) -> None:
    """Of the wish or default, the model's cap and the tenant's."""
    assert effective_max_tokens(generation, model_cap, tenant_cap, default) == effective
