"""All at once: faults, leavers, retries, company, cache, lines, small limits, by chance; then the books are read.

Whatever happened to a turn, it has one receipt and one intent with one outcome, the limits say what the receipts
say, and every call of a model stands on a receipt.
"""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest

from gateway.audit.listing import read_lines
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.v1 import inference_pb2
from tests.support.calls import ALWAYS, NEVER, Talk, streamed
from tests.support.chat_events import DONE, USAGE, chat_chunk, text_chunk
from tests.support.sweep import House, opened, until
from tests.support.upstream import FIN, RESET, STALL, Exchange, Reply

TENANTS = ("acme", "globex")
CONFIG = """
[tenant_defaults]
search_mode = "never"
[tenant_defaults.limits]
requests_per_minute = 100000
tokens_per_minute = 2000000
concurrent_streams = 40
usd_per_day = 50.0
"""
ENVIRONMENT = {
    "GATEWAY_SLOTS_CALLS_AT_ONCE": "deepseek-flash=8",
    "GATEWAY_SLOTS_WAIT_S": "0.4",
    "GATEWAY_ROUTING_CIRCUIT_FAILURES": "0",
    "GATEWAY_ROUTING_RETRY_BUDGET": "100000",
}
NOT_BEGUN = {"abandoned", "overloaded", "upstream_rate_limited", "upstream_unavailable", "upstream_ttft_timeout"}
"""Outcomes of calls that may have ended before the request was with the upstream."""
PROMPTS = [f"question {number}, of many" for number in range(12)]
CANARY = "sk-test-key-of-nobody"


def replies(random: Random) -> Any:
    """What an upstream says, by chance: mostly an answer, sometimes one of its ways to fail. Any: a script."""

    def reply(exchange: Exchange) -> Reply:
        words = [text_chunk(f"w{number} ") for number in range(random.randrange(1, 12))]
        usage = {**USAGE, "completion_tokens": len(words), "total_tokens": 11 + len(words)}
        last = chat_chunk({"content": ""}, finish="stop", usage=usage)
        steps: list[Any] = [step for word in words for step in (word, random.choice((0.0, 0.002, 0.01)))]
        cut = steps[: random.randrange(len(steps))]
        if "many" not in exchange.json["messages"][-1]["content"]:
            return Reply.events(*steps, last, DONE)
        return random.choices(
            (
                Reply.events(*steps, last, DONE),
                Reply.events(*steps, last, 0.02, DONE),
                Reply.json(503, {"error": {"message": CANARY}}),
                Reply.json(429, {"error": {"message": CANARY}}),
                Reply.json(400, {"error": {"message": CANARY}}),
                Reply.events(*cut, RESET),
                Reply.events(*cut, FIN),
                Reply.events(*cut, STALL),
                Reply.events(*cut, "no JSON"),
                Reply.events(chat_chunk({"content": ""}, finish="stop", usage=usage), DONE),
            ),
            (50, 10, 8, 6, 2, 6, 5, 5, 4, 4),
        )[0]

    return reply


def some_turn(random: Random, number: int) -> inference_pb2.Turn:
    """A turn as callers make them: few different questions, with and without company, cache and limits."""
    generation = inference_pb2.GenerationOptions(max_tokens=64)
    if random.random() < 0.15:
        generation.response_format = inference_pb2.RESPONSE_FORMAT_JSON_OBJECT
    turn = inference_pb2.Turn(
        prompt=random.choice(PROMPTS) if random.random() < 0.9 else f"question {number}, alone of many",
        turn_id=f"t{number}",
        generation=generation,
        search=ALWAYS if random.random() < 0.1 else NEVER,
        routing=inference_pb2.Routing(allow_degraded=random.random() < 0.5),
        cache=inference_pb2.CachePolicy(
            use=random.choice((inference_pb2.CACHE_USE_BYPASS, inference_pb2.CACHE_USE_READ_WRITE)),
        ),
    )
    if random.random() < 0.2:
        turn.limit.max_cost_nano_usd = random.choice((3_000, 6_000, 40_000))
    if random.random() < 0.1:
        turn.timeout.FromMilliseconds(random.choice((20, 100)))
    return turn


async def ask(house: House, random: Random, number: int, within_s: float) -> None:
    """One caller: it reads to the end, or leaves at some moment; what it is told gives nothing away."""
    tenant = random.choice(TENANTS)
    deadline = random.choice((None, None, None, 0.05, 0.5))
    metadata = house.gateway.bearer(tenant)
    await asyncio.sleep(random.random() * within_s)
    turn = some_turn(random, number)
    if random.random() < 0.1:  # somebody sends it twice, at once or one after the other
        twin = asyncio.ensure_future(streamed(house.gateway.inference.Generate(turn, metadata=metadata)))
        await asyncio.wait([twin], timeout=random.choice((0.0, 0.0, 5.0)))
    call = house.gateway.inference.Generate(turn, metadata=metadata, timeout=deadline)
    reading = asyncio.ensure_future(streamed(call))
    if random.random() < 0.3:
        await asyncio.sleep(random.choice((0.0, 0.001, 0.005, 0.02, 0.1, 0.4)) * random.random())
        call.cancel()
    await asyncio.wait([reading])
    if not reading.cancelled():
        frames, told = reading.result()
        assert CANARY not in f"{frames} {told}"
        assert sum(frame.WhichOneof("frame") == "end" for frame in frames) <= 1
        if told.code is grpc.StatusCode.OK:
            assert frames[-1].WhichOneof("frame") == "end"


async def talk(house: House, random: Random, number: int) -> None:
    """One stream with turns in it, some of them cancelled by a frame."""
    async with Talk(house.gateway) as stream:
        for place in range(3):
            turn = some_turn(random, 100_000 + number * 10 + place)
            await stream.say(turn=turn)
            if random.random() < 0.4:
                await asyncio.sleep(random.random() * 0.05)
                await stream.say(cancel=inference_pb2.Cancel(turn_id=turn.turn_id))
        if random.random() < 0.5:
            await stream.finish()


@pytest.mark.parametrize(
    ("seed", "turns"), [(1, 250), *(pytest.param(seed, 1200, marks=pytest.mark.full) for seed in range(2, 8))]
)
async def test_whatever_happens_the_books_are_right(tmp_path: Path, seed: int, turns: int) -> None:
    """Hundreds of turns, over a hundred a second, in all the ways in which they can go."""
    random = Random(seed)
    async with opened(
        tmp_path,
        replies(random),
        fast=True,
        recalls=True,
        environment=ENVIRONMENT,
        config=CONFIG,
        hang_guard_s=60.0,
    ) as house:
        asking = [ask(house, random, number, turns / 125) for number in range(turns)]
        await asyncio.gather(*asking, *(talk(house, random, number) for number in range(turns // 25)))
        await until(lambda: not house.leftovers())
        receipts = house.receipts()
        check_receipts(receipts)
        check_calls(house, receipts)
        house.tried_again = await check_audit(house, receipts)
        assert house.upstream.exchanges


def check_receipts(receipts: list[Receipt]) -> None:
    """One for each turn, closed; only what a model did is paid for."""
    assert max(Counter((r.tenant, r.session_id, r.turn_id) for r in receipts).values()) == 1
    for receipt in receipts:
        assert receipt.finish is not None
        if not receipt.attempts and receipt.cache_level == "":
            assert receipt.settled.cost_nano_usd == 0, receipt
        if receipt.finish is Finish.ERROR and not receipt.settled.completion_tokens:
            assert receipt.settled.cost_nano_usd == 0, receipt
        if receipt.cache_level not in ("", "joined"):
            assert receipt.settled.cost_nano_usd == 0, receipt
        if receipt.finish is Finish.STOP and receipt.cache_level == "" and not receipt.degraded:
            assert receipt.settled.cost_nano_usd > 0, receipt


def check_calls(house: House, receipts: list[Receipt]) -> None:
    """Every call of the upstream stands on one receipt, and what stands there was made, or begun at least."""
    made = [a for receipt in receipts for a in receipt.attempts if a.upstream == "deepseek"]
    certain = [attempt for attempt in made if attempt.outcome not in NOT_BEGUN]
    assert len(certain) <= len(house.upstream.exchanges) <= len(made)


async def check_audit(house: House, receipts: list[Receipt]) -> int:
    """An intent with an outcome for each turn, and no chain is broken; how many turns had no new receipt."""
    folder = house.gateway.data_dir / "audit"
    await until(lambda: all(line.outcome for line in read_lines(folder)[0]))
    lines, reports = read_lines(folder)
    assert [report.fault for report in reports if report.fault] == []
    assert sum(report.intents for report in reports) == sum(report.outcomes for report in reports)
    cost: Counter[str] = Counter()
    for line in lines:
        assert line.outcome is not None
        cost[line.intent.receipt_id] += line.outcome.cost_nano_usd
    assert {receipt.receipt_id for receipt in receipts} <= cost.keys()
    assert +cost == +Counter({receipt.receipt_id: receipt.settled.cost_nano_usd for receipt in receipts})
    return len(lines) - len(receipts)
