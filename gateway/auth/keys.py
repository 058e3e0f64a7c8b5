"""A JWK set as an issuer publishes it, into the keys that may verify its tokens (RFC 7517, RFC 7518). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.auth import base64url
from gateway.auth.claims import KEY_ID
from gateway.auth.policy import IssuerPolicy
from gateway.auth.strict_json import parse_object

MAX_DOCUMENT_BYTES = 65_536
MAX_KEYS = 20
# Below: breakable. Above: one refused token would cost more than a millisecond.
RSA_BITS = range(2048, 8193)

_KEY_TYPES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_MEMBERS = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_COORDINATE_BYTES = 32


class KeySetError(ValueError):
    """The whole document is unusable; whoever has an older one keeps it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One published key, bound to the one algorithm it verifies. `jwk` holds its public members as published."""

    key_id: str
    algorithm: str
    jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys by `kid`, and why each other entry was skipped, in words for the operator."""

    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def read_key_set(document: bytes, policy: IssuerPolicy) -> KeySet:
    """The keys in a JWK set. One bad entry never spoils the others; keys for encryption are passed over.

    Raises KeySetError for what is no JWK set, too large, or holds entries of which not a single one is usable.
    """
    entries = _entries(document)
    keys: dict[str, PublicKey] = {}
    skipped: list[str] = []
    for position, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("use", "sig") == "enc":
            continue
        try:
            key = read_key(entry, policy)
            if key.key_id in keys:
                raise ValueError("its kid is taken by an earlier key")
            keys[key.key_id] = key
        except ValueError as error:
            skipped.append(f"key {position + 1}: {error}")
    if entries and not keys:
        raise KeySetError("; ".join(["no usable key", *skipped]))
    return KeySet(keys, tuple(skipped))


def read_key(entry: object, policy: IssuerPolicy) -> PublicKey:
    """One entry of the set. Raises ValueError with the rule it breaks."""
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    if _PRIVATE & entry.keys():
        raise ValueError("a private or symmetric key was published; replace it, it is no secret any more")
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or KEY_ID.fullmatch(key_id) is None:
        raise ValueError("kid is missing or malformed")
    algorithm = entry.get("alg", policy.default_algorithm)
    if not isinstance(algorithm, str) or algorithm not in policy.algorithms:
        raise ValueError(f"alg is missing or not accepted for {policy.issuer}")
    if entry.get("use", "sig") != "sig" or "verify" not in _operations(entry):
        raise ValueError("not meant for signatures")
    return PublicKey(key_id, algorithm, _public_members(entry, _KEY_TYPES[algorithm]))


def _entries(document: bytes) -> list[object]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise KeySetError(f"larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        entries = parse_object(document).get("keys")
    except ValueError as error:
        raise KeySetError(f"not a JWK set: {error}") from error
    if not isinstance(entries, list):
        raise KeySetError("not a JWK set: it has no list of keys")
    if len(entries) > MAX_KEYS:
        raise KeySetError(f"more than {MAX_KEYS} keys")
    return entries


def _operations(entry: Mapping[str, object]) -> list[object]:
    operations = entry.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _public_members(entry: Mapping[str, object], key_type: str) -> dict[str, str]:
    if entry.get("kty") != key_type or entry.get("crv") != _CURVES.get(key_type):
        raise ValueError("kty or crv does not belong to alg")
    texts = {name: entry.get(name) for name in _MEMBERS[key_type]}
    members = {name: text for name, text in texts.items() if isinstance(text, str)}
    if len(members) != len(texts):
        raise ValueError("a member of the key is missing")
    raw = {name: base64url.decode(text) for name, text in members.items()}
    if key_type == "RSA":
        _check_rsa(int.from_bytes(raw["n"]), int.from_bytes(raw["e"]))
    elif any(len(coordinate) != _COORDINATE_BYTES for coordinate in raw.values()):
        raise ValueError(f"a coordinate is not {_COORDINATE_BYTES} bytes long")
    curve = {} if key_type == "RSA" else {"crv": _CURVES[key_type]}
    return {"kty": key_type, **curve, **members}


def _check_rsa(modulus: int, exponent: int) -> None:
    if modulus.bit_length() not in RSA_BITS:
        raise ValueError(f"RSA keys have {RSA_BITS.start} to {RSA_BITS.stop - 1} bits here")
    if modulus % 2 == 0 or exponent % 2 == 0 or not 3 <= exponent < 2**32:
        raise ValueError("not an RSA key")
