"""The compact form of a token: one spelling for one value, and the size is known before anything is read."""

import contextlib
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.auth import base64url
from gateway.auth.compact import MAX_TOKEN_BYTES, TokenError, has_sane_size, parse
from tests.support.identity import claims, header, to_text, token

ALPHABET = string.ascii_letters + string.digits + "-_"


@given(st.binary(min_size=1, max_size=200))
def test_bytes_survive_the_way_through_base64url(raw: bytes) -> None:
    """Decoding undoes encoding."""
    assert base64url.decode(base64url.encode(raw)) == raw


@given(st.text(ALPHABET, min_size=1, max_size=40))
def test_a_text_is_canonical_or_refused(text: str) -> None:
    """No two texts decode to the same bytes: what decodes encodes to itself again."""
    try:
        raw = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(raw) == text


@given(st.text(max_size=30))
def test_other_characters_are_refused(text: str) -> None:
    """Padding, white space, plus and slash, and every character beyond ASCII."""
    assume(not text or set(text) - set(ALPHABET))
    with pytest.raises(ValueError):
        base64url.decode(text)


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "QQ\n", "QQ ", "Q+", "Q/", "QQ\x00", "QUFBQR"])
def test_known_spellings_of_other_decoders_are_refused(text: str) -> None:
    """Each of these is read as something by a common decoder."""
    with pytest.raises(ValueError):
        base64url.decode(text)


def test_a_good_token_comes_apart_into_its_pieces() -> None:
    """Header, payload, what was signed and the signature."""
    text = token()
    parsed = parse(text)
    assert parsed.header == header()
    assert parsed.payload == claims()
    assert parsed.signing_input == text.rpartition(".")[0].encode()
    assert len(parsed.signature) == 64


@given(st.text(ALPHABET + ".", max_size=60))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    """Whatever is thrown at it, the only outcome besides a token is a refusal."""
    try:
        parse(text)
    except TokenError:
        return
    assert text.count(".") == 2


@given(st.integers(0, 10_000), st.sampled_from(ALPHABET + ".=+/ \n\x00é"))
def test_a_changed_character_never_parses_to_the_same_token(position: int, character: str) -> None:
    """A token has one encoding: change any character and it is another token or none."""
    text = token(b'{"a":1}', b'{"b":2}')
    position %= len(text)
    changed = text[:position] + character + text[position + 1 :]
    assume(changed != text)
    with contextlib.suppress(TokenError):
        assert parse(changed) != parse(text)


def test_the_size_is_judged_before_the_content() -> None:
    """8,192 bytes may be looked at, one more may not, and neither may a text beyond ASCII."""
    assert has_sane_size("a" * MAX_TOKEN_BYTES)
    assert not has_sane_size("a" * (MAX_TOKEN_BYTES + 1))
    assert not has_sane_size("é")


def test_a_token_of_exactly_the_largest_size_is_read() -> None:
    """The limit is inclusive: the payload is padded until the token is as long as it may be."""
    base = len(token(header(), claims(note="")))
    for filler in range((MAX_TOKEN_BYTES - base) * 3 // 4 - 4, MAX_TOKEN_BYTES):
        text = token(header(), claims(note="x" * filler))
        if len(text) >= MAX_TOKEN_BYTES:
            break
    assert len(text) == MAX_TOKEN_BYTES
    assert parse(text).payload["note"] == "x" * filler
    with pytest.raises(TokenError, match="longer"):
        parse(text + "A")


def test_the_pieces_are_what_they_were_before_encoding() -> None:
    """Raw bytes are accepted as a part when they are a JSON object, white space included."""
    assert parse(token(b' {"a": 1}\n', to_text({"b": 2}))).header == {"a": 1}
