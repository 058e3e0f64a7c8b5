"""JSON with one meaning: what RFC 8725 calls ambiguous is refused, and nothing breaks the parser."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.strict_json import MAX_DEPTH, parse_object

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_every_plain_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    """What a good encoder writes comes back equal, whatever brackets and quotes its texts hold."""
    assert parse_object(json.dumps(value).encode()) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_an_object_or_a_value_error(raw: bytes) -> None:
    """Nothing else escapes, whatever the bytes are."""
    with contextlib.suppress(ValueError):
        assert isinstance(parse_object(raw), dict)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"deep": {"b": 1, "b": 2}}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_ambiguous_or_no_object_is_refused(raw: bytes) -> None:
    """Other types, duplicates in any spelling, infinities, byte order marks and bad UTF-8 are all refused."""
    with pytest.raises(ValueError):
        parse_object(raw)


def nested(levels: int) -> bytes:
    """An object with arrays in it, `levels` deep altogether."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_nesting_is_allowed_up_to_the_limit() -> None:
    """32 levels are read, 33 are not, and a hundred thousand do not reach the recursive parser."""
    assert "a" in parse_object(nested(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match="nested"):
            parse_object(nested(levels))


def test_brackets_in_texts_do_not_count_as_nesting() -> None:
    """Only structure nests; quotes and backslashes inside texts do not confuse the count."""
    value = {"a": "[" * 500, 'quote"[[': '\\"{' * 50, "end": "\\"}
    assert parse_object(json.dumps(value).encode()) == value


def test_many_shallow_brackets_are_no_nesting() -> None:
    """A long flat list is read."""
    assert len(parse_object(b'{"a":[' + b"[]," * 200 + b"[]]}")["a"]) == 201


def test_an_unfinished_text_hides_no_nesting_and_costs_no_square_of_time() -> None:
    """Escaped quotes without an end are the worst case for a naive scanner; this returns at once."""
    with pytest.raises(ValueError):
        parse_object(b'{"' + b'\\"' * 500_000 + b"[" * 50)
