"""Writes the frames of one stream: numbered without holes, one at a time, with a heartbeat when it is quiet."""

import asyncio
from types import TracebackType
from typing import Self

from gateway.domain.errors import CallerLeft, GatewayError
from gateway.server.wire import Wire, WireContext
from gateway.v1 import inference_pb2


class FrameWriter:
    """Use as `async with`: leaving stops the heartbeat. `sent` is the number of frames sent so far."""

    def __init__(self, context: WireContext, heartbeat_s: float, stall_s: float) -> None:
        """A frame that the caller does not take for `stall_s` seconds ends the call."""
        self._wire = Wire(context, stall_s)
        self._heartbeat_s = heartbeat_s
        self._loop = asyncio.get_running_loop()
        # Turns of one stream and the heartbeat share the stream, and gRPC takes one message at a time.
        self._turn_to_write = asyncio.Lock()
        self._last_write = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._held: inference_pb2.ServerFrame | None = None

    @property
    def sent(self) -> int:
        """The number of the last frame."""
        return self._wire.taken

    async def write(self, frame: inference_pb2.ServerFrame) -> None:
        """Sends one frame. Raises as `Wire.send` does; cancelled, it may have sent the frame or not."""
        await self._turn_to_write.acquire()
        try:
            if self._held is not None:
                held, self._held = self._held, None
                held.seq = self._wire.taken + 1
                await self._wire.send(held)
            frame.seq = self._wire.taken + 1
            await self._wire.send(frame)
            self._last_write = self._loop.time()
        finally:
            self._turn_to_write.release()

    def hold(self, frame: inference_pb2.ServerFrame) -> None:
        """Keeps a frame back until another one is written, and sends it just before."""
        self._held = frame

    async def __aenter__(self) -> Self:
        self._timer = self._loop.call_later(self._heartbeat_s, self._wake)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()
            await asyncio.wait([self._beat])
        await self._wire.aclose()

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
        except (CallerLeft, GatewayError):
            return  # whoever writes next is told as well
