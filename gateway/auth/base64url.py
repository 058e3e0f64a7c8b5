"""Base64url as RFC 7515 section 2 writes it: no padding, one spelling for one value. Pure."""

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def decode(text: str) -> bytes:
    """The bytes behind a canonical, unpadded, non-empty base64url text. Raises ValueError for any other spelling.

    Most decoders read several texts as the same bytes: padding, other characters, set bits behind the last byte.
    """
    if _ALPHABET.fullmatch(text) is None:
        raise ValueError("not base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def encode(raw: bytes) -> str:
    """The one spelling that `decode` accepts."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
