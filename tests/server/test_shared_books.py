"""Two gateways that share their books in PostgreSQL: one turn, one receipt, whichever of them is asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio
import pytest

from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2, inference_pb2
from tests.support.calls import refused
from tests.support.chat_events import DONE, USAGE, chat_chunk, sse, text_chunk
from tests.support.gateway import Running, running
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.sweep import question
from tests.support.upstream import Reply, ScriptedUpstream


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module."""
    with postgres_server() as running_server:
        yield running_server


class Pair:
    """Two gateways, their upstream and their books."""

    def __init__(
        self, gateways: list[Running], upstream: ScriptedUpstream, go_on: asyncio.Event, url: str
    ) -> None:
        self.gateways = gateways
        self.upstream = upstream
        self.go_on = go_on
        self.url = url


@pytest.fixture
async def pair(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Pair]:
    """They answer when they may go on."""
    go_on = asyncio.Event()
    last = chat_chunk({"content": ""}, finish="stop", usage=USAGE)
    reply = Reply([sse(text_chunk("Hel")), go_on, sse(text_chunk("lo")), sse(last), sse(DONE)])
    url = server.database()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream(reply))
        gateways = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            environment = {"GATEWAY_DATABASE_URL": url}
            opened = running(tmp_path / name, upstream=upstream.url, environment=environment)
            gateways.append(await stack.enter_async_context(opened))
        yield Pair(gateways, upstream, go_on, url)


async def test_a_turn_has_one_receipt_whichever_replica_is_asked(pair: Pair) -> None:
    """B-8: while it runs, when it is settled, and for another body; the upstream is asked once."""
    one, two = pair.gateways
    turn = question("the same", turn_id="turn-1")
    running_call = one.inference.Generate(turn, metadata=one.bearer())
    telling = aiter(running_call)
    accepted = await anext(telling)
    error = await refused(two.inference.Complete(turn, metadata=two.bearer()))
    assert error.reason == "TURN_IN_PROGRESS"
    pair.go_on.set()
    frames = [frame async for frame in telling]
    receipt_id = frames[-1].end.receipt_id
    assert accepted.accepted.receipt_id == receipt_id
    error = await refused(two.inference.Complete(turn, metadata=two.bearer()))
    assert (error.reason, error.facts["receipt_id"]) == ("TURN_SETTLED", receipt_id)
    other = question("another body", turn_id="turn-1")
    assert (await refused(two.inference.Complete(other, metadata=two.bearer()))).reason == "IDEMPOTENCY_CONFLICT"
    assert len(pair.upstream.exchanges) == 1
    asked = account_pb2.GetReceiptRequest(receipt_id=receipt_id)
    told = [await gateway.account.GetReceipt(asked, metadata=gateway.bearer()) for gateway in (one, two)]
    assert told[0] == told[1]
    (total,) = [total for total in ReceiptReader(Path(), pair.url).totals("acme") if total.by == "tenant"]
    assert (total.turns, total.cost_nano_usd) == (1, frames[-1].end.usage.cost_nano_usd)


async def test_of_replicas_that_are_asked_the_same_at_once_one_answers(pair: Pair) -> None:
    """B-8: everybody else is told that it runs."""
    pair.go_on.set()
    turn = question("at once", turn_id="turn-2")
    calls = [
        gateway.inference.Generate(turn, metadata=gateway.bearer()) for gateway in (*pair.gateways, *pair.gateways)
    ]

    outcomes = await asyncio.gather(*(_finish(call) for call in calls))
    assert outcomes.count("FINISH_STOP") == 1
    assert len(pair.upstream.exchanges) == 1


async def _finish(call: "grpc.aio.UnaryStreamCall[inference_pb2.Turn, inference_pb2.Frame]") -> str:
    """How it ended, or the code it was refused with."""
    try:
        frames = [frame async for frame in call]
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return inference_pb2.Finish.Name(frames[-1].end.finish)
