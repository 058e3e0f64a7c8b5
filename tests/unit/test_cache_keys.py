"""A key says everything that changes an answer: another question or tenant is another key, whatever it holds."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache import Kind
from gateway.cache.keys import canonical, key_of, shown
from gateway.domain.events import Source
from gateway.domain.turn import Generation, Image, Message, Role, Thinking, Tool, Turn
from gateway.pipeline.sharing import answer_key, question_of
from gateway.search import Findings

NAMING = b"n" * 32
ODD = ["", "\0", "a", "á", "á", "a\0b", "ab", "a,b", "1", "true", "null", "\ud800", "ﬁ", "fi"]
texts = st.sampled_from(ODD) | st.text(max_size=5)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, -0.0])
    | texts
    | st.binary(max_size=3)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(texts, inner, max_size=1),
    max_leaves=5,
)
messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=texts,
    parts=st.lists(texts | st.builds(Image, mime_type=texts, data=st.binary(max_size=2)), max_size=2).map(tuple),
    tool_call_id=texts,
    reasoning=texts,
    name=texts,
)
generations = st.builds(
    Generation,
    max_tokens=st.integers(0, 2),
    temperature=st.none() | st.sampled_from([0.0, 1.0]),
    top_p=st.none() | st.sampled_from([0.0, 1.0]),
    stop=st.lists(texts, max_size=2).map(tuple),
    thinking=st.none() | st.sampled_from(Thinking),
    json_object=st.booleans(),
    json_schema=texts,
)
questions = st.tuples(
    st.sampled_from(["acme", "acme2"]),
    st.sampled_from(["m", "m2"]),
    st.lists(messages, min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(Tool, name=texts, description=texts), max_size=2).map(tuple),
    generations,
    texts,
)


def key(question: tuple[str, str, tuple[Message, ...], tuple[Tool, ...], Generation, str]) -> str:
    tenant, model, said, tools, generation, evidence = question
    turn = Turn("t", False, b"", model, said, generation, tools=tools)
    digest = question_of(turn, Findings(prompt_text=evidence))
    return answer_key(NAMING, tenant, model, generation, digest).digest


@settings(max_examples=150)
@given(values, values)
def test_two_values_have_one_encoding_only_if_they_are_the_same(one: object, other: object) -> None:
    """Separators, NUL, Unicode twins, nothing or empty, 1 or "1", order: all of them tell values apart."""
    # `repr` knows kinds: 1, True and 1.0 are three, so are 0.0 and -0.0.
    assert (canonical(one) == canonical(other)) == (repr(one) == repr(other))


@settings(max_examples=60)
@given(questions, questions)
def test_two_questions_have_one_key_only_if_they_are_the_same(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    """Tenant, model, messages, tools, options and evidence: a change in any of them is another key."""
    assert (key(one) == key(other)) == (repr(one) == repr(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab", "")),
        (("a", ("b",)), (("a", "b"),)),
        ({"a": "b", "c": "d"}, {"a": "d", "c": "b"}),
        ([1, 2], [2, 1]),
        (b"a", "a"),
        (Message(Role.USER, "a"), Message(Role.SYSTEM, "a")),
        (Generation(thinking=None), Generation(thinking=Thinking.OFF)),
    ],
)
def test_what_looks_alike_is_told_apart(one: object, other: object) -> None:
    """The cases that broke other caches."""
    assert canonical(one) != canonical(other)


def test_the_order_of_a_mapping_means_nothing() -> None:
    """A table is what it holds."""
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


def test_what_has_no_canonical_form_is_refused() -> None:
    """Nothing is guessed."""
    with pytest.raises(TypeError, match="a set has no canonical form"):
        canonical({1, 2})


def test_the_marker_of_the_evidence_is_no_part_of_the_question() -> None:
    """It is random and made for each turn; the evidence itself is a part of it, and so is every source."""
    turn = Turn("t", False, b"", "m", (Message(Role.USER, "q"),))
    source = Source("S1", "https://a.example", "A", "s", "p", passage="text", content_sha256=b"1")
    one = Findings(prompt_text="<<x1>> quoted", sources=(source,), canary="x1")
    two = Findings(prompt_text="<<y2>> quoted", sources=(source,), canary="y2")
    other = replace(two, sources=(replace(source, content_sha256=b"2"),))
    assert question_of(turn, one) == question_of(turn, two) != question_of(turn, other)


def test_whether_reasoning_is_shown_does_not_matter_to_the_model() -> None:
    """Both callers may have the one answer."""
    with_it, without = Generation(include_reasoning=True), Generation()
    assert answer_key(NAMING, "acme", "m", with_it, b"q") == answer_key(NAMING, "acme", "m", without, b"q")


def test_kinds_and_tenants_and_naming_keys_have_names_of_their_own() -> None:
    """The same words elsewhere are another name."""
    names = {
        key_of(NAMING, "acme", Kind.ANSWER, "x").digest,
        key_of(NAMING, "acme", Kind.TURN, "x").digest,
        key_of(NAMING, "other", Kind.ANSWER, "x").digest,
        key_of(b"o" * 32, "acme", Kind.ANSWER, "x").digest,
    }
    assert len(names) == 4


def test_a_key_is_shown_with_model_digest_and_length() -> None:
    """`model:{version}:query:{digest}:{context_length}`."""
    found = key_of(NAMING, "acme", Kind.ANSWER, "x")
    assert shown(found, "deepseek-flash", 343) == f"model:deepseek-flash/1:query:{found.digest[:16]}:343"
