"""A gateway that dies in the middle of answers: what it delivered is charged from its checkpoints, once."""

import asyncio
import os
import signal
from pathlib import Path

import grpc.aio
import pytest

from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.ledger import WORKER_LOST
from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2, inference_pb2, inference_pb2_grpc
from tests.support.chat_events import sse, text_chunk
from tests.support.gateway import Running, running
from tests.support.served_gateway import served
from tests.support.sweep import question, until
from tests.support.upstream import STALL, Reply, ScriptedUpstream

TURNS = 3
WORDS = 300


def answered() -> Reply:
    """More tokens than one checkpoint takes, and then nothing."""
    return Reply([*(sse(text_chunk("word ")) for _ in range(WORDS)), STALL])


def receipts(data_dir: Path) -> list[Receipt]:
    """Every receipt in these books."""
    return ReceiptReader(data_dir).recent(None, 100)


async def spent(gateway: Running) -> int:
    """What the tenant `dev` has spent today, as its limits say, in nano-USD."""
    limits = await gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=gateway.bearer("dev"))
    day = next(one for one in limits.allowances if one.dimension == "usd_per_day")
    assert day.held == 0
    return int(day.limit - day.remaining)


async def test_turns_of_a_killed_gateway_are_charged_by_their_last_checkpoint(tmp_path: Path) -> None:
    """P-1, B-7: the next start settles each as worker_lost, with its tokens and price, and counts it as spent."""
    config = "[tenant_defaults.limits]\nusd_per_day = 5.0\n"
    async with ScriptedUpstream(answered()) as upstream:
        with served(tmp_path, upstream=upstream.url, config=config) as gateway:
            metadata = (("authorization", f"Bearer {gateway.token_file.read_text().strip()}"),)
            async with grpc.aio.insecure_channel(gateway.target) as channel:
                stub = inference_pb2_grpc.InferenceStub(channel)
                calls = [stub.Generate(question(), metadata=metadata) for _ in range(TURNS)]
                reading = [asyncio.ensure_future(_read(call)) for call in calls]
                await until(
                    lambda: (
                        sum(one.settled.completion_tokens >= 256 for one in receipts(gateway.data_dir)) == TURNS
                    )
                )
                os.kill(gateway.process.pid, signal.SIGKILL)
                for outcome in await asyncio.gather(*reading):
                    assert outcome is grpc.StatusCode.UNAVAILABLE
        noted = receipts(tmp_path / "data")
        assert {one.finish for one in noted} == {None}
        async with running(tmp_path, upstream=upstream.url, config=config) as again:
            found = receipts(again.data_dir)
            assert len(found) == TURNS
            for one, before in zip(found, noted, strict=True):
                assert (one.finish, one.reason, one.served_by) == (Finish.ERROR, WORKER_LOST, "deepseek")
                assert one.settled == before.settled
                assert 256 <= one.settled.completion_tokens <= WORDS
                assert one.price_entry
            total = sum(one.settled.cost_nano_usd for one in found)
            assert total > 0
            assert await spent(again) == total
        async with running(tmp_path, upstream=upstream.url, config=config) as third:
            assert receipts(third.data_dir) == found
            assert await spent(third) == total


async def _read(call: grpc.aio.UnaryStreamCall) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    code: grpc.StatusCode = caught.value.code()
    return code


async def test_a_turn_that_stays_short_is_noted_after_some_seconds_and_not_before(tmp_path: Path) -> None:
    """Checkpoints are by count or by time, whichever is first; a short turn that ends soon needs none."""
    done = asyncio.Event()
    reply = Reply([sse(text_chunk("one ")), done, sse(text_chunk("two")), STALL])
    async with ScriptedUpstream(reply) as upstream, running(tmp_path, upstream=upstream.url) as gateway:
        call = gateway.inference.Generate(question(), metadata=gateway.bearer())
        reading = asyncio.ensure_future(_drained(call))
        await until(lambda: len(receipts(gateway.data_dir)) == 1)
        await until(lambda: receipts(gateway.data_dir)[0].settled.completion_tokens == 1)
        (noted,) = receipts(gateway.data_dir)
        assert noted.finish is None
        assert noted.settled.prompt_tokens > 0
        call.cancel()
        await reading
        await until(lambda: receipts(gateway.data_dir)[0].finish is Finish.CANCELLED)


async def _drained(call: "grpc.aio.UnaryStreamCall[inference_pb2.Turn, inference_pb2.Frame]") -> None:
    try:
        async for _ in call:
            pass
    except asyncio.CancelledError:
        return
