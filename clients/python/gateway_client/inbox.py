"""The frames of one conversation, sorted by turn, for the tasks that wait for them.

Nobody's frames hold up another turn: a frame that nobody wants yet is kept. Reading pauses once enough is kept
and nobody waits, so that a program which stops reading is felt by the server instead of filling memory.
"""

import asyncio
from collections import deque

import grpc

from gateway.v1.inference_pb2 import ServerFrame
from gateway_client.errors import GatewayCallError
from gateway_client.status import local_error

ENOUGH_FRAMES = 1024


class Inbox:
    """One reader puts frames in and ends it once; each turn has one task that takes them out."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._kept: dict[str, deque[ServerFrame]] = {}
        self._hungry = 0
        self._over: GatewayCallError | None = None

    def expect(self, turn_id: str) -> None:
        """Keeps the frames of this turn from now on. Raises ValueError when it does already."""
        if turn_id in self._kept:
            raise ValueError(f"turn {turn_id!r} is running already")
        self._kept[turn_id] = deque()

    def forget(self, turn_id: str) -> None:
        """Drops the frames of this turn, those to come too."""
        self._kept.pop(turn_id, None)

    async def room(self) -> None:
        """Returns when the reader should read on."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._hungry or self._is_roomy())

    async def put(self, frame: ServerFrame) -> None:
        """A frame from the reader; one of an unknown turn is dropped."""
        async with self._changed:
            if frame.turn_id in self._kept:
                self._kept[frame.turn_id].append(frame)
                self._changed.notify_all()

    async def finish(self, why: GatewayCallError | None) -> None:
        """The stream is over; whoever waits for more gets `why`. Later calls change nothing."""
        async with self._changed:
            ended = local_error(grpc.StatusCode.ABORTED, "the gateway ended the conversation", "open a new one")
            self._over = self._over or why or ended
            self._changed.notify_all()

    async def take(self, turn_id: str) -> ServerFrame:
        """The next frame of this turn. Raises GatewayCallError when the stream is over and none is left."""
        await self._wait(turn_id)
        frames = self._kept.get(turn_id)
        if not frames:
            raise self._over or local_error(grpc.StatusCode.CANCELLED, "the turn was left")
        frame = frames.popleft()
        if frame.WhichOneof("frame") == "end":
            self.forget(turn_id)
        return frame

    async def end(self) -> GatewayCallError:
        """Why the stream ended, once it has."""
        await self._wait("")
        return self._over or local_error(grpc.StatusCode.CANCELLED, "the conversation was left")

    async def _wait(self, turn_id: str) -> None:
        """Waits for a frame of the turn, or the end; no turn has an empty id."""
        async with self._changed:
            self._hungry += 1
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._over or self._kept.get(turn_id))
            finally:
                self._hungry -= 1

    def _is_roomy(self) -> bool:
        return sum(map(len, self._kept.values())) < ENOUGH_FRAMES
