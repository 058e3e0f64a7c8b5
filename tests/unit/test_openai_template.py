"""Text that is cut out of its event is the text that a parser finds there, whatever else the event holds."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import TextDelta
from gateway.models.openai_template import Template, learn
from gateway.models.openai_wire import DONE, ChunkFolder
from tests.support.chat_payloads import USAGE, chunk, text, tool

PIECES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from(["", "a", "\n", '"', "\\", "\\n", "é", "你好", '"content":"a"', "\u2028", "\x7f", "😀"]),
)
DELTAS = st.one_of(
    st.fixed_dictionaries({"content": PIECES}),
    st.fixed_dictionaries({"content": st.none(), "reasoning_content": PIECES}),
    st.fixed_dictionaries({"reasoning": PIECES}),
    st.fixed_dictionaries({"content": PIECES, "refusal": PIECES}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": PIECES, "reasoning_content": PIECES}),
)
PAYLOADS = st.one_of(
    DELTAS.map(chunk),
    DELTAS.map(chunk),
    st.builds(chunk, DELTAS, usage=st.sampled_from([USAGE, None])),
    st.builds(chunk, DELTAS, st.sampled_from(["stop", None])),
    st.builds(
        lambda delta, index: chunk(delta).replace(b'"index":0', b'"index":%d' % index), DELTAS, st.integers(0, 1)
    ),
    st.sampled_from([b"", tool(0, "c", "f", "{"), tool(arguments="}"), b'{"content":"a"}', text("x")[:-1]]),
    st.sampled_from([text("a").replace(b'"a"', b'"\xff"'), text("a").replace(b'"a"', b'"\t"'), b'{"error":{}}']),
)


def folded(batches: list[list[bytes]], lessons: int) -> object:
    """Everything that a folder makes of these batches."""
    folder = ChunkFolder(orjson.loads, lessons=lessons)
    events = [folder.feed(batch) for batch in batches]
    failure = folder.failure and (folder.failure.reason, folder.failure.message)
    return events, failure, folder.done, folder.has_finish, folder.model, folder.anomalies


@given(st.lists(st.lists(PAYLOADS, max_size=6), max_size=6))
def test_cutting_changes_nothing(batches: list[list[bytes]]) -> None:
    """With templates or without, the same events come out."""
    assert folded(batches, lessons=8) == folded(batches, lessons=0)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["content", "reasoning_content"]))
def test_a_long_run_of_plain_text_is_the_same_text(pieces: list[str], field: str) -> None:
    """The usual stream: one field, any text."""
    payloads = [chunk({field: piece}) for piece in pieces]
    assert folded([payloads], lessons=8) == folded([payloads], lessons=0)


def test_what_was_learned_is_cut_without_parsing() -> None:
    """The decoder sees the first events and the proof of what they teach, and none of those that follow."""
    seen = []

    def decode(payload: bytes) -> object:
        seen.append(payload)
        return orjson.loads(payload)

    folder = ChunkFolder(decode)
    assert folder.feed([text("a"), text("b"), text("c")]) == [TextDelta("abc", events=3)]
    before = len(seen)
    assert folder.feed([text("d"), text("e")]) == [TextDelta("de", events=2)]
    assert folder.feed([text("b"), text("你好"), DONE]) == [TextDelta("b你好", events=2)]
    assert len(seen) == before
    assert folder.done


def test_an_escape_is_parsed_and_the_next_text_is_cut_again() -> None:
    """A line break in the middle costs one parse, not the template."""
    folder = ChunkFolder(orjson.loads)
    assert folder.feed([text("a"), text("\n"), text("b")]) == [TextDelta("a\nb", events=3)]


def test_an_answer_of_a_few_words_teaches_nothing() -> None:
    """A lesson costs more than it saves there: each event is parsed once."""
    seen = []

    def decode(payload: bytes) -> object:
        seen.append(payload)
        return orjson.loads(payload)

    payloads = [text("a"), text("b")]
    ChunkFolder(decode).feed(payloads)
    assert seen == payloads


RAW = st.one_of(
    PIECES.map(str.encode), st.binary(max_size=4), st.sampled_from([b"\n", b'"\n"', b'"}\n{"c":"', b"\xc3"])
)


@given(st.lists(RAW, min_size=1, max_size=6), st.sampled_from([b"", b"x", b"\n"]))
def test_all_at_once_is_one_by_one(pieces: list[bytes], odd: bytes) -> None:
    """Whatever stands in the events, broken UTF-8 and line feeds too: the same text, or the slow way."""
    template = Template("content", b'{"c":"', b'"}')
    payloads = [template.before + piece + template.after for piece in pieces[:-1]]
    payloads.append(template.before + pieces[-1] + template.after + odd)
    at_once = template.cut_all(payloads)
    one_by_one = template.cut(payloads, 0)
    if at_once is not None:
        assert (at_once, len(payloads)) == ("".join(one_by_one), len(one_by_one))
    elif len(one_by_one) == len(payloads):
        assert not "".join(one_by_one).isascii()


@pytest.mark.parametrize(
    "payload",
    [
        chunk({"content": ""}),
        chunk({"content": "a", "reasoning_content": "r"}),
        chunk({"content": "a", "refusal": "r"}),
        chunk({"reasoning": "r"}),
        chunk({"content": "a"}, "stop"),
        chunk({"content": "a"}, usage=USAGE),
        chunk({"content": 'a"'}),
        chunk({"content": "a"}).replace(b'"index":0', b'"index":1'),
        chunk({"content": "a"}).replace(b":", b": "),
        tool(0, "c", "f", "{}"),
        orjson.dumps({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}),
        b'{"x":"content","choices":[]}',
        b'{"note":{"content":"a"},"choices":[{"delta":{"content":"a"}}]}',
        b"not json",
        b"[]",
    ],
)
def test_an_event_that_is_not_plain_teaches_nothing(payload: bytes) -> None:
    """More than one text, an end, usage, an escape, another place with the same words: all of that is parsed."""
    assert learn(payload, orjson.loads) is None


def test_a_plain_event_teaches_what_surrounds_its_text() -> None:
    """Everything but the text, to the byte."""
    payload = chunk({"content": "a"})
    before, _, after = payload.partition(b'"content":"a"')
    assert learn(payload, orjson.loads) == Template("content", before + b'"content":"', b'"' + after)
