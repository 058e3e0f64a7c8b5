"""The operator's port of several workers: `/metrics` and `/upstreams` of all of them, `/healthz`, `/readyz`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"
REQUEST_S = 5.0
MOST_HEAD_BYTES = 16_384
_STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class OperatorPort:
    """Answers GET and HEAD, one request a connection: those who ask here ask every few seconds."""

    def __init__(
        self,
        page: Callable[[], Awaitable[str]],
        upstreams: Callable[[], Awaitable[str]],
        ready: Callable[[], bool],
    ) -> None:
        """`page` are the metrics, `upstreams` is JSON."""
        self._page = page
        self._upstreams = upstreams
        self._ready = ready
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> int:
        """Listens on `host:port`; the port. Raises OSError."""
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(
            self._serve, host.strip("[]"), int(port), limit=MOST_HEAD_BYTES, reuse_address=True
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.split(b"\r\n", 1)[0].decode("latin-1")))
                await writer.drain()
        writer.close()

    async def _answer(self, line: str) -> bytes:
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response(405 if rest else 400, "only GET\n")
        with_body = method == "GET"
        match path:
            case "/metrics":
                return _response(200, await self._page(), METRICS_TYPE, with_body=with_body)
            case "/upstreams":
                return _response(200, await self._upstreams(), JSON_TYPE, with_body=with_body)
            case "/healthz":
                return _response(200, "ok\n", with_body=with_body)
            case "/readyz":
                ready = self._ready()
                return _response(200 if ready else 503, "ready\n" if ready else "not ready\n", with_body=with_body)
        return _response(404, "not found\n", with_body=with_body)


def _response(status: int, text: str, kind: str = "text/plain; charset=utf-8", *, with_body: bool = True) -> bytes:
    body = text.encode()
    lines = (
        f"HTTP/1.1 {status} {_STATUS[status]}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *("Connection: close", "", ""),
    )
    return "\r\n".join(lines).encode("ascii") + (body if with_body else b"")
