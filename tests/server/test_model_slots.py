"""Slots of an upstream, seen by callers: a place in the line, a bounded wait, and what a 429 does to the others.

Every house is swept when it closes: no slot is held and nobody waits.
"""

import asyncio
import random
from pathlib import Path

import grpc

from gateway.limits.slot_keeper import SlotKeeper
from gateway.v1 import inference_pb2
from tests.support.calls import Talk, kinds
from tests.support.chat_events import text_chunk
from tests.support.outcomes import read_kind
from tests.support.sweep import opened, until
from tests.support.unfinished import NEVER_SEARCH, PATIENT, words
from tests.support.upstream import Reply

FLASH = ("deepseek", "deepseek-flash")
ONE_SLOT = {**PATIENT, "GATEWAY_SLOTS_CALLS_AT_ONCE": "deepseek-flash=2"}
"""Four fifths of two, rounded down."""
LIMIT_OF_TWO = {
    "error": {
        "message": "Your current concurrency is 4, which exceeds your concurrency limit of 2 based on your "
        "remaining balance. Please top up your balance to restore your concurrency.",
        "type": "rate_limit_error",
    }
}


def held_until(release: asyncio.Event) -> Reply:
    """An answer that begins, and ends when it may."""
    return Reply.events(text_chunk("one "), release, *Reply.answer("two").steps)


async def test_a_burst_on_a_fresh_gateway_is_served_whole(tmp_path: Path) -> None:
    """Forty-eight streams at once, all open together: nobody is refused or has a place in a line."""
    release = asyncio.Event()
    async with opened(tmp_path, held_until(release), environment=PATIENT) as house:
        calls = [house.generate(f"{number}") for number in range(48)]
        accepted = [(await read_kind(call, "accepted")).accepted for call in calls]
        assert {each.queue_position for each in accepted} == {0}
        for call in calls:
            await read_kind(call, "delta")
        assert len(house.upstream.exchanges) == 48
        assert limit(house.slots) == 2000
        release.set()
        ends = [(await read_kind(call, "end")).end.finish for call in calls]
        assert ends == [inference_pb2.FINISH_STOP] * 48


async def test_who_waits_is_told_the_place_and_stays_heard_of(tmp_path: Path) -> None:
    """Accepted comes at once with the place in the line, then heartbeats; the upstream never sees two calls."""
    release = asyncio.Event()
    async with opened(tmp_path, held_until(release), environment=ONE_SLOT, fast=True) as house:
        first = house.generate("first")
        await read_kind(first, "delta")
        second = house.generate("second")
        accepted = (await read_kind(second, "accepted")).accepted
        assert accepted.queue_position == 1
        await read_kind(second, "heartbeat")
        async with Talk(house.gateway) as talk:
            await talk.ask("third", "t3")
            assert (await talk.until("accepted")).accepted.queue_position == 2
            assert len(house.upstream.exchanges) == 1
            release.set()
            assert (await read_kind(second, "end")).end.finish == inference_pb2.FINISH_STOP
            await talk.until("end")
            await talk.finish()
        assert (await read_kind(first, "end")).end.finish == inference_pb2.FINISH_STOP
    assert len(house.upstream.exchanges) == 3


async def test_a_turn_that_starts_at_once_has_no_place_in_a_line(tmp_path: Path) -> None:
    """And Accepted comes with the first output, which leaves a client library its own retries."""
    async with opened(tmp_path, Reply.answer("hi"), environment=ONE_SLOT) as house:
        told = await house.outcome()
        assert kinds(told.frames)[:2] == ["accepted", "delta"]
        assert (told.frames[0].accepted.queue_position, told.frames[0].accepted.HasField("estimated_wait")) == (
            0,
            False,
        )


async def test_a_wait_ends_with_a_typed_refusal_and_the_turn_costs_nothing(tmp_path: Path) -> None:
    """UNAVAILABLE OVERLOADED with the time to come back after."""
    environment = {**ONE_SLOT, "GATEWAY_SLOTS_WAIT_S": "0.1"}
    async with opened(tmp_path, words(1), environment=environment, config=NEVER_SEARCH) as house:
        first = house.generate("first")
        await read_kind(first, "delta")
        told = await house.outcome("second")
        assert (told.told.code, told.told.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert 1.0 <= (told.told.retry_after_s or 0) <= 10.0
        first.cancel()
        await until(lambda: all(receipt.finish for receipt in house.receipts()))
        waited = next(receipt for receipt in house.receipts() if receipt.reason == "OVERLOADED")
        assert waited.settled.cost_nano_usd == 0
        assert len(house.upstream.exchanges) == 1


async def test_a_429_lowers_the_limit_to_what_it_names_and_is_the_reason_for_those_who_wait(
    tmp_path: Path,
) -> None:
    """Two go on, the next one waits and hears UPSTREAM_RATE_LIMITED; nobody hears the number of the account."""
    environment = {**PATIENT, "GATEWAY_SLOTS_WAIT_S": "0.1", "GATEWAY_ROUTING_ATTEMPTS": "1"}
    replies = [Reply.json(429, LIMIT_OF_TWO), words(1)]
    async with opened(tmp_path, replies, environment=environment) as house:
        refused = await house.outcome("first")
        assert refused.told.reason == "UPSTREAM_RATE_LIMITED"
        assert "2" not in refused.told.facts.values()
        await until(lambda: limit(house.slots) == 2)
        running = [house.generate("more"), house.generate("more still")]
        for call in running:
            await read_kind(call, "delta")
        late = await house.outcome("too much")
        assert (late.told.code, late.told.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_RATE_LIMITED")
        assert len(house.upstream.exchanges) == 3
        for call in running:
            call.cancel()


async def test_callers_who_leave_at_any_moment_free_their_slots_and_places(tmp_path: Path) -> None:
    """Sixty, at random moments, over two slots: before, in and after the line."""
    environment = {**PATIENT, "GATEWAY_SLOTS_CALLS_AT_ONCE": "deepseek-flash=3"}
    chance = random.Random(11)
    async with opened(tmp_path, words(3), environment=environment) as house:
        for _ in range(6):
            calls = [house.generate(f"{number}") for number in range(10)]
            for call in chance.sample(calls, 10):
                await asyncio.sleep(chance.choice((0, 0, 0.002, 0.01)))
                call.cancel()
        await house.sweep()
        assert limit(house.slots) == 2


def limit(slots: SlotKeeper) -> int:
    """How many calls of the model there may be at once."""
    return slots.levels()[FLASH].limit
