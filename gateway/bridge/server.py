"""The HTTP port: which address answers what, and its opening and closing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from gateway import __version__
from gateway.bridge import BridgeOptions, Gateway
from gateway.bridge.calls import Calls
from gateway.bridge.chat import Chat
from gateway.bridge.door import HttpDoor
from gateway.bridge.knowledge import Knowledge
from gateway.bridge.models import Models
from gateway.bridge.openapi import document
from gateway.bridge.outgoing import json_response
from gateway.bridge.tools import Tools

# As large as the gateway's own limit for metadata: a token that is too long is judged there.
MAX_HEADER_BYTES = 16_384
KEEPALIVE_S = 75.0
# How long the rest of a refused body is read, so that its sender can still read the refusal.
LINGER_S = 1.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - translated, not listened on


class PortUnavailable(Exception):  # noqa: N818 - says what happened, as the operating system does
    """The address cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class _Pages:
    """Addresses that need no credential."""

    calls: Calls
    server_url: Callable[[], str]

    async def openapi(self, _request: web.Request) -> web.Response:
        return json_response(document(self.server_url(), __version__))

    async def healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        ready = await self.calls.ready()
        return web.Response(text="ready\n" if ready else "not ready\n", status=200 if ready else 503)


def application(
    calls: Calls, options: BridgeOptions, server_url: Callable[[], str], more: Iterable[web.AbstractRouteDef] = ()
) -> web.Application:
    """The web application; `more` are routes of others on the same port. Closing it leaves `calls` open."""
    chat, models = Chat(calls, options), Models(calls)
    knowledge, tools, pages = Knowledge(calls, options), Tools(calls, options), _Pages(calls, server_url)
    door = HttpDoor(options.cors_origins)
    # Bodies are read with our own limit, which also holds for what gzip unpacks.
    app = web.Application(middlewares=[door.answer], client_max_size=0)
    app.on_response_prepare.append(door.mark)
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat.complete),
            web.post("/chat/completions", chat.complete),
            web.post("/dify/v1/chat/completions", chat.complete_with_lines),
            web.post("/dify/chat/completions", chat.complete_with_lines),
            web.get("/v1/models", models.list),
            web.get("/v1/models/{name}", models.get),
            web.get("/dify/v1/models", models.list),
            web.post("/retrieval", knowledge.retrieve),
            web.post("/dify/extension", knowledge.extend),
            web.post("/tools/search", tools.search),
            web.post("/tools/extract", tools.extract),
            web.post("/tools/ask", tools.ask),
            web.get("/openapi.json", pages.openapi),
            web.get("/healthz", pages.healthz),
            web.get("/readyz", pages.readyz),
            *more,
        ]
    )
    return app


class BridgePort:
    """Serves the bridge on one address. Call `start` once and `aclose` in the end."""

    def __init__(
        self, address: str, gateway: Gateway, options: BridgeOptions, more: Iterable[web.AbstractRouteDef] = ()
    ) -> None:
        """`address` is host:port; port 0 takes a free one. `more` are routes of others."""
        self._address = address
        self._options = options
        self._calls = Calls(gateway, options.max_message_bytes)
        self._more = tuple(more)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """How callers reach this port: as the operator says, else by its address on this machine."""
        if self._options.public_url:
            return self._options.public_url.rstrip("/")
        host, _, port = self._address.rpartition(":")
        bound = self._runner.addresses if self._runner else []
        return f"http://{_ANYWHERE.get(host, host)}:{bound[0][1] if bound else port}"

    async def start(self) -> int:
        """Listens; returns the port. Raises PortUnavailable."""
        host, _, port = self._address.rpartition(":")
        self._runner = web.AppRunner(
            application(self._calls, self._options, lambda: self.url, self._more),
            # Whoever leaves stops what was asked for; without this their answer would be written to its end.
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_field_size=MAX_HEADER_BYTES,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
            shutdown_timeout=self._options.close_s,
        )
        await self._runner.setup()
        try:
            shared = self._options.shares_port or None
            await web.TCPSite(self._runner, host.strip("[]"), int(port), reuse_port=shared).start()
        except OSError as error:
            raise PortUnavailable(f"cannot listen on {self._address} ({error.strerror or error})") from error
        return int(self._runner.addresses[0][1])

    async def aclose(self) -> None:
        """Stops listening, gives running answers a moment, closes the channels."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._calls.aclose()
