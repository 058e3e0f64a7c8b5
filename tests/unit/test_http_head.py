"""The head of an answer: read to the letter, however it is cut, and refused where a reader would have to guess."""

import pytest

from gateway.models.http_head import MAX_HEAD_BYTES, MAX_HEADERS, BadAnswerError, Head, HeadReader, read_head

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"


def test_a_head_is_status_and_headers_and_what_follows_is_left() -> None:
    """Names lose their case, values the space around them; repeated headers are one list."""
    found = HeadReader().feed(ANSWER + b"body")
    assert found is not None
    head, rest = found
    assert (head.status, rest, head.content_type) == (200, b"body", "text/event-stream")
    assert head.headers["x-a"] == "1, 2"
    assert head.words("x-a") == ["1", "2"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_it_may_be_cut_anywhere(size: int) -> None:
    """The pieces before the last give nothing."""
    reader, found = HeadReader(), None
    for start in range(0, len(ANSWER), size):
        assert found is None
        found = reader.feed(ANSWER[start : start + size])
    assert found is not None
    assert found[0] == read_head(ANSWER[:-4])


def test_interim_answers_are_passed_over() -> None:
    """Several, and cut in the middle."""
    reader = HeadReader()
    assert reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTT") is None
    found = reader.feed(b"P/1.1 404 Not Found\r\n\r\n")
    assert found == (Head(404), b"")


@pytest.mark.parametrize(
    ("first", "line", "keeps"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200", b"", True),
        (b"HTTP/1.1 200 OK", b"\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.1 200 OK", b"\r\nConnection: x, CLOSE", False),
        (b"HTTP/1.0 200 OK", b"", False),
    ],
)
def test_a_head_says_whether_the_connection_may_be_used_again(first: bytes, line: bytes, keeps: bool) -> None:
    """HTTP/1.1 keeps unless told otherwise; HTTP/1.0 is never kept."""
    assert read_head(first + line).keeps is keeps


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\na: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    """At the first byte that shows it, and without keeping what came."""
    with pytest.raises(BadAnswerError) as refused:
        HeadReader().feed(data)
    assert not refused.value.args
