"""A request to the token endpoint, read strictly (RFC 6749 sections 2.3, 3.2 and 4.4, RFC 8707). Pure."""

import base64
import binascii
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

MAX_BODY_BYTES = 8192
MAX_FIELDS = 20
FORM = "application/x-www-form-urlencoded"


class TokenRequestError(Exception):
    """Why there is no token: `code` is a word of RFC 6749 section 5.2, the message is for people."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Which client asks, and for which scopes; None = all that it may have."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: frozenset[str] | None = None


def read_token_request(content_type: str, authorization: str, body: bytes, audience: str) -> TokenRequest:
    """The request for a token of `audience`. Raises TokenRequestError."""
    form = _form(content_type, body)
    if form.get("grant_type") is None:
        raise TokenRequestError("invalid_request", "grant_type is missing")
    if form["grant_type"] != "client_credentials":
        raise TokenRequestError("unsupported_grant_type", "the only grant here is client_credentials")
    for name in ("resource", "audience"):
        if form.get(name, audience) != audience:
            raise TokenRequestError("invalid_target", f"tokens are for {audience} alone")
    client_id, secret = _client(authorization, form)
    scopes = frozenset(form["scope"].split()) if form.get("scope") else None
    return TokenRequest(client_id, secret, scopes)


def granted(wanted: frozenset[str] | None, allowed: tuple[str, ...]) -> str:
    """The scopes of the token, sorted. Raises TokenRequestError for one that the client may not have."""
    scopes = frozenset(allowed) if wanted is None else wanted
    if scopes - set(allowed):
        raise TokenRequestError("invalid_scope", f"this client may ask for {' '.join(allowed)}")
    return " ".join(sorted(scopes))


def invalid_client() -> TokenRequestError:
    """The one answer to a wrong name, a wrong secret and a revoked client."""
    return TokenRequestError("invalid_client", "the client is not known, or its secret is wrong", 401)


def _form(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise TokenRequestError("invalid_request", f"send a form: Content-Type {FORM}")
    if len(body) > MAX_BODY_BYTES:
        raise TokenRequestError("invalid_request", f"the form is larger than {MAX_BODY_BYTES} bytes", 413)
    try:
        fields = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise TokenRequestError("invalid_request", "the form cannot be read") from error
    if any(count > 1 for count in Counter(name for name, _ in fields).values()):
        raise TokenRequestError("invalid_request", "a parameter occurs twice")
    # RFC 6749 section 3.2: a parameter without a value is treated as if it were not there.
    return {name: value for name, value in fields if value}


def _client(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    if authorization and "client_secret" in form:
        raise TokenRequestError("invalid_request", "authenticate one way: in the header, or in the form")
    if not authorization:
        if "client_id" not in form or "client_secret" not in form:
            raise invalid_client()
        return form["client_id"], form["client_secret"]
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise invalid_client()
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid_client() from error
    client_id, separator, secret = decoded.partition(":")
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if not separator or form.get("client_id", client_id) != client_id:
        raise invalid_client()
    return client_id, secret
