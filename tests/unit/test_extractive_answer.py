"""Which sentences the embedded model quotes, and how the answer is written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import Finish, Source
from gateway.domain.text import token_weight
from gateway.models.extract import Fit, extract, plain
from gateway.models.wording import bounded, compose, pieces


def source(number: int, title: str, passage: str, flags: tuple[str, ...] = ()) -> Source:
    """A source as the evidence holds it."""
    return Source(f"S{number}", f"https://p{number}.example/", title, "", "brave", passage=passage, flags=flags)


ENCYCLOPEDIA = source(
    1,
    "Redis - Encyclopedia",
    "Redis is an in-memory key-value database, used as a cache and message broker. Redis supports strings, lists, "
    "maps, sets and streams as data structures.\n## History\nThe project began when Salvatore Sanfilippo wanted "
    "to improve the scalability of his Italian startup. In 2009 he released a first version of Redis.\n"
    "We use cookies to improve your experience. Subscribe to our newsletter.\n## Persistence\n"
    "Redis holds the whole dataset in memory. Persistence in Redis is achieved through two different methods. "
    "Snapshots transfer the dataset from memory to disk at regular intervals. The append-only file records each "
    "operation that modifies the dataset.",
)
MANUAL = source(
    2,
    "Redis persistence | Manual",
    "RDB persistence performs point-in-time snapshots of your dataset at specified intervals. AOF persistence "
    "logs every write operation received by the server. You can disable persistence completely. See "
    "[the guide](https://evil.example/x) and ![logo](https://evil.example/p.png) for **more** about persistence.",
)
CATS = source(
    3, "Cat care", "Cats sleep between twelve and sixteen hours a day. Kittens sleep even more than adult cats."
)
FIRM = source(
    1,
    "深度求索 - 百科",
    "深度求索（DeepSeek）是一家中国人工智能公司，成立于2023年7月17日，总部位于浙江省杭州市。公司由梁文锋创立，并由幻方量化出资。"
    "2025年1月20日，公司发布DeepSeek-R1模型，采用MIT许可证开源。研发团队约有两百人。",
)
LAKE = source(
    2, "西湖旅游指南", "杭州西湖是著名的旅游景点，每年接待游客数千万人次。西湖十景包括苏堤春晓、断桥残雪等。"
)
ALL = (ENCYCLOPEDIA, MANUAL, CATS)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How does Redis persistence work?", "Persistence in Redis is achieved through two different methods."),
        ("What data structures does Redis support?", "Redis supports strings, lists, maps, sets and streams"),
        ("Who created Redis?", "Salvatore Sanfilippo"),
        ("When was Redis released?", "In 2009 he released a first version of Redis."),
        ("How long do cats sleep?", "Cats sleep between twelve and sixteen hours a day."),
        ("redis aof vs rdb", "AOF persistence logs every write operation"),
    ],
)
def test_the_sentence_that_answers_is_quoted(question: str, expected: str) -> None:
    """Whatever the kind of question, the answering sentence is among the quotes."""
    found = extract(question, ALL)
    assert found.fit is Fit.ANSWERED
    assert any(expected in quote.text for quote in found.quotes)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("深度求索公司是什么时候成立的？", "成立于2023年7月17日"),
        ("谁创立了深度求索？", "公司由梁文锋创立"),
        ("DeepSeek 的总部在哪里？", "总部位于浙江省杭州市"),
        ("西湖十景有哪些？", "西湖十景包括苏堤春晓"),
    ],
)
def test_the_same_in_chinese(question: str, expected: str) -> None:
    """Chinese needs no spaces between words to be found."""
    found = extract(question, (FIRM, LAKE))
    assert found.fit is Fit.ANSWERED
    assert any(expected in quote.text for quote in found.quotes)


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "How do I bake bread?", "法国的首都是哪里？", "如何做红烧肉？"]
)
def test_irrelevant_evidence_is_not_quoted(question: str) -> None:
    """Text about something else is no answer, however well it is written."""
    assert extract(question, (*ALL, FIRM, LAKE)) == extract(question, ())
    assert extract(question, ALL).fit is Fit.UNANSWERED


def test_half_an_answer_is_called_that() -> None:
    """Evidence about the thing but not about the point is shown as the closest, not as the answer."""
    assert extract("Does Redis support SQL joins?", ALL).fit is Fit.CLOSE


def test_evidence_in_another_language_is_only_close() -> None:
    """Names still meet; the rest cannot be compared, and the answer does not claim more."""
    assert extract("Redis 怎么持久化？", ALL).fit is Fit.CLOSE
    assert extract("如何持久化？", ALL).fit is Fit.UNANSWERED


def test_quotes_are_words_of_their_source() -> None:
    """Every quote stands in the passage of the source it names, but for links and markup."""
    passages = {s.source_id: plain(s.passage) for s in ALL}
    for question in ("How does Redis persistence work?", "What is Redis?", "How long do cats sleep?"):
        for quote in extract(question, ALL).quotes:
            assert quote.text in passages[quote.source_id]


def test_quotes_lead_nowhere() -> None:
    """Links and images are taken off: an extract cannot be used to send a reader somewhere."""
    answer = compose("What is there to read about persistence?", [MANUAL])
    assert "the guide" in answer
    for trace in ("evil.example", "http", "](", "![", "**"):
        assert trace not in answer


def test_markup_of_code_stays() -> None:
    """Names with underscores and stars of mathematics are not markup."""
    assert (
        plain("Set `max_tokens` to 2 * 3 in __init__ or **main**.") == "Set max_tokens to 2 * 3 in init or main."
    )


def test_a_page_about_the_thing_is_close_even_without_the_point() -> None:
    """One word that no sentence holds does not outweigh a page that is about the rest."""
    found = extract("How fast is RDB persistence?", [MANUAL])
    assert found.fit is Fit.CLOSE
    assert "RDB" in found.quotes[0].text


def test_a_sentence_that_only_names_the_thing_is_no_answer_beside_one_that_answers() -> None:
    """Who made it is answered with the maker, not with whatever else holds a capitalised name."""
    texts = [quote.text for quote in extract("Who created Redis?", ALL).quotes]
    assert texts
    assert not any("data structures" in text or "cache" in text for text in texts)


def test_page_furniture_is_never_quoted() -> None:
    """Cookie banners and newsletter boxes are no sentences of the page."""
    assert "newsletter" not in compose("How does the Redis newsletter improve my experience?", ALL)


def test_the_same_thing_is_said_once() -> None:
    """A copy of a sentence in another source is passed over."""
    copy = source(
        4, "Mirror", "RDB persistence performs point-in-time snapshots of the dataset at specified intervals."
    )
    texts = [quote.text for quote in extract("redis rdb persistence snapshots", (MANUAL, copy)).quotes]
    assert sum("point-in-time" in text for text in texts) == 1


def test_at_most_six_sentences_source_by_source_in_their_order() -> None:
    """The quotes read like the pages they come from."""
    many = source(5, "Rust", " ".join(f"Rust has feature number {n} named {chr(97 + n) * 4}." for n in range(20)))
    found = extract("Which features does Rust have?", (many, ENCYCLOPEDIA))
    assert 3 <= len(found.quotes) <= 6
    places = [many.passage.index(quote.text) for quote in found.quotes if quote.source_id == "S5"]
    assert places == sorted(places)


def test_a_source_that_gives_orders_counts_less() -> None:
    """Of two equal pages the one with a flag is quoted last."""
    text = "The warranty of the lamp lasts {} years in all countries."
    honest, flagged = (
        source(2, "Lamp", text.format("two")),
        source(1, "Lamp", text.format("nine"), ("instruction_like",)),
    )
    assert extract("How long does the lamp warranty last?", (flagged, honest)).quotes[0].source_id == "S2"


# --- the answer as text -----------------------------------------------------------------------------


def test_the_answer_says_that_it_is_quoted() -> None:
    """One honest line, then one quoted sentence per line, each with its mark."""
    first, blank, *lines = compose("How does Redis persistence work?", ALL).split("\n")
    assert "no language model" in first
    assert blank == ""
    assert lines
    assert all(line.startswith("- ") and line.endswith(("[S1]", "[S2]")) for line in lines)


@pytest.mark.parametrize(
    ("question", "sources", "words"),
    [
        ("What is the capital of France?", ALL, "do not answer this question"),
        ("Does Redis support SQL joins?", ALL, "do not answer this directly"),
        ("What is Redis?", (), "no source to quote from"),
        ("  ", ALL, "no question in words"),
        ("法国的首都是哪里？", (FIRM,), "没有回答这个问题"),
        ("深度求索是什么？", (), "没有可以引用的来源"),
        ("谁创立了深度求索？", (FIRM,), "并非由语言模型撰写"),
    ],
)
def test_the_answer_says_what_it_cannot_do(question: str, sources: tuple[Source, ...], words: str) -> None:
    """In the language of the question, plainly, and without a quote where nothing fits."""
    answer = compose(question, sources)
    assert words in answer
    assert ("[S" in answer) == ("directly" in words or "撰写" in words)


@given(st.text(max_size=120))
def test_pieces_join_to_the_text(text: str) -> None:
    """Cutting into words loses nothing."""
    assert "".join(pieces(text)) == text


def test_pieces_are_words_and_never_cut_a_mark() -> None:
    """A word takes its mark along; Chinese comes two characters at a time."""
    assert pieces("Redis is fast.[S1]\n- x") == ["Redis ", "is ", "fast.[S1]\n", "- ", "x"]
    assert pieces("它很快。[S12] a[0]") == ["它很", "快。[S12] ", "a", "[", "0]"]


def test_the_token_limit_ends_the_answer() -> None:
    """No more than the estimated tokens, cut between words, and the end says so."""
    text = compose("How does Redis persistence work?", ALL)
    words, finish = bounded(text, 20, ())
    assert finish is Finish.LENGTH
    assert text.startswith("".join(words))
    assert 0 < sum(map(token_weight, words)) <= 20
    assert bounded(text, 0, ()) == (pieces(text), Finish.STOP)


def test_the_first_stop_string_ends_the_answer() -> None:
    """The stop string itself is left out; an empty one stops nothing."""
    assert bounded("one two three", 0, ("three", "two", "")) == (["one "], Finish.STOP)
