"""A scripted web on loopback: one search vendor that checks what it is asked, and answers what a test decides.

async with ScriptedVendor("brave") as vendor:
    provider = await vendor.provider()
    vendor.replies.append((429, {"Retry-After": "7"}, b""))     # instead of the documented answer, once
    vendor.before = something                                   # is awaited before every answer
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from gateway import plugins
from gateway.search import ProviderOptions, SearchProvider, Shared
from gateway.search.vendor_http import VendorHttp
from tests.support.vendor_replies import KEY, NEEDS_KEY, SCRIPTS, Asked

ANSWERS = 4


class ScriptedVendor:
    """One vendor on a free port; `asked` holds what arrived, in order."""

    def __init__(self, name: str, answers: int = ANSWERS) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self.replies: list[tuple[int, dict[str, str], bytes]] = []
        self.url = ""
        self.before: Callable[[], Awaitable[object]] | None = None
        self._script = SCRIPTS[name]
        self._answers = answers
        self._http = VendorHttp()
        self._providers: list[SearchProvider] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for provider in self._providers:
            await provider.aclose()
        await self._http.aclose()
        await self.stop()

    async def stop(self) -> None:
        """The vendor is gone."""
        await self._runner.cleanup()

    async def provider(self, **options: object) -> SearchProvider:
        """The file's own provider, pointed here."""
        wanted = {
            "key": KEY if self.name in NEEDS_KEY or self.name == "external" else "",
            "timeout_s": 5.0,
            **options,
        }
        made: SearchProvider = await plugins.load("gateway.search", self.name).create(
            ProviderOptions(url=self.url, **wanted),  # type: ignore[arg-type]  # fields by name
            Shared(None, self._http),  # type: ignore[arg-type]  # no vendor reads the data directory
        )
        self._providers.append(made)
        return made

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = Asked(
            method=request.method,
            path=request.path,
            headers=dict(request.headers),
            params=dict(request.query),
            json=orjson.loads(body) if body else {},
        )
        self.asked.append(asked)
        if self.before is not None:
            await self.before()
        if self.replies:
            status, headers, content = self.replies.pop(0)
            return web.Response(status=status, headers=headers, body=content)
        return self._documented(asked)

    def _documented(self, asked: Asked) -> web.Response:
        script = self._script
        if (asked.method, asked.path) != (script.method, script.path):
            return web.Response(status=404)
        if not script.key(asked):
            return web.json_response({"error": "unauthorized"}, status=401)
        terms = script.terms(asked)
        if not 0 < len(terms) <= script.max_terms:
            return web.json_response({"error": "query length"}, status=400)
        page = int(asked.params.get("offset", 0)) or int(asked.params.get("pageno", 1)) - 1
        found = script.answer(0 if "zebra" in terms or page else self._answers)
        content = found.encode() if isinstance(found, str) else orjson.dumps(found)
        return web.Response(body=content, content_type=script.content_type)
