"""What a value is called: a digest of everything that changes it, under a key of the tenant's own (pure).

The encoding is injective: every value carries its type and its length, nothing is joined by a separator, folded or
left out. Dataclasses are encoded field by field, so that a new option changes the key without anybody's thinking
of it.
"""

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from gateway.cache import Key, Kind

SCHEMA = 1
"""Changes when the same question would not mean the same answer any more."""
SHOWN_DIGITS = 16


def key_of(naming_key: bytes, tenant: str, kind: Kind, *fields_of: object) -> Key:
    """The key of a value that these fields say everything about."""
    digest = hashlib.sha256(canonical((SCHEMA, kind.value, tenant, fields_of))).digest()
    return Key(tenant, kind, hmac.new(naming_key, digest, hashlib.sha256).hexdigest())


def shown(key: Key, model: str, context_tokens: int) -> str:
    """How a key is told to people: `model:{version}:query:{digest}:{context_length}`."""
    return f"model:{model}/{SCHEMA}:query:{key.digest[:SHOWN_DIGITS]}:{context_tokens}"


def canonical(value: object) -> bytes:
    """The one encoding of a value; two different values never have the same. Raises TypeError for other kinds.

    Different are also: nothing and empty, 1, "1", 1.0 and True, a text and its Unicode-equal twin, the order of a
    list. The order of a mapping is not its meaning.
    """
    out: list[bytes] = []
    _write(value, out)
    return b"".join(out)


def _write(value: object, out: list[bytes]) -> None:  # noqa: C901, PLR0912 - one branch for each type
    match value:
        case None:
            out.append(b"n")
        case bool():
            out.append(b"t" if value else b"f")
        case Enum():
            _whole(b"e", f"{type(value).__name__}.{value.name}".encode(), out)
        case str():
            _whole(b"s", value.encode("utf-8", "surrogatepass"), out)
        case int():
            _whole(b"i", str(value).encode(), out)
        case float():
            out.append(b"d" + struct.pack(">d", value))
        case bytes():
            _whole(b"b", value, out)
        case tuple() | list():
            out.append(b"l" + len(value).to_bytes(8, "big"))
            for item in value:
                _write(item, out)
        case Mapping():
            pairs = sorted((canonical(name), item) for name, item in value.items())
            out.append(b"m" + len(pairs).to_bytes(8, "big"))
            for name, item in pairs:
                out.append(name)
                _write(item, out)
        case _ if is_dataclass(value):
            parts = fields(value)
            _whole(b"o", type(value).__name__.encode(), out)
            out.append(len(parts).to_bytes(8, "big"))
            for part in parts:
                _whole(b"s", part.name.encode(), out)
                _write(getattr(value, part.name), out)
        case _:
            raise TypeError(f"a {type(value).__name__} has no canonical form")


def _whole(tag: bytes, data: bytes, out: list[bytes]) -> None:
    out.append(tag + len(data).to_bytes(8, "big"))
    out.append(data)
