"""The books held against the upstream's own invoice, row by row, through random failures and callers who leave."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.domain.usage import UsageBasis
from tests.support.chat_events import DONE, chat_chunk, sse, text_chunk
from tests.support.sweep import House, opened, question, until
from tests.support.upstream import RESET, STALL, Exchange, Reply

AT_ONCE = 24
PROMPT_TOKENS = 12
PAUSE_S = 0.003


@dataclass
class Line:
    """What the upstream says of one request: how many tokens it made, and whether it told its usage."""

    kind: str
    made: int
    told: bool


class Invoice:
    """The scripted upstream's own count, by the turn that its prompt names."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.lines: dict[str, list[Line]] = {}

    def reply(self, exchange: Exchange) -> Reply:
        """A whole answer, one that fails, or one that breaks off; noted on the invoice."""
        name = str(exchange.json["messages"][-1]["content"])
        length = self._chance.randint(1, 30)
        kind = self._chance.choices(("whole", "refused", "reset", "hangs"), (70, 10, 10, 10))[0]
        words = [step for number in range(length) for step in (sse(text_chunk(f"w{number} ")), PAUSE_S)]
        self.lines.setdefault(name, []).append(Line(kind, 0 if kind == "refused" else length, kind == "whole"))
        match kind:
            case "refused":
                return Reply.json(400, {"error": {"message": "no", "type": "invalid_request_error"}})
            case "reset":
                return Reply([*words, 0.01, RESET])
            case "hangs":
                return Reply([*words, STALL])
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": length,
            "total_tokens": PROMPT_TOKENS + length,
            "prompt_cache_hit_tokens": 0,
            "prompt_cache_miss_tokens": PROMPT_TOKENS,
        }
        return Reply([*words, sse(chat_chunk({"content": ""}, finish="stop", usage=usage)), sse(DONE)])


async def ask(house: House, name: str, leave_after: int) -> None:
    """One turn, left by its caller after so many frames (0 = not at all)."""
    call = house.generate(question(name, turn_id=name))
    frames = 0
    try:
        async for _ in call:
            frames += 1
            if frames == leave_after:
                call.cancel()
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return


def unexplained(receipt: Receipt, lines: list[Line]) -> str:
    """Why a receipt and the invoice do not agree; empty where the rules of billing explain every token."""
    used, made = receipt.settled, sum(line.made for line in lines)
    match receipt.finish:
        case Finish.STOP:
            agrees = (used.prompt_tokens, used.completion_tokens) == (PROMPT_TOKENS, lines[-1].made)
            return (
                "" if agrees and used.basis is UsageBasis.PROVIDER else "a whole answer is billed as it was told"
            )
        case Finish.CANCELLED:
            # The provider's word where it arrived before the caller left, else what had been received by then.
            return "" if used.completion_tokens <= made else "more than the upstream made"
        case Finish.ERROR if any(line.kind == "reset" and line.made for line in lines):
            return "" if 0 <= used.completion_tokens <= made else "more than the upstream made"
        case Finish.ERROR if not used.completion_tokens:
            return "" if not used.cost_nano_usd else "a charge for nothing"
        case Finish.ERROR:
            return "" if used.completion_tokens <= made else "more than the upstream made"
    return f"an end that nothing explains: {receipt.finish}"


async def balance(tmp_path: Path, turns: int, seed: int) -> None:
    """Runs so many turns, and holds every row of the books against its row of the invoice."""
    invoice, chance = Invoice(seed), random.Random(seed + 1)
    leaving = [chance.choices((0, chance.randint(1, 12)), (75, 25))[0] for _ in range(turns)]
    async with opened(tmp_path, invoice.reply, fast=True, hang_guard_s=900) as house:
        lanes = asyncio.Semaphore(AT_ONCE)

        async def lane(number: int) -> None:
            async with lanes:
                await ask(house, f"turn-{number}", leaving[number])

        await asyncio.gather(*(lane(number) for number in range(turns)))
        await until(lambda: all(one.finish is not None for one in house.receipts()))
        books = {one.turn_id: one for one in house.receipts()}
        assert invoice.lines.keys() <= books.keys()
        wrong = {
            name: (why, receipt, invoice.lines.get(name))
            for name, receipt in books.items()
            if (why := unexplained(receipt, invoice.lines.get(name, [])))
        }
        assert wrong == {}
        whole = [name for name, receipt in books.items() if receipt.finish is Finish.STOP]
        billed = sum(books[name].settled.completion_tokens for name in whole)
        invoiced = sum(invoice.lines[name][-1].made for name in whole)
        assert billed == invoiced
        kinds = Counter(line.kind for lines in invoice.lines.values() for line in lines)
        assert min(kinds[kind] for kind in ("whole", "refused", "reset", "hangs")) > 0
        assert len({one.finish for one in books.values()}) >= 3


async def test_every_receipt_is_explained_by_the_upstreams_own_invoice(tmp_path: Path) -> None:
    """B-6: whole answers to the token, broken and left ones never above what was made, failures for nothing."""
    await balance(tmp_path, turns=250, seed=7)


@pytest.mark.full
async def test_thousands_of_receipts_are_explained_by_the_upstreams_own_invoice(tmp_path: Path) -> None:
    """B-6: the same, ten thousand times."""
    await balance(tmp_path, turns=10_000, seed=11)
