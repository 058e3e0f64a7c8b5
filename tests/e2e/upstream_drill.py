"""Kills upstreams under load and brings them back, and prints what callers saw, second by second.

    .venv/bin/python -m tests.e2e.upstream_drill --seconds 60 --rate 20 --running 50

A primary region serves, a second one stands by, both of them small servers of this script. A sixth of the time
in, the primary dies under long answers that are running; at five twelfths the standby dies as well, and answers
come from the evidence, marked as degraded; at two thirds the primary comes back. No turn may be without an end
and a receipt, and the money must be right: what the limits say was spent is what the receipts say, the same
answer costs the same from whichever region, a degraded one costs nothing, and one that broke costs what was
delivered.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2, inference_pb2
from tests.support.chat_events import DONE, LAST_CHUNK, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import Exchange, Reply, ScriptedUpstream

SLOWLY = "count slowly"
QUESTION = "how does the gateway meter a broken stream?"
SEARCH = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)
OWN_ANSWER = inference_pb2.CachePolicy(use=inference_pb2.CACHE_USE_BYPASS, join_in_flight=False)
DEATH, SECOND_DEATH, RETURN = 1 / 6, 5 / 12, 2 / 3
CONFIG = """
[tenant_defaults.limits]
requests_per_minute = 0
tokens_per_minute = 0
concurrent_streams = 0
usd_per_day = 1000.0
usd_per_month = 0.0

[upstreams.primary]
kind = "deepseek"
base_url = "{primary}"
key = "sk-primary"
region = "eu"

[upstreams.standby]
kind = "deepseek"
base_url = "{standby}"
key = "sk-standby"
region = "asia"
"""
COLUMNS = ("primary", "standby", "degraded", "broken off", "refused")


@dataclass
class Drill:
    """What happened. `seconds` counts, for each second, how the turns ended that ended then."""

    seconds: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    events: list[tuple[float, str]] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    calls: int = 0

    def lines(self) -> Iterator[str]:
        """The timeline, and what is wrong."""
        yield "second  " + "".join(f"{column:>12}" for column in COLUMNS)
        events = sorted(self.events)
        for second in sorted(self.seconds):
            while events and events[0][0] < second + 1:
                yield f"  {events[0][0]:5.1f} s  {events.pop(0)[1]}"
            yield f"{second:6d}  " + "".join(f"{self.seconds[second][column] or '':>12}" for column in COLUMNS)
        turns, attempts = len(self.receipts), sum(len(receipt.attempts) for receipt in self.receipts)
        cost = sum(receipt.settled.cost_nano_usd for receipt in self.receipts)
        reached = f"{self.calls} reached an upstream"
        yield f"{turns} turns, {attempts} calls of models ({reached}), {cost * 1e-9:.6f} USD"
        yield from (f"WRONG: {fault}" for fault in self.faults)


async def drill(seconds: float, rate: float, long_ones: int, folder: Path) -> Drill:
    """The whole of it, within about `seconds`."""
    found = Drill()
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(AsyncExitStack())
        standby = await stack.enter_async_context(AsyncExitStack())
        first = await primary.enter_async_context(ScriptedUpstream(_script))
        second = await standby.enter_async_context(ScriptedUpstream(_script))
        # The circuits' own times shrink with the drill, as everything else in it.
        environment = {
            "GATEWAY_ROUTING_CIRCUIT_OPEN_S": str(seconds / 2),
            "GATEWAY_ROUTING_PROBE_S": str(min(1.0, seconds / 60)),
            # All long answers shall run when the primary dies; slots would let them in a few at a time.
            "GATEWAY_SLOTS_ENABLED": "false",
        }
        config = CONFIG.format(primary=first.url, standby=second.url)
        gateway = await stack.enter_async_context(running(folder, config=config, environment=environment))
        loop = asyncio.get_running_loop()
        begun, port = loop.time(), first.port

        async def at(share: float, what: str) -> None:
            await asyncio.sleep(begun + share * seconds - loop.time())
            found.events.append((loop.time() - begun, what))

        async with asyncio.TaskGroup() as turns:
            callers = _Callers(gateway, begun, found, turns)
            for _ in range(long_ones):
                callers.begin(SLOWLY)
            arrivals = turns.create_task(callers.arrive(rate, seconds))
            await at(DEATH, f"the primary dies under {long_ones} running answers")
            await primary.aclose()
            await at(SECOND_DEATH, "the standby dies as well")
            await standby.aclose()
            await at(RETURN, "the primary comes back")
            again = await stack.enter_async_context(ScriptedUpstream(_script, port=port))
            await arrivals
        found.calls = sum(len(upstream.exchanges) for upstream in (first, second, again))
        await _check(gateway, found)
    return found


def _script(exchange: Exchange) -> Reply:
    """Long answers would take longer than any drill."""
    if SLOWLY in exchange.json["messages"][-1]["content"]:
        words = [step for number in range(10_000) for step in (text_chunk(f"{number} "), 0.1)]
        return Reply.events(*words, LAST_CHUNK, DONE)
    return Reply.events(text_chunk("the "), 0.02, text_chunk("answer"), LAST_CHUNK, DONE)


@dataclass(frozen=True)
class _Callers:
    """Those who ask."""

    gateway: Running
    begun: float
    found: Drill
    turns: asyncio.TaskGroup

    def begin(self, prompt: str) -> None:
        """One turn more."""
        self.turns.create_task(_turn(self.gateway, prompt, self.begun, self.found))

    async def arrive(self, rate: float, seconds: float) -> None:
        """New turns, at a steady rate."""
        loop = asyncio.get_running_loop()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(self.begun + number / rate - loop.time())
            self.begin(QUESTION)


async def _turn(gateway: Running, prompt: str, begun: float, found: Drill) -> None:
    """One turn, as its caller sees it."""
    turn = inference_pb2.Turn(prompt=prompt, search=SEARCH, cache=OWN_ANSWER)
    call: Any = gateway.inference.Generate(turn, metadata=gateway.bearer())  # Any: a call of grpc.aio
    ends, word = 0, "refused"
    try:
        async for frame in call:
            if frame.WhichOneof("frame") == "end":
                ends += 1
                word = "degraded" if frame.end.degraded else frame.end.served_by
    except grpc.aio.AioRpcError as error:
        word = "broken off" if error.code() is grpc.StatusCode.ABORTED else "refused"
        if "gateway-receipt-id" not in dict(error.trailing_metadata() or ()):
            found.faults.append(f"a turn failed without a receipt: {error.details()}")
    else:
        if ends != 1:
            found.faults.append(f"an answer with {ends} ends")
    found.seconds[int(asyncio.get_running_loop().time() - begun)][word] += 1
    found.ended[word] += 1


async def _check(gateway: Running, found: Drill) -> None:
    """Every turn has its receipt, and the money is right."""
    found.receipts = ReceiptReader(gateway.data_dir).recent(None, 1_000_000)
    if len(found.receipts) != found.ended.total():
        found.faults.append(f"{found.ended.total()} turns and {len(found.receipts)} receipts")
    prices = set()
    for receipt in found.receipts:
        cost = receipt.settled.cost_nano_usd
        match receipt.finish:
            case None:
                found.faults.append(f"the receipt {receipt.receipt_id} is open")
            case Finish.STOP if receipt.degraded and cost:
                found.faults.append(f"a degraded answer cost {cost}")
            case Finish.STOP if not receipt.degraded:
                prices.add((receipt.price_entry, cost))
            case Finish.ERROR if (cost > 0) != (receipt.settled.completion_tokens > 0):
                found.faults.append(f"a broken answer of {receipt.settled.completion_tokens} tokens cost {cost}")
    if len(prices) != len({entry for entry, _ in prices}):
        found.faults.append(f"the same answer has several prices: {sorted(prices)}")
    limits = await gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=gateway.bearer())
    (money,) = [one for one in limits.allowances if one.dimension == "usd_per_day"]
    charged = sum(receipt.settled.cost_nano_usd for receipt in found.receipts)
    if money.held or money.limit - money.remaining != charged:
        found.faults.append(f"spent {money.limit - money.remaining}, held {money.held}, charged {charged}")


def main() -> int:
    """Prints the timeline; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=20.0, help="new turns a second")
    parser.add_argument("--running", type=int, default=50, help="long answers that run when the primary dies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(drill(options.seconds, options.rate, options.running, Path(folder)))
    for line in found.lines():
        sys.stdout.write(f"{line}\n")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
