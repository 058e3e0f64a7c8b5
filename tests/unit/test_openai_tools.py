"""Tool calls come in pieces, in every way that servers cut and name them."""

from typing import Any

import orjson
import pytest

from gateway.domain.events import Finish, TextDelta, ToolCallDelta
from gateway.models.openai_wire import ChunkFolder
from tests.support.chat_payloads import chunk, fold, folder_of, text, tool


class TestToolCalls:
    """Fragments of tool calls."""

    def test_fragments_of_one_call_that_arrive_together_become_one_delta(self) -> None:
        """As DeepSeek sends them: id and name first, then arguments in pieces."""
        events = fold(tool(0, "c1", "f", ""), tool(0, arguments='{"a"'), tool(0, arguments=":1}"))
        assert events == [ToolCallDelta(0, "c1", "f", '{"a":1}', 3)]

    def test_fragments_that_arrive_apart_name_the_call_once(self) -> None:
        """A vendor that repeats id and name does not make the caller see them twice."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([tool(0, "c1", "f", "{")]) == [ToolCallDelta(0, "c1", "f", "{")]
        assert folder.feed([tool(0, "c1", "f", "}")]) == [ToolCallDelta(0, arguments_json="}")]

    def test_id_and_name_may_come_late_or_as_null(self) -> None:
        """They are told as soon as they are known."""
        null_name = chunk(
            {"tool_calls": [{"index": 0, "id": None, "function": {"name": None, "arguments": "{}"}}]}
        )
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([null_name]) == [ToolCallDelta(0, arguments_json="{}")]
        assert folder.feed([tool(0, "c1", "f")]) == [ToolCallDelta(0, "c1", "f")]

    def test_fragments_may_come_in_any_order_of_index(self) -> None:
        """They are passed on as they come, each with its index."""
        events = fold(
            tool(1, "b", "g", "1"), tool(0, "a", "f", "0"), tool(1, arguments="1"), tool(1, arguments="1")
        )
        assert events == [
            ToolCallDelta(1, "b", "g", "1"),
            ToolCallDelta(0, "a", "f", "0"),
            ToolCallDelta(1, arguments_json="11", events=2),
        ]

    def test_whole_parallel_calls_in_one_chunk(self) -> None:
        """As Groq sends them."""
        calls = [{"index": i, "id": f"c{i}", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]
        assert fold(chunk({"tool_calls": calls})) == [
            ToolCallDelta(0, "c0", "f", "{}"),
            ToolCallDelta(1, "c1", "f", "{}"),
        ]

    def test_text_and_calls_keep_their_order(self) -> None:
        """Text before and after a call stays there."""
        events = fold(text("a"), tool(0, "c", "f", "{}"), text("b"), chunk({"content": "c"}))
        assert events == [TextDelta("a"), ToolCallDelta(0, "c", "f", "{}"), TextDelta("bc", events=2)]

    def test_without_an_index_a_new_id_is_a_new_call(self) -> None:
        """And a fragment with neither continues the last one."""
        events = fold(tool(None, "a", "f", "1"), tool(None, arguments="2"), tool(None, "b", "f"), tool(None, "a"))
        assert events == [
            ToolCallDelta(0, "a", "f", "12", 2),
            ToolCallDelta(1, "b", "f"),
            ToolCallDelta(0),
        ]

    def test_another_id_at_an_index_in_use_is_another_call(self) -> None:
        """Some servers call every parallel call 0; what follows belongs to the latest, or to the one it names."""
        events = fold(
            tool(0, "a", "f", "1"), tool(0, "b", "g", "2"), tool(0, arguments="3"), tool(0, "a", "f", "4")
        )
        assert events == [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, "b", "g", "23", 2),
            ToolCallDelta(0, arguments_json="4"),
        ]
        assert fold(tool(0, "a", "f"), tool(0, "b", "g"), tool(1, "c", "h"))[2] == ToolCallDelta(2, "c", "h")

    def test_a_call_without_any_id_gets_one_when_the_answer_ends(self) -> None:
        """A call that has no id could not be answered; the id is the same for the same stream."""
        folder = ChunkFolder(orjson.loads)
        folder.feed([tool(0, "", "f", "{}"), tool(1, "b", "g", "{}")])
        assert folder.feed([chunk({}, "tool_calls")]) == [ToolCallDelta(0, "call_0_r1", events=0)]
        assert folder.feed([chunk({}, "tool_calls")]) == []

    def test_arguments_are_never_repaired(self) -> None:
        """A call that was cut is passed on as it is."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([tool(0, "c", "f", '{"a": "b'), chunk({}, "length")]) == [
            ToolCallDelta(0, "c", "f", '{"a": "b')
        ]
        assert folder.end().finish is Finish.LENGTH

    @pytest.mark.parametrize(
        "delta",
        [
            {"tool_calls": {"index": 0}},
            {"tool_calls": [1]},
            {"tool_calls": [{"index": 0, "function": "f"}]},
            {"tool_calls": [{"index": 0, "function": {"name": 1}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": {"a": 1}}}]},
            {"tool_calls": [{"index": -1}]},
            {"tool_calls": [{"index": 10**18}]},
            {"tool_calls": [{"index": "0"}]},
            {"tool_calls": [{"index": True}]},
            {"tool_calls": [{"id": f"c{i}"} for i in range(129)]},
        ],
    )
    def test_what_is_no_tool_call_breaks_the_stream(self, delta: dict[str, Any]) -> None:  # Any: bad JSON
        """An index or a type that no server may send."""
        failure = folder_of(chunk(delta)).failure
        assert failure is not None
        assert failure.facts == {"upstream_cause": "bad_schema"}
