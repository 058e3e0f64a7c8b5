"""Search, extract and ask as plain JSON operations: what `/openapi.json` describes, for Dify's custom tools."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from aiohttp import web

from gateway.bridge import BridgeOptions
from gateway.bridge.calls import CallerHeaders, Calls
from gateway.bridge.dify import is_retried
from gateway.bridge.errors import Refused, bad
from gateway.bridge.fields import Fields
from gateway.bridge.incoming import caller_of, read_body
from gateway.bridge.json_body import read_object
from gateway.bridge.outgoing import json_response
from gateway.bridge.repeats import Repeats, key_of
from gateway.bridge.sources import result
from gateway.v1 import content_pb2, inference_pb2, search_pb2

ASK_WITHIN_S = 55.0
SEARCH_WITHIN_S = 10.0
MAX_RESULTS = 50
MODES: Mapping[str, inference_pb2.SearchMode] = {
    "never": inference_pb2.SEARCH_MODE_NEVER,
    "auto": inference_pb2.SEARCH_MODE_AUTO,
    "always": inference_pb2.SEARCH_MODE_ALWAYS,
}
Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Tools:
    """The handlers of the operations. Refusals are 4xx: Dify's proxy would repeat anything else."""

    calls: Calls
    options: BridgeOptions
    repeats: Repeats = field(default_factory=Repeats)

    async def search(self, request: web.Request) -> web.Response:
        """Sources for a query."""
        return await self._answer(request, self._search)

    async def extract(self, request: web.Request) -> web.Response:
        """One page as data."""
        return await self._answer(request, self._extract)

    async def ask(self, request: web.Request) -> web.Response:
        """One grounded answer."""
        return await self._answer(request, self._ask)

    async def _answer(
        self, request: web.Request, work: Callable[[CallerHeaders, Fields], Awaitable[Answer]]
    ) -> web.Response:
        caller = caller_of(request)
        data = await read_body(request, self.options.max_message_bytes, self.options.body_s)
        body = Fields(read_object(data))
        key = key_of(request.path, caller.authorization, data)
        try:
            return json_response(await self.repeats.once(key, lambda: work(caller, body)))
        except Refused as refused:
            status = 422 if is_retried(refused.refusal.status) else refused.refusal.status
            raise Refused(replace(refused.refusal, status=status)) from None

    async def _search(self, caller: CallerHeaders, body: Fields) -> Answer:
        query = body.required("query", body.text("query"))
        wanted = body.integer("max_results")
        if wanted is not None and not 1 <= wanted <= MAX_RESULTS:
            raise bad("max_results", f"must be between 1 and {MAX_RESULTS}")
        options = inference_pb2.SearchOptions(
            mode=inference_pb2.SEARCH_MODE_ALWAYS,
            required=True,
            max_results=wanted or 0,
            only_domains=_texts(body, "only_domains"),
        )
        reply = await self.calls.search(
            search_pb2.SearchRequest(query=query, options=options), caller, SEARCH_WITHIN_S
        )
        return {"results": [result(source) for source in reply.sources]}

    async def _extract(self, caller: CallerHeaders, body: Fields) -> Answer:
        fields = _texts(body, "fields")
        request = search_pb2.ExtractRequest(url=body.required("url", body.text("url")), fields=fields)
        reply = await self.calls.extract(request, caller, SEARCH_WITHIN_S)
        return {
            "title": reply.title,
            "text": reply.text,
            "key_points": list(reply.key_points),
            "tables": [_table(table) for table in reply.tables],
            "mime_type": reply.mime_type,
            "pages": reply.pages,
        }

    async def _ask(self, caller: CallerHeaders, body: Fields) -> Answer:
        asked = body.required("question", body.text("question"))
        mode = body.text("search") or "auto"
        if mode not in MODES:
            raise bad("search", f"must be one of {', '.join(MODES)}")
        turn = inference_pb2.Turn(
            model=body.text("model") or "",
            messages=[content_pb2.Message(role=content_pb2.ROLE_USER, content=asked)],
            search=inference_pb2.SearchOptions(mode=MODES[mode]),
        )
        reply = await self.calls.complete(turn, caller, ASK_WITHIN_S)
        return {
            "answer": reply.message.content,
            "sources": [result(source) for source in reply.sources],
            "receipt_id": reply.end.receipt_id,
        }


def _texts(body: Fields, name: str) -> list[str]:
    found = body.items(name)
    if not all(isinstance(item, str) for item in found):
        raise bad(name, "must be a list of strings")
    return [str(item) for item in found]


def _table(table: search_pb2.Table) -> Answer:
    rows = [list(row.cells) for row in table.rows]
    return {"caption": table.caption, "header": list(table.header), "rows": rows}
