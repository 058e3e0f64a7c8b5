"""Answers that arrive in pieces. Each stream owns its call: leaving the `async with` cancels it.

A gRPC call that is dropped without a cancel stays alive on the server and goes on generating, which is billed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, cast

import grpc

import deepseek_pb2
from gateway.v1 import content_pb2, inference_pb2
from gateway_client.answer import Answer, AnswerFold
from gateway_client.attempts import Attempt, Attempts
from gateway_client.status import by_name

Message = TypeVar("Message")
Pairs = tuple[tuple[str, str | bytes], ...]


class StreamedCall(Protocol):
    """What a stream needs of a gRPC call with streamed answers."""

    async def read(self) -> object:
        """The next message, or grpc.aio.EOF. Raises AioRpcError."""
        ...

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """What the server sent last."""
        ...

    def cancel(self) -> bool:
        """Ends the call, on the server too."""
        ...


class ResponseStream(Generic[Message]):
    """`async with` it, then iterate it; leaving cancels the call.

    The call starts at the first step of the iteration, and is retried until its first message only. Steps
    raise GatewayCallError. One task iterates at a time.
    """

    def __init__(self, attempts: Attempts, dial: Callable[[Attempt], StreamedCall], timeout_s: float) -> None:
        self._attempts = attempts
        self._dial = dial
        self._timeout_s = timeout_s
        self._call: StreamedCall | None = None
        self._entered = False
        self._over = False
        self.request_id = ""
        self.trailing: Pairs = ()

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        if self._call is not None:
            self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """The next message; the end of the call ends the iteration and fills `trailing`."""
        if not self._entered:
            raise RuntimeError("use `async with` around this stream, so that leaving it cancels the call")
        if self._over:
            raise StopAsyncIteration
        message = await self._next()
        if message is grpc.aio.EOF:
            self._over = True
            raise StopAsyncIteration
        return cast(Message, message)  # EOF is handled above, and the stub promises the rest

    async def _next(self) -> object:
        if self._call is None:
            return await self._attempts.first(self._start, self._timeout_s)
        try:
            return await self._read(self._call)
        except grpc.aio.AioRpcError as error:
            self._over = True
            raise self._attempts.failed(error, self.request_id) from error

    async def _start(self, attempt: Attempt) -> object:
        self.request_id = attempt.request_id
        call = self._dial(attempt)
        started = False
        try:
            first = await self._read(call)
            started = True
        finally:
            if not started:
                call.cancel()
        self._call = call
        return first

    async def _read(self, call: StreamedCall) -> object:
        message = await call.read()
        if message is grpc.aio.EOF:
            self.trailing = tuple(await call.trailing_metadata())
        return message


class FrameStream(ResponseStream[inference_pb2.ServerFrame]):
    """The frames of one turn, as `Generate` sends them."""

    def __init__(
        self, attempts: Attempts, dial: Callable[[Attempt], StreamedCall], timeout_s: float, turn_id: str
    ) -> None:
        super().__init__(attempts, dial, timeout_s)
        self.turn_id = turn_id

    async def answer(self) -> Answer:
        """The rest of the frames, folded."""
        folding = AnswerFold()
        async for frame in self:
            folding.add(frame)
        return folding.answer()


@dataclass(frozen=True, slots=True)
class PredictFacts:
    """What `StreamPredict` says in its trailing metadata, known once the stream has ended."""

    receipt_id: str
    model: str
    usage: content_pb2.Usage | None
    notices: tuple[inference_pb2.Notice, ...]


class PredictStream(ResponseStream[deepseek_pb2.ModelResponse]):
    """The pieces of a `StreamPredict` answer; each `text` is a delta."""

    @property
    def facts(self) -> PredictFacts | None:
        """The facts of the trailing metadata; None before the stream has ended well."""
        return predict_facts(self.trailing) if self.trailing else None


def predict_facts(trailing: Pairs) -> PredictFacts:
    """The facts of `gateway-…` trailing metadata; `gateway-notice-bin` may stand there several times."""
    first = by_name(trailing)
    usage = first.get("gateway-usage-bin")
    notices = [value for key, value in trailing if key == "gateway-notice-bin" and isinstance(value, bytes)]
    return PredictFacts(
        receipt_id=str(first.get("gateway-receipt-id", "")),
        model=str(first.get("gateway-model", "")),
        usage=content_pb2.Usage.FromString(usage) if isinstance(usage, bytes) else None,
        notices=tuple(inference_pb2.Notice.FromString(notice) for notice in notices),
    )
