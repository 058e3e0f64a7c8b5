"""Citation marks leave the streamed answer as data; everything else passes byte for byte."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.events import Citation
from gateway.search.citations import MAX_HELD_BYTES, CitationParser

KNOWN = ("S1", "S2", "S3", "S4", "S5", "S12")


def parse(pieces: list[str]) -> tuple[str, list[Citation]]:
    """Everything that comes out of one answer."""
    parser = CitationParser(KNOWN)
    text, citations = "", []
    for piece in pieces:
        out, found = parser.feed(piece)
        text += out
        citations += found
    out, found = parser.close()
    return text + out, citations + found


def spans(answer: str) -> list[tuple[str, tuple[str, ...]]]:
    """The words each citation covers, and the sources it names."""
    text, citations = parse([answer])
    data = text.encode()
    return [(data[c.start : c.end].decode(), c.source_ids) for c in citations]


@pytest.mark.parametrize(
    ("answer", "text", "cited"),
    [
        ("Fast.[S1]", "Fast.", [("S1",)]),
        ("Fast [S1].", "Fast .", [("S1",)]),
        ("Fast.[S1][S3] Small.", "Fast. Small.", [("S1",), ("S3",)]),
        ("Fast.[S1, S3]", "Fast.", [("S1", "S3")]),
        ("Fast.[S1,S3]", "Fast.", [("S1", "S3")]),
        ("快。【S1】慢。", "快。慢。", [("S1",)]),
        ("快。[S1、S2]", "快。", [("S1", "S2")]),
        ("Fast. [s1]", "Fast. ", [("S1",)]),
        ("Fast.[S12]", "Fast.", [("S12",)]),
        ("Fast.[S1, S2, S3, S4, S5] End.", "Fast. End.", [("S1", "S2", "S3", "S4", "S5")]),
        ("Fast.[S1, S1]", "Fast.", [("S1",)]),
    ],
)
def test_marks_become_citations(answer: str, text: str, cited: list[tuple[str, ...]]) -> None:
    """Every spelling of a mark is taken out and names its sources; the mark alone is removed."""
    out, citations = parse([answer])
    assert out == text
    assert [citation.source_ids for citation in citations] == cited


@pytest.mark.parametrize(
    "answer",
    [
        "x[1] + y[i] and [Section 1], [S], [Sx], [S1",
        "array[s1] and f(x)[s2]",
        "[S1234] and [S 1] and [S1; and more]",
        "[S1】 and 【S1]",
        "[note](https://ex.com) [ ] [[]]",
        "[S1, S2, or so]",
        "a [S1, S2, S3, x",
        "【重要】提示",
    ],
)
def test_what_only_looks_like_a_mark_passes_byte_for_byte(answer: str) -> None:
    """Brackets of prose, code and links are no marks."""
    assert parse([answer]) == (answer, [])
    assert parse(list(answer)) == (answer, [])


@pytest.mark.parametrize("mark", ["[S9]", "[S99, S98]", "【S7】", "[S91, S92, S93, S94, S95]", "[S0]", "[S01]"])
def test_a_mark_to_no_source_never_reaches_the_caller(mark: str) -> None:
    """A forged mark is dropped and cites nothing."""
    assert parse([f"Fast.{mark} Small."]) == ("Fast. Small.", [])


def test_of_a_mixed_mark_the_known_sources_stay() -> None:
    """A list that names one real and one invented source cites the real one."""
    assert spans("Fast.[S1, S9]") == [("Fast.", ("S1",))]


def test_a_citation_covers_its_sentence_or_what_follows_the_last_mark() -> None:
    """From the previous mark or the start of the sentence up to the mark."""
    answer = "First here. Redis is fast,[S1] and it is small.[S2] Dr. Smith agrees [S3]. 它很快。[S4]"
    assert spans(answer) == [
        ("Redis is fast,", ("S1",)),
        ("and it is small.", ("S2",)),
        ("Dr. Smith agrees ", ("S3",)),
        ("它很快。", ("S4",)),
    ]


def test_marks_in_a_row_cover_the_same_words() -> None:
    """Two marks behind one sentence both stand for it, with or without a space between."""
    assert spans("Fast.[S1] [S2]") == [("Fast.", ("S1",)), ("Fast.", ("S2",))]


def test_a_mark_with_nothing_before_it_covers_nothing() -> None:
    """At the start, or first on a line behind a cited one, there are no words to stand for."""
    assert spans("[S1] says so.") == [("", ("S1",))]
    assert spans("Fast.[S1]\n- [S2]") == [("Fast.", ("S1",)), ("", ("S2",))]


def test_list_points_do_not_belong_to_the_words() -> None:
    """A line of a list is cited without its neighbours."""
    assert [words for words, _ in spans("Two things:\n- fast[S1]\n- small[S2]\n")] == ["fast", "small"]


def test_offsets_count_utf8_bytes() -> None:
    """Offsets are bytes of the answer without marks, not characters."""
    text, citations = parse(["首句。二句é。[S2]"])
    assert text.encode()[citations[0].start : citations[0].end].decode() == "二句é。"


def test_text_is_passed_on_at_once() -> None:
    """Only what may be a mark waits; the words before it do not."""
    parser = CitationParser(KNOWN)
    assert parser.feed("Redis is fast.[")[0] == "Redis is fast."
    assert parser.feed("S1") == ("", [])
    text, citations = parser.feed("]")
    assert (text, len(citations)) == ("", 1)


def test_an_answer_that_ends_inside_a_mark_keeps_its_text() -> None:
    """What was held is given back at the end; a long list that never closed still cites."""
    assert parse(["Fast.[S1"]) == ("Fast.[S1", [])
    text, citations = parse(["Fast.[S1, S2, S3, S4, S5"])
    assert text == "Fast."
    assert citations[0].source_ids == ("S1", "S2", "S3", "S4", "S5")


_PIECE = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="[]【】Ss123, ;、.a\n", max_size=12),
    st.sampled_from(["[S1]", "[S1, S3]", "【S2】", "[S9]", "[s1]", "[S1, S2, S3, S4, S5]", "[Section 1]", "x[1]"]),
    st.sampled_from(["One. ", "Zwei, ", "三。", "[S", "[S1, S2, S3, S4,", "\n- "]),
)
_ANSWER = st.lists(_PIECE, max_size=12).map("".join)


@given(_ANSWER, st.lists(st.integers(0, 200), max_size=8))
@example("Fast.[S1, S2, S3, S4, S1x]", [])
def test_every_split_gives_the_same_text_and_citations(answer: str, cuts: list[int]) -> None:
    """However the answer arrives, whole, by character or cut anywhere, the result is the same."""
    whole = parse([answer])
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[a:b] for a, b in pairwise(edges)]
    assert parse(pieces) == whole
    assert parse(list(answer)) == whole


@given(_ANSWER)
def test_never_more_than_sixteen_bytes_are_held(answer: str) -> None:
    """At every moment all but the last 16 bytes have left, apart from marks that are gone for good."""
    parser = CitationParser(KNOWN)
    out = ""
    for place, char in enumerate(answer, start=1):
        out += parser.feed(char)[0]
        rest = parse([answer[:place]])[0][len(out) :]
        assert len(rest.encode()) <= MAX_HELD_BYTES


@given(
    st.lists(
        st.tuples(st.text(alphabet="ab .é三\n", max_size=10), st.sampled_from(["[S1]", "[S2, S3]", "【S12】"]))
    )
)
def test_the_answer_is_the_text_with_the_marks_removed(parts: list[tuple[str, str]]) -> None:
    """Joining what comes out gives the model's text without the marks, and one citation for each mark."""
    text, citations = parse(["".join(words + mark for words, mark in parts)])
    assert text == "".join(words for words, _ in parts)
    assert len(citations) == len(parts)


@given(_ANSWER)
def test_citations_lie_inside_the_answer_and_in_order(answer: str) -> None:
    """Offsets are sound: on character borders, never beyond the text so far, never going back."""
    text, citations = parse([answer])
    data = text.encode()
    for citation in citations:
        assert 0 <= citation.start <= citation.end <= len(data)
        data[citation.start : citation.end].decode()
    assert [citation.end for citation in citations] == sorted(citation.end for citation in citations)


def test_a_lone_surrogate_does_not_break_the_offsets() -> None:
    """A model's broken escape is counted, not raised over."""
    assert parse(["a\ud83d.[S1]"])[0] == "a\ud83d."
