"""A Redis stand-in in the test's own process: the wire protocol (RESP2) and the few commands a test needs.

    async with RespServer() as redis:
        shared = SharedRevocations(redis.url)

`await redis.cut()` ends every connection and refuses new ones, `await redis.mend()` takes them again; what was
stored stays. `redis.commands` is every command name received, in order.
"""

import asyncio
from types import TracebackType
from typing import Self

Value = str | int | None | list["Value"]


class RespServer:
    """Hashes, strings, MULTI/EXEC and channels."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.hashes: dict[str, dict[str, str]] = {}
        self.strings: dict[str, str] = {}
        self._listeners: dict[str, set[asyncio.StreamWriter]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._port}/0"

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Listens, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Goes away."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.close()
            await self._server.wait_closed()
            self._server = None
        while self._writers:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        queued: list[list[str]] | None = None
        try:
            while True:
                words = await _read(reader)
                name = words[0].upper()
                self.commands.append(name)
                if name == "MULTI":
                    queued = []
                    reply: Value = "OK"
                elif name == "EXEC" and queued is not None:
                    replies, queued = [self._run(one, writer) for one in queued], None
                    reply = replies
                elif queued is not None:
                    queued.append(words)
                    reply = "QUEUED"
                else:
                    reply = self._run(words, writer)
                writer.write(_write(reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            for listening in self._listeners.values():
                listening.discard(writer)
            writer.close()
            self._writers.discard(writer)

    def _run(  # noqa: PLR0911 - one command, one line
        self, words: list[str], writer: asyncio.StreamWriter
    ) -> Value:
        match [words[0].upper(), *words[1:]]:
            case ["GET", key]:
                return self.strings.get(key)
            case ["SET", key, value, *_]:
                self.strings[key] = value
            case ["HGETALL", key]:
                return [part for pair in self.hashes.get(key, {}).items() for part in pair]
            case ["HSET", key, field, value]:
                self.hashes.setdefault(key, {})[field] = value
                return 1
            case ["HDEL", key, *fields]:
                return sum(self.hashes.get(key, {}).pop(field, None) is not None for field in fields)
            case ["PUBLISH", channel, text]:
                listening = self._listeners.get(channel, set())
                for one in listening:
                    one.write(_write(["message", channel, text]))
                return len(listening)
            case ["SUBSCRIBE", channel]:
                self._listeners.setdefault(channel, set()).add(writer)
                return ["subscribe", channel, 1]
            case ["UNSUBSCRIBE", *_]:
                return ["unsubscribe", None, 0]
        return "OK"


async def _read(reader: asyncio.StreamReader) -> list[str]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    words = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(size + 2))[:-2].decode())
    return words


def _write(value: Value) -> bytes:
    match value:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % value
        case str():
            data = value.encode()
            return b"$%d\r\n%b\r\n" % (len(data), data)
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(_write, value))
