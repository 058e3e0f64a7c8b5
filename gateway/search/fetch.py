"""Fetches one page of the public web under the policy of `egress`: checked address, checked again at the socket.

A name is resolved once, every address it has must pass, and the connection is made to one of exactly these; each
redirect starts anew. No cookies, no credentials, no proxy of the environment; size, time and type are bounded.
What goes wrong after the URL itself was accepted is one and the same error: nobody learns what is open inside.
"""

import asyncio
import socket
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.search.egress import DeniedUrlError, Egress, Target

MAX_REDIRECTS = 3
KINDS = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "application/pdf")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BROKEN = (aiohttp.ClientError, OSError, ValueError, zlib.error, EOFError)

_HEADERS = {
    "Accept": ", ".join(KINDS),
    "Accept-Encoding": "identity",
    "User-Agent": "inference-gateway",
}
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchFailedError(Exception):
    """The page could not be read; it says no more, whatever the cause."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The most decoded bytes of one page, and its time in seconds with all redirects."""

    max_bytes: int = 1_000_000
    time_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """One page: where it was found in the end, media type and charset as the server said, the decoded bytes."""

    url: str
    mime_type: str
    content: bytes
    charset: str = ""


class GuardedFetcher:
    """Fetches pages; keeps nothing between two of them, not even a connection."""

    def __init__(self, egress: Egress, resolve: Resolve | None = None, tls: SSLContext | None = None) -> None:
        self._egress = egress
        self._resolve = resolve or _resolve
        self._tls = tls

    async def fetch(self, url: str, limits: FetchLimits = FetchLimits()) -> Fetched:
        """The page at `url`. Raises DeniedUrlError for the URL itself, FetchFailedError for all the rest."""
        target = self._egress.target(url)
        try:
            async with asyncio.timeout(limits.time_s):
                return await self._follow(target, limits)
        except (*BROKEN, TimeoutError, DeniedUrlError):
            pass
        raise FetchFailedError

    async def _follow(self, target: Target, limits: FetchLimits) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._get(target, limits)
            if isinstance(found, Fetched):
                return found
            following = self._egress.target(found)
            if target.scheme == "https" and following.scheme != "https":
                raise FetchFailedError
            target = following
        raise FetchFailedError

    async def _get(self, target: Target, limits: FetchLimits) -> Fetched | str:
        """The page, or the address that it redirects to."""
        addresses = frozenset(await self._addresses(target))
        async with (
            self._session(addresses) as session,
            session.get(URL(target.url, encoded=True), allow_redirects=False) as response,
        ):
            try:
                if response.status in REDIRECTS:
                    return urljoin(target.url, response.headers["Location"])
                if response.status != 200:
                    raise FetchFailedError
                mime_type = _accepted(response)
                content = await _body(response, limits.max_bytes)
                return Fetched(target.url, mime_type, content, (response.charset or "")[:40])
            except KeyError:
                raise FetchFailedError from None
            finally:
                _hang_up(response)

    async def _addresses(self, target: Target) -> Sequence[str]:
        found = [target.address] if target.address else await self._resolve(target.host, target.port)
        if not found or not all(map(self._egress.admits, found)):
            raise FetchFailedError
        return found

    def _session(self, addresses: frozenset[str]) -> aiohttp.ClientSession:
        def checked(info: aiohttp.AddrInfoType) -> socket.socket:
            """The last look before a connection: a literal in the URL does not pass any resolver."""
            address = str(info[4][0])
            if address not in addresses or not self._egress.admits(address):
                raise PermissionError("not an address that was checked")
            return socket.socket(family=info[0], type=info[1], proto=info[2])

        connector = aiohttp.TCPConnector(
            resolver=_Known(addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=checked,
            ssl=self._tls if self._tls is not None else True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=65_536,
        )


class _Known(AbstractResolver):
    """Answers with the addresses that were checked, whatever is asked."""

    def __init__(self, addresses: frozenset[str]) -> None:
        self._addresses = sorted(addresses)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the promise of aiohttp
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _accepted(response: aiohttp.ClientResponse) -> str:
    """The media type, if it is one that is read. A missing one is decided by the first bytes later."""
    if "Content-Type" not in response.headers:
        return ""
    if response.content_type not in KINDS:
        raise FetchFailedError
    return response.content_type


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The decoded body: one layer of gzip at most, unpacked no further than the limit."""
    encodings = ",".join(response.headers.getall("Content-Encoding", [])).strip().lower()
    if encodings not in ("", "identity", "gzip"):
        raise FetchFailedError
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if encodings == "gzip" else None
    body = bytearray()
    received = 0
    while chunk := await response.content.readany():
        received += len(chunk)
        body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
        if len(body) > limit or received > limit:
            raise FetchFailedError
    if unpack is not None and not unpack.eof:
        raise FetchFailedError
    return bytes(body)


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Closes the socket at once: an endless body must not go on behind us."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]
