"""Token counts mean the same for every vendor, and impossible ones mean nothing."""

import json

import orjson
import pytest

from gateway.domain.events import Finish, ProviderUsage, TextDelta
from gateway.models.openai_wire import ChunkFolder
from tests.support.chat_payloads import USAGE, chunk, fold, text


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
        shapes: list[dict[str, object]] = [{"choices": []}, {"choices": None}, {}]
        for choices in shapes:
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
        """As xAI counts; of other vendors the numbers stay as they were sent, and the oddity is counted."""
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 42}
        usage_with = {**usage, "completion_tokens_details": {"reasoning_tokens": 30}}
        beside = ChunkFolder(orjson.loads, reasoning_beside=True)
        assert beside.feed([chunk({}, usage=usage_with)]) == [ProviderUsage(10, 0, 32, 30)]
        plain = ChunkFolder(orjson.loads)
        assert plain.feed([chunk({}, usage=usage_with)]) == [ProviderUsage(10, 0, 2, 30)]
        assert plain.anomalies == {"usage_not_the_sum": 1}
