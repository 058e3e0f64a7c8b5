"""A signed token apart into its pieces, before anything in it is believed (RFC 7515 compact form). Pure."""

from dataclasses import dataclass

from gateway.auth import base64url
from gateway.auth.strict_json import parse_object

MAX_TOKEN_BYTES = 8192


class TokenError(ValueError):
    """A rule the token breaks. For logs only: a caller is told `invalid_token` whichever it was."""


@dataclass(frozen=True, slots=True)
class CompactToken:
    """What stands in the token; nothing of it is verified."""

    header: dict[str, object]
    payload: dict[str, object]
    signing_input: bytes
    signature: bytes


def has_sane_size(token: str) -> bool:
    """Whether the token may be looked at at all; takes the same time for every size."""
    return len(token) <= MAX_TOKEN_BYTES and token.isascii()


def parse(token: str) -> CompactToken:
    """The pieces of `token`. Raises TokenError where the form itself is wrong."""
    if not has_sane_size(token):
        raise TokenError(f"longer than {MAX_TOKEN_BYTES} bytes, or not ASCII")
    if token.count(".") != 2:
        raise TokenError("not three segments")
    header, payload, signature = token.split(".")
    try:
        return CompactToken(
            header=parse_object(base64url.decode(header)),
            payload=parse_object(base64url.decode(payload)),
            signing_input=token[: -len(signature) - 1].encode("ascii"),
            signature=base64url.decode(signature),
        )
    except ValueError as error:
        raise TokenError(str(error)) from error
