"""What real chat servers sent comes out of `Generate` unchanged, however the network cut it.

Streams of our own, written by hand, stand beside the recordings: a clean clone proves every class of them.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.v1 import content_pb2, inference_pb2
from tests.support.handmade_streams import STREAMS
from tests.support.outcomes import Outcome
from tests.support.recordings import ABSENT, Stream, cut, cut_anywhere, recorded, with_comments
from tests.support.sweep import House, opened, question
from tests.support.upstream import Exchange, Reply, Step

# The whole file shares one gateway and one event loop: it is about what passes through, not about starting.
pytestmark = pytest.mark.asyncio(loop_scope="module")

UNLIMITED = """
[tenant_defaults.limits]
requests_per_minute = 0
tokens_per_minute = 0
concurrent_streams = 0
usd_per_day = 0
usd_per_month = 0
"""
FINISHES = {
    "stop": inference_pb2.FINISH_STOP,
    "length": inference_pb2.FINISH_LENGTH,
    "tool_calls": inference_pb2.FINISH_TOOL_CALLS,
    "content_filter": inference_pb2.FINISH_CONTENT_FILTER,
}
# Recordings that must not come out as their recorder understood them, each with its reason.
NO_END = {
    "openai__chat-streaming-many-chunks-no-usage.sse": "no finish reason: a truncated stream, never a clean end",
}

RECORDED = recorded()
VARIANTS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "whole": lambda data: iter([data]),
    "cut anywhere": lambda data: cut_anywhere(data, seed=len(data)),
    "crlf": lambda data: cut_anywhere(data.replace(b"\n", b"\r\n"), seed=1),
    "comments": lambda data: cut_anywhere(with_comments(data, seed=2), seed=3),
    "7 bytes": lambda data: cut(data, 7),
    "1 byte": lambda data: cut(data, 1),
}
# Of these a sample of recordings stands for all, up to a size where every few bytes cost a turn of the loop.
HEAVY = {"crlf": 10**9, "comments": 10**9, "7 bytes": 12_000, "1 byte": 3_000}
SAMPLED = {stream.name for stream in random.Random("streams").sample(RECORDED, min(60, len(RECORDED)))}


def product(streams: list[Stream]) -> list[Any]:
    """Every stream in every variant; those that take long are marked. Any: pytest's parameters."""

    def marks(stream: Stream, variant: str) -> list[pytest.MarkDecorator]:
        within = variant not in HEAVY or (stream.name in SAMPLED and len(stream.body) <= HEAVY[variant])
        return [] if within or stream in STREAMS else [pytest.mark.full]

    return [
        pytest.param(stream, variant, id=f"{stream.name}-{variant}", marks=marks(stream, variant))
        for stream in streams
        for variant in VARIANTS
    ]


class Player:
    """Plays the body that a prompt names."""

    def __init__(self) -> None:
        self.steps: dict[str, list[Step]] = {}

    def __call__(self, exchange: Exchange) -> Reply:
        return Reply(self.steps[exchange.json["messages"][-1]["content"]])

    def load(self, name: str, pieces: Iterator[bytes]) -> None:
        """A turn of the event loop after every piece lets each arrive alone."""
        self.steps = {name: [step for piece in pieces for step in (piece, 0.0)]}


@pytest.fixture(scope="module")
def player() -> Player:
    """What the upstream plays."""
    return Player()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(player: Player, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One gateway without limits, swept when all has passed through it."""
    async with opened(tmp_path_factory.mktemp("gateway"), player, config=UNLIMITED, hang_guard_s=3600) as house:
        yield house


async def play(house: House, player: Player, stream: Stream, variant: str) -> Outcome:
    """Serves one body, cut in one way, and asks for it; no tools are declared, whatever the answer holds."""
    player.load(stream.name, VARIANTS[variant](stream.body))
    thinking = inference_pb2.THINKING_HIGH if stream.reasoning else inference_pb2.THINKING_OFF
    options = inference_pb2.GenerationOptions(include_reasoning=True, thinking=thinking)
    outcome = await house.outcome(question(stream.name, generation=options))
    outcome.check_frames()
    return outcome


def calls_of(outcome: Outcome) -> tuple[tuple[str, str, str], ...]:
    """The tool calls of an answer, put together from their fragments, in the order in which they began."""
    calls: dict[int, list[str]] = {}
    for frame in outcome.frames:
        if frame.WhichOneof("frame") == "tool_call":
            call, piece = calls.setdefault(frame.tool_call.index, ["", "", ""]), frame.tool_call
            for place, part in enumerate((piece.call_id, piece.name, piece.arguments_json)):
                call[place] += part
    return tuple((call[0], call[1], call[2]) for call in calls.values())


def check(stream: Stream, outcome: Outcome) -> None:
    """The caller got what the stream holds, byte for byte, and one end with its usage."""
    outcome.check_ok()
    assert outcome.text.encode() == stream.text.encode()
    assert "".join(frame.delta.reasoning for frame in outcome.frames) == stream.reasoning
    assert "".join(frame.delta.refusal for frame in outcome.frames) == stream.refusal
    assert calls_of(outcome) == stream.calls
    end = outcome.end
    assert end.finish == FINISHES[stream.finish]
    used = end.usage
    if stream.usage is None:
        assert used.basis == content_pb2.USAGE_BASIS_COUNTED
        assert used.completion_tokens > 0
    else:
        assert used.basis == content_pb2.USAGE_BASIS_PROVIDER
        tokens = (used.prompt_tokens, used.cached_prompt_tokens, used.completion_tokens, used.reasoning_tokens)
        assert tokens == stream.usage


@pytest.mark.parametrize(("stream", "variant"), product(STREAMS))
async def test_a_stream_of_every_class_comes_out_unchanged(
    house: House, player: Player, stream: Stream, variant: str
) -> None:
    """Written by hand, so that it is here wherever the project is."""
    check(stream, await play(house, player, stream, variant))


@pytest.mark.skipif(not RECORDED, reason=ABSENT)
@pytest.mark.parametrize(("stream", "variant"), product([s for s in RECORDED if s.name not in NO_END]))
async def test_a_recorded_stream_comes_out_as_recorded(
    house: House, player: Player, stream: Stream, variant: str
) -> None:
    """Text, reasoning, refusal, tool calls, finish and usage, whatever the cut."""
    check(stream, await play(house, player, stream, variant))


@pytest.mark.skipif(not RECORDED, reason=ABSENT)
@pytest.mark.parametrize(("stream", "variant"), product([s for s in RECORDED if s.name in NO_END]))
async def test_a_recorded_stream_without_a_finish_reason_is_interrupted(
    house: House, player: Player, stream: Stream, variant: str
) -> None:
    """What it holds is delivered, and the end is never a clean one."""
    outcome = await play(house, player, stream, variant)
    assert outcome.text == stream.text
    assert outcome.end.finish == inference_pb2.FINISH_ERROR
    assert outcome.status.reason == "STREAM_INTERRUPTED"
    assert outcome.status.facts["upstream_cause"] == "eof_without_finish"
