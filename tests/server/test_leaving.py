"""Whoever leaves, and whenever: the upstream's socket closes, one receipt says how it ended, and nothing stays.

Every house is swept when it closes (`tests.support.sweep`). What is asserted is order and outcome, never a time.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

import deepseek_pb2
from gateway import plugins
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.search import Hit, SearchProvider, SearchQuery
from gateway.v1 import inference_pb2
from tests.support.chat_events import reasoning_chunk, text_chunk
from tests.support.sweep import (
    House,
    Outcome,
    opened,
    outcome_of,
    outcome_of_texts,
    question,
    read_kind,
    tasks,
    until,
)
from tests.support.upstream import STALL, Exchange, Reply

ClientFrame = inference_pb2.ClientFrame
CANCELLED = inference_pb2.FINISH_CANCELLED
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
    return ClientFrame(turn=question(prompt, turn_id=turn_id, **options))


def cancel(turn_id: str = "") -> inference_pb2.ClientFrame:
    """A cancel frame."""
    return ClientFrame(cancel=inference_pb2.Cancel(turn_id=turn_id))


async def left(house: House, exchange: int = 0) -> Receipt:
    """The receipt of the only turn, once the upstream's socket has closed."""
    await (await house.upstream.request(exchange)).closed.wait()
    return await house.receipt()


class TestCancellingACall:
    """The caller cancels the RPC."""

    @pytest.mark.parametrize(
        ("reply", "texts"),
        [(SILENT, 0), (KEPT_ALIVE, 0), (THINKS, 0), (words(1), 1), (words(2), 2), (words(50), 50)],
        ids=["before headers", "before output", "while it thinks", "after 1", "after 2", "after 50"],
    )
    async def test_generate_at_any_moment(self, tmp_path: Path, reply: Reply, texts: int) -> None:
        """What had arrived is charged, the prompt included."""
        async with opened(tmp_path, reply, environment=PATIENT) as house:
            call = house.generate()
            await house.upstream.request()
            text = ""
            while len(text.split()) < texts:
                text += (await read_kind(call, "delta")).delta.text
            call.cancel()
            receipt = await left(house)
            assert (receipt.finish, receipt.reason) == (Finish.CANCELLED, "CANCELLED")
            assert receipt.settled.prompt_tokens > 0
            assert receipt.settled.completion_tokens >= texts
            assert [attempt.outcome for attempt in receipt.attempts] == ["abandoned"]

    @pytest.mark.parametrize(
        "reply", [SILENT, KEPT_ALIVE, words(3)], ids=["before headers", "before output", "after 3"]
    )
    @pytest.mark.parametrize("method", ["Complete", "StreamPredict"])
    async def test_the_other_single_turn_methods(self, tmp_path: Path, method: str, reply: Reply) -> None:
        """Alike, whether the answer is streamed or folded."""
        async with opened(tmp_path, reply, environment=PATIENT, config=NEVER_SEARCH) as house:
            if method == "Complete":
                call = house.gateway.inference.Complete(question(), metadata=house.gateway.bearer())
            else:
                request = deepseek_pb2.ModelRequest(text="hi")
                call = house.gateway.deepseek.StreamPredict(request, metadata=house.gateway.bearer())
            await house.upstream.request()
            call.cancel()
            receipt = await left(house)
            assert receipt.finish is Finish.CANCELLED

    async def test_while_its_receipt_is_being_written(self, tmp_path: Path) -> None:
        """The disk hangs, the caller leaves, the disk comes back: the receipt is closed, and nobody was asked."""
        async with opened(tmp_path, words(1)) as house:
            with house.stuck_books():
                call = house.generate()
                await until(lambda: house.limiter.held() == 1)
                call.cancel()
                await until(lambda: house.limiter.held() == 0)
            receipt = await house.receipt()
            assert (receipt.finish, receipt.settled.cost_nano_usd) == (Finish.CANCELLED, 0)
            assert house.upstream.exchanges == []

    async def test_during_the_search(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No model call starts after the cancel."""
        search = HangingSearch()
        monkeypatch.setattr(plugins, "load", lambda *_: search)
        async with opened(tmp_path, words(1)) as house:
            always = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)
            call = house.generate(question(search=always))
            await search.asked.wait()
            call.cancel()
            await search.left.wait()
            receipt = await house.receipt()
            assert (receipt.finish, receipt.settled.prompt_tokens) == (Finish.CANCELLED, 0)
            assert house.upstream.exchanges == []

    async def test_a_channel_that_is_dropped_cancels_its_calls(self, tmp_path: Path) -> None:
        """All of them."""
        async with opened(tmp_path, words(1)) as house:
            async with house.narrow() as stub:
                calls = [stub.Generate(question(), metadata=house.gateway.bearer()) for _ in range(3)]
                for call in calls:
                    await read_kind(call, "delta")
            for number in range(3):
                await (await house.upstream.request(number)).closed.wait()
            await until(lambda: [r.finish for r in house.receipts()] == [Finish.CANCELLED] * 3)

    @pytest.mark.parametrize("method", ["Generate", "Converse"])
    async def test_a_caller_that_is_killed_has_left(self, tmp_path: Path, method: str) -> None:
        """SIGKILL: its kernel closes the connection, and that is enough."""
        async with opened(tmp_path, words(1)) as house:
            caller = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.lone_caller", house.gateway.target, method,
                cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert caller.stdout is not None
            assert await caller.stdout.readline() == b"reading\n"
            caller.send_signal(signal.SIGKILL)
            await caller.wait()
            receipt = await left(house)
            assert (receipt.finish, receipt.tenant) == (Finish.CANCELLED, "dev")


class TestConverse:
    """Several turns share a stream, and leave it one by one."""

    async def test_cancelling_one_turn_leaves_the_other(self, tmp_path: Path) -> None:
        """It ends FINISH_CANCELLED without a fault; the other one is answered in full."""
        go_on = asyncio.Event()
        other = Reply.events(text_chunk("first "), go_on, *Reply.answer("second").steps)
        async with opened(tmp_path, by_prompt({"a": words(1), "b": other}), environment=PATIENT) as house:
            call = house.converse()
            await call.write(asked("a", "a"))
            await read_kind(call, "delta")
            await call.write(asked("b", "b"))
            await read_kind(call, "delta")
            await call.write(cancel("a"))
            end = await read_kind(call, "end")
            assert (end.turn_id, end.end.finish) == ("a", CANCELLED)
            await house.upstream.exchanges[0].closed.wait()
            assert not house.upstream.exchanges[1].closed.is_set()
            go_on.set()
            await call.done_writing()
            rest = await outcome_of(call)
            assert (rest.refusal, rest.text, rest.end.finish) == (None, "second", inference_pb2.FINISH_STOP)
            assert finishes(house) == {"a": Finish.CANCELLED, "b": Finish.STOP}

    async def test_cancelling_every_turn_leaves_the_stream(self, tmp_path: Path) -> None:
        """An empty id means all of them, and a new turn is answered."""
        async with opened(tmp_path, by_prompt({"long": words(1), "short": Reply.answer("ok")})) as house:
            call = house.converse()
            for turn_id in "ab":
                await call.write(asked(turn_id, "long"))
                await read_kind(call, "delta")
            await call.write(cancel())
            ends = [await read_kind(call, "end"), await read_kind(call, "end")]
            assert {(end.turn_id, end.end.finish) for end in ends} == {("a", CANCELLED), ("b", CANCELLED)}
            await call.write(asked("c", "short"))
            await call.done_writing()
            rest = await outcome_of(call)
            assert (rest.refusal, rest.text) == (None, "ok")

    async def test_a_cancel_of_nothing_is_no_fault(self, tmp_path: Path) -> None:
        """The turn may have ended while the frame was on its way."""
        async with opened(tmp_path, Reply.answer("ok")) as house:
            call = house.converse()
            await call.write(cancel("never-was"))
            await call.write(asked("a", "hi"))
            await call.done_writing()
            outcome = await outcome_of(call)
            assert (outcome.refusal, outcome.text) == (None, "ok")

    async def test_half_close_lets_running_turns_finish(self, tmp_path: Path) -> None:
        """No more input is not a cancel."""
        go_on = asyncio.Event()
        reply = Reply.events(text_chunk("a"), go_on, *Reply.answer("b").steps)
        async with opened(tmp_path, reply, environment=PATIENT) as house:
            call = house.converse()
            await call.write(asked("a", "hi"))
            await call.write(asked("b", "hi"))
            await call.done_writing()
            await house.upstream.request(1)
            go_on.set()
            outcome = await outcome_of(call)
            assert outcome.refusal is None
            outcome_ends = [frame for frame in outcome.frames if frame.WhichOneof("frame") == "end"]
            assert {frame.turn_id for frame in outcome_ends} == {"a", "b"}
            assert finishes(house) == {"a": Finish.STOP, "b": Finish.STOP}

    async def test_cancelling_the_stream_cancels_its_turns(self, tmp_path: Path) -> None:
        """Each with its receipt."""
        async with opened(tmp_path, words(1)) as house:
            call = house.converse()
            for turn_id in "ab":
                await call.write(asked(turn_id, "hi"))
                await read_kind(call, "delta")
            call.cancel()
            for exchange in house.upstream.exchanges:
                await exchange.closed.wait()
            await until(lambda: finishes(house) == {"a": Finish.CANCELLED, "b": Finish.CANCELLED})

    async def test_a_turn_and_then_its_stream_cancelled_is_settled_once(self, tmp_path: Path) -> None:
        """The second cancel comes while the first is being settled, on a disk that hangs."""
        async with opened(tmp_path, words(1)) as house:
            call = house.converse()
            await call.write(asked("a", "hi"))
            await read_kind(call, "delta")
            with house.stuck_books():
                await call.write(cancel("a"))
                await house.upstream.exchanges[0].closed.wait()
                await until(lambda: house.limiter.held() == 0)
                call.cancel()
                await until(lambda: "_handle_exceptions" not in tasks())
            receipt = await house.receipt()
            assert (receipt.finish, receipt.settled.completion_tokens) == (Finish.CANCELLED, 1)

    async def test_a_turn_is_cancelled_while_its_reader_is_behind(self, tmp_path: Path) -> None:
        """Its upstream closes at once; its end and the other turn arrive when the reader reads on."""
        script = by_prompt({"flood": FLOOD, "short": Reply.answer("ok")})
        async with opened(tmp_path, script, environment=PATIENT) as house, house.narrow() as stub:
            call = stub.Converse(metadata=house.gateway.bearer())
            await call.write(asked("a", "flood"))
            exchange = await house.upstream.request()
            await held_up(exchange)
            await call.write(cancel("a"))
            await exchange.closed.wait()
            await call.write(asked("b", "short"))
            await call.done_writing()
            outcome = await outcome_of(call)
            assert outcome.refusal is None
            check_numbers(outcome)
            ends = {f.turn_id: f.end.finish for f in outcome.frames if f.WhichOneof("frame") == "end"}
            assert ends == {"a": CANCELLED, "b": inference_pb2.FINISH_STOP}
            assert finishes(house) == {"a": Finish.CANCELLED, "b": Finish.STOP}


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
            await call.write(asked("a", "long", timeout=Duration(nanos=300_000_000)))
            fault = (await read_kind(call, "fault")).fault
            assert (fault.reason, fault.code, fault.charged) == ("DEADLINE", 4, True)
            end = (await read_kind(call, "end")).end
            assert end.finish == inference_pb2.FINISH_DEADLINE
            await call.write(asked("b", "short"))
            await call.done_writing()
            rest = await outcome_of(call)
            assert (rest.refusal, rest.text) == (None, "ok")

    async def test_while_the_reader_is_behind(self, tmp_path: Path) -> None:
        """The upstream closes at the deadline; what is said of it waits for the reader."""
        async with opened(tmp_path, FLOOD, environment=PATIENT) as house, house.narrow() as stub:
            turn = question(timeout=Duration(nanos=500_000_000))
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
            call = house.generate(question(timeout=Duration(nanos=300_000_000)))
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
            assert (outcome.status.code, outcome.status.info.reason) == (
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
            outcome = await outcome_of_texts(call)
            assert (outcome.code, outcome.info.reason) == (grpc.StatusCode.ABORTED, "CLIENT_TOO_SLOW")

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
            check_numbers(outcome)
            assert (outcome.status.code, outcome.status.info.reason) == (
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
            assert outcome.status.info.reason == "CLIENT_TOO_SLOW"

    async def test_a_slow_caller_is_not_a_slow_model(self, tmp_path: Path) -> None:
        """The model's timer does not run while the caller is waited for."""
        environment = {"GATEWAY_TIMERS_SILENCE_S": "0.1", "GATEWAY_TIMERS_CLIENT_STALL_S": "60"}
        script = Reply.events(*[BIG] * 50, *Reply.answer("end").steps)
        async with opened(tmp_path, script, environment=environment) as house, house.narrow() as stub:
            call = stub.Generate(question(), metadata=house.gateway.bearer())
            await read_kind(call, "delta")
            await asyncio.sleep(0.3)
            outcome = await outcome_of(call)
            assert outcome.refusal is None
            assert outcome.end.finish == inference_pb2.FINISH_STOP


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


def check_numbers(outcome: Outcome) -> None:
    """Every frame of the stream has the next number, whoever it belongs to."""
    assert [frame.seq for frame in outcome.frames] == list(range(1, len(outcome.frames) + 1))


async def in_time(house: House, how: str) -> Outcome:
    """Asks with half a second to spare, in one of the two ways."""
    if how == "deadline of the call":
        return await house.outcome(timeout=0.6)
    return await house.outcome(question(timeout=Duration(nanos=300_000_000)))


def check_deadline(outcome: Outcome, receipt: Receipt, billed: str) -> None:
    """The status says what happened, where the receipt is, and that a repeat is not free."""
    status = outcome.status
    assert (status.code, status.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    assert status.facts["receipt_id"] == receipt.receipt_id
    assert (status.facts["billed"], status.facts["retryable"]) == (billed, "false")
    assert receipt.finish is Finish.DEADLINE
