"""The single-turn methods of `gateway.v1.Inference`, and the frozen `deepseek.DeepSeek`."""

from collections.abc import Callable
from contextlib import aclosing

import deepseek_pb2
from gateway.domain.answer import Answer
from gateway.domain.call import Visitor
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.events import Accepted, Notice, TextDelta, TurnEnd, TurnEvent
from gateway.domain.failure import TurnFailed
from gateway.pipeline import Pipeline
from gateway.server import frames
from gateway.server.door import Context
from gateway.server.requests import read_prompt, read_turn
from gateway.server.running import Running
from gateway.server.wire import Wire
from gateway.server.writer import FrameWriter
from gateway.v1 import inference_pb2


class Inference:
    """Answers one turn per call."""

    def __init__(
        self, pipeline: Pipeline, running: Running, heartbeat_s: float, new_id: Callable[[], str]
    ) -> None:
        self._pipeline = pipeline
        self._running = running
        self._heartbeat_s = heartbeat_s
        self._new_id = new_id

    async def generate(self, visitor: Visitor, request: inference_pb2.Turn, context: Context) -> None:
        """One turn as frames; trouble after the first frame is `end`, then the status."""
        turn = read_turn(request, self._new_id())
        made = frames.TurnFrames(turn.turn_id)
        async with FrameWriter(context, self._heartbeat_s, self._pipeline.client_stall_s) as writer:

            async def emit(event: TurnEvent) -> None:
                # The first message ends a client library's own retries, so the receipt's id waits for company.
                if isinstance(event, Accepted) and not event.queue_position:
                    writer.hold(made.frame(event))
                else:
                    await writer.write(made.frame(event))

            watch = self._running.watch(visitor)
            with self._running.keep(watch, visitor.caller):
                try:
                    end = await self._pipeline.run(visitor, turn, emit, watch)
                except TurnFailed as failed:
                    if writer.sent and failed.error.reason is not Reason.CLIENT_TOO_SLOW:
                        await _tell(writer, made, failed.end)
                    raise
            await _tell(writer, made, end)

    async def complete(
        self, visitor: Visitor, request: inference_pb2.Turn, _context: Context
    ) -> inference_pb2.TurnResult:
        """The fold of `generate`; nothing is sent before the whole answer."""
        turn = read_turn(request, self._new_id())
        answer = Answer()

        async def emit(event: TurnEvent) -> None:
            answer.add(event)

        watch = self._running.watch(visitor)
        with self._running.keep(watch, visitor.caller):
            end = await self._pipeline.run(visitor, turn, emit, watch)
        return frames.turn_result(answer, end)

    async def stream_predict(self, visitor: Visitor, request: deepseek_pb2.ModelRequest, context: Context) -> None:
        """Plain text deltas; facts go to trailing metadata."""
        turn = read_prompt(request.text, request.max_tokens, self._new_id())
        notices: list[Notice] = []

        async def emit(event: TurnEvent) -> None:
            if isinstance(event, TextDelta) and event.text:
                await wire.send(deepseek_pb2.ModelResponse(text=event.text))
            elif isinstance(event, Notice):
                notices.append(event)

        watch = self._running.watch(visitor)
        async with aclosing(Wire(context, self._pipeline.client_stall_s)) as wire:
            with self._running.keep(watch, visitor.caller):
                end = await self._pipeline.run(visitor, turn, emit, watch)
        context.set_trailing_metadata(
            (
                ("x-request-id", visitor.call.request_id),
                ("gateway-receipt-id", end.receipt_id),
                ("gateway-model", frames.header_text(end.model)),
                ("gateway-usage-bin", frames.usage(end.usage).SerializeToString()),
                *(("gateway-notice-bin", frames.notice(item).SerializeToString()) for item in notices),
            )
        )

    async def list_models(
        self, visitor: Visitor, _request: inference_pb2.ListModelsRequest, _context: Context
    ) -> inference_pb2.ListModelsResponse:
        """What this caller may use, with the prices of this moment."""
        offered = self._pipeline.offered(visitor.tenant)
        return inference_pb2.ListModelsResponse(models=[frames.model(item) for item in offered])


async def _tell(writer: FrameWriter, made: frames.TurnFrames, end: TurnEnd) -> None:
    """The end of a settled turn; one that is not taken fails the call, with its receipt."""
    try:
        await writer.write(made.frame(end))
    except GatewayError as error:
        raise TurnFailed(error, end) from error
