"""JWK sets: bad entries are skipped with a reason, the good ones stay."""

from dataclasses import replace

import pytest

from gateway.auth import base64url
from gateway.auth.key_source import read_verifying_keys
from gateway.auth.keys import MAX_DOCUMENT_BYTES, MAX_KEYS, KeySetError, read_key_set
from tests.support.identity import ABSENT, EVERY_ALGORITHM, STRICT, jwks, public_jwk, published

GOOD = public_jwk("ES256", "ES256", "good")


def rsa_entry(**changes: object) -> dict[str, object]:
    return public_jwk("RS256", "RS256", "bad", **changes)


def ec_entry(**changes: object) -> dict[str, object]:
    return public_jwk("ES256", "ES256", "bad", **changes)


def number(value: int, length: int) -> str:
    return base64url.encode(value.to_bytes(length))


BAD_ENTRIES: dict[str, object] = {
    "no object": "text",
    "no kid": ec_entry(kid=ABSENT),
    "empty kid": ec_entry(kid=""),
    "kid with a path": ec_entry(kid="../key"),
    "kid of another type": ec_entry(kid=7),
    "long kid": ec_entry(kid="k" * 65),
    "no alg": ec_entry(alg=ABSENT),
    "alg of another type": ec_entry(alg=["ES256"]),
    "symmetric": {"kty": "oct", "kid": "bad", "alg": "HS256", "k": "AAAA"},
    "symmetric under a good alg": {"kty": "oct", "kid": "bad", "alg": "ES256"},
    "algorithm none": ec_entry(alg="none"),
    "algorithm not configured": public_jwk("EdDSA", "EdDSA", "bad"),
    "private EC": ec_entry(d="AAAA"),
    "private RSA": rsa_entry(d="AAAA"),
    "RSA with a prime": rsa_entry(p="AAAA"),
    "weak RSA": public_jwk("RS256-1024", "RS256", "bad"),
    "giant RSA": rsa_entry(n=number((1 << 8193) + 1, 1025)),
    "even modulus": rsa_entry(n=number(1 << 2047, 256)),
    "exponent one": rsa_entry(e="AQ"),
    "even exponent": rsa_entry(e="BA"),
    "giant exponent": rsa_entry(e=number((1 << 40) + 1, 6)),
    "modulus missing": rsa_entry(n=ABSENT),
    "modulus of another type": rsa_entry(n=5),
    "modulus padded": rsa_entry(n=str(rsa_entry()["n"]) + "="),
    "RSA key for ES256": rsa_entry(alg="ES256"),
    "EC key for RS256": ec_entry(alg="RS256"),
    "other curve": public_jwk("ES384", "ES384", "bad", alg="ES256"),
    "curve under another name": ec_entry(crv="secp256k1"),
    "short coordinate": ec_entry(x="AAAA"),
    "point off the curve": ec_entry(x=number(1, 32), y=number(1, 32)),
    "point at zero": ec_entry(x=number(0, 32), y=number(0, 32)),
    "use of another kind": ec_entry(use="other"),
    "not for verifying": ec_entry(key_ops=["sign"]),
    "key_ops of another type": ec_entry(key_ops="verify"),
}


@pytest.mark.parametrize("entry", BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_a_bad_entry_is_skipped_with_a_reason_and_the_good_one_stays(entry: object) -> None:
    """Wherever the bad one stands."""
    for document in (jwks(entry, GOOD), jwks(GOOD, entry)):
        keys, skipped = read_verifying_keys(document, STRICT)
        assert set(keys) == {"good"}
        assert len(skipped) == 1


def test_a_set_of_bad_entries_alone_is_no_set() -> None:
    """Whoever has an older set keeps it: this cannot be what the issuer meant."""
    for entry in (ec_entry(alg=ABSENT), ec_entry(x=number(1, 32), y=number(1, 32))):
        with pytest.raises(KeySetError, match="no usable key"):
            read_verifying_keys(jwks(entry), STRICT)


def test_an_empty_list_is_a_set_without_keys() -> None:
    """An issuer may withdraw every key, and says so with an empty list."""
    assert read_verifying_keys(jwks(), STRICT) == ({}, ())


def test_the_first_of_two_keys_with_one_name_stays() -> None:
    """A name stands for one key; the later entry is skipped, even for another algorithm."""
    second = public_jwk("RS256", "RS256", "good")
    keys, skipped = read_verifying_keys(jwks(GOOD, second), STRICT)
    assert keys["good"].algorithm == "ES256"
    assert len(skipped) == 1


def test_keys_for_encryption_are_passed_over_without_a_word() -> None:
    """Common issuers publish them beside the others; they are no fault."""
    encryption = rsa_entry(use="enc", alg="RSA-OAEP")
    keys, skipped = read_verifying_keys(jwks(encryption, GOOD), STRICT)
    assert set(keys) == {"good"}
    assert skipped == ()


def test_every_configured_algorithm_has_its_kind_of_key() -> None:
    """RS256, PS256, ES256 and EdDSA, each bound to its own name."""
    keys, skipped = read_verifying_keys(published(), EVERY_ALGORITHM)
    assert {name: key.algorithm for name, key in keys.items()} == {
        "rs": "RS256",
        "es": "ES256",
        "ps": "PS256",
        "ed": "EdDSA",
    }
    assert skipped == ()


def test_a_key_without_alg_gets_the_default_where_its_type_fits() -> None:
    """Only when the operator bound such keys, and never to an algorithm of another key type."""
    policy = replace(STRICT, default_algorithm="RS256")
    document = jwks(rsa_entry(kid="rsa", alg=ABSENT), ec_entry(kid="ec", alg=ABSENT))
    key_set = read_key_set(document, policy)
    assert {name: key.algorithm for name, key in key_set.keys.items()} == {"rsa": "RS256"}
    assert len(key_set.skipped) == 1


def test_the_reason_never_repeats_key_material() -> None:
    """Reasons go to a log; a private key that was published by mistake must not go there too."""
    _, skipped = read_verifying_keys(jwks(ec_entry(d="c2VjcmV0"), GOOD), STRICT)
    assert "c2VjcmV0" not in skipped[0]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>not found</html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b'{"keys": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b" " * MAX_DOCUMENT_BYTES + b'{"keys": []}',
        jwks(*[public_jwk("ES256", "ES256", f"k{i}") for i in range(MAX_KEYS + 1)]),
    ],
)
def test_what_is_no_reasonable_jwk_set_is_refused_as_a_whole(document: bytes) -> None:
    """HTML, other JSON, too deep, too large, too many keys."""
    with pytest.raises(KeySetError):
        read_key_set(document, STRICT)


def test_as_many_keys_as_allowed_are_read() -> None:
    """The limit is inclusive."""
    document = jwks(*[public_jwk("ES256", "ES256", f"k{i}") for i in range(MAX_KEYS)])
    assert len(read_key_set(document, STRICT).keys) == MAX_KEYS
