"""Recorded chat streams of real servers, and ways to cut a body into what a network may deliver.

The recordings lie beside the project (`GATEWAY_WIRE_DIR`, default `../shared/wire`) and are never copied into it.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIRE = Path(os.environ.get("GATEWAY_WIRE_DIR") or Path(__file__).parents[3] / "shared" / "wire")
ABSENT = f"no recorded streams in {WIRE}: set GATEWAY_WIRE_DIR"
COMMENT = b": keep-alive\n"


@dataclass(frozen=True)
class Stream:
    """One body and what must come out of it. `calls` are id, name and arguments of each tool call.

    `usage` is (prompt, cached, completion, reasoning) in the gateway's terms, None where the body has none.
    """

    name: str
    body: bytes
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    finish: str = "stop"
    usage: tuple[int, int, int, int] | None = None


def recorded() -> list[Stream]:
    """Every recorded chat.completions stream; none where the recordings are not at hand."""
    index = WIRE / "index.jsonl"
    if not index.exists():
        return []
    lines = map(json.loads, index.read_text("utf-8").splitlines())
    return [_stream(line) for line in lines if line["kind"] == "sse" and line["api"] == "chat.completions"]


def _stream(line: dict[str, Any]) -> Stream:  # Any: JSON of the index
    expect = line["expect"]
    return Stream(
        name=Path(line["file"]).name,
        body=(WIRE / line["file"]).read_bytes(),
        text=expect["text"],
        reasoning=expect["reasoning"],
        refusal=expect.get("refusal", ""),
        calls=tuple((call["id"], call["name"], call["arguments"]) for call in expect["tool_calls"]),
        finish=expect["finish_reason"] or "",
        usage=_usage(expect["usage"]),
    )


def _usage(sent: dict[str, Any] | None) -> tuple[int, int, int, int] | None:  # Any: JSON
    """The numbers as they were sent, also where they do not add up: the gateway takes them for DeepSeek's."""
    if not sent:
        return None
    reasoning = (sent.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    cached = sent.get("prompt_cache_hit_tokens")
    if cached is None:
        cached = (sent.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return sent["prompt_tokens"], cached, sent["completion_tokens"], reasoning


def cut(body: bytes, size: int) -> Iterator[bytes]:
    """The body in pieces of `size` bytes."""
    return (body[i : i + size] for i in range(0, len(body), size))


def cut_anywhere(body: bytes, seed: int) -> Iterator[bytes]:
    """The body in pieces of any size, the same for the same seed."""
    chance, start = random.Random(seed), 0
    while start < len(body):
        end = start + chance.randint(1, chance.choice((1, 3, 50, 700, 5000, 65536)))
        yield body[start:end]
        start = end


def with_comments(body: bytes, seed: int) -> bytes:
    """Keep-alive comments between some of the events: as blocks of their own, or glued to the next event."""
    chance = random.Random(seed)
    first, *events = body.split(b"\n\n")
    for event in events:
        glue = chance.choice((b"", COMMENT, COMMENT + b"\n", COMMENT * 3 + b"\n"))
        first += b"\n\n" + (glue if event else b"") + event
    return first
