"""A bridge on a free port, before a scripted gateway or a real one, and readers of its raw bytes."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.bridge import BridgeOptions, Gateway
from gateway.bridge.server import BridgePort
from tests.support.scripted_gateway import LIMITS, ScriptedGateway, scripted_gateway

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Bridge:
    """Where a bridge listens; `gateway` is the scripted one behind it."""

    url: str
    gateway: ScriptedGateway = field(default_factory=ScriptedGateway)


@asynccontextmanager
async def bridge_before(target: str, options: BridgeOptions | None = None) -> AsyncIterator[str]:
    """A bridge alone; its URL."""
    port = BridgePort("127.0.0.1:0", Gateway(target), options or BridgeOptions())
    try:
        yield f"http://127.0.0.1:{await port.start()}"
    finally:
        await port.aclose()


@asynccontextmanager
async def scripted_bridge(options: BridgeOptions | None = None, **scripts: Any) -> AsyncIterator[Bridge]:
    """A bridge before a gateway that plays `scripts`, once each: method = its steps. Limits are always told."""
    gateway = ScriptedGateway()
    for method, steps in scripts.items():
        gateway.script(method, *steps)
    for _ in range(20):
        gateway.script("GetLimits", LIMITS)
    async with scripted_gateway(gateway), bridge_before(gateway.target, options) as url:
        yield Bridge(url, gateway)


async def raw_exchange(bridge: Bridge, body: Json, path: str = "/v1/chat/completions") -> tuple[str, bytes]:
    """One request over a plain socket: the head as text and the body without its chunks."""
    head, rest = await raw_request(bridge.url, _request(path, json.dumps(body).encode()))
    return head, dechunked(rest) if "transfer-encoding: chunked" in head.lower() else rest


async def raw_request(url: str, request: bytes) -> tuple[str, bytes]:
    """These bytes, and everything that comes back until the end of the connection."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(request)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


async def events_of(bridge: Bridge, body: Json, path: str = "/v1/chat/completions") -> list[Json]:
    """The chunks of a stream that succeeds."""
    _, data = await raw_exchange(bridge, body, path)
    blocks = [block for block in data.split(b"\n\n") if block.startswith(b"data: ")]
    assert blocks.pop() == b"data: [DONE]", data[-300:]
    return [json.loads(block[6:]) for block in blocks]


def dechunked(data: bytes) -> bytes:
    """A chunked body put together; it must be whole."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data == b"\r\n"
            return body
        body, data = body + data[:length], data[length + 2 :]


def _request(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
