"""`POST /retrieval`, Dify's external knowledge, and `POST /dify/extension`, its API extension."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from aiohttp import web

from gateway.bridge import BridgeOptions
from gateway.bridge.calls import CallerHeaders, Calls
from gateway.bridge.dify import (
    EXTERNAL_DATA,
    MODERATION_IN,
    MODERATION_OUT,
    error_object,
    moderate,
    question,
    read_retrieval,
    records,
)
from gateway.bridge.errors import Refused, bad
from gateway.bridge.fields import Fields
from gateway.bridge.incoming import caller_of, read_body
from gateway.bridge.json_body import read_object
from gateway.bridge.outgoing import json_response
from gateway.bridge.repeats import Repeats, key_of
from gateway.bridge.sources import as_text
from gateway.v1 import inference_pb2, search_pb2

# Dify's proxy waits five seconds and sends the request again then.
ANSWER_WITHIN_S = 4.5
Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The handlers that Dify calls through its proxy: refusals are 4xx, so that it does not repeat them."""

    calls: Calls
    options: BridgeOptions
    repeats: Repeats = field(default_factory=Repeats)

    async def retrieve(self, request: web.Request) -> web.Response:
        """Records for a query."""
        return await self._answer(request, self._retrieve)

    async def extend(self, request: web.Request) -> web.Response:
        """One point of the API extension."""
        return await self._answer(request, self._extend)

    async def _answer(
        self, request: web.Request, work: Callable[[CallerHeaders, bytes], Awaitable[Answer]]
    ) -> web.Response:
        has_form = False
        try:
            caller = caller_of(request)
            has_form = len(caller.authorization) == 1 and caller.authorization[0].lower().startswith("bearer ")
            data = await read_body(request, self.options.max_message_bytes, self.options.body_s)
            key = key_of(request.path, caller.authorization, data)
            return json_response(await self.repeats.once(key, lambda: work(caller, data)))
        except Refused as refused:
            status, body = error_object(refused.refusal, has_form=has_form)
            return json_response(body, status)

    async def _retrieve(self, caller: CallerHeaders, data: bytes) -> Answer:
        if not data.strip():
            # What Dify sends when the knowledge base is registered: a wrong key shall show then, and not later.
            await self.calls.limits(caller)
        asked = read_retrieval(read_object(data))
        reply = await self._searched(asked.request, caller)
        return records(reply, asked)

    async def _extend(self, caller: CallerHeaders, data: bytes) -> Answer:
        body = Fields(read_object(data))
        point = body.required("point", body.text("point"))
        params = body.inner("params") or Fields({}, "params")
        # Every point needs a good credential, also those that use nothing.
        if point == "ping":
            await self.calls.limits(caller)
            return {"result": "pong"}
        if point in (MODERATION_IN, MODERATION_OUT):
            await self.calls.limits(caller)
            return moderate(point, params, self.options.moderation)
        if point != EXTERNAL_DATA:
            raise bad("point", f"{point[:64]!r} is not offered")
        return {"result": await self._external_data(question(params), caller)}

    async def _external_data(self, query: str, caller: CallerHeaders) -> str:
        if not query.strip():
            raise bad("params.query", "is empty, and no input holds a text; say what to look for")
        options = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS, required=True)
        reply = await self._searched(search_pb2.SearchRequest(query=query, options=options), caller)
        return as_text(reply.sources)

    async def _searched(self, request: search_pb2.SearchRequest, caller: CallerHeaders) -> search_pb2.SearchReply:
        try:
            return await self.calls.search(request, caller, ANSWER_WITHIN_S)
        except Refused as refused:
            if refused.refusal.status == 404:
                # A call that is not there is no unknown knowledge.
                raise Refused(replace(refused.refusal, status=422)) from None
            raise
