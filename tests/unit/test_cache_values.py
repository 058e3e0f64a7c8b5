"""What is kept of an answer, for how long, and how it is told again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache import KnownAnswer, Miss
from gateway.cache.codec import decode, encode
from gateway.cache.lifetime import MOST_S, lifetime_s
from gateway.domain.events import (
    Finish,
    Finished,
    ModelEvent,
    ProviderUsage,
    SearchEvent,
    SearchStatus,
    Source,
    TextDelta,
    ToolCallDelta,
)
from gateway.pipeline.said import Said, Whole, folded
from gateway.pipeline.sharing import FRAME_CHARS, replayed

SOURCE = Source("S1", "https://a.example", "Títle", "s", "p", "passage", 1.5, 0.25, b"\x00\xff", ("old",))
ANSWER = KnownAnswer(
    text="An answer\0 with \ud800 odd text",
    reasoning="why",
    refusal="",
    events=7,
    usage=ProviderUsage(11, 0, 2, 1),
    model="deepseek-flash",
    served_by="deepseek",
    stored_at=1000.25,
    fresh_until=4600.5,
    canary="marker",
    searches=(SearchEvent("p", "q", SearchStatus.OK, (SOURCE,), 0.5, True, "d"),),
    sources=(SOURCE,),
)
pieces = st.one_of(
    st.builds(TextDelta, text=st.text(max_size=3), reasoning=st.text(max_size=3), refusal=st.text(max_size=2)),
    st.builds(
        ToolCallDelta,
        index=st.integers(0, 1),
        call_id=st.sampled_from(["", "c1"]),
        name=st.sampled_from(["", "f"]),
        arguments_json=st.text(max_size=3),
    ),
    st.builds(ProviderUsage, prompt_tokens=st.integers(0, 3)),
)


def test_an_answer_comes_back_as_it_went() -> None:
    """Text of any kind, usage, sources with their digests."""
    assert decode(encode(ANSWER)) == ANSWER


def test_bytes_that_are_no_answer_are_a_miss() -> None:
    """Another version, every cut, every changed byte of the frame: a miss, or another text, never an error."""
    whole = encode(ANSWER)
    with pytest.raises(Miss, match="version"):
        decode(b"\x02" + whole[1:])
    for end in range(len(whole)):
        with pytest.raises(Miss):
            decode(whole[:end])
    for place in range(len(whole)):
        try:
            decode(whole[:place] + bytes((whole[place] ^ 0x55,)) + whole[place + 1 :])
        except Miss:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_whatever_raise_anything_else(value: bytes) -> None:
    """What lies in a store may be anything."""
    with pytest.raises(Miss):
        decode(b"\x01" + value)


def test_a_lifetime_grows_with_the_work_and_shrinks_with_the_moment() -> None:
    """An hour and more for a plain answer, minutes where the question is about now, never above a day."""
    short, long = lifetime_s(3600, 5, 5, fresh=False), lifetime_s(3600, 4000, 5000, fresh=False)
    assert 3600 < short < long == 4 * 3600
    assert lifetime_s(3600, 5, 5, fresh=True) == short / 12
    assert lifetime_s(300, 5, 5, fresh=True) == 60
    assert lifetime_s(86_400, 9000, 9000, fresh=False) == MOST_S
    assert lifetime_s(0, 9000, 9000, fresh=False) == 0


@given(st.lists(pieces, max_size=20), st.integers(1, 5))
def test_folding_changes_nothing_but_the_number_of_events(events: list[ModelEvent], each: int) -> None:
    """Heard at once or in pieces, from the beginning or on the way: put together, it is the same answer."""
    said, heard = Said(), list[ModelEvent]()
    place = 0
    for start in range(0, len(events), each):
        said.add(events[start : start + each])
        heard += said.since(place)
        place = said.end
        said.forget_places(place)
    for told in (heard, said.since(0), folded(folded(events))):
        assert vars(Whole(told)) | {"tool_calls": 0} == vars(Whole(events)) | {"tool_calls": 0}
        assert Whole(told).calls() == Whole(events).calls()


def test_a_long_answer_is_folded_where_everybody_has_heard_it() -> None:
    """A thousand events take the room of a few, and a late listener still hears all of them."""
    said = Said()
    for i in range(1000):
        said.add([TextDelta(f"{i} ")])
        said.forget_places(said.end)
    assert said.since(0) == [TextDelta("".join(f"{i} " for i in range(1000)), events=1000)]
    assert len(said._fresh) < 256


def test_reasoning_never_slips_behind_the_text_that_followed_it() -> None:
    """Only neighbours that keep the order are made one."""
    events = [TextDelta(reasoning="a"), TextDelta(text="b"), TextDelta(reasoning="c"), TextDelta(text="d")]
    assert folded(events) == [
        TextDelta(text="b", reasoning="a", events=2),
        TextDelta(text="d", reasoning="c", events=2),
    ]


def test_an_answer_is_told_again_in_few_pieces() -> None:
    """Its text, its usage and its end; the events of old are counted, at least one in each piece."""
    long = KnownAnswer("x" * (2 * FRAME_CHARS + 1), "r", "", 900, ProviderUsage(1), "m", "p", 0, 1)
    events = replayed(long)
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert [event.reasoning for event in texts] == ["r", "", "", ""]
    assert "".join(event.text for event in texts) == long.text
    assert sum(event.events for event in texts) == 900
    assert events[-2:] == [ProviderUsage(1), Finished(Finish.STOP, "m")]
