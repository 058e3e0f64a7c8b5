"""`gateway chat` over one stream, from a pipe and from a terminal."""

import asyncio
import contextlib
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.v1 import inference_pb2
from tests.support.scripted_gateway import ScriptedGateway, ended, scripted_gateway, text

GUARD_S = 30
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway that keeps an echo."""
    async with scripted_gateway() as running:
        running.converse = Echo()
        yield running


class Echo:
    """Answers each turn in capitals; `slow` runs until it is cancelled, `bad` has a fault."""

    def __init__(self) -> None:
        self.turns: list[inference_pb2.Turn] = []
        self.half_closed = asyncio.Event()

    async def __call__(self, frames: AsyncIterator[inference_pb2.ClientFrame], context: Any) -> None:
        async for frame in frames:
            for kind in self.answer(frame):
                await context.write(kind)
        self.half_closed.set()

    def answer(self, frame: inference_pb2.ClientFrame) -> list[inference_pb2.ServerFrame]:
        """The frames for one client frame."""
        if frame.HasField("open"):
            return [inference_pb2.ServerFrame(opened=inference_pb2.Opened())]
        if frame.HasField("cancel"):
            turn_id = frame.cancel.turn_id
            return [inference_pb2.ServerFrame(turn_id=turn_id, end=ended(inference_pb2.FINISH_CANCELLED))]
        turn = frame.turn
        self.turns.append(turn)
        said = turn.messages[-1].content
        first = inference_pb2.ServerFrame(turn_id=turn.turn_id, delta=text(said.upper()))
        if said == "bad":
            first.fault.reason, first.fault.message = "UPSTREAM_UNAVAILABLE", "down"
        end = inference_pb2.ServerFrame(turn_id=turn.turn_id, end=ended())
        return [first] if said == "slow" else [first, end]


async def start(target: str, *words: str, **streams: Any) -> asyncio.subprocess.Process:
    """Starts `gateway chat` with a clean environment."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "chat",
        *words,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "GATEWAY_GRPC_TARGET": target, "GATEWAY_TOKEN": "good"},
        **streams,
    )


async def chat(target: str, lines: str) -> tuple[int | None, str, str]:
    """(exit code, standard output, standard error) of a chat from a pipe."""
    pipe = asyncio.subprocess.PIPE
    process = await start(target, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(lines.encode()), GUARD_S)
    return process.returncode, out.decode(), err.decode()


async def test_each_line_is_a_turn_on_one_stream_with_its_history(gateway: ScriptedGateway) -> None:
    """Two turns, one call; the second one carries the first."""
    code, out, err = await chat(gateway.target, "one\n\n/model m\ntwo\n")
    assert (code, err) == (0, "asking m\n")
    assert out.startswith("ONE\n\ndeepseek-flash · stop")
    assert "\nTWO\n\ndeepseek-flash" in out
    assert [call.method for call in gateway.calls] == ["Converse"]
    assert isinstance(gateway.converse, Echo)
    assert [m.content for m in gateway.converse.turns[1].messages] == ["one", "ONE", "two"]
    assert gateway.converse.turns[1].model == "m"
    await asyncio.wait_for(gateway.converse.half_closed.wait(), GUARD_S)


async def test_a_turn_that_fails_is_told_and_the_chat_goes_on(gateway: ScriptedGateway) -> None:
    """The exit code remembers it; the history does not."""
    code, out, err = await chat(gateway.target, "bad\ntwo\n")
    assert code == 1
    assert err == "gateway chat: UPSTREAM_UNAVAILABLE: down (receipt r1)\n"
    assert "TWO\n" in out
    assert isinstance(gateway.converse, Echo)
    assert [m.content for m in gateway.converse.turns[1].messages] == ["two"]


async def test_a_stream_that_the_gateway_left_is_opened_again(gateway: ScriptedGateway) -> None:
    """After a go-away, or a stream that ended while nobody spoke, the next turn finds a new one."""
    echo = gateway.converse
    assert isinstance(echo, Echo)

    async def one_turn_each(frames: AsyncIterator[inference_pb2.ClientFrame], context: Any) -> None:
        async for frame in frames:
            for kind in echo.answer(frame):
                await context.write(kind)
            if frame.HasField("turn"):
                return

    gateway.converse = one_turn_each
    code, out, err = await chat(gateway.target, "one\ntwo\n")
    assert (code, err) == (0, "")
    assert "ONE\n" in out and "TWO\n" in out
    assert [call.method for call in gateway.calls] == ["Converse", "Converse"]


class Terminal:
    """The other side of a pseudo-terminal."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.seen = ""
        self._arrived = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self.seen += os.read(self.descriptor, 65536).decode(errors="replace")
        except OSError:  # the program closed its side
            asyncio.get_running_loop().remove_reader(self.descriptor)
        self._arrived.set()

    def type(self, words: str) -> None:
        """Types at the keyboard."""
        os.write(self.descriptor, words.encode())

    def shows(self, *words: str) -> bool:
        """Whether the screen showed the words, one after the other."""
        return re.search(".*".join(map(re.escape, words)), self.seen, re.DOTALL) is not None

    async def wait_for(self, *words: str) -> None:
        """Waits until the screen showed the words, one after the other."""
        async with asyncio.timeout(GUARD_S):
            while not self.shows(*words):
                await self.news()

    async def news(self) -> None:
        """Waits until something more was shown."""
        self._arrived.clear()
        await self._arrived.wait()


async def test_on_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_leaves(gateway: ScriptedGateway) -> None:
    """Ctrl-C at the prompt explains itself; the stream outlives a stopped answer."""
    ours, theirs = pty.openpty()
    try:
        process = await start(gateway.target, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        screen = Terminal(ours)
        await screen.wait_for("›")
        screen.type("slow\n")
        await screen.wait_for("SLOW")
        process.send_signal(2)
        await screen.wait_for("· cancelled ·", "›")
        # The line editor sleeps through a Ctrl-C that comes between its prompt and its first look at the keyboard,
        # as it would for a person, who presses again.
        async with asyncio.timeout(GUARD_S):
            while not screen.shows("/quit leaves", "›"):
                process.send_signal(2)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(screen.wait_for("/quit leaves", "›"), 3.0)
        screen.type("two\n")
        await screen.wait_for("TWO", "· stop ·", "›")
        async with asyncio.timeout(GUARD_S):
            while process.returncode is None:
                screen.type("\x04")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 1.0)
        assert process.returncode == 0
    finally:
        os.close(ours)
    assert "Traceback" not in screen.seen
    assert isinstance(gateway.converse, Echo)
    assert [m.content for m in gateway.converse.turns[1].messages] == ["two"]
    assert len(gateway.calls) == 1
