"""Several turns at once on one stream, against a scripted gateway."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from gateway.v1 import content_pb2, inference_pb2
from gateway_client import GatewayCallError, GatewayClient
from tests.support.scripted_gateway import Refusal, ScriptedGateway, ended, scripted_gateway, text, unavailable

GUARD_S = 10
Frames = AsyncIterator[inference_pb2.ClientFrame]


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway."""
    async with scripted_gateway() as running:
        yield running


def client_of(gateway: ScriptedGateway, **options: Any) -> GatewayClient:
    """A client without jitter."""
    return GatewayClient(gateway.target, **{"token": "good", "chance": lambda: 0.0, **options})


class Script:
    """Greets, then hands each client frame to `handle`; `heard` keeps their kinds."""

    def __init__(self) -> None:
        self.heard: list[str | None] = []
        self.half_closed = asyncio.Event()
        self._seq = 0

    async def __call__(self, frames: Frames, context: Any) -> None:
        async for frame in frames:
            self.heard.append(frame.WhichOneof("frame"))
            if frame.HasField("open"):
                await self.say(context, "", opened=inference_pb2.Opened(session_id="s1"))
            else:
                await self.handle(frame, context)
        self.half_closed.set()
        await self.finish(context)

    async def say(self, context: Any, turn_id: str, **kind: Any) -> None:
        """One server frame with the next number."""
        self._seq += 1
        await context.write(inference_pb2.ServerFrame(seq=self._seq, turn_id=turn_id, **kind))

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """What to answer."""

    async def finish(self, context: Any) -> None:
        """What to do once the caller has half-closed."""


class Interleaved(Script):
    """Waits for two turns and answers them in turns, the second one first."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[str] = []

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """Answers once both are there."""
        self.turns.append(frame.turn.turn_id)
        if len(self.turns) < 2:
            return
        for part in ("1", "2"):
            for turn_id in reversed(self.turns):
                await self.say(context, turn_id, delta=text(f"{turn_id}{part} "))
        for turn_id in self.turns:
            await self.say(context, turn_id, end=ended())


async def test_several_turns_run_at_once_and_each_gets_its_own_frames(gateway: ScriptedGateway) -> None:
    """Frames are sorted by turn, in whatever order they are read."""
    gateway.converse = Interleaved()
    async with client_of(gateway) as client, client.converse() as talk:
        assert talk.opened is not None and talk.opened.session_id == "s1"
        first = await talk.send(prompt="one", turn_id="a")
        second = await talk.send(prompt="two", turn_id="b")
        answers = [await first.answer(), await second.answer()]
    assert [answer.text for answer in answers] == ["a1 a2 ", "b1 b2 "]
    assert [frame async for frame in first] == []


class Patient(Script):
    """Runs every turn until it is cancelled; ends the rest after the half-close."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """Starts turns and stops cancelled ones."""
        if frame.HasField("turn"):
            self.running.append(frame.turn.turn_id)
            await self.say(context, frame.turn.turn_id, delta=text("…"))
        elif frame.HasField("cancel"):
            self.running.remove(frame.cancel.turn_id)
            await self.say(context, frame.cancel.turn_id, end=ended(inference_pb2.FINISH_CANCELLED))

    async def finish(self, context: Any) -> None:
        """The caller has nothing more to say, and still gets its answers."""
        for turn_id in self.running:
            await self.say(context, turn_id, end=ended())


async def test_one_turn_is_cancelled_and_the_others_go_on(gateway: ScriptedGateway) -> None:
    """A cancelled turn ends with its own `end`; a half-close lets the other one finish."""
    gateway.converse = Patient()
    async with client_of(gateway) as client, client.converse() as talk:
        first, second = await talk.send(prompt="one"), await talk.send(prompt="two")
        await first.cancel()
        assert (await first.answer()).finish == inference_pb2.FINISH_CANCELLED
        await talk.half_close()
        assert (await second.answer()).finish == inference_pb2.FINISH_STOP
        with pytest.raises(RuntimeError, match="half-closed"):
            await talk.send(prompt="three")
    assert not gateway.calls[0].left.is_set()


async def test_leaving_a_turn_cancels_it_alone(gateway: ScriptedGateway) -> None:
    """`async with` around a turn cancels it on the way out; the stream lives on."""
    gateway.converse = script = Patient()
    async with client_of(gateway) as client, client.converse() as talk:
        async with await talk.send(prompt="one") as turn:
            await anext(turn)
        async with await talk.send(prompt="two") as other:
            await other.cancel()
            assert (await other.answer()).finish == inference_pb2.FINISH_CANCELLED
    assert script.heard == ["open", "turn", "cancel", "turn", "cancel"]


async def test_waiting_for_a_frame_may_be_given_up_without_harm(gateway: ScriptedGateway) -> None:
    """A timeout around one turn's next frame ends neither the turn nor the stream."""
    gateway.converse = Patient()
    async with client_of(gateway) as client, client.converse() as talk:
        turn = await talk.send(prompt="one")
        await anext(turn)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(turn)
        await turn.cancel()
        assert (await turn.answer()).finish == inference_pb2.FINISH_CANCELLED


async def test_leaving_a_conversation_cancels_the_call(gateway: ScriptedGateway) -> None:
    """The server sees the caller go, and so does whoever waits for a frame here."""
    gateway.converse = Patient()
    async with client_of(gateway) as client:
        async with client.converse() as talk:
            turn = await talk.send(prompt="one")
            await anext(turn)
            waiting = asyncio.create_task(turn.answer())
            await asyncio.sleep(0)
        with pytest.raises(GatewayCallError, match="closed"):
            await waiting
        await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)


class Refusing(Script):
    """Refuses the stream: the first time at its opening, later with the first turn."""

    def __init__(self, refusal: Refusal, openings: int) -> None:
        super().__init__()
        self._refusal = refusal
        self._openings = openings

    async def say(self, context: Any, turn_id: str, **kind: Any) -> None:
        """Refuses to greet at first."""
        self._openings -= 1
        if self._openings >= 0:
            await self.refuse(context)
        await super().say(context, turn_id, **kind)

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """Refuses every turn with the end of the stream."""
        await self.refuse(context)

    async def refuse(self, context: Any) -> None:
        """Ends the stream."""
        await context.abort(self._refusal.code, self._refusal.message, self._refusal.trailing())


async def test_opening_is_retried_and_a_running_conversation_is_not(gateway: ScriptedGateway) -> None:
    """Before the greeting nothing is committed; after it the trouble is the caller's to see, in every turn."""
    gateway.converse = Refusing(unavailable(), openings=2)
    async with client_of(gateway) as client, client.converse() as talk:
        assert len(gateway.calls) == 3
        turn = await talk.send(prompt="one")
        with pytest.raises(GatewayCallError, match="OVERLOADED"):
            await anext(turn)
        with pytest.raises(GatewayCallError, match="OVERLOADED"):
            await talk.send(prompt="two")
    assert len(gateway.calls) == 3


class Faulty(Script):
    """Every turn has trouble of its own."""

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """A fault, then the end."""
        fault = inference_pb2.Fault(
            code=grpc.StatusCode.UNAVAILABLE.value[0],
            reason="UPSTREAM_UNAVAILABLE",
            message="down",
            retryable=True,
        )
        await self.say(context, frame.turn.turn_id, fault=fault)
        await self.say(context, frame.turn.turn_id, end=ended(inference_pb2.FINISH_ERROR))


async def test_a_fault_ends_its_turn_and_not_the_stream(gateway: ScriptedGateway) -> None:
    """The fault is a frame; `raise_for_fault` makes an error of it when asked to."""
    gateway.converse = Faulty()
    async with client_of(gateway) as client, client.converse() as talk:
        for prompt in ("one", "two"):
            answer = await (await talk.send(prompt=prompt)).answer()
            with pytest.raises(GatewayCallError, match="UPSTREAM_UNAVAILABLE: down: try again") as caught:
                answer.raise_for_fault()
    assert (caught.value.code, caught.value.receipt_id) == (grpc.StatusCode.UNAVAILABLE, "r1")


class Rotating:
    """A token source whose token changes after the stream was opened."""

    def __init__(self) -> None:
        self.current = "old"

    async def token(self, refresh: bool) -> str | None:
        """The token of the moment."""
        return self.current


async def test_a_new_token_is_handed_over_before_the_next_turn(gateway: ScriptedGateway) -> None:
    """A long conversation outlives its first token, and says so only when it changed."""
    gateway.converse = script = Patient()
    tokens = Rotating()
    async with client_of(gateway, token=tokens) as client, client.converse() as talk:
        await talk.send(prompt="one")
        tokens.current = "new"
        await talk.send(prompt="two")
        await (await talk.send(prompt="three")).cancel()
        await talk.half_close()
        await asyncio.wait_for(script.half_closed.wait(), GUARD_S)
    assert script.heard == ["open", "turn", "credential", "turn", "turn", "cancel"]
    assert gateway.calls[0].metadata["authorization"] == "Bearer old"


class Chatty(Script):
    """Sends far more frames for one turn than anybody reads, then ends the other turn."""

    async def handle(self, frame: inference_pb2.ClientFrame, context: Any) -> None:
        """The first turn floods, the second one is answered at once."""
        if frame.turn.turn_id == "flood":
            for _ in range(3000):
                await self.say(context, "flood", delta=text("x"))
            await self.say(context, "flood", end=ended())
        else:
            await self.say(context, frame.turn.turn_id, end=ended())


async def test_a_turn_that_nobody_reads_holds_up_no_other(gateway: ScriptedGateway) -> None:
    """The frames of an unread turn are kept while another one is waited for, and none is lost."""
    gateway.converse = Chatty()
    async with client_of(gateway) as client, client.converse() as talk:
        flood = await talk.send(prompt="one", turn_id="flood")
        quick = await talk.send(prompt="two", turn_id="quick")
        assert (await quick.answer()).finish == inference_pb2.FINISH_STOP
        assert (await flood.answer()).text == "x" * 3000


async def test_a_turn_id_that_runs_already_is_refused_here(gateway: ScriptedGateway) -> None:
    """Two running turns of one id could not be told apart."""
    gateway.converse = Patient()
    message = content_pb2.Message(role=content_pb2.ROLE_USER, content="one")
    async with client_of(gateway) as client, client.converse() as talk:
        await talk.send(inference_pb2.Turn(turn_id="a", messages=[message]))
        with pytest.raises(ValueError, match="running already"):
            await talk.send(prompt="two", turn_id="a")
