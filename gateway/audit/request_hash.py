"""The keyed digest of a request: whoever reads the audit cannot guess a short prompt by hashing likely ones.

Every tenant has a key of its own, derived from the gateway's secret by HKDF-SHA-256 (RFC 5869).
"""

import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.audit.draft import RequestHash

REMEMBERED = 10_000
_LABEL = b"gateway audit request hash\0"


def request_hashes(secret: bytes) -> RequestHash:
    """HMAC-SHA-256 of a request's digest under its tenant's key."""

    @lru_cache(REMEMBERED)
    def key_of(tenant: str) -> bytes:
        return HKDF(SHA256(), 32, None, _LABEL + tenant.encode()).derive(secret)

    def request_hash(tenant: str, digest: bytes) -> bytes:
        return hmac.digest(key_of(tenant), digest, hashlib.sha256)

    return request_hash
