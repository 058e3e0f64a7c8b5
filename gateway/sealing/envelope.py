"""The layout of a sealed value, and what its keys and its tag are bound to (pure).

    version (1 byte) ‖ key id (8) ‖ epoch (8) ‖ nonce (12) ‖ ciphertext and tag

The ciphertext is AES-256-GCM. Its key is HKDF-SHA-256 of the operator's secret with the tenant's salt, for one
kind of thing and one epoch; its additional data are version, key id, tenant, kind and name. Everything is prefixed
with its length, so that no two different labels give the same bytes.
"""

import hashlib
from dataclasses import dataclass

from gateway.sealing import BrokenSeal, Label

VERSION = 1
KEY_ID_BYTES = 8
EPOCH_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = 1 + KEY_ID_BYTES + EPOCH_BYTES + NONCE_BYTES
OVERHEAD = HEADER_BYTES + TAG_BYTES
"""How much longer a sealed value is than its content, in bytes."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed value in its parts."""

    key_id: bytes
    epoch: bytes
    nonce: bytes
    ciphertext: bytes

    def packed(self) -> bytes:
        """The bytes to store."""
        return b"".join((bytes((VERSION,)), self.key_id, self.epoch, self.nonce, self.ciphertext))


def unpacked(value: bytes) -> Envelope:
    """The parts of stored bytes. Raises BrokenSeal."""
    if len(value) < OVERHEAD or value[0] != VERSION:
        raise BrokenSeal("not a sealed value of this version")
    parts = value[1:HEADER_BYTES]
    epoch_at, nonce_at = KEY_ID_BYTES, KEY_ID_BYTES + EPOCH_BYTES
    return Envelope(parts[:epoch_at], parts[epoch_at:nonce_at], parts[nonce_at:], value[HEADER_BYTES:])


def key_id(secret: bytes) -> bytes:
    """The name of a secret, which says nothing about it."""
    return hashlib.sha256(b"gateway seal key id\0" + secret).digest()[:KEY_ID_BYTES]


def purpose(use: str, label: Label, epoch: bytes) -> bytes:
    """What a derived key is for: the `info` of HKDF. The name is no part of it: one key serves a kind."""
    return framed(b"gateway", use.encode(), label.tenant.encode(), label.kind.encode(), epoch)


def bound_to(label: Label, identity: bytes) -> bytes:
    """The additional data of a seal."""
    return framed(bytes((VERSION,)), identity, label.tenant.encode(), label.kind.encode(), label.name.encode())


def framed(*parts: bytes) -> bytes:
    """The parts one after the other, each behind its length in four bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
