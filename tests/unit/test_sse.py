"""The reader of server-sent events, bytes in and events out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models.sse import MAX_EVENT_BYTES, EventTooLargeError, SseReader

ODD_TEXT = "a\u2028b\u2029c\u0085d\x0be\x0cf 漢字 🌊".encode()


def read(*chunks: bytes) -> list[bytes]:
    """Every event of the chunks, and the one left at the end of the body."""
    reader = SseReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    last = reader.close()
    return events if last is None else [*events, last]


def test_an_event_is_dispatched_at_its_blank_line() -> None:
    """Data that has arrived without its blank line is no event yet."""
    reader = SseReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\n") == [b"a"]
    assert reader.close() is None


def test_events_that_arrive_together_come_out_together() -> None:
    """Whole events of one read are returned by that read, in order."""
    assert SseReader().feed(b"data: a\n\ndata: b\n\ndata: c\n\n") == [b"a", b"b", b"c"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lf_crlf_and_cr_end_a_line(end: bytes) -> None:
    """All three line ends of the standard give the same events."""
    assert read(end.join([b"data: a", b"", b": c", b"data: b", b"data: c", b"", b""])) == [b"a", b"b\nc"]


def test_a_cr_at_the_end_of_a_chunk_may_be_half_of_a_crlf() -> None:
    """An LF that follows in the next chunk belongs to it and is no second line end."""
    reader = SseReader()
    assert reader.feed(b"data: a\r") == []
    assert reader.feed(b"\ndata: b\r") == []
    assert reader.feed(b"\n\r") == [b"a\nb"]
    assert reader.feed(b"\ndata: c\r\r") == [b"c"]
    assert reader.feed(b"") == []
    assert reader.feed(b"\ndata: d\n\n") == [b"d"]


def test_other_separators_are_text() -> None:
    """U+2028, U+2029, U+0085, VT and FF never end a line."""
    assert read(b"data: " + ODD_TEXT + b"\n\n") == [ODD_TEXT]


def test_several_data_lines_are_joined_by_a_line_feed() -> None:
    """The standard's rule, also with empty data lines."""
    assert read(b"data: a\ndata:\ndata\ndata: b\n\n") == [b"a\n\n\nb"]


def test_one_space_after_the_colon_is_dropped_and_no_more() -> None:
    """`data:` without a space is as good; a second space is data."""
    assert read(b"data:a\n\ndata: b\n\ndata:  c\n\n") == [b"a", b"b", b" c"]


def test_fields_without_meaning_are_ignored() -> None:
    """`event`, `id`, `retry`, unknown fields and fields that only begin like `data` give nothing."""
    assert read(b"event: x\nid: 1\nretry: 5\ndataset: y\nfoo\ndata: a\n\nevent: only\n\n") == [b"a"]


def test_comments_are_counted_and_give_nothing() -> None:
    """A comment is a sign of life between events, inside an event, and without any blank line."""
    reader = SseReader()
    assert reader.feed(b": keep-alive\n\n: keep-alive\n") == []
    assert reader.feed(b"data: a\n: inside\ndata: b\n\n") == [b"a\nb"]
    assert reader.comments == 3


def test_endless_comments_fill_no_memory() -> None:
    """Comments without a blank line are forgotten, not collected until the cap."""
    reader = SseReader(max_event_bytes=100)
    for _ in range(100):
        assert reader.feed(b": keep-alive\n") == []
    assert reader.feed(b"data: a\n\n") == [b"a"]


def test_a_byte_order_mark_and_blank_lines_before_the_first_event_are_skipped() -> None:
    """Also when the mark is cut; a mark anywhere else is data."""
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]
    assert read(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [b"a"]
    assert read(b"\n\n\r\n\ndata: a\n\n") == [b"a"]
    assert read(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_empty_data_is_an_event_without_content() -> None:
    """Some servers send `data: ` alone; what it means is the fold's affair."""
    assert read(b"data: \n\ndata: a\n\n") == [b"", b"a"]


def test_the_event_left_at_the_end_is_handed_out_once() -> None:
    """A body may lack its last blank line, and even its last line end."""
    reader = SseReader()
    assert reader.feed(b"data: a\n\ndata: b\ndata: c") == [b"a"]
    assert reader.close() == b"b\nc"
    assert reader.close() is None


@pytest.mark.parametrize("size", [1, 1000, MAX_EVENT_BYTES])
def test_an_event_up_to_the_cap_passes(size: int) -> None:
    """1 MiB of data is accepted, whole or in pieces."""
    body = b"data: " + b"x" * size + b"\n\n"
    assert read(body) == [b"x" * size]
    assert read(*(body[i : i + 65536] for i in range(0, len(body), 65536))) == [b"x" * size]


@pytest.mark.parametrize("step", [1 << 22, 65536])
@pytest.mark.parametrize("start", [b"data: ", b"data:", b": ", b"junk", b"data: x\ndata: "])
def test_an_event_or_line_above_the_cap_is_refused(start: bytes, step: int) -> None:
    """One byte more is refused, and what was complete before it is not lost."""
    body = b"data: before\n\n" + start + b"x" * (MAX_EVENT_BYTES + 20)
    reader, events = SseReader(), list[bytes]()
    with pytest.raises(EventTooLargeError) as refused:
        for i in range(0, len(body), step):
            events += reader.feed(body[i : i + step])
    assert events + refused.value.events == [b"before"]


def test_many_small_data_lines_are_refused_together() -> None:
    """The cap is for the event, however it is cut into lines."""
    with pytest.raises(EventTooLargeError):
        SseReader(max_event_bytes=1000).feed(b"data: 0123456789\n" * 100)


def test_a_large_event_among_whole_events_is_refused_after_them() -> None:
    """The quick way for whole events keeps the cap, too."""
    with pytest.raises(EventTooLargeError) as refused:
        SseReader(max_event_bytes=10).feed(b"data: a\n\ndata: " + b"x" * 11 + b"\n\ndata: b\n\n")
    assert refused.value.events == [b"a"]


PIECES = st.sampled_from(
    [b"data: {}\n\n", b"data:x\n\n", b"data: a\ndata: b\n\n", b": c\n", b"\n", b"event: e\n", b"data: ", ODD_TEXT]
)


@given(
    st.lists(PIECES, max_size=12),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_the_way_a_body_is_cut_changes_nothing(pieces: list[bytes], cuts: list[int], end: bytes) -> None:
    """One read, any reads, or one byte at a time: the same events."""
    body = b"".join(pieces).replace(b"\n", end)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    whole = read(body)
    assert read(*(body[a:b] for a, b in pairwise(places))) == whole
    assert read(*(body[i : i + 1] for i in range(len(body)))) == whole
