"""The body of an answer: the same content however it is cut, and its end never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models.http_body import MAX_LINE, Body, ChunkedBody, EndlessBody, SizedBody, body_of
from gateway.models.http_head import BadAnswerError, Head


def fed(body: Body, data: bytes, cuts: list[int]) -> bytes:
    """The content of data that arrives in pieces."""
    content, start = b"", 0
    for cut in [*sorted(cuts), len(data)]:
        content += body.feed(data[start:cut]) if cut > start and not body.over else b""
        start = max(start, cut)
    return content


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.data())
def test_chunks_give_their_content_however_they_are_cut(chunks: list[bytes], data: st.DataObject) -> None:
    """With extensions, upper case sizes, leading zeros and a trailer."""
    wire = b"".join(b"00%X;ext=1\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    body = ChunkedBody()
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=12))
    assert fed(body, wire, cuts) == b"".join(chunks)
    assert (body.over, body.rest) == (True, b"")


def test_one_byte_at_a_time_is_enough() -> None:
    """And the end is known with the last one, not before."""
    body, wire, content = ChunkedBody(), b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", b""
    for position in range(len(wire)):
        assert not body.over
        content += body.feed(wire[position : position + 1])
    assert (content, body.over, body.end()) == (b"abc0123456789abcdef", True, True)


def test_a_chunked_body_may_not_end_with_the_connection() -> None:
    """Not even between two chunks."""
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\n") == b"a"
    assert body.end() is False


def test_what_comes_after_the_end_is_no_content() -> None:
    """It belongs to nobody."""
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1") == b"a"
    assert body.rest == b"HTTP/1.1"


@pytest.mark.parametrize(
    "wire",
    [
        b"no size\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b"f" * 16 + b"\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n\r",
        b"1\r\na\n",
        b"1" * (MAX_LINE + 1),
    ],
)
def test_broken_framing_is_refused(wire: bytes) -> None:
    """A size that is none, a chunk that is longer than it says, a line without an end."""
    with pytest.raises(BadAnswerError):
        ChunkedBody().feed(wire)


def test_broken_framing_is_refused_when_it_comes_byte_by_byte() -> None:
    """The same as at once."""
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r") == b"a"
    with pytest.raises(BadAnswerError):
        body.feed(b"x")


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"transfer-encoding": "Chunked"}, 200, ChunkedBody),
        ({"transfer-encoding": "chunked", "content-length": "3"}, 200, ChunkedBody),
        ({"content-length": "3"}, 200, SizedBody),
        ({"content-length": "3, 3"}, 200, SizedBody),
        ({}, 200, EndlessBody),
        ({}, 204, SizedBody),
        ({"content-length": "3"}, 304, SizedBody),
    ],
)
def test_the_head_says_how_the_body_ends(headers: dict[str, str], status: int, kind: type) -> None:
    """In the order of RFC 9112, section 6.3."""
    assert isinstance(body_of(Head(status, headers)), kind)


@pytest.mark.parametrize(
    "headers",
    [
        {"transfer-encoding": "gzip, chunked"},
        {"transfer-encoding": "identity"},
        {"content-length": "3, 4"},
        {"content-length": "-3"},
        {"content-length": "٣"},
        {"content-length": "9" * 19},
    ],
)
def test_a_head_that_leaves_the_end_open_to_guesses_is_refused(headers: dict[str, str]) -> None:
    """Two lengths, a negative one, a coding that we did not ask for."""
    with pytest.raises(BadAnswerError):
        body_of(Head(200, headers))


def test_a_body_of_known_length_ends_there_and_nowhere_else() -> None:
    """An empty one is over before it begins."""
    body = SizedBody(3)
    assert (body.feed(b"ab"), body.over, body.end()) == (b"ab", False, False)
    assert (body.feed(b"cd"), body.over, body.rest) == (b"c", True, b"d")
    assert SizedBody(0).over


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """Everything until then is content."""
    body = EndlessBody()
    assert (body.feed(b"ab"), body.over) == (b"ab", False)
    assert (body.end(), body.over) == (True, True)
