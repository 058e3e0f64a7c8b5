"""One document from an issuer over HTTP: small, quick, without redirects, and from where configuration says."""

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from gateway.auth.keys import MAX_DOCUMENT_BYTES
from gateway.auth.strict_json import parse_object

TIMEOUT_S = 2.0
DISCOVERY_PATH = "/.well-known/openid-configuration"


class FetchError(Exception):
    """The document could not be had; the message is for the operator."""


def check_url(url: str, *, allow_plaintext: bool = False) -> None:
    """Raises ValueError unless `url` is https; plain HTTP is for this machine, or `allow_plaintext`."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(f"{url!r} is no http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL for keys must not hold a user name or password")
    if parts.scheme == "http" and not allow_plaintext and not _is_loopback(parts.hostname):
        raise ValueError(f"{url!r} is plain HTTP; use https, or set allow_plaintext = true for it")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Jwks:
    """The JWK set at a configured URL. `tls` None = the system's certificate authorities; times in seconds."""

    url: str
    allow_plaintext: bool = False
    tls: ssl.SSLContext | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        check_url(self.url, allow_plaintext=self.allow_plaintext)

    async def load(self) -> bytes:
        """The document as sent. Raises FetchError."""
        return await fetch(self.url, self.tls, self.timeout_s)


class DiscoveredJwks:
    """The JWK set that the issuer's own OpenID configuration names (OpenID Connect Discovery 1.0, section 4).

    The place is asked for once, and again after a failure: an issuer may move its keys.
    """

    def __init__(self, issuer: str, *, allow_plaintext: bool = False, tls: ssl.SSLContext | None = None) -> None:
        check_url(issuer, allow_plaintext=allow_plaintext)
        self._issuer = issuer
        self._allow_plaintext = allow_plaintext
        self._tls = tls
        self._jwks: Jwks | None = None

    async def load(self) -> bytes:
        """The document as sent. Raises FetchError."""
        jwks, self._jwks = self._jwks, None
        if jwks is None:
            jwks = await self._discover()
        document = await jwks.load()
        self._jwks = jwks
        return document

    async def _discover(self) -> Jwks:
        url = self._issuer.rstrip("/") + DISCOVERY_PATH
        document = await fetch(url, self._tls)
        try:
            configuration = parse_object(document)
            if configuration.get("issuer") != self._issuer:
                raise ValueError(f"it speaks for another issuer than {self._issuer}")
            jwks_uri = configuration.get("jwks_uri")
            if not isinstance(jwks_uri, str):
                raise ValueError("it names no jwks_uri")
            return Jwks(jwks_uri, self._allow_plaintext, self._tls)
        except ValueError as error:
            raise FetchError(f"{url}: {error}") from error


async def fetch(
    url: str,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """At most 64 KiB from `url`, all of it within `timeout_s`; a `form` is posted.

    Raises FetchError for every way that goes wrong.

    Each fetch has a session of its own: one connection every few minutes needs no pool, and nothing stays open.
    """
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            ) as session,
            session.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                headers=headers,
                allow_redirects=False,
                ssl=tls or True,
            ) as response,
        ):
            if response.status != 200:
                raise FetchError(f"{url} answered {response.status}")
            return await _read_capped(response.content, url)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise FetchError(f"{url}: {type(error).__name__} {error}") from error


async def _read_capped(content: aiohttp.StreamReader, url: str) -> bytes:
    """One byte more than allowed is enough to know; an endless body is not read to its end."""
    try:
        await content.readexactly(MAX_DOCUMENT_BYTES + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise FetchError(f"{url} sent more than {MAX_DOCUMENT_BYTES} bytes")
