"""HTTP to one chat server: post a request, tell a stream from a refusal, and let go of the socket.

Leaving in any way closes the socket at once, because an upstream that is not told goes on generating, and billing.
Only a body that has ended gives its connection back to the pool.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import BytesIO

import aiohttp
import orjson
from yarl import URL

from gateway.domain.errors import GatewayError, Reason
from gateway.models.event_source import BROKEN, EventSource
from gateway.models.openai_errors import (
    failure_of,
    parse_retry_after,
    protocol_failure,
    read_refusal,
    upstream_failure,
)

REFUSAL_BYTES, REFUSAL_S = 64 * 1024, 2.0
KEEPALIVE_S, DNS_TTL_S = 30.0, 60

_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "inference-gateway",
}


class Upstream:
    """One chat server and one key, with its pool of connections. Make it on the running event loop."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        connect_timeout_s: float,
        read_bufsize: int,
        tls: ssl.SSLContext | None,
        observe: Callable[[str, int], None],
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("the API key holds characters that no HTTP header may carry")
        self._url = chat_url(base_url)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._observe = observe
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=DNS_TTL_S, ssl=tls if tls is not None else True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=read_bufsize,
        )

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._session.close()

    @asynccontextmanager
    async def ask(self, body: bytes) -> AsyncIterator[EventSource]:
        """Posts `body` and hands out the events of a 200. Raises UpstreamError, or CallerError for a 400."""
        response = await self._post(body)
        try:
            with _told_of_the_end(response):
                failure = await self._refusal(response)
                if failure is not None:
                    raise failure
                yield EventSource(response.content)
        finally:
            _let_go(response)

    async def _post(self, body: bytes) -> aiohttp.ClientResponse:
        data = BytesIO(body)  # raw bytes above 1 MiB make aiohttp warn
        try:
            return await self._session.post(self._url, data=data, headers=self._headers, allow_redirects=False)
        except BROKEN as error:
            failure = _no_answer(error)
        raise failure  # outside the handler: aiohttp's errors carry the request's headers, the key among them

    async def _refusal(self, response: aiohttp.ClientResponse) -> GatewayError | None:
        """What is wrong with an answer, told by its head, and by its body where that is no event stream."""
        encoded = response.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")
        if response.status == 200:
            if encoded:
                return protocol_failure("encoded_body")
            if response.content_type == "text/event-stream":
                return None
            return _not_a_stream(await _short_body(response))
        body = b"" if encoded else await _short_body(response)
        refusal = read_refusal(response.status, _decoded(body))
        if refusal.concurrency_limit is not None:
            self._observe("concurrency_limit", refusal.concurrency_limit)
        return failure_of(refusal, parse_retry_after(response.headers.get("Retry-After", ""), time.time()))


def chat_url(base_url: str) -> URL:
    """The address of chat completions below `base_url`, which may end in `/v1` or a slash. Raises ValueError."""
    base = base_url.strip().rstrip("/")
    url = URL(base if base.endswith("/chat/completions") else f"{base}/chat/completions")
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise ValueError("the base URL of a model provider looks like https://host or https://host/v1")
    return url


@contextmanager
def _told_of_the_end(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Fails the reader when the connection ends under it.

    aiohttp 3.14.5 closes the connection on broken chunk framing and tells nobody: the reader would wait until the
    caller's timer, as if the upstream had stalled.
    """

    def fail(_closed: asyncio.Future[None]) -> None:
        if not response.content.is_eof() and response.content.exception() is None:
            response.content.set_exception(aiohttp.ClientPayloadError("the connection ended inside the body"))

    protocol = response.connection.protocol if response.connection is not None else None
    closed = protocol.closed if protocol is not None else None
    if closed is None:
        yield
        return
    closed.remove_done_callback(_take_notice)
    closed.add_done_callback(fail)
    closed.add_done_callback(_take_notice)  # it stays: a connection in the pool may be reset later
    try:
        yield
    finally:
        closed.remove_done_callback(fail)


def _take_notice(closed: asyncio.Future[None]) -> None:
    """Looks at the exception, so that asyncio does not log it as one that nobody retrieved."""
    if not closed.cancelled():
        closed.exception()


def _let_go(response: aiohttp.ClientResponse) -> None:
    """Closes the socket of a body that has not ended; `close` alone would wait for a polite end of TLS."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def _short_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    with suppress(*BROKEN, TimeoutError):
        async with asyncio.timeout(REFUSAL_S):
            while len(body) < REFUSAL_BYTES and (chunk := await response.content.readany()):
                body += chunk
    return bytes(body[:REFUSAL_BYTES])


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body.strip())
    except ValueError:
        return None


def _not_a_stream(body: bytes) -> GatewayError:
    """A 200 that is no event stream: some servers put an error object there, everything else is garbage."""
    answer = _decoded(body)
    if isinstance(answer, dict) and answer.get("error"):
        return failure_of(read_refusal(0, answer))
    return protocol_failure("content_type" if body.strip() else "blank_body")


def _no_answer(error: Exception) -> GatewayError:
    match error:
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return upstream_failure(Reason.UPSTREAM_TLS, "tls")
        case aiohttp.ClientConnectorDNSError():
            return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "dns")
        case aiohttp.ServerTimeoutError():
            return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "connect_timeout")
        case aiohttp.ClientConnectorError():
            return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "connect")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return protocol_failure("bad_http")
    return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "disconnected")
