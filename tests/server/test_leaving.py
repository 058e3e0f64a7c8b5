"""Whoever leaves, and whenever: the upstream's socket closes, one receipt says how it ended, and nothing stays.

Every house is swept when it closes (`tests.support.sweep`). What is asserted is order and outcome, never a time.
"""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

import deepseek_pb2
from gateway import plugins
from gateway.domain.events import Finish
from gateway.v1 import inference_pb2
from tests.support.chat_events import text_chunk
from tests.support.outcomes import outcome_of, read_kind
from tests.support.sweep import opened, question, tasks, until
from tests.support.unfinished import (
    FLOOD,
    KEPT_ALIVE,
    NEVER_SEARCH,
    PATIENT,
    SILENT,
    THINKS,
    HangingSearch,
    asked,
    by_prompt,
    cancel,
    finishes,
    held_up,
    left,
    words,
)
from tests.support.upstream import Reply

CANCELLED = inference_pb2.FINISH_CANCELLED


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
            rest.check_ok()
            assert (rest.text, rest.end.finish) == ("second", inference_pb2.FINISH_STOP)
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
            rest.check_ok()
            assert rest.text == "ok"

    async def test_a_cancel_of_nothing_is_no_fault(self, tmp_path: Path) -> None:
        """The turn may have ended while the frame was on its way."""
        async with opened(tmp_path, Reply.answer("ok")) as house:
            call = house.converse()
            await call.write(cancel("never-was"))
            await call.write(asked("a", "hi"))
            await call.done_writing()
            outcome = await outcome_of(call)
            outcome.check_ok()
            assert outcome.text == "ok"

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
            outcome.check_ok()
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
            outcome.check_ok()
            outcome.check_numbers()
            ends = {f.turn_id: f.end.finish for f in outcome.frames if f.WhichOneof("frame") == "end"}
            assert ends == {"a": CANCELLED, "b": inference_pb2.FINISH_STOP}
            assert finishes(house) == {"a": Finish.CANCELLED, "b": Finish.STOP}
