"""Writes HTTP answers: whole JSON bodies, and event streams that a slow reader cannot hold open for ever."""

import asyncio
import json
from collections.abc import Iterable

from aiohttp import web

LARGE = 16_384
STREAMING = web.RequestKey("streaming", bool)


def json_response(
    value: object,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "application/json",
) -> web.Response:
    """A JSON body."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    response = web.Response(body=text.encode("utf-8", "replace"), status=status, content_type=content_type)
    for name, found in headers:
        response.headers.add(name, found)
    return response


class EventStream:
    """One event stream: chunked, with the headers sent by `start`. Raises ConnectionError once the reader left."""

    def __init__(self, request: web.Request, stall_s: float) -> None:
        self._request = request
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self.response = web.StreamResponse()
        self.started = False

    @property
    def quiet_s(self) -> float:
        """Seconds since something was written."""
        return self._loop.time() - self._last_write

    async def start(self, headers: Iterable[tuple[str, str]]) -> None:
        """Sends status 200 and the headers."""
        self.started = self._request[STREAMING] = True
        response = self.response
        response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        response.headers["Cache-Control"] = "no-cache"
        # Asks proxies in between to pass events on as they come.
        response.headers["X-Accel-Buffering"] = "no"
        for name, value in headers:
            response.headers.add(name, value)
        if self._request.version >= (1, 1):
            response.enable_chunked_encoding()
        await response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        """Sends blocks, in one piece. A reader who takes nothing for `stall_s` seconds is disconnected."""
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the reader has left")
        self._last_write = self._loop.time()
        if transport.get_write_buffer_size() == 0 and len(data) < LARGE:
            await self.response.write(data)
            return
        try:
            async with asyncio.timeout(self._stall_s):
                await self.response.write(data)
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError("the reader takes nothing") from None

    async def end(self) -> None:
        """Ends the body."""
        await self.response.write_eof()
