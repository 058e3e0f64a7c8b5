"""The chain: each record names the hash of the one before it, so that none can be changed, moved or taken out
(pure).

A frame is the length of the record (4 bytes), the CRC-32 of that length (4 bytes), the record, and the SHA-256 of
it (of a zero byte and the record, as RFC 6962 hashes leaves). The check on the length tells a record that was
torn off while it was written from one whose length was changed.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.audit.records import Content, IntentRecord, OutcomeRecord, Place, Seal, Start, decode, encode

MAGIC = b"gwaudit1"
"""The first bytes of every segment."""

HASH_SIZE = 32
MOST_BYTES = 1 << 24
"""No record is longer than this: 16 MiB."""

_LENGTH = struct.Struct(">I")
_HEADER = 8


class Broken(ValueError):  # noqa: N818 - the record is, not the reading of it
    """A record that is not what was written, at this offset of its segment."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain so far: how many records there are, and the hash of the last one."""

    count: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One record as it stands in a segment, from `offset` to `end`."""

    offset: int
    end: int
    hash: bytes
    place: Place
    content: Content


@dataclass(frozen=True, slots=True)
class Torn:
    """The bytes from `offset` on are the beginning of a record that was never finished."""

    offset: int


def genesis(chain: str) -> Head:
    """What the first record of a chain follows: each begins in its own way, so none can pass for another."""
    return Head(0, hashlib.sha256(b"gateway audit chain\0" + chain.encode()).digest())


def follow(head: Head, time_us: int, content: Content) -> tuple[Head, bytes]:
    """The head with one record more, and the frame of that record."""
    record = encode(Place(head.count + 1, time_us, head.hash), content)
    length = _LENGTH.pack(len(record))
    digest = _digest(record)
    return Head(head.count + 1, digest), b"".join((length, _LENGTH.pack(zlib.crc32(length)), record, digest))


def read_frames(data: bytes, offset: int = 0) -> Iterator[Frame | Torn]:
    """The records in `data`, and at its very end perhaps one that is torn. Raises Broken for what is neither.

    Only that each record is whole is looked at here, not whether it is the right one.
    """
    while offset < len(data):
        end = _end_of(data, offset)
        if end is None:
            yield Torn(offset)
            return
        record = data[offset + _HEADER : end - HASH_SIZE]
        digest = data[end - HASH_SIZE : end]
        if _digest(record) != digest:
            raise Broken(offset, "the record does not have its hash: it was changed")
        try:
            place, content = decode(record)
        except ValueError as error:
            raise Broken(offset, str(error)) from error
        yield Frame(offset, end, digest, place, content)
        offset = end


class Reading:
    """Holds the records of one chain against its rules, one after the other.

    `open` are the intents without an outcome so far, by their place, each as `tenant:receipt`.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.chain = ""
        self.open: dict[int, str] = {}
        self.taken = 0
        self.intents = 0
        self.outcomes = 0
        self.in_segment = 0
        self.sealed = True

    def take(self, frame: Frame) -> None:
        """The next record. Raises Broken when it cannot be the next one."""
        place, content = frame.place, frame.content
        if place.seq != self.head.count + 1:
            raise Broken(frame.offset, f"record {place.seq} stands where {self.head.count + 1} belongs")
        if place.previous != self.head.hash:
            raise Broken(frame.offset, f"record {place.seq} does not follow the one before it")
        if isinstance(content, Start) != self.sealed:
            what = "begins with no start" if self.sealed else "has a start within it"
            raise Broken(frame.offset, f"the segment {what}")
        why = self._wrong(place, content)
        if why:
            raise Broken(frame.offset, why)
        self.head = Head(place.seq, frame.hash)
        self.taken += 1

    def _wrong(self, place: Place, content: Content) -> str:
        self.in_segment += 1
        match content:
            case Start(chain=chain):
                return self._begin(chain, content.open)
            case IntentRecord():
                self.intents += 1
                self.open[place.seq] = name_of(content)
            case OutcomeRecord(intent=intent):
                self.outcomes += 1
                if self.open.pop(intent, "") != name_of(content):
                    return f"record {place.seq} is the outcome of {intent}, which is no intent without one"
            case Seal(records=records):
                self.sealed = True
                if records != self.in_segment - 1:
                    return f"the seal counts {records} records, and there are {self.in_segment - 1}"
        return ""

    def _begin(self, chain: str, still_open: tuple[tuple[str, str], ...]) -> str:
        self.sealed, self.in_segment = False, 1
        if chain != (self.chain or chain):
            return f"the segment is of the chain {chain}, not of {self.chain}"
        known = open_list(self.open)
        if self.chain and still_open != known:
            return "the start does not name the intents that had no outcome"
        self.chain = chain
        if not known:
            self.open = {int(seq): name for seq, name in still_open if seq.isdecimal()}
        return ""


def name_of(record: IntentRecord | OutcomeRecord) -> str:
    """How a start names an intent."""
    return f"{record.tenant}:{record.receipt_id}"


def open_list(intents: dict[int, str]) -> tuple[tuple[str, str], ...]:
    """The intents without an outcome as a start names them."""
    return tuple((str(seq), name) for seq, name in sorted(intents.items()))


def _end_of(data: bytes, offset: int) -> int | None:
    """Where the frame ends; None for one that was torn off. Raises Broken."""
    left = len(data) - offset
    if left < _HEADER:
        return None
    length: int = _LENGTH.unpack_from(data, offset)[0]
    check: int = _LENGTH.unpack_from(data, offset + 4)[0]
    if zlib.crc32(data[offset : offset + 4]) != check or length > MOST_BYTES:
        # A file that grew before its content came, when the power failed, ends in zeros.
        if not any(data[offset:]):
            return None
        raise Broken(offset, "the length of the record was changed")
    end = offset + _HEADER + length + HASH_SIZE
    return end if end <= len(data) else None


def _digest(record: bytes) -> bytes:
    return hashlib.sha256(b"\0" + record).digest()
