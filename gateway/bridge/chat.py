"""`POST /v1/chat/completions`: one turn, streamed or whole."""

import asyncio
import time
from dataclasses import dataclass

from aiohttp import web

from gateway.bridge import BridgeOptions
from gateway.bridge.answer import completion
from gateway.bridge.calls import CallerHeaders, Calls, FrameCall
from gateway.bridge.chunks import ChunkStream
from gateway.bridge.errors import Refused, body, from_status, too_large
from gateway.bridge.facts import Facts, limit_headers
from gateway.bridge.incoming import LIMIT_HEADERS, caller_of, read_json_object
from gateway.bridge.openai import ChatRequest, read_chat
from gateway.bridge.outgoing import EventStream, json_response
from gateway.bridge.sse import PING, block

LIMITS_WAIT_S = 0.05
_BROKEN = from_status(10, "STREAM_INTERRUPTED", "the answer broke off; what was delivered stands", retryable=False)


@dataclass(frozen=True, slots=True)
class Chat:
    """The handlers of chat completions."""

    calls: Calls
    options: BridgeOptions

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """An answer; source lines are added to it where the operator wants them everywhere."""
        return await self._answer(request, with_lines=self.options.source_lines)

    async def complete_with_lines(self, request: web.Request) -> web.StreamResponse:
        """An answer with its sources in readable lines."""
        return await self._answer(request, with_lines=True)

    async def _answer(self, request: web.Request, *, with_lines: bool) -> web.StreamResponse:
        caller, options = caller_of(request), self.options
        values = await read_json_object(request, options.max_message_bytes, options.body_s)
        asked = read_chat(values, request.headers.get("idempotency-key"), options.user_key)
        if asked.turn.ByteSize() > options.max_message_bytes:
            raise too_large(options.max_message_bytes)
        with_lines = with_lines and asked.plain_text
        try:
            if asked.stream:
                return await self._stream(request, asked, caller, with_lines=with_lines)
            return await self._whole(asked, caller, with_lines=with_lines)
        except Refused as refused:
            if refused.refusal.status == 429:
                request[LIMIT_HEADERS] = await self._limits(caller)
            raise refused

    async def _whole(self, asked: ChatRequest, caller: CallerHeaders, *, with_lines: bool) -> web.Response:
        facts = Facts(notices=list(asked.notices))
        result = await self.calls.complete(asked.turn, caller, self.options.turn_s)
        answer = completion(result, facts, created=int(time.time()), with_lines=with_lines)
        limits = await self._limits(caller)
        return json_response(answer, headers=[*facts.headers(), *limits.items()])

    async def _stream(
        self, request: web.Request, asked: ChatRequest, caller: CallerHeaders, *, with_lines: bool
    ) -> web.StreamResponse:
        facts = Facts(notices=list(asked.notices), model=asked.turn.model)
        chunks = ChunkStream(facts, asked.turn.model, int(time.time()), with_lines=with_lines)
        stream = EventStream(request, self.options.stall_s)
        # Asked for at the same time: the first token shall not wait for it.
        limits = asyncio.get_running_loop().create_task(self._limits(caller))
        try:
            with self.calls.generate(asked.turn, caller, self.options.turn_s) as frames:
                await self._relay(frames, chunks, stream, limits)
        except Refused as refused:
            if not stream.started:
                raise
            await stream.write(block(body(refused.refusal)))
        finally:
            limits.cancel()
        await stream.end()
        return stream.response

    async def _relay(
        self,
        frames: FrameCall,
        chunks: ChunkStream,
        stream: EventStream,
        limits: "asyncio.Task[dict[str, str]]",
    ) -> None:
        """Writes each frame as it comes. The first output, or the first sign of life, sends the headers."""
        heartbeat_s = self.options.heartbeat_s
        while (frame := await frames.next()) is not None:
            data = chunks.events(frame)
            if not data:
                if not frame.HasField("heartbeat") and stream.quiet_s < heartbeat_s:
                    continue
                data = PING
            if not stream.started:
                await stream.start([*chunks.facts.headers(), *(await known(limits)).items()])
            await stream.write(data)
        if not chunks.ended:
            raise Refused(_BROKEN)

    async def _limits(self, caller: CallerHeaders) -> dict[str, str]:
        try:
            return limit_headers((await self.calls.limits(caller)).allowances)
        except Refused:
            return {}


async def known(limits: "asyncio.Task[dict[str, str]]") -> dict[str, str]:
    """What is known of the caller's limits by now; nobody waits long for it."""
    await asyncio.wait([limits], timeout=LIMITS_WAIT_S)
    return limits.result() if limits.done() and not limits.cancelled() else {}
