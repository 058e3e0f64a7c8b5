"""Recorded streams of real chat servers fold to their recorded results, however their bytes are cut.

The recordings lie beside the project (`GATEWAY_WIRE_DIR`, default `../shared/wire`) and are never copied into it;
what each class of them teaches stands, written by hand, in `tests/unit/test_openai_wire.py`.
"""

import json
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.domain.errors import UpstreamError
from gateway.domain.events import Finish, Finished, ModelEvent, ProviderUsage, TextDelta, ToolCallDelta
from gateway.models.openai_wire import ChunkFolder
from gateway.models.sse import SseReader

WIRE = Path(os.environ.get("GATEWAY_WIRE_DIR") or Path(__file__).parents[3] / "shared" / "wire")
FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH, "tool_calls": Finish.TOOL_CALLS}

# Recordings whose result the fold must not give, each with its reason.
NO_END = {
    "openai__chat-streaming-many-chunks-no-usage.sse": "no finish reason: a truncated stream, never a clean end",
}


def recordings() -> list[dict[str, Any]]:  # Any: JSON of the index
    """Every recorded chat.completions stream; none where the recordings are not at hand."""
    index = WIRE / "index.jsonl"
    if not index.exists():
        return []
    lines = map(json.loads, index.read_text("utf-8").splitlines())
    return [line for line in lines if line["kind"] == "sse" and line["api"] == "chat.completions"]


RECORDINGS = recordings()
pytestmark = pytest.mark.skipif(not RECORDINGS, reason=f"no recorded streams in {WIRE}: set GATEWAY_WIRE_DIR")


@dataclass
class Folded:
    """What a caller would have, put together from events."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)
    usage: ProviderUsage | None = None
    end: Finished | None = None

    def add(self, event: ModelEvent) -> None:
        """Takes one event in."""
        match event:
            case TextDelta(text, reasoning, refusal):
                self.text, self.reasoning = self.text + text, self.reasoning + reasoning
                self.refusal += refusal
            case ToolCallDelta(index, call_id, name, arguments):
                call = self.calls.setdefault(index, ["", "", ""])
                for place, piece in enumerate((call_id, name, arguments)):
                    call[place] += piece
            case ProviderUsage():
                self.usage = event
            case Finished():
                self.end = event


def fold(chunks: Iterable[bytes]) -> Folded:
    """Reads, folds and ends one body. Raises what the provider would raise."""
    reader, folder, folded = SseReader(), ChunkFolder(orjson.loads), Folded()
    for chunk in chunks:
        for event in folder.feed(reader.feed(chunk)):
            folded.add(event)
    last = reader.close()
    for event in folder.feed([last] if last else []):
        folded.add(event)
    if folder.failure is not None:
        raise folder.failure
    folded.end = folder.end()
    return folded


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


def expected_usage(line: dict[str, Any]) -> ProviderUsage | None:  # Any: JSON of the index
    """The recorded usage object in our terms."""
    sent = line["expect"]["usage"]
    if not sent:
        return None
    details = sent.get("completion_tokens_details") or {}
    reasoning, completion = details.get("reasoning_tokens") or 0, sent["completion_tokens"]
    cached = sent.get("prompt_cache_hit_tokens")
    if cached is None:
        cached = (sent.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return ProviderUsage(sent["prompt_tokens"], cached, completion, reasoning)


def check(line: dict[str, Any], chunks: Iterable[bytes]) -> None:  # Any: JSON of the index
    """The chunks fold to the recorded result of `line`."""
    expect = line["expect"]
    folded = fold(chunks)
    assert folded.text == expect["text"]
    assert folded.reasoning == expect["reasoning"]
    assert folded.refusal == expect.get("refusal", "")
    assert list(folded.calls.values()) == [[c["id"], c["name"], c["arguments"]] for c in expect["tool_calls"]]
    assert folded.usage == expected_usage(line)
    assert folded.end is not None
    assert folded.end.finish is FINISHES[expect["finish_reason"]]


def name(line: dict[str, Any]) -> str:  # Any: JSON of the index
    """The file's own name, without folders."""
    return Path(line["file"]).name


@pytest.fixture(params=[line for line in RECORDINGS if name(line) not in NO_END], ids=name)
def line(request: pytest.FixtureRequest) -> Any:  # Any: JSON of the index
    """One recording that ends."""
    return request.param


@pytest.fixture
def body(line: dict[str, Any]) -> bytes:  # Any: JSON of the index
    """Its bytes."""
    file: str = line["file"]
    return (WIRE / file).read_bytes()


def test_a_recorded_stream_folds_to_its_recorded_result(line: dict[str, Any], body: bytes) -> None:
    """Arrived at once, in pieces of 7 bytes, and cut anywhere."""
    check(line, [body])
    check(line, cut(body, 7))
    check(line, cut_anywhere(body, seed=line["bytes"]))


def test_a_recorded_stream_with_other_line_ends_is_the_same(line: dict[str, Any], body: bytes) -> None:
    """CRLF and CR, whole and cut, also between CR and LF."""
    check(line, [body.replace(b"\n", b"\r\n")])
    check(line, cut_anywhere(body.replace(b"\n", b"\r\n"), seed=1))
    check(line, cut_anywhere(body.replace(b"\n", b"\r"), seed=2))


def test_keep_alive_comments_between_events_change_nothing(line: dict[str, Any], body: bytes) -> None:
    """As blocks of their own and as lines glued to the next event."""
    check(line, [body.replace(b"\n\n", b"\n\n: keep-alive\n\n")])
    check(line, cut_anywhere(body.replace(b"\n\n", b"\n\n: keep-alive\n"), seed=3))


def test_a_recorded_stream_may_arrive_byte_by_byte(line: dict[str, Any], body: bytes) -> None:
    """The longest way to cut every recording."""
    check(line, cut(body, 1))


@pytest.mark.parametrize("line", [line for line in RECORDINGS if name(line) in NO_END], ids=name)
def test_a_recorded_stream_without_a_finish_reason_is_no_end(line: dict[str, Any]) -> None:
    """It is refused as truncated, although common clients call it a clean end."""
    with pytest.raises(UpstreamError) as refused:
        fold([(WIRE / line["file"]).read_bytes()])
    assert refused.value.facts == {"upstream_cause": "eof_without_finish"}
