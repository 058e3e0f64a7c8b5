"""What the measured upstream shall do, as words in a prompt, and the events it is made of (pure).

The plan of an answer travels inside the prompt, so no channel beside the request is needed and whatever stands
between, our gateway or another, passes it on untouched.
"""

import json
import re
from dataclasses import dataclass, fields

EVENT_BYTES = 285
"""An event of DeepSeek's with one token in it, blank line included."""
STAMP_DIGITS = 16
"""The moment of sending stands in every event instead of a token: microseconds of the monotonic clock."""
MODEL = "deepseek-flash"

_SCRIPT = re.compile(rb"bench:([a-z0-9_=.,-]+);")
_STAMP = "0" * STAMP_DIGITS


@dataclass(frozen=True, slots=True)
class Script:
    """`events` events, `together` at a time, the groups `gap_ms` apart; the first group is sent at once.

    `one_chunk` sends a group as one chunk of chunked encoding, and not each event as its own. A negative number
    of events never ends. `name` is how the end of a connection can be found again.
    """

    events: int = 1
    together: int = 1
    gap_ms: int = 30
    one_chunk: int = 0
    name: str = ""

    @property
    def prompt(self) -> str:
        """The prompt that asks for it."""
        return f"bench:{','.join(f'{f.name}={getattr(self, f.name)}' for f in fields(self))};"


def read_script(body: bytes) -> Script | None:
    """The script in a request's body, if there is one."""
    found = _SCRIPT.search(body)
    if found is None:
        return None
    pairs = dict(pair.split("=", 1) for pair in found[1].decode().split(","))
    name = pairs.pop("name")
    return Script(**{key: int(value) for key, value in pairs.items()}, name=name)


def event(content: str, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """One event in DeepSeek's words, padded to its usual size."""

    def written(fingerprint: str) -> bytes:
        choice = {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": finish}
        chunk = {
            "id": "6a8f1c52-90b7-4f0e-8a53-2f1f1b6f9a10",
            "object": "chat.completion.chunk",
            "created": 1790000000,
            "model": MODEL,
            "system_fingerprint": fingerprint,
            "choices": [choice],
            "usage": usage,
        }
        return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"

    return written("f" * max(1, EVENT_BYTES - len(written(""))))


def whole_answer(events: int, now_us: int) -> bytes:
    """The answer of a call that asked for no stream: as many stamps as it had events."""
    message = {"role": "assistant", "content": (b"%016d" % now_us).decode() * events}
    return json.dumps(
        {
            "id": "6a8f1c52-90b7-4f0e-8a53-2f1f1b6f9a10",
            "object": "chat.completion",
            "created": 1790000000,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage_of(events),
        },
        separators=(",", ":"),
    ).encode()


def usage_of(events: int) -> dict[str, int]:
    """What is reported to have been used."""
    return {
        "prompt_tokens": 20,
        "completion_tokens": events,
        "total_tokens": 20 + events,
        "prompt_cache_hit_tokens": 0,
        "prompt_cache_miss_tokens": 20,
    }


def chunk(data: bytes) -> bytes:
    """One chunk of chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Body:
    """Builds the bytes of a script from parts made once."""

    def __init__(self) -> None:
        self._before, self._after = event(_STAMP).split(_STAMP.encode())
        self._groups: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def group(self, count: int, one_chunk: int, now_us: int) -> bytes:
        """`count` events that are sent now, framed."""
        parts = self._groups.get((count, one_chunk))
        if parts is None:
            parts = self._groups[count, one_chunk] = self._parts(count, one_chunk)
        return (b"%016d" % now_us).join(parts)

    def end(self, events: int) -> bytes:
        """The finish reason with the usage, `[DONE]` and the end of the body."""
        return chunk(event("", "stop", usage_of(events))) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def _parts(self, count: int, one_chunk: int) -> tuple[bytes, ...]:
        one = self._before + b"\0" + self._after
        whole = chunk((one * count).replace(b"\0", _STAMP.encode())) if one_chunk else b""
        if not one_chunk:
            whole = chunk(one.replace(b"\0", _STAMP.encode())) * count
        return tuple(whole.split(_STAMP.encode()))


def stamps(text: str) -> list[int]:
    """The moments of sending in a piece of an answer. Raises ValueError when the piece is not made of them."""
    if len(text) % STAMP_DIGITS:
        raise ValueError(f"{len(text)} characters are no whole number of stamps")
    return [int(text[i : i + STAMP_DIGITS]) for i in range(0, len(text), STAMP_DIGITS)]
