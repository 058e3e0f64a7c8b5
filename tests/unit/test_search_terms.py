"""Text becomes terms: inflections, identifiers and Chinese are found, and no query is ever FTS5 syntax."""

import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.search.stemming import stem
from gateway.search.tokens import MAX_QUERY_TERMS, analyse, match_expression, question, words


def found(text: str, query: str) -> bool:
    """Whether FTS5 finds the text by the query."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(
            """CREATE VIRTUAL TABLE terms USING fts5 (body, tokenize = "ascii tokenchars '_./-'")"""
        )
        connection.execute("INSERT INTO terms VALUES (?)", (" ".join(analyse(text)),))
        expression = match_expression(question(query))
        return bool(expression) and bool(
            connection.execute("SELECT 1 FROM terms WHERE terms MATCH ?", (expression,)).fetchall()
        )
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("metering", "metered"),
        ("retries", "retry"),
        ("cancellation", "cancelled"),
        ("limiter", "limits"),
        ("authenticated", "authentication"),
        ("hopping", "hops"),
        ("relational", "relate"),
        ("happiness", "happy"),
    ],
)
def test_forms_of_one_word_share_a_stem(left: str, right: str) -> None:
    """A question in another form of the word finds it."""
    assert stem(left) == stem(right)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("caresses", "caress"), ("agreed", "agre"), ("sky", "sky"), ("generalizations", "gener"), ("at", "at")],
)
def test_stems_are_those_of_the_published_rules(word: str, expected: str) -> None:
    """Examples of Porter's paper come out as printed there."""
    assert stem(word) == expected


@given(st.text("abcdefghilmnorstuvyz", min_size=1, max_size=16))
def test_stemming_changes_a_word_only_at_its_end(word: str) -> None:
    """The snippet's quick look relies on this: the first letters of a stem begin the word."""
    short = stem(word)
    assert word.startswith(short[: max(2, len(short) - 2)])


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("set max_tokens to five", "max_tokens"),
        ("set max_tokens to five", "tokens"),
        ("grpc.keepalive_time_ms is 20000", "keepalive_time_ms"),
        ("grpc.keepalive_time_ms is 20000", "grpc.keepalive_time_ms"),
        ("ends with RESOURCE_EXHAUSTED", "exhausted resource"),
        ("call StreamPredict", "stream predict"),
        ("call StreamPredict", "streampredict"),
        ("since v1.2.3", "v1.2.3"),
        ("over gRPC", "GRPC"),
        ("the café", "cafe"),
        ("the café", "cafe\u0301"),
        ("ＡＢＣ limited", "abc"),
        ("4,000,000 tokens", "4000000"),
        ("the gateway’s door", "gateway"),
        ("order ﬁve", "five"),
        ("网关按令牌数计费", "计费"),
        ("网关按令牌数计费", "费"),
        ("网关按令牌数计费", "如何计费？"),
        ("令牌Token限流", "限流"),
        ("レート制限", "制限"),
        ("속도 제한", "제한"),
        ("to be or not to be", "to be"),
    ],
)
def test_text_is_found_by(text: str, query: str) -> None:
    """Each of these queries finds its text."""
    assert found(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("the price of tokens", "what is the weather of"),
        ("网关按令牌数计费", "天气"),
        ("anything", "?!"),
        ("anything", ""),
    ],
)
def test_text_is_not_found_by(text: str, query: str) -> None:
    """A query that shares no subject with the text, or has none, finds nothing."""
    assert not found(text, query)


def test_small_words_are_dropped_from_a_question_but_not_from_what_it_said() -> None:
    """`how does the … a` are not looked for; they still tell whether a title was quoted."""
    asked = question("how does the gateway meter a broken stream?")
    assert asked.terms == ("gatewai", "meter", "broken", "stream")
    assert {"how", "the"} <= asked.said


def test_chinese_question_words_are_dropped() -> None:
    """`如何` and `的` join no pair with their neighbours."""
    assert question("网关如何计量中断的流").terms == ("网关", "计量", "量中", "中断")


def test_neighbours_of_the_question_are_phrases() -> None:
    """`broken stream` side by side is worth more than the two words apart."""
    assert '"broken stream"' in match_expression(question("a broken stream"))


def test_a_single_character_is_looked_for_as_the_beginning_of_pairs() -> None:
    """It stands first in one pair or is the last of its run."""
    assert match_expression(question("费")) == '"费"*'


def test_a_very_long_question_asks_for_a_bounded_number_of_terms() -> None:
    """A whole document as the query costs no more than a paragraph."""
    asked = question(" ".join(f"word{n}" for n in range(5_000)))
    assert len(asked.terms) == MAX_QUERY_TERMS


@given(st.text(max_size=200))
@example('" OR body : "x')
@example("NEAR(a b, 3) * ^x + {a} : - AND NOT")
@example('a"b')
@example("\x00a\x00")
@example("𠀀")
@example("İ ß ǅ ﬃ ½ ㎏")
def test_no_query_is_a_syntax_error(query: str) -> None:
    """Whatever a caller writes, FTS5 reads strings and nothing else."""
    found("some text", query)


@given(st.text(max_size=80))
def test_a_text_is_found_by_itself(text: str) -> None:
    """What the index makes of a text and what the query makes of it agree."""
    assert found(text, text) or not question(text).terms


@given(st.text(max_size=80))
def test_words_tell_where_they_stand(text: str) -> None:
    """Offsets are in order, do not overlap and lie in the text."""
    ends = [0]
    for word in words(text):
        assert ends[-1] <= word.start < word.end <= len(text)
        ends.append(word.end)
