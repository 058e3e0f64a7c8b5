"""The fold of chat chunks into model events: every class of stream that recorded servers send."""

import orjson
import pytest

from gateway.domain.errors import CallerError, Reason, UpstreamError
from gateway.domain.events import Finish, Finished, ProviderUsage, TextDelta
from gateway.models.openai_wire import DONE, ChunkFolder
from tests.support.chat_payloads import USAGE, chunk, fold, folder_of, text


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
