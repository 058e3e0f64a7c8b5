"""Identical questions of one tenant in flight share one stream: everybody is answered whole, whoever leaves."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.domain.events import Finish
from gateway.v1 import inference_pb2
from tests.support.calls import NEVER, NOT_DEGRADED, refused, streamed, text_of
from tests.support.chat_events import DONE, LAST_CHUNK, USAGE, chat_chunk, text_chunk
from tests.support.outcomes import read_kind
from tests.support.sweep import House, opened, until
from tests.support.upstream import RESET, STALL, Exchange, Reply

APART = inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS, join_in_flight=False)
TOGETHER = inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS)
JOINED = inference_pb2.NOTICE_KIND_JOINED_IN_FLIGHT


def asked(prompt: str = "what is a bucket?", **fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn that neither searches nor degrades, and joins what is in flight without looking into the cache."""
    options = {"search": NEVER, "routing": NOT_DEGRADED, "cache": TOGETHER, **fields}
    return inference_pb2.Turn(prompt=prompt, **options)


def gated(*texts: str, gate: asyncio.Event, after: int = 1) -> Reply:
    """An answer that waits for the gate behind some of its pieces."""
    chunks: list[Any] = [text_chunk(text) for text in texts]
    return Reply.events(*chunks[:after], gate, *chunks[after:], LAST_CHUNK, DONE)


def joined(frames: list[inference_pb2.ServerFrame]) -> bool:
    """Whether the turn was told that it shares its answer."""
    return any(frame.notice.kind == JOINED for frame in frames)


async def heard(call: Any, text: str) -> list[inference_pb2.ServerFrame]:
    """The frames of a call up to where this much of the answer has arrived. Any: a call of grpc.aio."""
    frames: list[inference_pb2.ServerFrame] = []
    while text_of(frames) != text:
        frames.append(await call.read())
        assert text.startswith(text_of(frames)), frames
    return frames


async def test_fifty_at_once_are_one_call(tmp_path: Path) -> None:
    """One upstream call, fifty right answers, one of them paid; each has its receipt."""
    gate = asyncio.Event()
    # The model's own count is larger than the number of its events.
    last = chat_chunk({"content": ""}, finish="stop", usage={**USAGE, "completion_tokens": 40, "total_tokens": 51})
    reply = Reply.events(text_chunk("A bucket "), gate, text_chunk("of "), text_chunk("tokens."), last, DONE)
    async with opened(tmp_path, reply, recalls=True) as house:
        calls = [house.generate(asked()) for _ in range(50)]
        reading = [asyncio.ensure_future(streamed(call)) for call in calls]
        await until(lambda: len(house.gateway.gateway.running) == 50)
        gate.set()
        outcomes = await asyncio.gather(*reading)
        assert {text_of(frames) for frames, _ in outcomes} == {"A bucket of tokens."}
        assert {told.code for _, told in outcomes} == {grpc.StatusCode.OK}
        assert sum(joined(frames) for frames, _ in outcomes) == 49
        receipts = house.receipts()
        assert len({receipt.receipt_id for receipt in receipts}) == 50
        assert sorted(receipt.cache_level for receipt in receipts) == ["", *["joined"] * 49]
        paid = [receipt for receipt in receipts if receipt.settled.cost_nano_usd]
        assert [(len(r.attempts), r.cache_level) for r in paid] == [(1, "")]
        assert sum(len(receipt.attempts) for receipt in receipts) == len(house.upstream.exchanges) == 1


async def test_who_comes_late_hears_what_was_said(tmp_path: Path) -> None:
    """At once and in one piece, while the model is silent; then both go on together."""
    gate = asyncio.Event()
    async with opened(
        tmp_path, gated("One ", "two ", "three ", "four.", gate=gate, after=3), recalls=True
    ) as house:
        first = house.generate(asked())
        await heard(first, "One two three ")
        second = house.generate(asked())
        frames = await heard(second, "One two three ")
        assert [frame.delta.text for frame in frames if frame.HasField("delta")] == ["One two three "]
        assert joined(frames)
        gate.set()
        (rest, _), (others, _) = await asyncio.gather(streamed(first), streamed(second))
        assert text_of(rest) == text_of(others) == "four."
        assert len(house.upstream.exchanges) == 1


@pytest.mark.parametrize(("leaving", "said"), [("cancel", 0), ("cancel", 1), ("deadline", 1)])
async def test_a_leader_who_leaves_takes_nobody_along(tmp_path: Path, leaving: str, said: int) -> None:
    """Before the first word and after it: the stream goes on for the others, and one of them pays for the rest."""
    gate = asyncio.Event()
    reply = gated("A bucket ", "of ", "tokens.", gate=gate, after=said)
    async with opened(tmp_path, reply, recalls=True) as house:
        leader = house.generate(asked(), timeout=1.0 if leaving == "deadline" else None)
        await house.upstream.request()
        if said:
            await heard(leader, "A bucket ")
        others = [house.generate(asked()) for _ in range(2)]
        for other in others:
            await read_kind(other, "notice")
        if leaving == "cancel":
            leader.cancel()
        await until(lambda: len(house.gateway.gateway.running) == 2)
        gate.set()
        outcomes = await asyncio.gather(*(streamed(other) for other in others))
        assert {text_of(frames) for frames, _ in outcomes} == {"A bucket of tokens."}
        assert len(house.upstream.exchanges) == 1
        await until(lambda: all(receipt.finish for receipt in house.receipts()))
        left, heir, guest = house.receipts()
        assert left.finish is (Finish.CANCELLED if leaving == "cancel" else Finish.DEADLINE)
        # The prompt was the leader's; what was said after it had left is the heir's; the guest pays nothing.
        assert left.settled.cost_nano_usd > 0
        assert 0 < heir.settled.cost_nano_usd < left.settled.cost_nano_usd + 2_000
        assert guest.settled.cost_nano_usd == 0
        assert [receipt.cache_level for receipt in (left, heir, guest)] == ["", "joined", "joined"]


async def test_the_last_one_who_leaves_ends_the_stream(tmp_path: Path) -> None:
    """Not the first, not the second; the third closes the upstream's socket, and the next one asks anew."""
    replies = [Reply.events(text_chunk("half "), STALL), Reply.answer("whole")]
    async with opened(tmp_path, replies, recalls=True) as house:
        calls = [house.generate(asked()) for _ in range(3)]
        for call in calls:
            await heard(call, "half ")
        exchange = house.upstream.exchanges[0]
        for call, left in zip(calls, (2, 1, 0), strict=True):
            assert not exchange.closed.is_set()
            call.cancel()
            await until(lambda left=left: len(house.gateway.gateway.running) == left)
        await exchange.closed.wait()
        outcome = await house.outcome(asked())
        assert (outcome.text, joined(outcome.frames), len(house.upstream.exchanges)) == ("whole", False, 2)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 12))])
async def test_leaving_at_any_moment_harms_nobody(tmp_path: Path, seed: int) -> None:
    """Some leave, some come, over and over: whoever stays has the whole answer, and nothing is left behind."""
    pieces = [f"{number} " for number in range(30)]

    def slowly(_exchange: Exchange) -> Reply:
        steps: list[Any] = [step for piece in pieces for step in (text_chunk(piece), 0.002)]
        return Reply.events(*steps, LAST_CHUNK, DONE)

    async def ask(house: House, number: int) -> None:
        await asyncio.sleep(0.004 * (number * (seed + 3) % 11))
        call = house.generate(asked())
        if (number + seed) % 3 == 0:
            await asyncio.sleep(0.003 * (number % 9))
            call.cancel()
            return
        frames, told = await streamed(call)
        assert (text_of(frames), told.code) == ("".join(pieces), grpc.StatusCode.OK)

    async with opened(tmp_path, slowly, recalls=True) as house:
        await asyncio.gather(*(ask(house, number) for number in range(24)))


async def test_a_stream_that_breaks_breaks_for_all(tmp_path: Path) -> None:
    """Nobody is told a half answer as a whole one; each says what it delivered."""
    gate = asyncio.Event()
    async with opened(tmp_path, Reply.events(text_chunk("half "), gate, RESET), recalls=True) as house:
        calls = [house.generate(asked()) for _ in range(3)]
        for call in calls:
            await heard(call, "half ")
        gate.set()
        for call in calls:
            _, told = await streamed(call)
            assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "STREAM_INTERRUPTED")
        receipts = house.receipts()
        assert [receipt.settled.cost_nano_usd > 0 for receipt in receipts] == [True, False, False]


async def test_a_call_that_fails_before_a_word_is_made_again_once_for_all(tmp_path: Path) -> None:
    """The first to try again asks; the others join that call."""
    gate = asyncio.Event()
    replies = [Reply([gate], status=503), Reply.answer("fine"), Reply.answer("one too many")]
    async with opened(tmp_path, replies, recalls=True) as house:
        reading = [asyncio.ensure_future(streamed(house.generate(asked()))) for _ in range(6)]
        await until(lambda: len(house.gateway.gateway.running) == 6)
        gate.set()
        outcomes = await asyncio.gather(*reading)
        assert {text_of(frames) for frames, _ in outcomes} <= {"fine", "one too many"}
        assert len(house.upstream.exchanges) <= 3


DIFFERENT: dict[str, dict[str, Any]] = {
    "another question": {"prompt": "what is a pail?"},
    "another limit": {"generation": inference_pb2.GenerationOptions(max_tokens=64)},
    "on its own": {"cache": APART},
    "hot": {"generation": inference_pb2.GenerationOptions(temperature=1.9)},
}


async def test_only_the_same_question_of_the_same_tenant_is_joined(tmp_path: Path) -> None:
    """Other words, other options, another tenant, or nobody's company wanted: a call of its own."""
    gate = asyncio.Event()
    async with opened(tmp_path, gated("A ", "b.", gate=gate), recalls=True) as house:
        calls = [house.generate(asked())]
        calls += [house.generate(asked(**fields)) for fields in DIFFERENT.values()]
        stranger = house.gateway.bearer("other")
        calls.append(house.gateway.inference.Generate(asked(), metadata=stranger))
        reading = [asyncio.ensure_future(streamed(call)) for call in calls]
        await until(lambda: len(house.upstream.exchanges) == len(calls))
        gate.set()
        for frames, told in await asyncio.gather(*reading):
            assert (text_of(frames), told.code, joined(frames)) == ("A b.", grpc.StatusCode.OK, False)


async def test_a_tenant_may_want_no_company(tmp_path: Path) -> None:
    """`join_in_flight = false`."""
    gate = asyncio.Event()
    config = "[tenants.acme]\njoin_in_flight = false\n"
    async with opened(tmp_path, gated("A ", "b.", gate=gate), recalls=True, config=config) as house:
        reading = [asyncio.ensure_future(streamed(house.generate(asked()))) for _ in range(2)]
        await until(lambda: len(house.upstream.exchanges) == 2)
        gate.set()
        assert {text_of(frames) for frames, _ in await asyncio.gather(*reading)} == {"A b."}


async def test_tool_calls_are_shared_as_they_are(tmp_path: Path) -> None:
    """A late listener gets the fragments of before put together, and the rest as it comes."""
    gate = asyncio.Event()
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zo'}}
    more = {"index": 0, "function": {"arguments": 'ne": '}}
    last = {"index": 0, "function": {"arguments": '"utc"}'}}
    reply = Reply.events(
        chat_chunk({"tool_calls": [call]}),
        chat_chunk({"tool_calls": [more]}),
        gate,
        chat_chunk({"tool_calls": [last]}),
        chat_chunk({}, finish="tool_calls"),
        DONE,
    )
    async with opened(tmp_path, reply, recalls=True) as house:
        first = asyncio.ensure_future(house.gateway.inference.Complete(asked(), metadata=house.gateway.bearer()))
        await house.upstream.request()
        second = house.generate(asked())
        fragment = (await read_kind(second, "tool_call")).tool_call
        gate.set()
        (frames, _), whole = await asyncio.gather(streamed(second), first)
        arguments = fragment.arguments_json + "".join(frame.tool_call.arguments_json for frame in frames)
        assert (fragment.call_id, fragment.name, arguments) == ("c1", "clock", '{"zone": "utc"}')
        assert whole.message.tool_calls[0].arguments_json == arguments


async def test_a_listener_who_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    """The others get all of a long answer while one takes nothing; and that one is let go in the end."""
    piece = "x" * 400
    reply = Reply.events(*[text_chunk(piece) for _ in range(1500)], LAST_CHUNK, DONE)
    async with (
        opened(tmp_path, reply, recalls=True, environment={"GATEWAY_TIMERS_CLIENT_STALL_S": "0.5"}) as house,
        house.narrow() as stub,
    ):
        slow = stub.Generate(asked(), metadata=house.gateway.bearer())
        await read_kind(slow, "delta")
        outcome = await house.outcome(asked())
        assert outcome.text == piece * 1500
        told = await refused(_rest(slow))
        assert told.reason == "CLIENT_TOO_SLOW"


async def _rest(call: Any) -> None:
    """Waits for the end of a call without taking its messages. Any: a call of grpc.aio."""
    await asyncio.sleep(1.0)
    _, told = await streamed(call)
    raise grpc.aio.AioRpcError(
        told.code, grpc.aio.Metadata(), grpc.aio.Metadata(*told.trailers.items()), told.message
    )
