"""Shutting down: no new calls, running ones finish, the rest is ended with its receipt, and nobody is held up.

In the process of the test where everything can be seen, and `gateway serve` with real signals.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.domain.events import Finish
from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2, account_pb2_grpc, inference_pb2, inference_pb2_grpc
from tests.support.calls import Told, refused, streamed
from tests.support.chat_events import text_chunk
from tests.support.outcomes import outcome_of, read_kind
from tests.support.served_gateway import Served, served
from tests.support.sweep import House, opened, question, tasks, until
from tests.support.unfinished import FLOOD, IMPATIENT, PATIENT, SILENT, asked, by_prompt, finishes, held_up, words
from tests.support.upstream import Reply, ScriptedUpstream

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# Between going away and closing the port there is a moment in which calls are still answered.
WAITS = {**PATIENT, "GATEWAY_GRPC_DRAIN_WAIT_S": "0.3", "GATEWAY_GRPC_DRAIN_GRACE_S": "60"}
# What still runs is ended 2 s before the grace is over.
SHORT = {**PATIENT, "GATEWAY_GRPC_DRAIN_GRACE_S": "2.2"}
LONG = {"GATEWAY_GRPC_DRAIN_GRACE_S": "60"}


@asynccontextmanager
async def draining(house: House) -> AsyncIterator["asyncio.Task[None]"]:
    """Begins to drain; what is inside happens meanwhile, and then the drain comes to its end."""
    task = asyncio.create_task(house.gateway.gateway.server.drain())
    await until(lambda: house.gateway.gateway.running.draining)
    yield task
    await task


def health(house: House) -> Any:
    """A health stub. Any: the generated stub."""
    return health_pb2_grpc.HealthStub(house.gateway.channel)


def check_draining(told: Told, *, has_receipt: bool) -> None:
    """Come again, at once, elsewhere; nothing was charged."""
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert (told.facts["retryable"], told.facts["billed"]) == ("true", "false")
    assert (told.retry_after_s, told.trailers["grpc-retry-pushback-ms"]) == (0.0, "1")
    assert ("receipt_id" in told.facts) == has_receipt


class TestNoNewWork:
    """From the first moment on."""

    async def test_new_calls_are_sent_elsewhere(self, tmp_path: Path) -> None:
        """Every method, with no receipt; the turn that runs is answered in full."""
        go_on = asyncio.Event()
        reply = Reply.events(text_chunk("a"), go_on, *Reply.answer("b").steps)
        async with opened(tmp_path, reply, environment=WAITS) as house:
            running = house.generate()
            await read_kind(running, "delta")
            async with draining(house):
                check_draining((await house.outcome()).status, has_receipt=False)
                bearer = house.gateway.bearer()
                complete = house.gateway.inference.Complete(question(), metadata=bearer)
                check_draining(await refused(complete), has_receipt=False)
                limits = house.gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=bearer)
                check_draining(await refused(limits), has_receipt=False)
                call = house.converse()
                await call.done_writing()
                check_draining((await outcome_of(call)).status, has_receipt=False)
                go_on.set()
                outcome = await outcome_of(running)
                outcome.check_ok()
                assert outcome.text == "b"
            assert [receipt.finish for receipt in house.receipts()] == [Finish.STOP]

    async def test_health_says_so_and_lets_its_watchers_go(self, tmp_path: Path) -> None:
        """A watcher that stayed would hold up the drain, and this grace is longer than the test may take."""
        async with opened(tmp_path, Reply.answer("a"), environment=WAITS) as house:
            watching = health(house).Watch(health_pb2.HealthCheckRequest(service="gateway.v1.Inference"))
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
            async with draining(house):
                assert (await health(house).Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
                assert (await watching.read()).status == NOT_SERVING
                assert await watching.read() is grpc.aio.EOF

    async def test_an_idle_conversation_is_told_and_ended(self, tmp_path: Path) -> None:
        """Go away, then the status."""
        async with opened(tmp_path, Reply.answer("a"), environment=LONG) as house:
            call = house.converse()
            await call.write(asked("a", "hi"))
            await read_kind(call, "end")
            async with draining(house):
                outcome = await outcome_of(call)
                assert outcome.kinds == ["go_away"]
                assert outcome.frames[0].go_away.reason == "draining"
                check_draining(outcome.status, has_receipt=False)

    async def test_a_conversation_finishes_its_turns_and_takes_no_more(self, tmp_path: Path) -> None:
        """A turn that comes after the warning is refused as such."""
        go_on = asyncio.Event()
        reply = Reply.events(text_chunk("a"), go_on, *Reply.answer("b").steps)
        async with opened(tmp_path, reply, environment={**PATIENT, **LONG}) as house:
            call = house.converse()
            await call.write(asked("a", "hi"))
            await read_kind(call, "delta")
            async with draining(house):
                await read_kind(call, "go_away")
                await call.write(asked("b", "hi"))
                fault = await read_kind(call, "fault")
                assert (fault.turn_id, fault.fault.reason, fault.fault.retryable) == ("b", "DRAINING", True)
                await read_kind(call, "end")
                go_on.set()
                end = await read_kind(call, "end")
                assert (end.turn_id, end.end.finish) == ("a", inference_pb2.FINISH_STOP)
                check_draining((await outcome_of(call)).status, has_receipt=False)
            assert finishes(house) == {"a": Finish.STOP}


class TestTheEndOfTheGrace:
    """What has not finished by then is ended by us: gRPC would say so without a receipt."""

    async def test_with_output_the_answer_is_interrupted(self, tmp_path: Path) -> None:
        """What was delivered stands and is charged."""
        async with opened(tmp_path, words(3), environment=SHORT) as house:
            call = house.generate()
            await read_kind(call, "delta")
            async with draining(house):
                outcome = await outcome_of(call)
            status, (receipt,) = outcome.status, house.receipts()
            assert (status.code, status.reason) == (grpc.StatusCode.ABORTED, "STREAM_INTERRUPTED")
            assert (status.facts["cause"], status.facts["delivered_tokens"]) == ("draining", "3")
            assert (status.facts["billed"], status.facts["retryable"]) == ("true", "false")
            assert status.facts["receipt_id"] == outcome.end.receipt_id == receipt.receipt_id
            assert (outcome.end.finish, receipt.finish) == (inference_pb2.FINISH_ERROR, Finish.ERROR)
            assert (receipt.reason, receipt.settled.completion_tokens) == ("STREAM_INTERRUPTED", 3)
            assert house.upstream.exchanges[0].closed.is_set()

    async def test_without_output_the_caller_is_sent_elsewhere(self, tmp_path: Path) -> None:
        """Nothing is charged, and there is a receipt that says so."""
        async with opened(tmp_path, SILENT, environment=SHORT) as house:
            call = house.generate()
            await house.upstream.request()
            async with draining(house):
                outcome = await outcome_of(call)
            assert outcome.frames == []
            check_draining(outcome.status, has_receipt=True)
            (receipt,) = house.receipts()
            assert (receipt.reason, receipt.settled.cost_nano_usd) == ("DRAINING", 0)

    async def test_on_converse_each_turn_is_told_and_then_the_stream(self, tmp_path: Path) -> None:
        """One had output, the other not."""
        script = by_prompt({"spoke": words(2), "silent": SILENT})
        async with opened(tmp_path, script, environment=SHORT) as house:
            call = house.converse()
            for prompt in ("spoke", "silent"):
                await call.write(asked(prompt, prompt))
            await house.upstream.request(1)
            await read_kind(call, "delta")
            async with draining(house):
                outcome = await outcome_of(call)
            faults = {f.turn_id: f.fault for f in outcome.frames if f.WhichOneof("frame") == "fault"}
            assert {turn_id: fault.reason for turn_id, fault in faults.items()} == {
                "spoke": "STREAM_INTERRUPTED",
                "silent": "DRAINING",
            }
            assert faults["spoke"].facts["cause"] == "draining"
            assert (faults["spoke"].charged, faults["silent"].charged) == (True, False)
            assert outcome.kinds.count("end") == 2
            check_draining(outcome.status, has_receipt=False)
            assert finishes(house) == {"spoke": Finish.ERROR, "silent": Finish.ERROR}

    async def test_a_reader_who_is_behind_holds_nothing_up(self, tmp_path: Path) -> None:
        """The upstream closes and the receipt is written; the port closes whether the rest is read or not."""
        async with opened(tmp_path, FLOOD, environment=SHORT) as house, house.narrow() as stub:
            stub.Generate(question(), metadata=house.gateway.bearer())
            exchange = await house.upstream.request()
            await held_up(exchange)
            async with draining(house):
                await exchange.closed.wait()
            assert [receipt.reason for receipt in house.receipts()] == ["STREAM_INTERRUPTED"]

    async def test_a_caller_who_was_too_slow_long_ago_does_not_either(self, tmp_path: Path) -> None:
        """Its call is still open at gRPC, and this grace is longer than the test may take."""
        async with opened(tmp_path, FLOOD, environment={**IMPATIENT, **LONG}) as house, house.narrow() as stub:
            call = stub.Generate(question(), metadata=house.gateway.bearer())
            await (await house.upstream.request()).closed.wait()
            await until(lambda: "_handle_exceptions" not in tasks())
            async with draining(house):
                pass
            assert not call.done()


class TestSignals:
    """`gateway serve` in a process of its own."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_the_first_one_lets_running_answers_finish(self, tmp_path: Path, number: signal.Signals) -> None:
        """And the process ends well."""
        go_on = asyncio.Event()
        reply = Reply.events(text_chunk("a"), go_on, *Reply.answer("b").steps)
        async with ScriptedUpstream(reply) as upstream, serving(tmp_path, upstream) as (gateway, channel):
            call = inference_pb2_grpc.InferenceStub(channel).Generate(question())
            await read_kind(call, "delta")
            gateway.process.send_signal(number)
            await gone_away(gateway)
            go_on.set()
            outcome = await outcome_of(call)
            outcome.check_ok()
            assert outcome.text == "b"
            assert await asyncio.to_thread(gateway.process.wait, 20) == 0
            assert [r.finish for r in ReceiptReader(gateway.data_dir).recent(None, 9)] == [Finish.STOP]

    async def test_the_second_one_ends_it_and_the_next_start_settles(self, tmp_path: Path) -> None:
        """No receipt is lost: what was open is closed as `worker_lost`."""
        async with ScriptedUpstream(words(1)) as upstream:
            async with serving(tmp_path, upstream) as (gateway, channel):
                call = inference_pb2_grpc.InferenceStub(channel).Generate(question())
                receipt_id = (await read_kind(call, "accepted")).accepted.receipt_id
                await read_kind(call, "delta")
                gateway.process.send_signal(signal.SIGTERM)
                await gone_away(gateway)
                gateway.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(gateway.process.wait, 20) == 1
                _, told = await streamed(call)
                assert told.code is grpc.StatusCode.UNAVAILABLE
                await upstream.exchanges[0].closed.wait()
            (lost,) = ReceiptReader(gateway.data_dir).recent(None, 9)
            assert (lost.receipt_id, lost.finish) == (receipt_id, None)
            async with serving(tmp_path, upstream) as (_, channel):
                account = account_pb2_grpc.AccountStub(channel)
                receipt = await account.GetReceipt(account_pb2.GetReceiptRequest(receipt_id=receipt_id))
                assert (receipt.finish, receipt.reason) == (inference_pb2.FINISH_ERROR, "worker_lost")


@asynccontextmanager
async def serving(folder: Path, upstream: ScriptedUpstream) -> AsyncIterator[tuple[Served, grpc.aio.Channel]]:
    """A served gateway and a channel to it; calls without a credential are the tenant `dev`."""
    async with AsyncExitStack() as stack:
        gateway = served(
            folder, upstream=upstream.url, environment={**PATIENT, "GATEWAY_GRPC_DRAIN_GRACE_S": "30"}
        )
        running = await asyncio.to_thread(stack.enter_context, gateway)
        options = (("grpc.use_local_subchannel_pool", 1),)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.target, options=options))
        yield running, channel


async def gone_away(gateway: Served) -> None:
    """Waits until the gateway no longer calls itself ready."""
    host, _, port = gateway.metrics.rpartition(":")
    while True:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        if b" 503 " in answer.split(b"\r\n", 1)[0]:
            return
        await asyncio.sleep(0.01)
