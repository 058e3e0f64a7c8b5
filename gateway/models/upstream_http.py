"""HTTP to one chat server: post a request, tell a stream from a refusal, and let go of the socket.

Leaving in any way closes the socket at once, because an upstream that is not told goes on generating, and billing.
Only a body that has ended gives its connection back to the pool.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import orjson
from yarl import URL

from gateway.domain.errors import GatewayError, Reason
from gateway.models import Warming
from gateway.models.event_source import EventSource
from gateway.models.http_connection import Connection, ConnectionBrokenError
from gateway.models.http_head import BadAnswerError, Head
from gateway.models.http_pool import Pool
from gateway.models.openai_errors import (
    failure_of,
    parse_retry_after,
    protocol_failure,
    read_refusal,
    upstream_failure,
)

REFUSAL_BYTES, REFUSAL_S = 64 * 1024, 2.0


class Upstream:
    """One chat server and one key, with its pool of connections. Make it on the running event loop."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        key_header: str = "Authorization",
        connect_timeout_s: float,
        read_bufsize: int,
        tls: ssl.SSLContext | None,
        observe: Callable[[str, int], None],
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("the API key holds characters that no HTTP header may carry")
        url = chat_url(base_url)
        self._request_head = _request_head(url, api_key, key_header)
        self._observe = observe
        secure = (tls or _system_trust()) if url.scheme == "https" else None
        self._pool = Pool(
            url.raw_host or "",
            url.port or 0,
            secure,
            connect_timeout_s=connect_timeout_s,
            read_ahead=read_bufsize,
        )

    def warm(self) -> Warming | None:
        """Begins to connect where no connection waits for a request, and none is being opened ahead."""
        return self._pool.warm()

    async def aclose(self) -> None:
        """Closes every connection that no answer uses; those close with their answers."""
        self._pool.close()
        await self._pool.closed()

    @asynccontextmanager
    async def ask(self, body: bytes) -> AsyncIterator[EventSource]:
        """Posts `body` and hands out the events of a 200. Raises UpstreamError, or CallerError for a 400."""
        connection = await self._connected()
        try:
            head = await self._post(connection, body)
            failure = await self._refusal(head, connection)
            if failure is not None:
                raise failure
            yield EventSource(connection)
        finally:
            self._pool.give(connection)

    async def _connected(self) -> Connection:
        try:
            return await self._pool.take()
        except (OSError, UnicodeError) as error:
            raise _no_connection(error) from None

    async def _post(self, connection: Connection, body: bytes) -> Head:
        try:
            return await connection.exchange(b"%b%d\r\n\r\n%b" % (self._request_head, len(body), body))
        except ConnectionBrokenError:
            raise upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "disconnected") from None
        except BadAnswerError:
            raise protocol_failure("bad_http") from None

    async def _refusal(self, head: Head, connection: Connection) -> GatewayError | None:
        """What is wrong with an answer, told by its head, and by its body where that is no event stream."""
        encoded = any(coding != "identity" for coding in head.words("content-encoding"))
        if head.status == 200:
            if encoded:
                return protocol_failure("encoded_body")
            if head.content_type == "text/event-stream":
                return None
            return _not_a_stream(await _short_body(connection))
        body = b"" if encoded else await _short_body(connection)
        refusal = read_refusal(head.status, _decoded(body))
        if refusal.concurrency_limit is not None:
            self._observe("concurrency_limit", refusal.concurrency_limit)
        return failure_of(refusal, parse_retry_after(head.headers.get("retry-after", ""), time.time()))


def chat_url(base_url: str) -> URL:
    """The address of chat completions below `base_url`, which may end in `/v1` or a slash. Raises ValueError."""
    base = base_url.strip().rstrip("/")
    url = URL(base if base.endswith("/chat/completions") else f"{base}/chat/completions")
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        raise ValueError("the base URL of a model provider looks like https://host or https://host/v1")
    return url


def _request_head(url: URL, api_key: str, key_header: str) -> bytes:
    """Everything before the length of the body, which comes last."""
    headers = {
        "Host": url.raw_authority if url.is_default_port() is False else _bracketed(url.raw_host or ""),
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "inference-gateway",
        **({key_header: f"Bearer {api_key}" if key_header == "Authorization" else api_key} if api_key else {}),
    }
    lines = [f"POST {url.raw_path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _system_trust() -> ssl.SSLContext:
    trust = ssl.create_default_context()
    trust.set_alpn_protocols(["http/1.1"])
    return trust


async def _short_body(connection: Connection) -> bytes:
    body = bytearray()
    with suppress(ConnectionBrokenError, TimeoutError):
        async with asyncio.timeout(REFUSAL_S):
            while len(body) < REFUSAL_BYTES and (chunk := await connection.read()):
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


def _no_connection(error: OSError | UnicodeError) -> GatewayError:
    match error:
        case ssl.SSLError():
            return upstream_failure(Reason.UPSTREAM_TLS, "tls")
        case socket.gaierror() | UnicodeError():
            return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "dns")
        case TimeoutError():
            return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "connect_timeout")
    return upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "connect")
