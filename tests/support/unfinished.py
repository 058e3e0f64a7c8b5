"""Answers that do not end, and the callers who leave them: what the tests of leaving share."""

import asyncio
from typing import Any

from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.search import Hit, SearchProvider, SearchQuery
from gateway.v1 import inference_pb2
from tests.support.chat_events import reasoning_chunk, text_chunk
from tests.support.sweep import House, question
from tests.support.upstream import STALL, Exchange, Reply

PATIENT = {"GATEWAY_TIMERS_CLIENT_STALL_S": "60", "GATEWAY_TIMERS_FIRST_OUTPUT_S": "60"}
IMPATIENT = {"GATEWAY_TIMERS_CLIENT_STALL_S": "0.2"}
BIG = text_chunk("x" * 10_000)
FLOOD = Reply.events(*[BIG] * 2000, STALL)


def words(count: int) -> Reply:
    """An answer that stops in the middle and holds the connection."""
    return Reply.events(*[text_chunk(f"{number} ") for number in range(count)], STALL)


SILENT = Reply([STALL], status=None)
KEPT_ALIVE = Reply([b": keep-alive\n\n", STALL])
THINKS = Reply.events(reasoning_chunk("hm"), STALL)


def by_prompt(replies: dict[str, Reply]) -> Any:
    """A script that answers each prompt in its own way. Any: a script."""
    return lambda exchange: replies[exchange.json["messages"][-1]["content"]]


def asked(turn_id: str, prompt: str, **options: Any) -> inference_pb2.ClientFrame:
    """A turn for Converse. Any: the fields of Turn."""
    return inference_pb2.ClientFrame(turn=question(prompt, turn_id=turn_id, **options))


def cancel(turn_id: str = "") -> inference_pb2.ClientFrame:
    """A cancel frame."""
    return inference_pb2.ClientFrame(cancel=inference_pb2.Cancel(turn_id=turn_id))


async def left(house: House, exchange: int = 0) -> Receipt:
    """The receipt of the only turn, once the upstream's socket has closed."""
    await (await house.upstream.request(exchange)).closed.wait()
    return await house.receipt()


NEVER_SEARCH = '[tenant_defaults]\nsearch_mode = "never"\n'


class HangingSearch:
    """A search provider that never answers; says when it was asked, and when it was left."""

    name = "embedded"

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def create(self, *_: object) -> SearchProvider:
        """In the place of the file that the settings name."""
        return self

    def calls_for(self, _results: int) -> int:
        """One, which never ends."""
        return 1

    async def search(self, query: SearchQuery) -> list[Hit]:
        """Waits until it is cancelled."""
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return []

    async def aclose(self) -> None:
        """There is nothing to close."""


def finishes(house: House) -> dict[str, Finish | None]:
    """How each turn ended."""
    return {receipt.turn_id: receipt.finish for receipt in house.receipts()}


async def held_up(exchange: Exchange) -> None:
    """Waits until the upstream can write no more, because nobody reads what the gateway passes on."""
    sent = -1
    while sent != exchange.bytes_sent:
        sent = exchange.bytes_sent
        await asyncio.sleep(0.1)
