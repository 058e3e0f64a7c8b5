"""What a caller of a stream of frames was told, from the first frame to the status."""

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from gateway.v1 import inference_pb2
from tests.support.calls import Told, streamed


class Outcome:
    """Frames, then OK or another status."""

    def __init__(self, frames: Sequence[inference_pb2.ServerFrame], told: Told) -> None:
        self.frames = list(frames)
        self.told = told

    @property
    def text(self) -> str:
        """The answer as delivered."""
        return "".join(frame.delta.text for frame in self.frames)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the frames, heartbeats left out."""
        kinds = [str(frame.WhichOneof("frame")) for frame in self.frames]
        return [kind for kind in kinds if kind != "heartbeat"]

    @property
    def end(self) -> inference_pb2.TurnEnd:
        """The one end, which is the last frame."""
        assert self.kinds.count("end") == 1
        assert self.frames[-1].WhichOneof("frame") == "end"
        return self.frames[-1].end

    @property
    def status(self) -> Told:
        """The status that is not OK."""
        assert self.told.code is not grpc.StatusCode.OK, f"ended OK after {self.kinds}"
        return self.told

    def check_ok(self) -> None:
        """Nothing went wrong."""
        assert self.told.code is grpc.StatusCode.OK, self.told

    def check_numbers(self) -> None:
        """Every frame of the stream has the next number, whoever it belongs to."""
        assert [frame.seq for frame in self.frames] == list(range(1, len(self.frames) + 1))

    def check_frames(self) -> None:
        """Of one turn: numbers without holes, and offsets that say where each text begins."""
        self.check_numbers()
        at = 0
        for frame in self.frames:
            if frame.WhichOneof("frame") == "delta":
                assert frame.delta.offset == at
                assert frame.delta.events >= 1
                at += len(frame.delta.text.encode())


async def outcome_of(call: Any) -> Outcome:
    """Reads a call to its end. Any: a call of grpc.aio that streams ServerFrames."""
    frames, told = await streamed(call)
    return Outcome(frames, told)


async def read_kind(call: Any, kind: str) -> inference_pb2.ServerFrame:
    """Reads up to the next frame of a kind. Any: a call of grpc.aio."""
    while True:
        frame = await call.read()
        assert frame is not grpc.aio.EOF, f"the stream ended before a frame of the kind {kind}"
        if frame.WhichOneof("frame") == kind:
            return frame
