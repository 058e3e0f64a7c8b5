"""A chat server whose every byte a test decides: raw HTTP/1.1 on a free loopback port, no library in between.

    async with ScriptedUpstream(Reply.events(text_chunk("Hel"), text_chunk("lo"), LAST_CHUNK, DONE)) as upstream:
        provider = create(base_url=upstream.url, api_key="k")      # … ask it something …
        assert upstream.exchanges[0].json["stream"] is True         # what was asked, headers and body
        await upstream.exchanges[0].closed.wait()                   # the client has closed the socket

The events of a chat stream (`text_chunk`, `LAST_CHUNK`, `DONE` …) are made in `tests.support.chat_events`;
`Reply.answer("Hel", "lo")` is the same whole answer in one word.

Give one `Reply` (for every request), several (in order, the last one repeats), or a function of the request.
A reply is status, headers and steps. A step is one of

    b"…"              bytes of the body: one chunk of chunked encoding, or plain when `chunked=False`
    Raw(b"…")         bytes on the socket as they are, outside of any chunk
    Drip(b"…", 0.01)  one byte at a time, as body bytes, with a pause in seconds between them
    an asyncio.Event  waits until the test sets it
    0.05              waits so many seconds
    STALL             holds the connection open until the client closes it
    FIN               closes our side in the middle of the body, then waits for the client
    RESET             ends the connection with a TCP reset

After the last step a chunked body is ended properly and the connection is kept for the next request; a body that
is not chunked and has no Content-Length ends with the connection. `status=None` sends no head: write one with Raw.
`upstream.connections` counts accepted connections, `upstream.open` those that are open now.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

import orjson

from tests.support.chat_events import DONE, USAGE, chat_chunk, sse, text_chunk

TEXT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


class End(Enum):
    """A step that ends a reply early."""

    STALL = "stall"
    FIN = "fin"
    RESET = "reset"


STALL, FIN, RESET = End.STALL, End.FIN, End.RESET


@dataclass(frozen=True)
class Raw:
    """Bytes on the socket as they are."""

    data: bytes


@dataclass(frozen=True)
class Drip:
    """Body bytes, one at a time."""

    data: bytes
    pause_s: float = 0.0


Step = bytes | Raw | Drip | asyncio.Event | float | End


@dataclass(frozen=True)
class Reply:
    """One scripted answer; see the top of this file."""

    steps: Sequence[Step] = ()
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=lambda: TEXT_STREAM)
    chunked: bool = True

    @classmethod
    def events(
        cls, *events: "str | bytes | dict[str, Any] | Step", **keywords: Any
    ) -> "Reply":  # Any: JSON, fields
        """Each dict or str is one event of an event stream; every other step stays as it is."""
        return cls([sse(step) if isinstance(step, str | dict) else step for step in events], **keywords)

    @classmethod
    def json(cls, status: int, body: object, headers: Mapping[str, str] | None = None) -> "Reply":
        """A whole JSON body with its length."""
        data = orjson.dumps(body)
        head = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        return cls([data], status=status, headers=head, chunked=False)

    @classmethod
    def answer(cls, *texts: str, usage: dict[str, Any] | None = None) -> "Reply":  # Any: JSON
        """A whole answer as DeepSeek streams it: one chunk per text, finish and usage together, `[DONE]`."""
        last = chat_chunk({"content": ""}, finish="stop", usage=usage or USAGE)
        return cls.events(*[text_chunk(text) for text in texts], last, DONE)


@dataclass
class Exchange:
    """One request and what became of its reply. Moments are on the event loop's clock, in seconds.

    `closed` is set when the client has closed (or reset) the connection, `replied` when the last step is done.
    """

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    accepted_at: float
    bytes_sent: int = 0
    closed_at: float | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    replied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:  # Any: JSON
        """The body as JSON."""
        return orjson.loads(self.body)


Script = Reply | Sequence[Reply] | Callable[[Exchange], Reply | Awaitable[Reply]]


class ScriptedUpstream:
    """The server; see the top of this file. Use it with `async with`."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """`port` 0 is any free one; another is that of a server that is gone, to come back in its place."""
        self.script = script
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.open = 0
        self.arrived = asyncio.Event()
        self._tls = tls
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._tls is not None:
            await asyncio.sleep(0.02)  # a handshake that failed has no task: its socket closes by itself

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base URL to give a provider."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def request(self, number: int = 0) -> Exchange:
        """The exchange of that number, as soon as its request has arrived."""
        while len(self.exchanges) <= number:
            self.arrived.clear()
            await self.arrived.wait()
        return self.exchanges[number]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._server is not None
        if not self._server.is_serving():  # it came while the server went
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        number, accepted_at, ahead = self.connections, asyncio.get_running_loop().time(), b""
        try:
            while True:
                exchange = await _read_request(ahead, reader, number, accepted_at)
                self.exchanges.append(exchange)
                self.arrived.set()
                ahead = await self._exchange(exchange, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the client has gone: between two requests, or before it ended one
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _exchange(
        self, exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Plays the reply while watching for the client to leave; the first byte of its next request."""
        play = asyncio.create_task(_play(await self._reply(exchange), exchange, writer))
        try:
            ahead = await reader.readexactly(1)
            await play
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            exchange.closed_at = asyncio.get_running_loop().time()
            exchange.closed.set()
            raise
        finally:
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)
        return ahead

    async def _reply(self, exchange: Exchange) -> Reply:
        if isinstance(self.script, Reply):
            return self.script
        if callable(self.script):
            reply = self.script(exchange)
            return reply if isinstance(reply, Reply) else await reply
        return self.script[min(len(self.exchanges), len(self.script)) - 1]


async def _read_request(ahead: bytes, reader: asyncio.StreamReader, number: int, accepted_at: float) -> Exchange:
    head = ahead + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(number, method, path, headers, body, accepted_at)


async def _play(reply: Reply, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
    ends_with_connection = not reply.chunked and "Content-Length" not in reply.headers
    writer.write(_head(reply))
    for step in reply.steps:
        await _play_step(step, reply.chunked and reply.status is not None, exchange, writer)
        if isinstance(step, End):
            return
    if reply.chunked and reply.status is not None:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    exchange.replied.set()
    if ends_with_connection:
        _end_our_side(writer)


async def _play_step(step: Step, chunked: bool, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
    match step:
        case bytes():
            await _send(step, chunked, exchange, writer)
        case Drip(data, pause_s):
            for byte in data:
                await _send(bytes([byte]), chunked, exchange, writer)
                await asyncio.sleep(pause_s)
        case Raw(data):
            await _send(data, False, exchange, writer)
        case asyncio.Event():
            await step.wait()
        case End.FIN:
            _end_our_side(writer)
        case End.RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        case End.STALL:
            await asyncio.Event().wait()
        case _:
            await asyncio.sleep(step)


def _end_our_side(writer: asyncio.StreamWriter) -> None:
    if writer.can_write_eof():
        writer.write_eof()
    else:  # TLS knows no half-closed connection
        writer.close()


async def _send(data: bytes, chunked: bool, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
    exchange.bytes_sent += len(data)
    await writer.drain()


def _head(reply: Reply) -> bytes:
    if reply.status is None:
        return b""
    framing = {"Transfer-Encoding": "chunked"} if reply.chunked else {}
    lines = [f"{name}: {value}" for name, value in {**reply.headers, **framing}.items()]
    return "\r\n".join([f"HTTP/1.1 {reply.status} Scripted", *lines, "", ""]).encode("latin-1")
