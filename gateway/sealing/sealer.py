"""Seals and opens with AES-256-GCM; makes the keys, and changes them before they are worn out."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.sealing import BrokenSeal, Label
from gateway.sealing.envelope import EPOCH_BYTES, NONCE_BYTES, Envelope, bound_to, key_id, purpose, unpacked

KEY_BYTES = 32
EPOCH_OPERATIONS = 2**28
EPOCH_S = 90 * 86_400.0
KEPT_KEYS = 4_096


class Sealer:
    """Seals under the first of the operator's secrets and opens under all of them.

    An epoch is this process's own and random, so that no other process ever uses its keys: it ends after 2^28
    seals or 90 days. `ticks` is in seconds of a clock that does not go back.
    """

    def __init__(
        self,
        secrets: Sequence[bytes],
        *,
        random: Callable[[int], bytes] = urandom,
        ticks: Callable[[], float] = time.monotonic,
        epoch_operations: int = EPOCH_OPERATIONS,
    ) -> None:
        """`secrets` are of 32 bytes each, the newest first; at least one. Raises ValueError."""
        if not secrets or any(len(secret) != KEY_BYTES for secret in secrets):
            raise ValueError("a seal key has 32 bytes")
        self._secrets = {key_id(secret): secret for secret in reversed(secrets)}
        self._newest, self._oldest = key_id(secrets[0]), secrets[-1]
        self._random = random
        self._ticks = ticks
        self._epoch_operations = epoch_operations
        self._keys: OrderedDict[tuple[object, ...], AESGCM] = OrderedDict()
        self._names: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._begin_epoch()

    def seal(self, label: Label, salt: bytes, content: bytes) -> bytes:
        """The content, readable for nobody without the secret and this salt."""
        if not self._left or self._ticks() >= self._ends_at:
            self._begin_epoch()
        self._left -= 1
        nonce = self._random(NONCE_BYTES)
        key = self._key(self._newest, self._epoch, label, salt)
        sealed = key.encrypt(nonce, content, bound_to(label, self._newest))
        return Envelope(self._newest, self._epoch, nonce, sealed).packed()

    def open(self, label: Label, salt: bytes, value: bytes) -> bytes:
        """The content of what was sealed under exactly this label. Raises BrokenSeal."""
        envelope = unpacked(value)
        if envelope.key_id not in self._secrets:
            raise BrokenSeal("sealed under a key that is not known here")
        key = self._key(envelope.key_id, envelope.epoch, label, salt)
        try:
            return key.decrypt(envelope.nonce, envelope.ciphertext, bound_to(label, envelope.key_id))
        except InvalidTag:
            raise BrokenSeal("the seal is broken, or another's") from None

    def naming_key(self, tenant: str, salt: bytes) -> bytes:
        """What names of the tenant's things are digested under.

        It rests on the oldest secret, so that things are found again after the newest one changed.
        """
        known = self._names.get((tenant, salt))
        if known is None:
            known = self._names[tenant, salt] = _derived(
                self._oldest, salt, purpose("names", Label(tenant, "", ""), b"")
            )
            if len(self._names) > KEPT_KEYS:
                self._names.popitem(last=False)
        return known

    def _begin_epoch(self) -> None:
        self._epoch = self._random(EPOCH_BYTES)
        self._left = self._epoch_operations
        self._ends_at = self._ticks() + EPOCH_S

    def _key(self, identity: bytes, epoch: bytes, label: Label, salt: bytes) -> AESGCM:
        name = (identity, epoch, label.tenant, label.kind, salt)
        known = self._keys.get(name)
        if known is None:
            secret = self._secrets[identity]
            known = self._keys[name] = AESGCM(_derived(secret, salt, purpose("seal", label, epoch)))
            if len(self._keys) > KEPT_KEYS:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(name)
        return known


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(secret)
