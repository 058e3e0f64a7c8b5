"""What stands in the audit, and how it is written: every field with its length before it, one way only (pure).

Numbers are 8 bytes, big-endian, two's complement; texts are UTF-8; a list is the number of its pairs and then
each half of each pair. A record that could be written in another way than `encode` writes it is refused by
`decode`.
"""

import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import ClassVar

_LENGTH = struct.Struct(">I")
_NUMBER = struct.Struct(">q")
_PLACE = struct.Struct(">BQq32s")


class Kind(IntEnum):
    """The first byte of every record."""

    START = 1
    INTENT = 2
    OUTCOME = 3
    SEAL = 4


@dataclass(frozen=True, slots=True)
class Start:
    """The first record of a segment: whose chain, and which intents of earlier segments have no outcome yet.

    `open` names them by their place in the chain and `tenant:receipt`. `writer` is `host:process`.
    """

    kind: ClassVar[Kind] = Kind.START
    chain: str
    writer: str
    open: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """What is about to be done; `request_hash` is keyed by a secret of the tenant's."""

    kind: ClassVar[Kind] = Kind.INTENT
    tenant: str
    subject: str
    client_id: str
    credential_id: str
    caller_ip: str
    request_id: str
    method: str
    receipt_id: str
    request_hash: bytes
    model: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """What came of the intent at the place `intent` of the same chain. Money in nano-USD."""

    kind: ClassVar[Kind] = Kind.OUTCOME
    intent: int
    tenant: str
    receipt_id: str
    code: int
    cause: str
    finish: str
    model: str
    served_by: str
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    search_calls: int
    tool_runs: int
    cost_nano_usd: int
    basis: str
    sources: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Seal:
    """The last record of a segment: how many stand before it in there. Nothing comes after it."""

    kind: ClassVar[Kind] = Kind.SEAL
    records: int


Content = Start | IntentRecord | OutcomeRecord | Seal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: its number from 1, microseconds since the epoch, the hash of the one before it."""

    seq: int
    time_us: int
    previous: bytes


_SHAPES: dict[int, type[Content]] = {shape.kind: shape for shape in (Start, IntentRecord, OutcomeRecord, Seal)}
_NAMES = {shape: tuple(field.name for field in fields(shape)) for shape in _SHAPES.values()}
_TYPES = {shape: tuple((field.name, field.type) for field in fields(shape)) for shape in _SHAPES.values()}
_PAIRS_OF_BYTES = tuple[tuple[str, bytes], ...]
_PAIRS_OF_TEXT = tuple[tuple[str, str], ...]


def encode(place: Place, content: Content) -> bytes:
    """The one way to write it. Raises struct.error or OverflowError for numbers beyond 64 bits."""
    parts = [_PLACE.pack(content.kind, place.seq, place.time_us, place.previous)]
    for name in _NAMES[type(content)]:
        _write(getattr(content, name), parts)
    return b"".join(parts)


def decode(data: bytes) -> tuple[Place, Content]:
    """The record. Raises ValueError that says what is wrong with it."""
    if len(data) < _PLACE.size:
        raise ValueError("the record is too short")
    kind, seq, time_us, previous = _PLACE.unpack_from(data)
    shape = _SHAPES.get(kind)
    if shape is None:
        raise ValueError(f"there is no record of kind {kind}")
    reader = _Reader(data, _PLACE.size)
    values = {name: reader.read(hint) for name, hint in _TYPES[shape]}
    if reader.at != len(data):
        raise ValueError("the record is longer than its fields")
    return Place(seq, time_us, previous), shape(**values)  # type: ignore[arg-type]  # of the fields' types


def _write(value: object, parts: list[bytes]) -> None:
    if isinstance(value, str):
        raw = value.encode("utf-8", "replace")
    elif isinstance(value, int):
        raw = _NUMBER.pack(value)
    elif isinstance(value, bytes):
        raw = value
    else:
        assert isinstance(value, tuple)  # noqa: S101 - no field is of another kind
        parts.append(_LENGTH.pack(len(value)))
        for pair in value:
            for half in pair:
                _write(half, parts)
        return
    parts.append(_LENGTH.pack(len(raw)))
    parts.append(raw)


class _Reader:
    """Reads the fields of one record, front to back."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def read(self, hint: object) -> object:
        """A field of the type `hint`."""
        if hint is str:
            return self._text()
        if hint is int:
            return self._number()
        if hint is bytes:
            return self._raw()
        if hint == _PAIRS_OF_BYTES:
            return tuple((self._text(), self._raw()) for _ in range(self._length()))
        assert hint == _PAIRS_OF_TEXT  # noqa: S101 - no field is of another kind
        return tuple((self._text(), self._text()) for _ in range(self._length()))

    def _length(self) -> int:
        end = self.at + _LENGTH.size
        if end > len(self._data):
            raise ValueError("the record ends within a field")
        found: int = _LENGTH.unpack_from(self._data, self.at)[0]
        self.at = end
        return found

    def _raw(self) -> bytes:
        length = self._length()
        if self.at + length > len(self._data):
            raise ValueError("the record ends within a field")
        self.at += length
        return self._data[self.at - length : self.at]

    def _text(self) -> str:
        return self._raw().decode("utf-8")  # UnicodeDecodeError is a ValueError

    def _number(self) -> int:
        raw = self._raw()
        if len(raw) != _NUMBER.size:
            raise ValueError("a number is not 8 bytes long")
        found: int = _NUMBER.unpack(raw)[0]
        return found
