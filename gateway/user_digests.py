"""What stands for tenants and users where their names must not: keyed digests, the same for as long as the key."""

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache

from gateway.auth.api_key import ApiKeyFile
from gateway.settings import Settings

USER_ID_LENGTH = 32


def user_secret(settings: Settings) -> bytes:
    """What keys the digests of users' names on receipts."""
    secret = ApiKeyFile(settings.data_dir).secret()
    return hmac.new(secret, b"user names on receipts", hashlib.sha256).digest()


def user_ids(secret: bytes) -> Callable[[str], str]:
    """The opaque id of a tenant for an upstream: it separates caches and scheduling, and names nobody."""

    @lru_cache(maxsize=10_000)
    def user_id(tenant: str) -> str:
        return hmac.new(secret, b"upstream user id\0" + tenant.encode(), hashlib.sha256).hexdigest()[
            :USER_ID_LENGTH
        ]

    return user_id
