"""Deadlines, and callers who do not read: who is told what, who is charged, and that nobody else waits.

Every house is swept when it closes (`tests.support.sweep`). What is asserted is order and outcome, never a time.
"""

import asyncio
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

import deepseek_pb2
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.v1 import inference_pb2
from tests.support.calls import streamed
from tests.support.outcomes import Outcome, outcome_of, read_kind
from tests.support.sweep import House, opened, question, tasks, until
from tests.support.unfinished import (
    BIG,
    FLOOD,
    IMPATIENT,
    KEPT_ALIVE,
    NEVER_SEARCH,
    PATIENT,
    SILENT,
    asked,
    by_prompt,
    finishes,
    left,
    words,
)
from tests.support.upstream import STALL, Reply


class TestDeadlines:
    """The caller gives so much time and no more."""

    @pytest.mark.parametrize("how", ["deadline of the call", "timeout of the turn"])
    async def test_after_output_the_end_comes_before_the_status(self, tmp_path: Path, how: str) -> None:
        """With the receipt, and what had arrived is charged."""
        async with opened(tmp_path, words(2), environment=PATIENT) as house:
            outcome = await in_time(house, how)
            outcome.check_frames()
            assert outcome.text == "0 1 "
            assert outcome.end.finish == inference_pb2.FINISH_DEADLINE
            receipt = await left(house)
            assert receipt.finish is Finish.DEADLINE
            assert receipt.settled.completion_tokens == 2
            check_deadline(outcome, receipt, billed="true")

    @pytest.mark.parametrize("how", ["deadline of the call", "timeout of the turn"])
    @pytest.mark.parametrize("reply", [SILENT, KEPT_ALIVE], ids=["before headers", "before output"])
    async def test_before_any_frame_there_is_the_status_alone(
        self, tmp_path: Path, how: str, reply: Reply
    ) -> None:
        """So that a client library may still try again elsewhere."""
        async with opened(tmp_path, reply, environment=PATIENT) as house:
            outcome = await in_time(house, how)
            assert outcome.frames == []
            check_deadline(outcome, await left(house), billed="true")

    async def test_of_a_turn_on_converse_is_a_fault_of_that_turn(self, tmp_path: Path) -> None:
        """The stream goes on."""
        script = by_prompt({"long": words(1), "short": Reply.answer("ok")})
        async with opened(tmp_path, script, environment=PATIENT) as house:
            call = house.converse()
            await call.write(asked("a", "long", timeout=Duration(nanos=600_000_000)))
            fault = (await read_kind(call, "fault")).fault
            assert (fault.reason, fault.code, fault.charged) == ("DEADLINE", 4, True)
            end = (await read_kind(call, "end")).end
            assert end.finish == inference_pb2.FINISH_DEADLINE
            await call.write(asked("b", "short"))
            await call.done_writing()
            rest = await outcome_of(call)
            rest.check_ok()
            assert rest.text == "ok"

    async def test_while_the_reader_is_behind(self, tmp_path: Path) -> None:
        """The upstream closes at the deadline; what is said of it waits for the reader."""
        async with opened(tmp_path, FLOOD, environment=PATIENT) as house, house.narrow() as stub:
            turn = question(timeout=Duration(nanos=800_000_000))
            call = stub.Generate(turn, metadata=house.gateway.bearer())
            receipt = await left(house)
            assert receipt.finish is Finish.DEADLINE
            outcome = await outcome_of(call)
            outcome.check_frames()
            assert outcome.end.finish == inference_pb2.FINISH_DEADLINE
            check_deadline(outcome, receipt, billed="true")

    async def test_then_a_cancel_while_it_is_settled(self, tmp_path: Path) -> None:
        """The first cause stands, in one receipt."""
        async with opened(tmp_path, words(1), environment=PATIENT) as house:
            call = house.generate(question(timeout=Duration(nanos=600_000_000)))
            await read_kind(call, "delta")
            with house.stuck_books():
                await house.upstream.exchanges[0].closed.wait()
                await until(lambda: house.limiter.held() == 0)
                call.cancel()
                await until(lambda: "_handle_exceptions" not in tasks())
            receipt = await house.receipt()
            assert receipt.finish is Finish.DEADLINE


class TestSlowCallers:
    """A caller that reads nothing for too long is told so, and holds nothing up meanwhile."""

    async def test_generate_ends_too_slow(self, tmp_path: Path) -> None:
        """The upstream closes and the handler ends, read or not; a reader who comes back finds the status."""
        async with opened(tmp_path, FLOOD, environment=IMPATIENT) as house, house.narrow() as stub:
            call = stub.Generate(question(), metadata=house.gateway.bearer())
            receipt = await left(house)
            assert (receipt.finish, receipt.reason) == (Finish.ERROR, "CLIENT_TOO_SLOW")
            assert receipt.settled.cost_nano_usd > 0
            assert [attempt.outcome for attempt in receipt.attempts] == ["abandoned"]
            assert house.upstream.exchanges[0].bytes_sent < sum(
                len(step) for step in FLOOD.steps if step is not STALL
            )
            await until(lambda: "_handle_exceptions" not in tasks())
            outcome = await outcome_of(call)
            outcome.check_frames()
            assert (outcome.status.code, outcome.status.reason) == (
                grpc.StatusCode.ABORTED,
                "CLIENT_TOO_SLOW",
            )
            assert outcome.status.facts["receipt_id"] == receipt.receipt_id
            assert outcome.status.facts["retryable"] == "false"

    async def test_one_that_never_reads_again_leaves_nothing_when_it_goes(self, tmp_path: Path) -> None:
        """The rest of the call goes with its connection."""
        async with opened(tmp_path, FLOOD, environment=IMPATIENT) as house:
            async with house.narrow() as stub:
                call = stub.Generate(question(), metadata=house.gateway.bearer())
                await left(house)
                await until(lambda: "_handle_exceptions" not in tasks())
            assert call.done()

    async def test_stream_predict_ends_too_slow(self, tmp_path: Path) -> None:
        """The simple entry keeps the same rule."""
        async with opened(tmp_path, FLOOD, environment=IMPATIENT, config=NEVER_SEARCH) as house:
            request = deepseek_pb2.ModelRequest(text="hi")
            call = house.gateway.deepseek.StreamPredict(request, metadata=house.gateway.bearer())
            receipt = await left(house)
            assert receipt.reason == "CLIENT_TOO_SLOW"
            await until(lambda: "_handle_exceptions" not in tasks())
            _, told = await streamed(call)
            assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "CLIENT_TOO_SLOW")

    async def test_converse_ends_too_slow_with_every_turn(self, tmp_path: Path) -> None:
        """Nobody reads the stream, so no turn of it can be told anything."""
        script = by_prompt({"flood": FLOOD, "long": words(1)})
        async with opened(tmp_path, script, environment=IMPATIENT) as house, house.narrow() as stub:
            call = stub.Converse(metadata=house.gateway.bearer())
            await call.write(asked("b", "long"))
            await house.upstream.request(0)
            await call.write(asked("a", "flood"))
            for number in range(2):
                await (await house.upstream.request(number)).closed.wait()
            await until(lambda: all(finish is not None for finish in finishes(house).values()))
            assert {r.turn_id: r.reason for r in house.receipts()}["a"] == "CLIENT_TOO_SLOW"
            await until(lambda: "_handle_exceptions" not in tasks())
            outcome = await outcome_of(call)
            outcome.check_numbers()
            assert (outcome.status.code, outcome.status.reason) == (
                grpc.StatusCode.ABORTED,
                "CLIENT_TOO_SLOW",
            )

    async def test_an_answer_that_is_whole_but_not_taken(self, tmp_path: Path) -> None:
        """The upstream is done, its last frames are not read: the call does not wait for ever."""
        whole = Reply.answer(*["x" * 10_000] * 30)
        async with opened(tmp_path, whole, environment=IMPATIENT) as house, house.narrow() as stub:
            call = stub.Generate(question(), metadata=house.gateway.bearer())
            await house.receipt()
            await until(lambda: "_handle_exceptions" not in tasks())
            outcome = await outcome_of(call)
            outcome.check_frames()
            assert outcome.status.reason == "CLIENT_TOO_SLOW"

    async def test_a_slow_caller_is_not_a_slow_model(self, tmp_path: Path) -> None:
        """The model's timer does not run while the caller is waited for."""
        environment = {"GATEWAY_TIMERS_SILENCE_S": "0.1", "GATEWAY_TIMERS_CLIENT_STALL_S": "60"}
        script = Reply.events(*[BIG] * 50, *Reply.answer("end").steps)
        async with opened(tmp_path, script, environment=environment) as house, house.narrow() as stub:
            call = stub.Generate(question(), metadata=house.gateway.bearer())
            await read_kind(call, "delta")
            await asyncio.sleep(0.3)
            outcome = await outcome_of(call)
            outcome.check_ok()
            assert outcome.end.finish == inference_pb2.FINISH_STOP


async def in_time(house: House, how: str) -> Outcome:
    """Asks with about a second to spare, in one of the two ways."""
    if how == "deadline of the call":
        return await house.outcome(timeout=1.2)
    return await house.outcome(question(timeout=Duration(nanos=800_000_000)))


def check_deadline(outcome: Outcome, receipt: Receipt, billed: str) -> None:
    """The status says what happened, where the receipt is, and that a repeat is not free."""
    status = outcome.status
    assert (status.code, status.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    assert status.facts["receipt_id"] == receipt.receipt_id
    assert (status.facts["billed"], status.facts["retryable"]) == (billed, "false")
    assert receipt.finish is Finish.DEADLINE
