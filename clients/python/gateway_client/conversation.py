"""Many turns on one stream: `Converse`."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, Unpack, cast
from uuid import uuid4

import grpc

from gateway.v1 import inference_pb2
from gateway_client.answer import Answer, AnswerFold
from gateway_client.attempts import Attempt, Attempts
from gateway_client.inbox import Inbox
from gateway_client.status import local_error
from gateway_client.streams import StreamedCall
from gateway_client.turns import TurnOptions, build_turn


class ConverseCall(StreamedCall, Protocol):
    """What a conversation needs of a gRPC call with streams both ways."""

    async def write(self, request: inference_pb2.ClientFrame) -> None:
        """Sends one frame. Raises AioRpcError, InvalidStateError when the call is over."""
        ...

    async def done_writing(self) -> None:
        """Half-closes."""
        ...


class RunningTurn:
    """One turn of a conversation: iterate it for its frames, the last of which is `end`.

    A fault is a frame before the `end`; trouble with the stream raises GatewayCallError. Leaving it as a
    context manager before the `end` cancels the turn.
    """

    def __init__(self, conversation: "Conversation", turn_id: str) -> None:
        self._conversation = conversation
        self.turn_id = turn_id
        self.ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.ended:
            self.ended = True
            await self._conversation.leave(self.turn_id)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> inference_pb2.ServerFrame:
        if self.ended:
            raise StopAsyncIteration
        frame = await self._conversation.take(self.turn_id)
        self.ended = frame.WhichOneof("frame") == "end"
        return frame

    async def cancel(self) -> None:
        """Asks the gateway to stop this turn; its frames still end with an `end`."""
        await self._conversation.cancel(self.turn_id)

    async def answer(self) -> Answer:
        """The rest of the frames, folded; a fault stands in `faults`."""
        folding = AnswerFold()
        async for frame in self:
            folding.add(frame)
        return folding.answer()


class Conversation:
    """One `Converse` stream; use it as an async context manager. Leaving it cancels what still runs.

    At most 8 turns run at once. Every turn is whole: send the history with it. When the token source has a
    new token, it is handed over before the next turn. `opened` is the gateway's greeting, `go_away` its
    request to move to a new stream.
    """

    def __init__(
        self,
        attempts: Attempts,
        dial: Callable[[Attempt], ConverseCall],
        timeout_s: float,
        session_id: str = "",
    ) -> None:
        self._attempts = attempts
        self._dial = dial
        self._timeout_s = timeout_s
        self._session_id = session_id
        self._inbox = Inbox()
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._call: ConverseCall | None = None
        self._token: str | None = None
        self._half_closed = False
        self.request_id = ""
        self.opened: inference_pb2.Opened | None = None
        self.go_away: inference_pb2.GoAway | None = None

    async def __aenter__(self) -> Self:
        await self._attempts.first(self._open, self._timeout_s)
        self._reader = asyncio.create_task(self._read_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the call and its tasks; whoever still waits for a frame is told."""
        self._opened_call().cancel()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, *self._writes, return_exceptions=True)
        await self._inbox.finish(local_error(grpc.StatusCode.CANCELLED, "the conversation was closed"))

    async def send(self, turn: inference_pb2.Turn | None = None, **options: Unpack[TurnOptions]) -> RunningTurn:
        """Starts one turn, given whole or as keyword arguments. Raises GatewayCallError, ValueError."""
        built = build_turn(turn, options, uuid4().hex)
        await self._hand_over_new_token()
        self._inbox.expect(built.turn_id)
        await self._write(inference_pb2.ClientFrame(turn=built))
        return RunningTurn(self, built.turn_id)

    async def cancel(self, turn_id: str = "") -> None:
        """Asks the gateway to stop one turn; every running turn without an id."""
        await self._write(inference_pb2.ClientFrame(cancel=inference_pb2.Cancel(turn_id=turn_id)))

    async def half_close(self) -> None:
        """Says that no further turn comes; running turns go on to their end."""
        self._half_closed = True
        async with self._writing:
            await self._opened_call().done_writing()

    async def take(self, turn_id: str) -> inference_pb2.ServerFrame:
        """The next frame of a turn; `RunningTurn` is the comfortable way to it."""
        return await self._inbox.take(turn_id)

    async def leave(self, turn_id: str) -> None:
        """Stops a turn whose frames nobody wants any more."""
        self._inbox.forget(turn_id)
        if self._reader is not None and not self._reader.done() and not self._half_closed:
            await self.cancel(turn_id)

    async def _open(self, attempt: Attempt) -> None:
        """One try: nothing is committed before the gateway has answered `open` with its first frame."""
        call = self._dial(attempt)
        self._call, self._token, self.request_id = call, attempt.token, attempt.request_id
        answered = False
        try:
            await _greet(call, self._session_id)
            await self._handle(await call.read())
            answered = True
        finally:
            if not answered:
                call.cancel()

    async def _read_all(self) -> None:
        call = self._opened_call()
        try:
            message: object = None
            while message is not grpc.aio.EOF:
                await self._inbox.room()
                message = await call.read()
                await self._handle(message)
        except grpc.aio.AioRpcError as error:
            await self._inbox.finish(self._attempts.failed(error, self.request_id))
        finally:
            # A channel that is closed under the call cancels this task; whoever waits for a frame must hear of it.
            await self._inbox.finish(local_error(grpc.StatusCode.CANCELLED, "the channel was closed"))

    async def _handle(self, message: object) -> None:
        if message is grpc.aio.EOF:
            await self._inbox.finish(None)
            return
        frame = cast(inference_pb2.ServerFrame, message)  # EOF is handled above, the stub promises the rest
        match frame.WhichOneof("frame"):
            case "opened":
                self.opened = frame.opened
            case "go_away":
                self.go_away = frame.go_away
            case _:
                await self._inbox.put(frame)

    async def _hand_over_new_token(self) -> None:
        token = await self._attempts.tokens.token(refresh=False)
        if token is not None and token != self._token:
            self._token = token
            await self._write(inference_pb2.ClientFrame(credential=inference_pb2.Credential(bearer=token)))

    async def _write(self, frame: inference_pb2.ClientFrame) -> None:
        """Shielded: the gRPC library cancels the whole call when a task is cancelled inside a write."""
        if self._half_closed:
            raise RuntimeError("the conversation is half-closed: open another one to send more")
        writing = asyncio.create_task(self._write_alone(frame))
        self._writes.add(writing)
        writing.add_done_callback(self._written)
        await asyncio.shield(writing)

    async def _write_alone(self, frame: inference_pb2.ClientFrame) -> None:
        async with self._writing:
            try:
                await self._opened_call().write(frame)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                raise await self._inbox.end() from error

    def _written(self, writing: asyncio.Task[None]) -> None:
        self._writes.discard(writing)
        if not writing.cancelled():
            writing.exception()  # asked for, so that a write nobody waits for is not reported as forgotten

    def _opened_call(self) -> ConverseCall:
        if self._call is None:
            raise RuntimeError("use `async with` around the conversation")
        return self._call


async def _greet(call: ConverseCall, session_id: str) -> None:
    """Sends `open`; where the call is over already, the read that follows says why."""
    try:
        await call.write(inference_pb2.ClientFrame(open=inference_pb2.Open(session_id=session_id)))
    except asyncio.InvalidStateError:
        return
