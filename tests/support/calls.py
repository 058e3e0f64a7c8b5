"""What a caller is told: statuses with their details unpacked, and the frames of a stream.

told = await refused(gateway.inference.Complete(turn, metadata=gateway.bearer()))
assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")

async with Talk(gateway) as talk:            # Converse, frame by frame
    await talk.ask("hi", turn_id="t1")
    end = await talk.until("end")
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gateway.v1 import inference_pb2
from tests.support.gateway import Running

HANG_GUARD_S = 20.0
NEVER = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)
ALWAYS = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)
NOT_DEGRADED = inference_pb2.Routing(allow_degraded=False)


@dataclass
class Told:
    """A status as a caller gets it. `fields` are the violations of BadRequest by path."""

    code: grpc.StatusCode
    message: str
    trailers: dict[str, Any] = field(default_factory=dict)  # Any: text, and bytes for names that end in -bin
    reason: str = ""
    domain: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    quotas: list[tuple[str, str]] = field(default_factory=list)

    def take(self, detail: Message) -> None:
        """Keeps one of the `google.rpc` details."""
        match detail:
            case error_details_pb2.ErrorInfo():
                self.reason, self.domain, self.facts = detail.reason, detail.domain, dict(detail.metadata)
            case error_details_pb2.BadRequest():
                self.fields = {v.field: v.description for v in detail.field_violations}
            case error_details_pb2.RetryInfo():
                self.retry_after_s = detail.retry_delay.ToMilliseconds() / 1000
            case error_details_pb2.QuotaFailure():
                self.quotas = [(v.subject, v.description) for v in detail.violations]
            case _:
                raise AssertionError(f"an unexpected detail: {detail}")


KINDS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.QuotaFailure,
)


def told_by(error: grpc.aio.AioRpcError) -> Told:
    """The status behind an exception."""
    trailers = {str(key): value for key, value in error.trailing_metadata() or ()}
    told = Told(error.code(), error.details() or "", trailers)
    status = status_pb2.Status.FromString(bytes(trailers.get("grpc-status-details-bin", b"")))
    for packed in status.details:
        detail = next(kind() for kind in KINDS if packed.Is(kind.DESCRIPTOR))
        packed.Unpack(detail)
        told.take(detail)
    return told


async def refused(call: Awaitable[Any]) -> Told:  # Any: whatever it would have answered
    """The status of a unary call that must not succeed."""
    try:
        reply = await asyncio.wait_for(_whole(call), HANG_GUARD_S)
    except grpc.aio.AioRpcError as error:
        return told_by(error)
    raise AssertionError(f"answered instead of refused: {reply}")


async def _whole(call: Awaitable[Any]) -> Any:  # Any: as above
    return await call


async def streamed(call: Any) -> tuple[list[Any], Told]:  # Any: a streaming call and its messages
    """Every message of a streaming call, and its status, which may be OK."""
    messages: list[Any] = []
    try:
        async with asyncio.timeout(HANG_GUARD_S):
            async for message in _Rest(call) if hasattr(call, "read") else call:
                messages.append(message)  # noqa: PERF401 - what came before a failure is wanted too
            trailers = {str(key): value for key, value in await call.trailing_metadata()}
            return messages, Told(await call.code(), await call.details() or "", trailers)
    except grpc.aio.AioRpcError as error:
        return messages, told_by(error)


def kinds(frames: Iterable[inference_pb2.ServerFrame]) -> list[str]:
    """The kinds of frames, without heartbeats."""
    found = [str(frame.WhichOneof("frame")) for frame in frames]
    return [kind for kind in found if kind != "heartbeat"]


def text_of(frames: Iterable[inference_pb2.ServerFrame]) -> str:
    """The answer that these frames hold."""
    return "".join(frame.delta.text for frame in frames)


async def until(true: Callable[[], bool]) -> None:
    """Waits for something to become true; the timeout is a hang guard."""
    async with asyncio.timeout(HANG_GUARD_S):
        while not true():
            await asyncio.sleep(0.005)


class Talk:
    """One Converse stream. `said` holds every frame that was read."""

    def __init__(self, gateway: Running, metadata: Any = None, *, raw: bool = False, **options: Any) -> None:
        """`raw` writes bytes instead of messages. Any: what grpc calls take."""
        call = gateway.channel.stream_stream(
            "/gateway.v1.Inference/Converse",
            request_serializer=bytes if raw else inference_pb2.ClientFrame.SerializeToString,
            response_deserializer=inference_pb2.ServerFrame.FromString,
        )
        self.call: Any = call(metadata=gateway.bearer() if metadata is None else metadata, **options)
        self.said: list[inference_pb2.ServerFrame] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call.cancel()

    async def say(self, **frame: Any) -> None:  # Any: the fields of ClientFrame
        """Sends one frame."""
        await self.call.write(inference_pb2.ClientFrame(**frame))

    async def ask(self, prompt: str, turn_id: str = "", **fields: Any) -> None:  # Any: the fields of Turn
        """Starts a turn, without search and without a stand-in unless told otherwise."""
        options = {"search": NEVER, "routing": NOT_DEGRADED, **fields}
        await self.say(turn=inference_pb2.Turn(prompt=prompt, turn_id=turn_id, **options))

    async def read(self) -> inference_pb2.ServerFrame:
        """The next frame."""
        async with asyncio.timeout(HANG_GUARD_S):
            frame = await self.call.read()
        assert frame is not grpc.aio.EOF, f"the stream ended after {kinds(self.said)}"
        self.said.append(frame)
        return frame

    async def until(self, kind: str, turn_id: str | None = None) -> inference_pb2.ServerFrame:
        """The next frame of this kind, of this turn where one is named."""
        while True:
            frame = await self.read()
            if frame.WhichOneof("frame") == kind and turn_id in (None, frame.turn_id):
                return frame

    async def status(self) -> Told:
        """Reads what is left; the status of the stream, which may be OK."""
        rest, told = await streamed(self.call)
        self.said += rest
        if told.code is grpc.StatusCode.OK:
            self.check_numbering()
        return told

    async def finish(self) -> None:
        """Says that no more comes, and reads to a good end."""
        await self.call.done_writing()
        told = await self.status()
        assert told.code is grpc.StatusCode.OK, told

    def of(self, turn_id: str) -> list[inference_pb2.ServerFrame]:
        """The frames of one turn so far."""
        return [frame for frame in self.said if frame.turn_id == turn_id]

    def check_numbering(self) -> None:
        """One `seq` over all, and at most one end for a turn, with nothing of it behind."""
        assert [frame.seq for frame in self.said] == list(range(1, len(self.said) + 1))
        for turn_id in {frame.turn_id for frame in self.said} - {""}:
            assert "end" not in kinds(self.of(turn_id))[:-1], kinds(self.of(turn_id))


class _Rest:
    """What is left of a call: iteration may not follow `read`, but `read` may."""

    def __init__(self, call: Any) -> None:  # Any: a call of grpc.aio
        self._call = call

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:  # Any: its messages
        message = await self._call.read()
        if message is not grpc.aio.EOF:
            return message
        if await self._call.code() is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                await self._call.code(),
                await self._call.initial_metadata(),
                await self._call.trailing_metadata(),
                await self._call.details(),
            )
        raise StopAsyncIteration
