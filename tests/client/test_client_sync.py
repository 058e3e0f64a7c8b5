"""The client for programs without an event loop: the same calls, waited for."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.v1 import inference_pb2
from gateway_client import GatewayCallError, SettingsError, SyncGatewayClient, Tls
from tests.support.scripted_gateway import (
    LIMITS,
    RESPONSES,
    ScriptedGateway,
    ended,
    forever,
    frames_of,
    scripted_gateway,
    text,
    unavailable,
)

ANSWER = frames_of(inference_pb2.Accepted(receipt_id="r1"), text("Hel"), text("lo", 3), ended())
GUARD_S = 10
R = TypeVar("R")


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway."""
    async with scripted_gateway() as running:
        yield running


async def apart(program: Callable[[], R]) -> R:
    """Runs a program without an event loop on a thread of its own, while the gateway runs here."""
    return await asyncio.wait_for(asyncio.to_thread(program), GUARD_S)


def client_of(gateway: ScriptedGateway) -> SyncGatewayClient:
    """A client without jitter."""
    return SyncGatewayClient(gateway.target, token="good", chance=lambda: 0.0)


def threads() -> list[str]:
    """The client's own threads."""
    return [thread.name for thread in threading.enumerate() if thread.name == "gateway-client"]


async def test_iterating_gives_the_frames_and_the_thread_ends_with_the_client(gateway: ScriptedGateway) -> None:
    """`with` and `for` are all that is needed, and nothing is left running."""
    gateway.script("Generate", unavailable())
    gateway.script("Generate", *ANSWER)
    gateway.script("Generate", *ANSWER)
    gateway.script("StreamPredict", *RESPONSES)
    gateway.script("GetLimits", LIMITS)

    def program() -> Any:
        with client_of(gateway) as client:
            with client.generate(prompt="Hi", search="never") as frames:
                seen = list(frames)
            with client.generate(prompt="Hi") as frames:
                words = frames.answer().text
            with client.predict("Hi", max_tokens=3) as pieces:
                said = [piece.text for piece in pieces]
            return seen, words, said, client.limits()

    assert await apart(program) == (ANSWER, "Hello", ["Hel", "lo"], LIMITS)
    assert threads() == []


async def test_leaving_a_stream_early_cancels_the_call(gateway: ScriptedGateway) -> None:
    """`break` inside `with` reaches the server, as it does in the asynchronous client."""
    gateway.script("Generate", ANSWER[0], forever)

    def program() -> None:
        with client_of(gateway) as client, client.generate(prompt="Hi") as frames:
            for _ in frames:
                break

    await apart(program)
    await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)


async def test_errors_are_the_same(gateway: ScriptedGateway) -> None:
    """What the asynchronous client raises is raised here, in the calling thread."""
    gateway.script("Complete", unavailable(retryable=False))

    def program() -> None:
        with client_of(gateway) as client:
            client.complete(prompt="Hi")

    with pytest.raises(GatewayCallError, match="OVERLOADED"):
        await apart(program)
    assert threads() == []


async def test_turns_of_a_conversation_are_sent_and_cancelled(gateway: ScriptedGateway) -> None:
    """`Converse` works the same way, one turn or several."""

    async def converse(frames: AsyncIterator[inference_pb2.ClientFrame], context: Any) -> None:
        async for frame in frames:
            say = inference_pb2.ServerFrame(turn_id=frame.turn.turn_id)
            if frame.HasField("open"):
                say.opened.session_id = "s1"
            elif frame.HasField("turn"):
                say.delta.text = "…"
            else:
                say.turn_id = frame.cancel.turn_id
                say.end.CopyFrom(ended(inference_pb2.FINISH_CANCELLED))
            await context.write(say)

    gateway.converse = converse

    def program() -> Any:
        with client_of(gateway) as client, client.converse() as talk:
            assert talk.opened is not None and talk.go_away is None
            turns = [talk.send(prompt="one"), talk.send(prompt="two")]
            turns[0].cancel()
            first = turns[0].answer()
            with turns[1] as second:
                for frame in second:
                    assert frame.turn_id == second.turn_id
                    talk.cancel(second.turn_id)
            talk.half_close()
            return first.text, first.finish

    assert await apart(program) == ("…", inference_pb2.FINISH_CANCELLED)
    assert threads() == []


def test_a_client_that_cannot_open_leaves_no_thread() -> None:
    """A missing CA file is said at once."""
    client = SyncGatewayClient("gw.example:443", token="x", tls=Tls(ca_file=Path("/nowhere/ca.pem")))
    with pytest.raises(SettingsError, match=r"ca\.pem cannot be read"):
        client.__enter__()
    assert threads() == []


def test_a_client_outside_with_says_so() -> None:
    """Without `with` there is no thread, and nobody to end it."""
    with pytest.raises(RuntimeError, match="use `with`"):
        SyncGatewayClient("127.0.0.1:1", token="x").limits()
