"""The events of a chat stream as DeepSeek writes them, for scripts of `tests.support.upstream`."""

from typing import Any

import orjson

DONE = "[DONE]"
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 2,
    "total_tokens": 13,
    "prompt_cache_hit_tokens": 0,
    "prompt_cache_miss_tokens": 11,
}


def sse(data: str | dict[str, Any]) -> bytes:  # Any: JSON
    """One event: its `data:` line and the blank line."""
    payload = data.encode() if isinstance(data, str) else orjson.dumps(data)
    return b"data: " + payload + b"\n\n"


def chat_chunk(
    delta: object, *, finish: str | None = None, usage: object = None, model: str = "deepseek-flash"
) -> dict[str, Any]:  # Any: JSON
    """One chat.completion.chunk with one choice."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": model}
    return {**head, "choices": [choice], "usage": usage}


def text_chunk(text: str) -> dict[str, Any]:  # Any: JSON
    """A chunk with a piece of the answer."""
    return chat_chunk({"content": text})


def reasoning_chunk(text: str) -> dict[str, Any]:  # Any: JSON
    """A chunk with a piece of the reasoning."""
    return chat_chunk({"content": None, "reasoning_content": text})


LAST_CHUNK = chat_chunk({"content": ""}, finish="stop", usage=USAGE)
