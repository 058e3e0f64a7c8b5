"""The fold of chat chunks into model events: every class of stream that recorded servers send."""

import json
from typing import Any

import orjson
import pytest

from gateway.domain.errors import CallerError, Reason, UpstreamError
from gateway.domain.events import Finish, Finished, ModelEvent, ProviderUsage, TextDelta, ToolCallDelta
from gateway.models.openai_wire import DONE, ChunkFolder

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def chunk(delta: object = None, finish: object = None, **more: object) -> bytes:
    """The data of one chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return orjson.dumps({"id": "r1", "model": "m", "choices": [choice], **more})


def text(piece: str) -> bytes:
    """A chunk with answer text."""
    return chunk({"content": piece})


def tool(index: object = 0, call_id: object = None, name: object = None, arguments: object = None) -> bytes:
    """A chunk with one fragment of a tool call; what is None is not there."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fragment = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return chunk({"tool_calls": [{**fragment, "function": function}]})


def fold(*payloads: bytes) -> list[ModelEvent]:
    """The events of payloads that arrived together."""
    return ChunkFolder(orjson.loads).feed(payloads)


def folder_of(*payloads: bytes) -> ChunkFolder:
    """A folder that has been fed."""
    folder = ChunkFolder(orjson.loads)
    folder.feed(payloads)
    return folder


class TestText:
    """Text, reasoning and refusal."""

    def test_pieces_that_arrive_together_become_one_delta(self) -> None:
        """The delta says how many upstream events it holds."""
        assert fold(text("Hel"), text("lo"), text("!")) == [TextDelta("Hello!", events=3)]

    def test_reasoning_and_the_text_after_it_share_a_delta(self) -> None:
        """Both names of the reasoning field are known; the first wins."""
        events = fold(
            chunk({"content": None, "reasoning_content": "I ", "reasoning": "other"}),
            chunk({"reasoning": "think"}),
            text("so"),
        )
        assert events == [TextDelta("so", reasoning="I think", events=3)]

    def test_any_other_order_starts_a_new_delta(self) -> None:
        """Reasoning after text is never put before it."""
        events = fold(text("a"), chunk({"reasoning_content": "r"}), text("b"), chunk({"refusal": "no"}), text("c"))
        assert events == [
            TextDelta("a"),
            TextDelta("b", reasoning="r", refusal="no", events=3),
            TextDelta("c"),
        ]

    def test_a_delta_with_reasoning_and_text_is_one_event(self) -> None:
        """Both are kept, in the order of thinking."""
        assert fold(chunk({"content": "a", "reasoning_content": "r"})) == [TextDelta("a", reasoning="r")]

    @pytest.mark.parametrize(
        "payload",
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            chunk({"role": "assistant", "content": ""}),
            chunk({}),
            chunk(None),
            chunk({"content": "", "tool_calls": None, "refusal": None}, None, usage=None),
            orjson.dumps({"choices": [], "prompt_filter_results": []}),
            orjson.dumps({"choices": [{"delta": {}}]}),
            b"",
        ],
    )
    def test_role_only_and_empty_chunks_are_no_progress(self, payload: bytes) -> None:
        """They give no event, and no fault."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([payload]) == []
        assert folder.failure is None

    def test_text_is_kept_to_the_byte(self) -> None:
        """Line separators, control characters and characters outside the BMP are text like any other."""
        odd = "\u2028\u0085\x0b\x00🌊\ufeff"
        assert fold(text(odd)) == [TextDelta(odd)]
        assert fold(b'{"choices":[{"delta":{"content":"\\ud83c\\udf0a"}}]}') == [TextDelta("🌊")]

    @pytest.mark.parametrize(
        "content", [b'"a\xffb"', b'"a\\ud83cb"', b'"a\\udf0ab"'], ids=["broken UTF-8", "lone high", "lone low"]
    )
    def test_what_is_no_character_becomes_the_replacement_character(self, content: bytes) -> None:
        """Such text could not be sent on; the rest of it is kept."""
        assert fold(b'{"choices":[{"delta":{"content":%b}}]}' % content) == [TextDelta("a\ufffdb")]

    def test_only_choice_zero_counts(self) -> None:
        """Others are counted, and a choice without an index is choice 0."""
        other = orjson.dumps({"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]})
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([text("a"), other, chunk({}, "stop"), other]) == [TextDelta("a")]
        assert folder.anomalies == {"other_choices": 2}
        assert folder.end().finish is Finish.STOP

    def test_repeated_chunks_are_passed_on(self) -> None:
        """A chunk that comes twice is text twice: nobody can know better."""
        assert fold(text("a"), text("a")) == [TextDelta("aa", events=2)]


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


class TestUsage:
    """Token counts."""

    def test_counts_come_last_of_what_arrived_together(self) -> None:
        """As DeepSeek sends them: with the finish reason, hits in its own field."""
        usage = {**USAGE, "prompt_cache_hit_tokens": 6, "completion_tokens_details": {"reasoning_tokens": 2}}
        assert fold(text("a"), chunk({"content": ""}, "stop", usage=usage)) == [
            TextDelta("a"),
            ProviderUsage(11, 6, 5, 2),
        ]

    def test_usage_may_stand_in_a_chunk_without_choices(self) -> None:
        """Empty, null or missing choices; cached tokens in the OpenAI place; null details."""
        details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": None}
        for choices in ({"choices": []}, {"choices": None}, {}):
            payload = orjson.dumps({**choices, "usage": {**USAGE, **details}})
            assert fold(payload) == [ProviderUsage(11, 4, 5, 0)]

    def test_the_last_usage_wins_and_null_is_none(self) -> None:
        """Two in one batch give the last; the same again gives nothing; an explicit zero counts."""
        zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([chunk({}, usage=None), chunk({}, usage={}), chunk({}, usage=zero)]) == [
            ProviderUsage()
        ]
        assert folder.feed([chunk({}, usage=zero), chunk({}, usage=USAGE)]) == [ProviderUsage(11, 0, 5, 0)]
        assert folder.feed([chunk({}, usage=USAGE)]) == []
        assert not folder.anomalies

    @pytest.mark.parametrize(
        "count", ["-1", "1.5", "12.0", "1e400", "NaN", "Infinity", "10000000000", '"5"', "true"]
    )
    @pytest.mark.parametrize(
        "place", ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"]
    )
    def test_an_impossible_count_is_flagged_and_not_used(self, place: str, count: str) -> None:
        """Negative, fractional, NaN and absurd counts are none; the stream goes on."""
        usage = json.dumps({**USAGE, place: 0}).replace(f'"{place}": 0', f'"{place}": {count}')
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([b'{"choices":[],"usage":%b}' % usage.encode()]) == []
        assert folder.feed([chunk({}, "stop", usage=[1])]) == []
        assert folder.anomalies == {"usage_out_of_range": 2}
        assert folder.end().finish is Finish.STOP

    def test_usage_that_does_not_add_up_wins_and_is_counted(self) -> None:
        """The provider's word counts; parts are never larger than their whole."""
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9, "prompt_cache_hit_tokens": 8}
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([chunk({}, usage=usage)]) == [ProviderUsage(5, 5, 2, 0)]
        assert folder.anomalies == {"usage_not_the_sum": 1}

    def test_reasoning_beside_the_completion_is_added_to_it(self) -> None:
        """As xAI counts: the total says so."""
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 42}
        usage_with = {**usage, "completion_tokens_details": {"reasoning_tokens": 30}}
        assert fold(chunk({}, usage=usage_with)) == [ProviderUsage(10, 0, 32, 30)]


class TestEnd:
    """Finish reasons and what follows them."""

    @pytest.mark.parametrize(
        ("word", "finish"),
        [
            ("stop", Finish.STOP),
            ("length", Finish.LENGTH),
            ("tool_calls", Finish.TOOL_CALLS),
            ("function_call", Finish.TOOL_CALLS),
            ("content_filter", Finish.CONTENT_FILTER),
        ],
    )
    def test_a_finish_reason_ends_the_answer(self, word: str, finish: Finish) -> None:
        """With the model that served it, with `[DONE]` or without."""
        folder = folder_of(text("a"), chunk({}, word))
        assert folder.has_finish
        assert not folder.done
        assert folder.end() == Finished(finish, "m")
        assert folder_of(chunk({}, word), DONE).done

    def test_the_last_finish_reason_wins_and_null_is_none(self) -> None:
        """It may come twice, and a chunk with a null reason may follow it."""
        folder = folder_of(chunk({}, "tool_calls"), chunk({"content": ""}, None), chunk({}, "stop"), chunk({}, ""))
        assert folder.end().finish is Finish.STOP

    def test_text_and_usage_after_the_finish_reason_are_kept(self) -> None:
        """Until `[DONE]` everything counts."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([chunk({}, "stop"), text("late"), chunk({}, usage=USAGE)]) == [
            TextDelta("late"),
            ProviderUsage(11, 0, 5, 0),
        ]

    def test_nothing_counts_after_done(self) -> None:
        """Neither in the same read nor in later ones."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([text("a"), chunk({}, "stop"), DONE, text("b"), b"garbage"]) == [TextDelta("a")]
        assert folder.feed([text("c")]) == []
        assert folder.failure is None

    def test_a_stream_without_a_finish_reason_is_no_end(self) -> None:
        """`[DONE]` alone proves nothing, and neither does a finish reason that is no word."""
        for payloads in ([text("a")], [text("a"), DONE], [chunk({}, 5)]):
            with pytest.raises(UpstreamError) as refused:
                folder_of(*payloads).end()
            assert refused.value.reason is Reason.UPSTREAM_PROTOCOL
            assert refused.value.facts == {"upstream_cause": "eof_without_finish"}

    def test_a_blank_body_is_no_end(self) -> None:
        """Nothing, empty data or `[DONE]` alone."""
        for payloads in ([], [b""], [DONE]):
            with pytest.raises(UpstreamError) as refused:
                folder_of(*payloads).end()
            assert refused.value.facts == {"upstream_cause": "blank_body"}

    def test_an_unknown_finish_reason_is_no_end(self) -> None:
        """An answer is whole only by a reason we understand."""
        with pytest.raises(UpstreamError) as refused:
            folder_of(chunk({}, "paused")).end()
        assert refused.value.facts == {"upstream_cause": "unknown_finish_reason"}

    @pytest.mark.parametrize("word", ["insufficient_system_resource", "error", "aborted"])
    def test_a_reason_that_says_the_upstream_gave_up_is_a_failure(self, word: str) -> None:
        """Text that came before it is not lost."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([text("a"), chunk({}, word), text("b")]) == [TextDelta("a")]
        assert folder.done
        assert folder.failure is not None
        assert folder.failure.reason is Reason.UPSTREAM_UNAVAILABLE
        assert folder.failure.facts == {"upstream_cause": f"finish_{word}"}


class TestFaults:
    """What breaks a stream."""

    @pytest.mark.parametrize(
        ("payload", "cause"),
        [
            (b"{", "not_json"),
            (b"<html>", "not_json"),
            (b"[" * 100_000, "not_json"),
            (b"[]", "not_an_object"),
            (b"1", "not_an_object"),
            (b"null", "not_an_object"),
            (b"{}", "bad_schema"),
            (b'{"choices":null}', "bad_schema"),
            (b'{"choices":{}}', "bad_schema"),
            (b'{"choices":[1]}', "bad_schema"),
            (b'{"choices":[{"delta":[1]}]}', "bad_schema"),
            (b'{"choices":[{"delta":{"content":5}}]}', "bad_schema"),
            (b'{"choices":[{"delta":{"content":["a"]}}]}', "bad_schema"),
            (b'{"choices":[{"delta":{"reasoning":{"a":1}}}]}', "bad_schema"),
        ],
    )
    def test_garbage_breaks_the_stream_after_what_was_good(self, payload: bytes, cause: str) -> None:
        """The text before it is handed out, the text after it is not."""
        folder = ChunkFolder(orjson.loads)
        assert folder.feed([text("a"), payload, text("b")]) == [TextDelta("a")]
        assert folder.failure is not None
        assert folder.failure.reason is Reason.UPSTREAM_PROTOCOL
        assert folder.failure.facts == {"upstream_cause": cause}

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            ({"message": "x", "code": 429}, Reason.UPSTREAM_RATE_LIMITED),
            ({"message": "x", "code": "502"}, Reason.UPSTREAM_UNAVAILABLE),
            ({"message": "x", "type": "rate_limit_error", "code": None}, Reason.UPSTREAM_RATE_LIMITED),
            ({"type": "authentication_error", "code": "invalid_request_error"}, Reason.UPSTREAM_CREDENTIALS),
            ({"message": "Insufficient Balance", "code": "invalid_request_error"}, Reason.UPSTREAM_BALANCE),
            ({"message": "x", "type": "server_error"}, Reason.UPSTREAM_UNAVAILABLE),
            ({"message": "x"}, Reason.UPSTREAM_UNAVAILABLE),
            ("overloaded", Reason.UPSTREAM_UNAVAILABLE),
        ],
    )
    def test_an_error_object_is_mapped_by_its_code(self, error: object, reason: Reason) -> None:
        """Also beside choices, as OpenRouter sends it."""
        for more in ({}, {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}):
            folder = ChunkFolder(orjson.loads)
            assert folder.feed([text("a"), orjson.dumps({"error": error, **more})]) == [TextDelta("a")]
            assert isinstance(folder.failure, UpstreamError)
            assert folder.failure.reason is reason
            assert folder.failure.facts == {"upstream_cause": "error_object"}

    def test_an_error_object_may_be_the_callers_fault(self) -> None:
        """A context that is too long can only be cured by the caller."""
        folder = folder_of(orjson.dumps({"error": {"message": "x", "code": "context_length_exceeded"}}))
        assert isinstance(folder.failure, CallerError)
        assert folder.failure.reason is Reason.CONTEXT_LENGTH_EXCEEDED

    def test_an_empty_error_is_none(self) -> None:
        """Some servers carry `error: null` in every chunk."""
        assert fold(chunk({"content": "a"}, error=None)) == [TextDelta("a")]
