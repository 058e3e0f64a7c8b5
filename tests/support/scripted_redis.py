"""A stand-in for a Redis in trouble: it answers every command as told, late or never."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[list[bytes]], bytes | None]
"""From a command to the bytes of its answer; None = none ever."""


@dataclass
class ScriptedRedis:
    """What it says from now on, after how long (seconds), and what it was asked."""

    answer: Answer
    delay_s: float = 0.0
    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side goes."""
        try:
            while True:
                command = await _read(reader)
                self.asked.append(command[0].upper())
                answer = self.answer(command)
                await asyncio.sleep(self.delay_s)
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted_redis(answer: Answer, delay_s: float = 0.0) -> AsyncIterator[ScriptedRedis]:
    """It listens on a free port until it is left."""
    script = ScriptedRedis(answer, delay_s)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(script.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def says(text: str) -> Answer:
    """The same answer to everything."""
    return lambda _command: text.encode() + b"\r\n"


def silence(_command: list[bytes]) -> None:
    """No answer ever."""


async def _read(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    words = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words
