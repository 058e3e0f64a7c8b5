"""Documents become passages of readable size; results show why they were found and come from several documents."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.search.chunks import MAX_WEIGHT, MAX_WHOLE_WEIGHT, passages, sentences, weight
from gateway.search.outline import Block, BlockKind, Document, Section
from gateway.search.ranking import Candidate, ranked
from gateway.search.snippets import MAX_CHARACTERS, snippet
from gateway.search.tokens import question


def document(*blocks: Block) -> Document:
    """A document of one section."""
    return Document("Title", (Section(("Heading",), "heading", blocks),))


def words(count: int, word: str = "word") -> str:
    """That many words, as sentences of ten."""
    return " ".join(f"{word}." if n % 10 == 9 else word for n in range(count))


def candidate(passage: int, document: int, bm25: float, body: str, title: str = "other") -> Candidate:
    """A passage without a heading."""
    return Candidate(passage, document, bm25, title, "", body)


def test_paragraphs_are_packed_up_to_the_limit() -> None:
    """Neighbouring paragraphs share a passage until it is long enough; none is cut."""
    found = passages(document(*(Block(words(70)) for _ in range(6))))
    assert [weight(passage.text) for passage in found] == [210, 210]
    assert {(passage.path, passage.anchor) for passage in found} == {(("Heading",), "heading")}


def test_a_passage_never_crosses_a_heading() -> None:
    """Two short sections are two passages."""
    sections = tuple(Section((name,), name, (Block("text"),)) for name in ("a", "b"))
    assert [passage.path for passage in passages(Document("T", sections))] == [("a",), ("b",)]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    """English and Chinese alike; every piece ends with a full stop."""
    for text in (words(900), "网关按令牌数计费。" * 200):
        found = passages(document(Block(text)))
        assert len(found) > 2
        assert all(passage.text.rstrip().endswith((".", "。")) for passage in found)
        assert all(weight(passage.text) <= MAX_WEIGHT + 40 for passage in found)


def test_code_and_tables_stay_whole_where_they_fit() -> None:
    """A table of 400 words is one passage; a longer one is cut between rows."""
    row = words(40)
    whole = passages(document(Block("\n".join([row] * 10), BlockKind.TABLE)))
    assert len(whole) == 1
    cut = passages(document(Block("\n".join([row] * 20), BlockKind.CODE)))
    assert len(cut) > 1
    assert all(line == row for passage in cut for line in passage.text.split("\n"))


def test_a_few_last_words_stay_with_the_passage_before() -> None:
    """A passage of one line says little alone."""
    found = passages(document(Block(words(200)), Block("The end.")))
    assert [passage.text.endswith("The end.") for passage in found] == [True]


def test_chinese_characters_weigh_half_a_word() -> None:
    """500 of them are as much reading as 250 words."""
    assert weight("费" * 500) == weight(words(250)) == 250


@given(st.lists(st.text(st.sampled_from("ab .。\n费|"), max_size=3_000), max_size=4), st.sampled_from(BlockKind))
def test_cutting_loses_nothing_and_keeps_the_size(texts: list[str], kind: BlockKind) -> None:
    """All that is not white space comes out once, in order, in passages of bounded weight."""
    found = passages(document(*(Block(text, kind) for text in texts)))
    assert "".join("".join(passage.text for passage in found).split()) == "".join("".join(texts).split())
    assert all(weight(passage.text) <= MAX_WHOLE_WEIGHT + 40 for passage in found)


def test_sentences_are_told_apart() -> None:
    """At full stops of both kinds and at line ends, not inside numbers."""
    assert sentences("It costs 0.5 nano. Really?\nYes。好的！是") == [
        *("It costs 0.5 nano.", "Really?", "Yes。", "好的！", "是"),
    ]


def test_a_snippet_is_the_sentence_with_the_match() -> None:
    """It holds what was asked and is of readable length."""
    text = f"{words(60, 'before')} An interrupted stream is metered by what was delivered. {words(60, 'after')}"
    shown = snippet(text, question("how is an interrupted stream metered").terms)
    assert "An interrupted stream is metered by what was delivered." in shown
    assert len(shown) <= MAX_CHARACTERS


def test_a_snippet_of_a_long_sentence_is_cut_around_the_match() -> None:
    """Ellipses stand where something is left out."""
    text = "before " * 80 + "the metered stream " + "after " * 80
    shown = snippet(text, question("metered stream").terms)
    assert "metered stream" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= MAX_CHARACTERS


def test_a_chinese_snippet_has_no_spaces_between_sentences() -> None:
    """Sentences are joined as Chinese is written."""
    assert snippet("网关按令牌数计费。中断的流只收取已交付的部分。", question("计费").terms) == (
        "网关按令牌数计费。中断的流只收取已交付的部分。"
    )


@given(st.text(max_size=600), st.text(max_size=30))
def test_a_snippet_is_never_too_long(text: str, query: str) -> None:
    """Whatever the passage and the query."""
    assert len(snippet(text, question(query).terms)) <= MAX_CHARACTERS


def test_passages_that_cover_more_of_the_question_come_first() -> None:
    """Two different words of it beat one word that is said often."""
    asked = question("broken stream")
    found = ranked([candidate(1, 1, 5.0, "broken"), candidate(2, 2, 4.5, "broken stream")], asked, 5)
    assert [one.passage for one in found] == [2, 1]
    assert found[0].score == 1.0


def test_a_title_that_the_question_names_comes_first() -> None:
    """`What is the gateway?` wants the page of that name."""
    asked = question("What is the gateway?")
    pages = [candidate(1, 1, 1.0, "gatewai"), candidate(2, 2, 1.0, "gatewai", "what the gatewai is")]
    assert [one.passage for one in ranked(pages, asked, 5)] == [2, 1]


def test_no_document_fills_the_list() -> None:
    """Two passages of one document at most, and the second gives way to another document."""
    asked = question("stream")
    pages = [candidate(n, 1, 10.0 - n, "stream") for n in range(5)] + [candidate(9, 2, 8.0, "stream")]
    assert [one.passage for one in ranked(pages, asked, 5)] == [0, 9, 1]


def test_a_stray_word_is_no_answer() -> None:
    """One common word of a long question finds nothing."""
    asked = question("weather forecast rain umbrella tomorrow paris stream")
    assert ranked([candidate(1, 1, 3.0, "stream")], asked, 5) == []
