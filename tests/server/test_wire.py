"""What one call sends: in order, counted as gRPC takes it, and given up when nobody reads."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc.aio
import pytest

from gateway.domain.errors import CallerLeft, GatewayError, Reason
from gateway.server.wire import BUSY, Wire

PATIENT_S, IMPATIENT_S = 60.0, 0.02


class ScriptedContext:
    """Takes one message at a time, as gRPC does: a cancelled sender's message stays in the way until `read`."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.tries = 0
        self._in_the_way: asyncio.Future[None] | None = None
        self._reads = True

    def stop_reading(self) -> None:
        """Messages wait from now on."""
        self._reads = False

    def read_on(self) -> None:
        """What waits goes out, and so does all that follows."""
        self._reads = True
        waiting, self._in_the_way = self._in_the_way, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def write(self, message: object) -> None:
        self.tries += 1
        if self._in_the_way is not None:
            raise grpc.aio.InternalError(f"Failed grpc_call_start_batch: 8 {BUSY}")
        self.taken.append(message)
        if not self._reads:
            self._in_the_way = asyncio.get_running_loop().create_future()
            await self._in_the_way


class GoneContext:
    """A call that is over."""

    async def write(self, _message: object) -> None:
        raise grpc.aio.InternalError("Failed execute_batch")


def start(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A sender in a task of its own. Any: what coroutines of the standard library are typed by."""
    return asyncio.get_running_loop().create_task(work)


async def until(true: Callable[[], bool]) -> None:
    """Waits for something to become true; the timeout is a hang guard."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def tried(context: ScriptedContext, times: int) -> None:
    """Waits until gRPC has been asked so many times more."""
    wanted = context.tries + times
    await until(lambda: context.tries >= wanted)


async def test_messages_are_counted_as_they_are_taken() -> None:
    """One after the other."""
    context = ScriptedContext()
    wire = Wire(context, PATIENT_S)
    for number in range(3):
        assert wire.taken == number
        await wire.send(number)
    await wire.aclose()
    assert (context.taken, wire.taken) == ([0, 1, 2], 3)


@pytest.mark.parametrize("sent_before", [0, 1], ids=["the first", "a later one"])
async def test_a_message_whose_sender_was_cancelled_goes_out_before_the_next(sent_before: int) -> None:
    """It counts, because it cannot be taken back; the next one waits until it is out."""
    context = ScriptedContext()
    wire = Wire(context, PATIENT_S)
    for number in range(sent_before):
        await wire.send(number)
    context.stop_reading()
    cancelled = start(wire.send("cancelled"))
    await until(lambda: "cancelled" in context.taken)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert cancelled.cancelled()
    assert wire.taken == sent_before + 1
    following = start(wire.send("next"))
    await tried(context, 3)
    assert (following.done(), wire.taken) == (False, sent_before + 1)
    context.read_on()
    await following
    await wire.aclose()
    assert context.taken[-2:] == ["cancelled", "next"]
    assert wire.taken == sent_before + 2


async def test_a_sender_that_is_cancelled_while_it_waits_its_turn_has_sent_nothing() -> None:
    """So the next message has its number."""
    context = ScriptedContext()
    wire = Wire(context, PATIENT_S)
    await wire.send(1)
    context.stop_reading()
    for message in ("in the way", "never sent"):
        sender = start(wire.send(message))
        await tried(context, 1)
        sender.cancel()
        await asyncio.wait([sender])
    assert wire.taken == 2
    context.read_on()
    await wire.send("sent")
    await wire.aclose()
    assert context.taken == [1, "in the way", "sent"]


@pytest.mark.parametrize("sent_before", [0, 1], ids=["the first", "a later one"])
async def test_a_message_that_nobody_takes_ends_the_call(sent_before: int) -> None:
    """And every later message finds it ended."""
    context = ScriptedContext()
    wire = Wire(context, IMPATIENT_S)
    for number in range(sent_before):
        await wire.send(number)
    context.stop_reading()
    for _ in range(2):
        with pytest.raises(GatewayError) as ended:
            await wire.send("untaken")
        assert ended.value.reason is Reason.CLIENT_TOO_SLOW
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await wire.aclose()


async def test_many_messages_that_are_taken_in_time_are_never_too_slow() -> None:
    """The timer is about one message, not about all of them."""
    context = ScriptedContext()
    wire = Wire(context, IMPATIENT_S)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 5 * IMPATIENT_S
    while loop.time() < until_s:
        await wire.send("taken")
        await asyncio.sleep(0)
    await asyncio.sleep(2 * IMPATIENT_S)
    await wire.send("after a silence")
    await wire.aclose()
    assert wire.taken == len(context.taken)


async def test_a_caller_who_has_left_is_no_slow_one() -> None:
    """Also with the first message."""
    wire = Wire(GoneContext(), PATIENT_S)
    for _ in range(2):
        with pytest.raises(CallerLeft):
            await wire.send("nobody is there")
    assert wire.taken == 0
    await wire.aclose()


async def test_a_cancel_on_top_of_the_timer_stays_a_cancel() -> None:
    """Whoever cancelled the sender is still waiting for it to end that way."""
    context = ScriptedContext()
    context.stop_reading()
    wire = Wire(context, IMPATIENT_S)

    async def cancelled_twice() -> None:
        try:
            await wire.send("untaken")
        finally:
            await wire.aclose()

    sender = start(cancelled_twice())
    await until(lambda: wire._too_slow)
    sender.cancel()
    await asyncio.wait([sender])
    assert sender.cancelled()
