"""Wycheproof's JWS vectors: every invalid one is refused, by the signature layer alone and by the whole door."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import base64url
from gateway.auth.claims import read_header
from gateway.auth.compact import TokenError
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.auth.keys import KeySetError
from gateway.auth.policy import ALGORITHMS, STRICT_TYPES, IssuerPolicy
from gateway.auth.signatures import VerifyingKey
from gateway.auth.strict_json import parse_object
from gateway.domain.errors import CallerError
from tests.support.identity import AUDIENCE, ISSUER, bearer

FILE = Path(__file__).resolve().parent.parent / "vectors" / "jws.json"
GROUPS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["groups"]  # Any: JSON
# As lax as a policy can be about headers, so that what is refused is refused for its signature.
LAX = IssuerPolicy(ISSUER, (AUDIENCE,), algorithms=ALGORITHMS, types=frozenset({"", "JWT", "JOSE", *STRICT_TYPES}))
# Published keys are bound to one algorithm and to signatures, and are public; others never come into use.
USABLE = [group for group in GROUPS if group["key"]["kty"] != "oct"]


def keys_of(group: dict[str, Any]) -> dict[str, VerifyingKey]:
    """The group's key as the gateway reads it from a JWK set, if it may be used at all."""
    try:
        return read_verifying_keys(json.dumps({"keys": [group["key"]]}).encode(), LAX)[0]
    except KeySetError:
        return {}


def is_good(jws: str, keys: dict[str, VerifyingKey]) -> bool:
    """What the door does to a token, without the claims: the vectors sign words, not claims."""
    try:
        header, payload, signature = jws.split(".")
        named = read_header(parse_object(base64url.decode(header)), LAX)
        base64url.decode(payload)
        key = keys.get(named.key_id)
        if key is None or key.algorithm != named.algorithm:
            return False
        return key.verify(jws.rpartition(".")[0].encode("ascii"), base64url.decode(signature))
    except (TokenError, ValueError):
        return False


def test_the_vectors_are_all_there() -> None:
    """401, of which 355 are invalid."""
    assert sum(len(group["invalid"]) for group in GROUPS) == 355
    assert sum(len(group["valid"]) for group in GROUPS) == 46


def test_every_invalid_signature_is_refused() -> None:
    """By canonical form, by the algorithm bound to the key, or by the signature itself: 355 of 355."""
    accepted = [
        (number, about)
        for group in GROUPS
        for number, about, jws in group["invalid"]
        if is_good(jws, keys_of(group))
    ]
    assert accepted == []


def test_good_signatures_of_our_algorithms_are_good() -> None:
    """So the refusals above are not those of a door that is always shut."""
    opened = {
        group["key"]["alg"] for group in USABLE for _, _, jws in group["valid"] if is_good(jws, keys_of(group))
    }
    assert opened == {"RS256", "PS256", "ES256"}


@pytest.mark.parametrize("kind", ["valid", "invalid"])
async def test_nothing_in_the_vectors_is_a_token_of_ours(kind: str) -> None:
    """The whole door refuses all 401, with the words of every refusal."""
    for group in GROUPS:
        door = JwtAuthenticator([Issuer(LAX, StaticKeys(keys_of(group)))])
        for _, _, jws in group[kind]:
            with pytest.raises(CallerError, match=r"^invalid_token$"):
                await door.authenticate(bearer(jws))
