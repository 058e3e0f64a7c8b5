"""The data of single chat chunks, and their fold in one word, for tests of the wire format."""

import orjson

from gateway.domain.events import ModelEvent
from gateway.models.openai_wire import ChunkFolder

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def chunk(delta: object = None, finish: object = None, **more: object) -> bytes:
    """The data of one chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return orjson.dumps({"id": "r1", "model": "m", "choices": [choice], **more})


def text(piece: str) -> bytes:
    """A chunk with answer text."""
    return chunk({"content": piece})


def tool(index: object = 0, call_id: object = None, name: object = None, arguments: object = None) -> bytes:
    """A chunk with one fragment of a tool call; what is None is not there."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fragment = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return chunk({"tool_calls": [{**fragment, "function": function}]})


def fold(*payloads: bytes) -> list[ModelEvent]:
    """The events of payloads that arrived together."""
    return ChunkFolder(orjson.loads).feed(payloads)


def folder_of(*payloads: bytes) -> ChunkFolder:
    """A folder that has been fed."""
    folder = ChunkFolder(orjson.loads)
    folder.feed(payloads)
    return folder
