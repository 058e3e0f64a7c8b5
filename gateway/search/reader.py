"""Documents read in processes of their own, each with a hard limit of time and memory; a late one is killed.

A process is kept for the next document while it behaves, so a page costs its parsing and not a start of Python.
"""

import asyncio
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from gateway.domain.extraction import Extraction
from gateway.search import reader_frames
from gateway.search.outline import UnreadableFileError
from gateway.search.reader_frames import READY

PROCESSES = 2
READ_S = 2.0
START_S = 10.0
MEMORY_BYTES = 768 * 1024 * 1024

_BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class DocumentReader:
    """At most two documents at a time; others wait for their turn, within their own time."""

    def __init__(self, processes: int = PROCESSES, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(processes)
        self._idle: list[asyncio.subprocess.Process] = []
        self._alive: set[asyncio.subprocess.Process] = set()
        self._warming: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def warm(self) -> None:
        """Starts one process ahead of the first document."""
        self._warming = asyncio.get_running_loop().create_task(self._warm())

    async def read(
        self, content: bytes, mime_type: str = "", charset: str = "", time_s: float = READ_S
    ) -> Extraction:
        """What the document shows. Raises UnreadableFileError, also for one that takes longer than `time_s`."""
        if self._closed:
            raise UnreadableFileError("cannot be read; the gateway is stopping")
        async with self._free:
            process = await self._process()
            try:
                async with asyncio.timeout(time_s):
                    answer = await _exchange(process, reader_frames.request(content, mime_type, charset))
            except TimeoutError:
                await self._kill(process)
                raise UnreadableFileError("takes too long to read") from None
            except _BROKEN:
                await self._kill(process)
                raise UnreadableFileError("cannot be read; it is damaged") from None
            except asyncio.CancelledError:
                await self._kill(process)
                raise
            self._idle.append(process)
        if isinstance(answer, str):
            raise UnreadableFileError(answer)
        return answer

    async def aclose(self) -> None:
        """Ends every process; may be called again."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            with suppress(asyncio.CancelledError):
                await self._warming
            self._warming = None
        for process in list(self._alive):
            await self._kill(process)

    async def _warm(self) -> None:
        async with self._free:
            with suppress(UnreadableFileError):
                self._idle.append(await self._start())

    async def _process(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._alive.discard(process)
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        """A process that is ready; how long Python takes to start is not the document's fault."""
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "gateway.search.reader_worker", str(self._memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PYTHONDONTWRITEBYTECODE": "1"},
                limit=reader_frames.MAX_FRAME_BYTES,
            )
            self._alive.add(process)
            async with asyncio.timeout(START_S):
                if await _reader(process).readexactly(len(READY)) == READY:
                    return process
        except (*_BROKEN, TimeoutError):
            pass
        except asyncio.CancelledError:
            if process is not None:
                await self._kill(process)
            raise
        if process is not None:
            await self._kill(process)
        raise UnreadableFileError("cannot be read; the reading process does not start")

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        self._alive.discard(process)
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        # Reaping is brief after SIGKILL, and must not be skipped when the caller leaves.
        await asyncio.shield(process.wait())


async def _exchange(process: asyncio.subprocess.Process, frame: bytes) -> Extraction | str:
    if process.stdin is None:
        raise EOFError
    process.stdin.write(frame)
    await process.stdin.drain()
    source = _reader(process)
    (length,) = reader_frames.LENGTH.unpack(await source.readexactly(reader_frames.LENGTH.size))
    if length > reader_frames.MAX_FRAME_BYTES:
        raise EOFError
    return reader_frames.parse(await source.readexactly(length))


def _reader(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise EOFError
    return process.stdout
