"""A loopback HTTP server that publishes what a test tells it to, and counts who came."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class JwksServer:
    """`handlers` by path; `seen` holds the path of every request."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.seen: list[str] = []
        self.url = ""

    def publish(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Answers `path` with this body from now on."""

        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=headers)

        self.handlers[path] = answer

    async def dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        """Every request ends here."""
        self.seen.append(request.path)
        handler = self.handlers.get(request.path)
        return web.Response(status=404) if handler is None else await handler(request)


@asynccontextmanager
async def jwks_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[JwksServer]:
    """A running server on a free port; `url` says where, without a slash at the end."""
    script = JwksServer()
    runner = web.ServerRunner(web.Server(script.dispatch), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield script
    finally:
        await runner.cleanup()


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[str, list[object]]]:
    """A place where nobody should come: its URL, and the list of those who came."""
    visitors: list[object] = []

    async def visited(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(visited, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", visitors
