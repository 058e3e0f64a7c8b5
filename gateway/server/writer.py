"""Writes the frames of one stream: numbered without holes, one at a time, with a heartbeat when it is quiet."""

import asyncio
from types import TracebackType
from typing import Protocol, Self

import grpc.aio

from gateway.domain.errors import CallerLeft
from gateway.v1 import inference_pb2


class FrameContext(Protocol):
    """The part of a gRPC context that a stream of frames needs."""

    async def write(self, message: inference_pb2.ServerFrame, /) -> None:
        """Sends one message, waiting while the caller's window is full."""
        ...


class FrameWriter:
    """Use as `async with`: leaving stops the heartbeat. `sent` is the number of frames written so far.

    On a stream that several turns share, give `shared`: a frame whose writer is cancelled is sent all the same,
    because gRPC cannot take back a message that waits to be sent, and takes no other one before it.
    """

    def __init__(self, context: FrameContext, heartbeat_s: float, *, shared: bool = False) -> None:
        self._context = context
        self._heartbeat_s = heartbeat_s
        self._shared = shared
        self._writing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        # Turns of one stream and the heartbeat share the stream, and gRPC takes one message at a time.
        self._turn_to_write = asyncio.Lock()
        self._last_write = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._held: inference_pb2.ServerFrame | None = None
        self.sent = 0

    async def write(self, frame: inference_pb2.ServerFrame) -> None:
        """Sends one frame. Raises CallerLeft when nobody is there to read it."""
        if not self._shared:
            await self._write(frame)
            return
        task = self._loop.create_task(self._write(frame))
        self._writing.add(task)
        task.add_done_callback(self._written)
        await asyncio.shield(task)

    async def _write(self, frame: inference_pb2.ServerFrame) -> None:
        async with self._turn_to_write:
            if self._held is not None:
                held, self._held = self._held, None
                await self._send(held)
            await self._send(frame)

    def hold(self, frame: inference_pb2.ServerFrame) -> None:
        """Keeps a frame back until another one is written, and sends it just before."""
        self._held = frame

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits for it sees it; a writer that was cancelled does not

    async def _send(self, frame: inference_pb2.ServerFrame) -> None:
        self.sent += 1
        frame.seq = self.sent
        try:
            await self._context.write(frame)
        except grpc.aio.InternalError as error:
            # The call ended while the message was waiting to be sent.
            raise CallerLeft from error
        self._last_write = self._loop.time()

    async def __aenter__(self) -> Self:
        self._timer = self._loop.call_later(self._heartbeat_s, self._wake)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._writing, *([self._beat] if self._beat is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _wake(self) -> None:
        quiet_s = self._loop.time() - self._last_write
        if quiet_s < self._heartbeat_s:
            self._timer = self._loop.call_later(self._heartbeat_s - quiet_s, self._wake)
            return
        self._timer = self._loop.call_later(self._heartbeat_s, self._wake)
        if not self._turn_to_write.locked():
            self._beat = self._loop.create_task(self._send_heartbeat())

    async def _send_heartbeat(self) -> None:
        try:
            await self.write(inference_pb2.ServerFrame(heartbeat=inference_pb2.Heartbeat()))
        except CallerLeft:
            return
