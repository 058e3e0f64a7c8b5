"""Tokens by OAuth2 client credentials (RFC 6749, section 4.4), with the standard library alone."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote_plus, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from gateway_client.errors import SettingsError, TokenUnavailable
from gateway_client.targets import is_loopback_host
from gateway_client.tokens import sendable

MAX_REPLY_BYTES = 65_536
DEFAULT_LIFE_S = 300.0
MARGIN_S = 60.0


class ClientCredentials:
    """Fetches a token for a client id and secret, keeps it, and renews it before it expires.

    Tasks that need a token at the same time share one fetch. The id and secret go to `token_url` alone, in
    HTTP Basic: redirects are refused, and the URL must be https unless it is on loopback.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scopes: str = "",
        timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = _token_request(token_url, client_id, client_secret, scopes)
        self._opener = _opener(token_url)
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._fetches = 0
        self._token = ""
        self._renew_at = 0.0

    async def token(self, refresh: bool) -> str | None:
        """The kept token while it is good, else a new one. Raises TokenUnavailable."""
        seen = self._fetches
        if not refresh and self._is_good():
            return self._token
        async with self._lock:
            # Whoever waited here while another task fetched takes that token.
            if self._fetches == seen and (refresh or not self._is_good()):
                await self._fetch()
            return self._token

    def _is_good(self) -> bool:
        return self._token != "" and self._clock() < self._renew_at

    async def _fetch(self) -> None:
        body = await asyncio.to_thread(self._post)
        token, life_s = parse_token_reply(body)
        self._token = token
        self._renew_at = self._clock() + life_s - min(MARGIN_S, life_s / 5)
        self._fetches += 1

    def _post(self) -> bytes:
        try:
            with self._opener.open(self._request, timeout=self._timeout_s) as reply:
                body: bytes = reply.read(MAX_REPLY_BYTES)
                return body
        except HTTPError as error:
            with error:
                raise TokenUnavailable(_refusal(error.code, error.read(MAX_REPLY_BYTES))) from error
        except (OSError, HTTPException) as error:
            raise TokenUnavailable(f"no token from {self._request.full_url}: {error}") from error


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the secret to a place that nobody configured."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:  # noqa: ARG002 - the library calls it
        return None


def parse_token_reply(body: bytes) -> tuple[str, float]:
    """(token, seconds it lives) of a token reply (RFC 6749, section 5.1). Raises TokenUnavailable."""
    reply = _members(body)
    token, kind, life = reply.get("access_token"), reply.get("token_type"), reply.get("expires_in")
    if not isinstance(token, str) or not token:
        raise TokenUnavailable("the token endpoint answered without an access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenUnavailable("the token endpoint gave a token that is not a bearer token")
    known = isinstance(life, int | float) and not isinstance(life, bool) and life > 0
    return sendable(token, "the token endpoint's reply"), float(life) if known else DEFAULT_LIFE_S  # type: ignore[arg-type] # `known` says so


def _refusal(status: int, body: bytes) -> str:
    """RFC 6749, section 5.2: `error` and `error_description` say why."""
    reply = _members(body)
    why = [value for value in (reply.get("error"), reply.get("error_description")) if isinstance(value, str)]
    return f"the token endpoint answered {status}: {': '.join(why) or 'no reason given'}"


def _members(body: bytes) -> Mapping[str, object]:
    try:
        reply = json.loads(body)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _token_request(url: str, client_id: str, client_secret: str, scopes: str) -> Request:
    parts = urlsplit(url)
    allowed = ("http", "https") if is_loopback_host(parts.hostname or "") else ("https",)
    if parts.scheme not in allowed or not parts.hostname:
        raise SettingsError(f"the token URL {url!r} must be https (http is for loopback only)")
    form = {"grant_type": "client_credentials"} | ({"scope": scopes} if scopes else {})
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    headers = {
        "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "accept": "application/json",
    }
    return Request(url, urlencode(form).encode(), headers, method="POST")  # noqa: S310 - scheme checked above


def _opener(url: str) -> OpenerDirector:
    """No redirects; no proxy of the environment in front of a loopback issuer."""
    direct = [ProxyHandler({})] if is_loopback_host(urlsplit(url).hostname or "") else []
    return build_opener(_NoRedirect(), *direct)
