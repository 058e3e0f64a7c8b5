"""The development issuer's private keys: one PEM file each, numbered, the highest number signs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.auth import base64url, private_files
from gateway.auth.keys import MAX_KEYS


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key. `key_id` is the thumbprint of RFC 7638, `jwk` the public half, ready to publish."""

    key_id: str
    jwk: dict[str, str]
    private: EllipticCurvePrivateKey = field(repr=False)


class SigningKeys:
    """The keys in one directory, oldest first; the last one signs, the others still verify."""

    def __init__(self, directory: Path) -> None:
        """Reads the keys, and makes the first one where there is none. Raises OperatorError."""
        self._directory = directory
        self._seen: tuple[Path, ...] = ()
        self._keys = self._read()
        if not self._keys:
            # Two processes may get here together; the second one finds the key that the first one made.
            with private_files.locked(directory):
                self._keys = self._read()
                if not self._keys:
                    self._make()

    @property
    def all(self) -> Sequence[SigningKey]:
        """Every key that tokens in use may be signed with, oldest first."""
        return tuple(self._keys)

    @property
    def current(self) -> SigningKey:
        """The key that signs."""
        return self._keys[-1]

    def rotate(self, *, discard_old: bool = False) -> None:
        """Makes a new key to sign with. The newest 20 are kept, which is as many as a JWK set may hold.

        `discard_old` keeps the new one alone: whoever has a token of an older key needs another token.
        """
        kept = 1 if discard_old else MAX_KEYS
        with private_files.locked(self._directory):
            self._keys = self._read()
            self._make()
            for path in self._paths()[:-kept]:
                path.unlink()
            self._keys = self._keys[-kept:]

    def follow(self) -> bool:
        """Reads the keys again when another process has changed them; whether it has. Raises OperatorError."""
        paths = tuple(self._paths())
        if paths == self._seen or not paths:
            return False
        self._keys = self._read()
        return True

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob(f"signing-{'[0-9]' * 6}.pem"))

    def _read(self) -> list[SigningKey]:
        self._seen = tuple(self._paths())
        return [_load(path) for path in self._seen]

    def _make(self) -> None:
        last = self._paths()[-1:]
        number = int(last[0].stem.partition("-")[2]) + 1 if last else 1
        private = generate_private_key(SECP256R1())
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        private_files.write(self._directory / f"signing-{number:06d}.pem", pem)
        self._keys.append(_signing_key(private))
        self._seen = tuple(self._paths())


def _load(path: Path) -> SigningKey:
    advice = "delete it and start again: a new key is made, and tokens signed with the old one end"
    try:
        key = load_pem_private_key(private_files.read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, FileNotFoundError) as error:
        raise private_files.unusable(path, "not a readable private key", advice) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise private_files.unusable(path, "not an EC P-256 key", advice)
    return _signing_key(key)


def _signing_key(private: EllipticCurvePrivateKey) -> SigningKey:
    numbers = private.public_key().public_numbers()
    point = {"x": numbers.x, "y": numbers.y}
    public = {"crv": "P-256", "kty": "EC", **{k: base64url.encode(v.to_bytes(32)) for k, v in point.items()}}
    # RFC 7638: the required members only, sorted, without spaces.
    canonical = json.dumps(public, sort_keys=True, separators=(",", ":")).encode("ascii")
    key_id = base64url.encode(hashlib.sha256(canonical).digest())
    return SigningKey(key_id, {**public, "kid": key_id, "alg": "ES256", "use": "sig"}, private)
