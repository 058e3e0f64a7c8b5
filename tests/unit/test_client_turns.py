"""Turns made of keyword arguments, and answers made of frames."""

import pytest

from gateway.v1 import content_pb2, inference_pb2
from gateway_client.answer import answer_of, fold
from gateway_client.turns import TurnOptions, build_turn, message
from tests.support.scripted_gateway import ended, frames_of, text


def test_a_prompt_alone_stays_a_prompt() -> None:
    """The shortest turn says nothing that was not asked for."""
    assert build_turn(None, {"prompt": "Hi"}, "id1") == inference_pb2.Turn(turn_id="id1", prompt="Hi")


def test_a_system_text_stands_before_the_conversation() -> None:
    """With a prompt or with messages; pairs become messages."""
    turn = build_turn(None, {"system": "Be brief.", "messages": [("user", "Hi"), ("assistant", "Ho")]}, "id1")
    assert list(turn.messages) == [
        message("system", "Be brief."),
        message("user", "Hi"),
        message("assistant", "Ho"),
    ]
    turn = build_turn(None, {"system": "Be brief.", "prompt": "Hi"}, "id1")
    assert list(turn.messages) == [message("system", "Be brief."), message("user", "Hi")]
    assert turn.prompt == ""


def test_words_become_the_numbers_of_the_wire() -> None:
    """Every option lands in its field."""
    options: TurnOptions = {
        "prompt": "Hi",
        "turn_id": "mine",
        "model": "embedded",
        "search": "always",
        "thinking": "high",
        "cache": "bypass",
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["."],
        "json_object": True,
        "allow_degraded": False,
        "include_reasoning": True,
        "max_cost_nano_usd": 5,
        "labels": {"team": "a"},
    }
    turn = build_turn(None, options, "unused")
    assert turn.turn_id == "mine"
    assert turn.search.mode == inference_pb2.SEARCH_MODE_ALWAYS
    assert turn.cache.use == inference_pb2.CACHE_USE_BYPASS
    assert turn.routing.HasField("allow_degraded") and not turn.routing.allow_degraded
    assert turn.limit.max_cost_nano_usd == 5
    assert turn.labels == {"team": "a"}
    assert turn.generation == inference_pb2.GenerationOptions(
        max_tokens=7,
        temperature=0.0,
        top_p=0.5,
        stop=["."],
        thinking=inference_pb2.THINKING_HIGH,
        include_reasoning=True,
        response_format=inference_pb2.RESPONSE_FORMAT_JSON_OBJECT,
    )


def test_a_given_turn_is_copied_and_only_its_id_is_filled_in() -> None:
    """The caller's own message is never changed."""
    given = inference_pb2.Turn(prompt="Hi")
    assert build_turn(given, {}, "id1") == inference_pb2.Turn(prompt="Hi", turn_id="id1")
    assert given.turn_id == ""


@pytest.mark.parametrize(
    ("turn", "options", "complaint"),
    [
        (None, {}, "a prompt or messages"),
        (None, {"prompt": "Hi", "messages": [("user", "Hi")]}, "one of the two"),
        (inference_pb2.Turn(prompt="Hi"), {"prompt": "Hi"}, "not both"),
        (None, {"prompt": "Hi", "search": "sometimes"}, "use one of never, auto, always"),
        (None, {"messages": [("robot", "Hi")]}, "use one of system, user, assistant, tool"),
    ],
)
def test_what_makes_no_turn_is_refused_in_words(
    turn: inference_pb2.Turn | None, options: TurnOptions, complaint: str
) -> None:
    """Wrong usage is a ValueError that says what is right."""
    with pytest.raises(ValueError, match=complaint):
        build_turn(turn, options, "id1")


def test_the_fold_collects_everything_a_turn_said() -> None:
    """Text by concatenation, tool calls by index, sources by id, the end's usage last."""
    answer = fold(
        frames_of(
            inference_pb2.Accepted(receipt_id="r1"),
            inference_pb2.SearchEvent(sources=[content_pb2.Source(source_id="S1", url="u")]),
            inference_pb2.SearchEvent(sources=[content_pb2.Source(source_id="S1", url="u", title="T")]),
            inference_pb2.Delta(reasoning="hm", text="Hé"),
            inference_pb2.Heartbeat(),
            text("llo", 3),
            content_pb2.Citation(start=0, end=6, source_ids=["S1"]),
            content_pb2.ToolCall(index=1, call_id="c1", name="f", arguments_json='{"a"'),
            content_pb2.ToolCall(index=0, call_id="c0", name="g", arguments_json="{}"),
            content_pb2.ToolCall(index=1, arguments_json=":1}", after_evidence=True),
            content_pb2.Usage(completion_tokens=1),
            inference_pb2.Notice(message="n"),
            ended(),
        )
    )
    assert (answer.turn_id, answer.text, answer.reasoning) == ("t1", "Héllo", "hm")
    assert answer.sources == (content_pb2.Source(source_id="S1", url="u", title="T"),)
    assert [(c.name, c.arguments_json, c.after_evidence) for c in answer.tool_calls] == [
        ("g", "{}", False),
        ("f", '{"a":1}', True),
    ]
    assert answer.usage is not None and answer.usage.completion_tokens == 4
    assert (answer.receipt_id, answer.model, answer.finish) == ("r1", "deepseek-flash", inference_pb2.FINISH_STOP)
    assert len(answer.citations) == len(answer.notices) == 1
    answer.raise_for_fault()


def test_a_complete_call_gives_the_same_answer_as_its_frames() -> None:
    """`Complete` is the fold of `Generate`, here too."""
    citation = content_pb2.Citation(start=0, end=2, source_ids=["S1"])
    source = content_pb2.Source(source_id="S1", url="u")
    frames = frames_of(inference_pb2.SearchEvent(sources=[source]), text("Hi"), citation, ended())
    result = inference_pb2.TurnResult(
        message=content_pb2.Message(content="Hi"), sources=[source], citations=[citation], end=ended()
    )
    assert answer_of(result, "t1") == fold(frames)
