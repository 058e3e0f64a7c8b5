"""What a value is called: a digest of everything that changes it, under a key of the tenant's own (pure).

The encoding is injective: every value carries its type and its length, nothing is joined by a separator, folded or
left out. Dataclasses are encoded field by field, so that a new option changes the key without anybody's thinking
of it.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from typing import Any

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


def _write(value: object, out: list[bytes]) -> None:
    if value is None:
        out.append(b"n")
    elif type(value) is str:
        _text(value, out)
    else:
        # mypy takes the hash of an instance for that of its class
        _writer_of(type(value))(value, out)  # type: ignore[arg-type]


Writer = Callable[[Any, list[bytes]], None]  # Any: a value of the kind that the writer is for
_length = struct.Struct(">Q").pack
_NO_TEXT = b"s" + _length(0)


@lru_cache(maxsize=256)
def _writer_of(kind: type) -> Writer:
    """How values of this kind are written; found once for each kind."""
    exact = _WRITERS.get(kind)
    if exact is not None:
        return exact
    if issubclass(kind, Enum):
        return partial(_member, kind.__name__)
    if issubclass(kind, Mapping):
        return _mapping
    if is_dataclass(kind):
        return _record(kind)
    raise TypeError(f"a {kind.__name__} has no canonical form")


def _record(kind: type) -> Writer:
    """A dataclass: its name and those of its fields, which are the same for all of its kind, then the values."""
    names = [field.name for field in fields(kind)]
    head: list[bytes] = []
    _write((kind.__name__, *names), head)
    opening = b"o" + b"".join(head)

    def write(value: object, out: list[bytes]) -> None:
        out.append(opening)
        for name in names:
            _write(getattr(value, name), out)

    return write


def _text(value: str, out: list[bytes]) -> None:
    if value:
        _whole(b"s", value.encode("utf-8", "surrogatepass"), out)
    else:
        out.append(_NO_TEXT)


def _member(kind: str, value: Enum, out: list[bytes]) -> None:
    _whole(b"e", f"{kind}.{value.name}".encode(), out)


def _sequence(value: Sequence[object], out: list[bytes]) -> None:
    out.append(b"l" + _length(len(value)))
    for item in value:
        _write(item, out)


def _mapping(value: Mapping[object, object], out: list[bytes]) -> None:
    pairs = sorted((canonical(name), item) for name, item in value.items())
    out.append(b"m" + _length(len(pairs)))
    for name, item in pairs:
        out.append(name)
        _write(item, out)


def _whole(tag: bytes, data: bytes, out: list[bytes]) -> None:
    out.append(tag + _length(len(data)))
    out.append(data)


_WRITERS: dict[type, Writer] = {
    bool: lambda value, out: out.append(b"t" if value else b"f"),
    int: lambda value, out: _whole(b"i", str(value).encode(), out),
    float: lambda value, out: out.append(b"d" + struct.pack(">d", value)),
    bytes: lambda value, out: _whole(b"b", value, out),
    tuple: _sequence,
    list: _sequence,
}
