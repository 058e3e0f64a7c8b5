"""Hits and pages as bytes: what was written comes back, and nothing else does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.extraction import Extraction, Table
from gateway.search import Hit
from gateway.search.codec import MAX_HITS, MAX_TEXT, decode_hits, decode_page, encode_hits, encode_page

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
HITS = st.builds(
    Hit,
    url=st.text(max_size=9).map(lambda path: f"https://a.example/{path}"),
    title=st.text(max_size=9),
    snippet=st.text(max_size=9),
    passage=st.text(max_size=9),
    published=st.none() | NUMBERS,
    score=NUMBERS,
)
GOOD = ["https://a.example/", "t", "s", "p", None, 1.0]


@given(st.lists(HITS, max_size=5))
def test_hits_come_back_as_they_were(hits: list[Hit]) -> None:
    """Lone surrogates, missing dates and all."""
    assert decode_hits(encode_hits(hits)) == hits


def is_refused(value: bytes) -> bool:
    """Whether these bytes are no list of hits."""
    try:
        decode_hits(value)
    except ValueError:
        return True
    return False


def test_a_page_comes_back_as_it_was() -> None:
    """With its tables, its digest, and what it was paid as."""
    page = Extraction(
        "T", "text \ud800", (Table((("a", ""),), ("h",), "c"),), ("k",), "text/html", b"\xff" * 32, 3, 1.5
    )
    assert decode_page(encode_page(page, "deepseek_fetch")) == (page, "deepseek_fetch")


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\xff", b"null", b"[]", b"{}", b"[2,[]]", b"[true,[]]", b"[1,{}]", b"[" * 100_000, b"[1,[[]]]"),
        json.dumps([1, [GOOD] * (MAX_HITS + 1)]).encode(),
        *(
            json.dumps([1, [[*GOOD[:place], bad, *GOOD[place + 1 :]]]]).encode()
            for place, bad in (
                *(
                    (0, "file:///etc/passwd"),
                    (0, "doc:own"),
                    (0, 7),
                    (1, None),
                    (3, "x" * (MAX_TEXT + 1)),
                    (4, "now"),
                ),
                *((5, "1"), (5, float("nan")), (4, float("inf")), (5, None)),
            )
        ),
    ],
)
def test_poison_is_no_list_of_hits(value: bytes) -> None:
    """Another version, shape, size or kind of address is refused; so is what poses as a document of the index."""
    assert is_refused(value)


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_value_or_a_refusal(value: bytes) -> None:
    """Whatever lies there."""
    for decode in (decode_hits, decode_page):
        try:
            decode(value)
        except ValueError:
            continue
