"""Puts back the reasoning of earlier tool calls where a caller's history leaves it out.

A thinking model refuses a history whose tool calls came without the reasoning that led to them, and most clients
drop it. So it is kept for a while by the call, sealed where it leaves this process, for its tenant alone.
"""

import json
from dataclasses import replace

from gateway.cache import Cache, Key, Kind, Miss
from gateway.cache.keys import key_of
from gateway.domain.events import Finish
from gateway.domain.turn import Message, ToolCall, Turn
from gateway.pipeline.job import Job
from gateway.pipeline.sharing import lacking, thinks

MOST_CALLS = 64
"""So many messages of a history are looked after, the newest first."""


class KeptReasoning:
    """Remembers why tools were called. `kept_s` is for how long, in seconds."""

    def __init__(self, cache: Cache, kept_s: float) -> None:
        self._cache = cache
        self._kept_s = kept_s

    async def restored(self, turn: Turn, tenant: str) -> Turn:
        """The turn with the reasoning that is known; what is not known stays missing."""
        wanting = [place for place, message in enumerate(turn.messages) if lacking(message)]
        if not wanting:
            return turn
        naming_key = await self._cache.naming_key(tenant)
        if naming_key is None:
            return turn
        messages = list(turn.messages)
        for place in wanting[-MOST_CALLS:]:
            messages[place] = await self._restored(messages[place], naming_key, tenant)
        return replace(turn, messages=tuple(messages))

    async def keep(self, job: Job) -> None:
        """Keeps the reasoning of an answer that ended in tool calls."""
        said = job.sharing.said
        if said is None or job.received.finish is not Finish.TOOL_CALLS or not thinks(job.plan.generation):
            return
        whole, tenant = said.whole(), job.visitor.tenant.name
        naming_key = await self._cache.naming_key(tenant) if whole.reasoning and whole.tool_calls else None
        if naming_key is None:
            return
        value = whole.reasoning.encode("utf-8", "surrogatepass")
        for call in whole.calls():
            self._cache.keep(_key(naming_key, tenant, call), value, self._kept_s)

    async def _restored(self, message: Message, naming_key: bytes, tenant: str) -> Message:
        for call in message.tool_calls:
            found = await self._cache.find(_key(naming_key, tenant, call), _text)
            if found is not None:
                return replace(message, reasoning=found.value)
        return message


def _key(naming_key: bytes, tenant: str, call: ToolCall) -> Key:
    """Some servers count their calls from one in every answer, so the id alone would name too many."""
    return key_of(naming_key, tenant, Kind.REASONING, call.call_id, call.name, _arguments(call.arguments_json))


def _arguments(text: str) -> str:
    """The arguments as a client may have written them anew: the same JSON is the same."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise Miss("garbled") from None
