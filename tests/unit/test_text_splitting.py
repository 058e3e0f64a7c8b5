"""How text is split into sentences and words, and how tokens are guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.text import (
    content_words,
    estimate_tokens,
    mostly_cjk,
    sentence_spans,
    sentences,
    stem,
    terms,
    token_weight,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met J. Doe at 3.5 p.m. sharp. Then he left.", None),
        ("今天晴。明天雨！后天呢？不知道", ["今天晴。", "明天雨！", "后天呢？", "不知道"]),
        ("他说:“好。”然后走了。", ["他说:“好。”", "然后走了。"]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("See https://a.example/x?y=1 now. Done.", ["See https://a.example/x?y=1 now.", "Done."]),
        ("It was fast.[1] It was small.", ["It was fast.[1]", "It was small."]),
        ("1. Wash hands. 2. Dry them.", None),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str] | None) -> None:
    """Full stops of abbreviations, initials, decimals and addresses end nothing; Chinese stops need no space."""
    if expected is not None:
        assert sentences(text) == expected
    else:
        assert all(len(sentence) > 3 for sentence in sentences(text))


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    """`Dr.` and `e.g.` belong to what follows."""
    text = "Dr. Smith uses tools, e.g. a saw. He works."
    assert sentences(text) == ["Dr. Smith uses tools, e.g. a saw.", "He works."]


@given(st.text(max_size=200))
def test_spans_are_in_order_and_lose_only_white_space(text: str) -> None:
    """Sentence spans never overlap, and between them there is nothing but white space."""
    spans = list(sentence_spans(text))
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    assert not "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)).strip()


def test_content_words_leave_function_words_out() -> None:
    """What stays is what a search would look for, as it was written, in order."""
    assert content_words("What is the capital of France?") == ["capital", "France"]
    assert content_words("法国的首都是什么？") == ["法国", "首都"]
    assert content_words("Is C++ faster than Python 3.11?") == ["C++", "faster", "Python", "3.11"]


def test_terms_meet_across_word_forms() -> None:
    """Plural, tense and thousands separators do not keep two texts apart."""
    assert terms("released releases releasing") == [stem("release")] * 3
    assert terms("The stories stopped") == [*terms("story"), stem("stop")]
    assert terms("1,000 users") == ["1000", "user"]
    assert set(terms("数据库")) == {"数据", "据库"}


def test_full_width_letters_and_digits_compare_like_plain_ones() -> None:
    """Terms are compared after NFKC."""
    assert terms("Ｒｅｄｉｓ ７") == terms("redis 7")


def test_the_script_of_a_text_is_that_of_a_third_of_its_letters() -> None:
    """A Chinese sentence with an English name is Chinese; an English one with a Chinese name is not."""
    assert mostly_cjk("Redis 是什么数据库")
    assert not mostly_cjk("The company 深度求索 was founded in Hangzhou")
    assert not mostly_cjk("12345 !!!")


@given(st.text(max_size=50), st.text(max_size=50))
def test_token_weights_add_up(one: str, other: str) -> None:
    """Weighing pieces and weighing the whole is the same, so a stream can be weighed as it goes."""
    assert token_weight(one) + token_weight(other) == pytest.approx(token_weight(one + other))


def test_tokens_are_guessed_by_the_vendors_rule_of_thumb() -> None:
    """0.3 per character and 0.6 per Chinese character, rounded up."""
    assert estimate_tokens("a" * 10) == 3
    assert estimate_tokens("数" * 10) == 6
    assert estimate_tokens("") == 0
