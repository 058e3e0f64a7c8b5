"""Where retries, lines, company and cancels meet: a caller pays for what a model did for it, once.

Every house is swept when it closes: nothing is held, and the limits say what the receipts say.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.events import Finish
from gateway.v1 import inference_pb2
from tests.support.calls import streamed, text_of
from tests.support.chat_events import DONE, USAGE, chat_chunk, text_chunk
from tests.support.outcomes import read_kind
from tests.support.sweep import House, opened, question, until
from tests.support.unfinished import PATIENT
from tests.support.upstream import STALL, Reply

TOGETHER = inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS)
RETRIED = inference_pb2.NOTICE_KIND_RETRIED
BUSY = {"error": {"message": "busy"}}
ALWAYS = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)


async def closed(house: House) -> None:
    """Every receipt is closed."""
    await until(lambda: house.receipts() != [] and all(receipt.finish for receipt in house.receipts()))


async def test_who_leaves_the_line_of_an_upstream_pays_nothing(tmp_path: Path) -> None:
    """Nobody was asked, so there is no call on the receipt and no prompt to pay for."""
    environment = {**PATIENT, "GATEWAY_SLOTS_CALLS_AT_ONCE": "deepseek-flash=2"}
    async with opened(tmp_path, Reply.events(text_chunk("one "), STALL), environment=environment) as house:
        first = house.generate("first")
        await read_kind(first, "delta")
        second = house.generate(question("second", turn_id="waits"))
        await read_kind(second, "accepted")
        second.cancel()
        await until(lambda: [r.finish for r in house.receipts() if r.turn_id == "waits"] == [Finish.CANCELLED])
        (waited,) = [receipt for receipt in house.receipts() if receipt.turn_id == "waits"]
        assert (waited.settled.cost_nano_usd, waited.settled.prompt_tokens, waited.attempts) == (0, 0, ())
        first.cancel()
        await closed(house)
    assert len(house.upstream.exchanges) == 1


async def test_who_leaves_between_two_calls_pays_nothing(tmp_path: Path) -> None:
    """The first call failed, and what it cost is the gateway's own; the second one is not made yet."""
    busy = Reply.json(503, BUSY, headers={"Retry-After": "4"})
    async with opened(tmp_path, busy) as house:
        call = house.generate()
        while (await read_kind(call, "notice")).notice.kind != RETRIED:
            pass
        call.cancel()
        receipt = await house.receipt()
        assert receipt.finish is Finish.CANCELLED
        assert (receipt.settled.cost_nano_usd, receipt.settled.prompt_tokens) == (0, 0)
        assert [made.outcome for made in receipt.attempts] == ["upstream_unavailable"]


async def test_a_model_that_gave_no_json_is_not_paid_for_by_who_leaves_before_the_next_call(
    tmp_path: Path,
) -> None:
    """It told what it had used; that is on the attempt, and on nobody's bill."""
    blank = Reply.events(chat_chunk({"content": ""}, finish="stop", usage=USAGE), DONE)
    environment = {"GATEWAY_ROUTING_BACKOFF_S": "4"}
    async with opened(tmp_path, blank, environment=environment) as house:
        generation = inference_pb2.GenerationOptions(response_format=inference_pb2.RESPONSE_FORMAT_JSON_OBJECT)
        call = house.generate(question("give me JSON", generation=generation))
        await read_kind(call, "notice")
        call.cancel()
        receipt = await house.receipt()
        assert receipt.attempts[0].usage.cost_nano_usd > 0
        assert (receipt.settled.cost_nano_usd, len(receipt.attempts)) == (0, 1)


async def test_what_the_payer_was_told_the_answer_costs_nobody_pays_again(tmp_path: Path) -> None:
    """It leaves when the usage has come and the stream has not ended: the others pay nothing for that."""
    gate = asyncio.Event()
    usage = {**USAGE, "completion_tokens": 400, "total_tokens": 411}
    reply = Reply.events(
        text_chunk("All "), text_chunk("of it."), chat_chunk({}, finish="stop", usage=usage), gate, DONE
    )
    async with opened(tmp_path, reply, recalls=True) as house:
        turn = question(cache=TOGETHER)
        payer = house.generate(turn)
        await until_text(payer, "All of it.")
        guest = house.generate(turn)
        await until_text(guest, "All of it.")
        await asyncio.sleep(0.05)  # the usage follows the last words
        payer.cancel()
        await until(lambda: len(house.gateway.gateway.running) == 1)
        gate.set()
        await streamed(guest)
        await closed(house)
        left, stayed = house.receipts()
        assert left.settled.completion_tokens == 400
        assert stayed.settled.cost_nano_usd == 0


async def until_text(call: Any, text: str) -> None:
    """Reads until this much of the answer has come. Any: a call of grpc.aio."""
    frames: list[inference_pb2.ServerFrame] = []
    while text_of(frames) != text:
        frames.append(await call.read())


async def test_a_guest_whose_answer_breaks_has_its_stand_in_on_its_own_receipt(tmp_path: Path) -> None:
    """Whose call failed is one thing, who answered in the end is another."""
    gate = asyncio.Event()
    async with opened(
        tmp_path, Reply([gate], status=503), recalls=True, environment={"GATEWAY_ROUTING_ATTEMPTS": "1"}
    ) as house:
        routing = inference_pb2.Routing(allow_degraded=True)
        turn = question("what is a receipt?", search=ALWAYS, routing=routing, cache=TOGETHER)
        reading = [asyncio.ensure_future(streamed(house.generate(turn))) for _ in range(2)]
        await house.upstream.request()
        await asyncio.sleep(0.2)
        gate.set()
        await asyncio.gather(*reading)
        await closed(house)
        for receipt in house.receipts():
            assert (receipt.degraded, receipt.cache_level) == (True, "")
            assert receipt.attempts[-1].upstream == "embedded"
        assert len(house.upstream.exchanges) == 1


async def test_one_who_leaves_a_second_try_does_not_close_the_receipt_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two try the same failed turn again; the one that came second leaves before the books have answered it."""
    gate = asyncio.Event()
    replies = [Reply.json(503, BUSY), Reply.events(text_chunk("the "), gate, *Reply.answer("answer").steps)]
    async with opened(tmp_path, replies, environment={"GATEWAY_ROUTING_ATTEMPTS": "1"}) as house:
        turn = question("again", turn_id="once")
        await house.outcome(turn)
        # Both have looked into the books before either of them writes; the second writes when the first is served.
        find, opening, found, refused = house.ledger.find, house.ledger.open, asyncio.Event(), asyncio.Event()

        async def find_in_turn(*names: str) -> Any:
            standing, is_first = await find(*names), not found.is_set()
            found.set()
            await (house.upstream.request(1) if not is_first else looked.wait())
            return standing

        async def open_slowly(receipt: Any) -> Any:
            standing = await opening(receipt)
            if standing is not None:
                refused.set()
                await asyncio.sleep(0.2)
            return standing

        looked = asyncio.Event()
        monkeypatch.setattr(house.ledger, "find", find_in_turn)
        monkeypatch.setattr(house.ledger, "open", open_slowly)
        first = asyncio.ensure_future(streamed(house.generate(turn)))
        await found.wait()
        second = house.generate(turn)
        reading = asyncio.ensure_future(streamed(second))
        await until(lambda: len(house.gateway.gateway.running) == 2)
        looked.set()
        await refused.wait()
        second.cancel()
        await until(lambda: len(house.gateway.gateway.running) == 1)
        gate.set()
        frames, _ = await first
        await asyncio.wait([reading])
        house.tried_again = 2
        await closed(house)
        (receipt,) = house.receipts()
        assert receipt.finish is Finish.STOP
        assert text_of(frames) == "the answer"
