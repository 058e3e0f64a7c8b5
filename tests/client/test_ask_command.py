"""`gateway ask` as a person runs it, against a scripted gateway."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from gateway.v1 import content_pb2, inference_pb2
from tests.support.scripted_gateway import (
    Refusal,
    ScriptedGateway,
    ended,
    forever,
    frames_of,
    scripted_gateway,
    text,
)

GUARD_S = 30
REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = content_pb2.Source(source_id="S1", title="Tides", url="https://a.example/t")
ANSWER = frames_of(
    inference_pb2.Accepted(receipt_id="r1"),
    inference_pb2.SearchEvent(provider="embedded", status=inference_pb2.SEARCH_STATUS_OK, sources=[SOURCE]),
    text("The moon"),
    content_pb2.Citation(start=0, end=8, source_ids=["S1"]),
    text(" does it.", 8),
    ended(),
)


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway."""
    async with scripted_gateway() as running:
        yield running


async def start(target: str, *words: str, **env: str) -> asyncio.subprocess.Process:
    """Starts `gateway ask` with a clean environment."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "ask",
        *words,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "GATEWAY_GRPC_TARGET": target, "GATEWAY_TOKEN": "good", **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ask(target: str, *words: str, stdin: bytes = b"", **env: str) -> tuple[int | None, str, str]:
    """(exit code, standard output, standard error) of a whole run."""
    process = await start(target, *words, **env)
    out, err = await asyncio.wait_for(process.communicate(stdin), GUARD_S)
    return process.returncode, out.decode(), err.decode()


async def test_the_answer_comes_with_marks_sources_and_facts(gateway: ScriptedGateway) -> None:
    """Into a pipe nothing else goes: no colours, no asides."""
    gateway.script("Generate", *ANSWER)
    code, out, err = await ask(gateway.target, "What makes the tides?", "--search", "always")
    assert (code, err) == (0, "")
    assert out == (
        "The moon[1] does it.\n\n[1] Tides — https://a.example/t\n\n"
        "Where each sentence comes from:\n[1]  UNCHECKED  The moon does it.\n\n"
        "deepseek-flash · stop · 9 tokens in, 4 out · $0.000012 · receipt r1\n"
    )


async def test_the_options_reach_the_gateway(gateway: ScriptedGateway) -> None:
    """Model, search, thinking, system text, limits and the deadline."""
    gateway.script("Generate", *ANSWER)
    words = "--model m --search never --thinking high --max-tokens 7 --system Brief. --timeout 60 --show-reasoning"
    await ask(gateway.target, "-", *words.split(), stdin=b"Wie hoch?\n")
    call = gateway.calls[0]
    turn = call.request
    assert [message.content for message in turn.messages] == ["Brief.", "Wie hoch?\n"]
    assert (turn.model, turn.search.mode) == ("m", inference_pb2.SEARCH_MODE_NEVER)
    assert turn.generation == inference_pb2.GenerationOptions(
        max_tokens=7, thinking=inference_pb2.THINKING_HIGH, include_reasoning=True
    )
    assert 30 < call.time_remaining_s < 61
    assert call.metadata["authorization"] == "Bearer good"


async def test_json_prints_one_frame_per_line(gateway: ScriptedGateway) -> None:
    """Each line is a whole ServerFrame with the names of the proto; the last says where each sentence is from."""
    gateway.script("Generate", *ANSWER)
    code, out, _ = await ask(gateway.target, "Hi", "--json")
    *frames, last = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert last == {"sentences": [{"text": "The moon does it.", "source_ids": ["S1"]}]}
    assert [frame["seq"] for frame in frames] == ["1", "2", "3", "4", "5", "6"]
    assert frames[2]["delta"] == {"text": "The moon", "events": 1}
    assert frames[5]["end"]["usage"]["cost_nano_usd"] == "12000"
    assert ": " not in out.splitlines()[0]


async def test_a_refusal_is_told_on_standard_error(gateway: ScriptedGateway) -> None:
    """Exit code 1, the reason, and what to do."""
    refusal = Refusal(
        grpc.StatusCode.NOT_FOUND,
        "there is no model 'gpt'; ListModels shows which there are",
        reason="MODEL_NOT_FOUND",
    )
    gateway.script("Generate", refusal)
    code, out, err = await ask(gateway.target, "Hi", "--model", "gpt")
    assert (code, out) == (1, "")
    assert err.startswith(
        "gateway ask: MODEL_NOT_FOUND: there is no model 'gpt'; ListModels shows which there are ("
    )


async def test_an_answer_that_breaks_off_shows_what_came_and_why_it_ended(gateway: ScriptedGateway) -> None:
    """The receipt of the end, then the reason."""
    gateway.script(
        "Generate",
        *frames_of(text("Hal"), ended(inference_pb2.FINISH_ERROR)),
        Refusal(grpc.StatusCode.ABORTED, "the upstream broke off", reason="STREAM_INTERRUPTED"),
    )
    code, out, err = await ask(gateway.target, "Hi")
    assert code == 1
    assert out.startswith("Hal\n\ndeepseek-flash · error · ")
    assert "gateway ask: STREAM_INTERRUPTED: the upstream broke off (" in err


async def test_where_nothing_listens_it_says_how_to_start(unused_tcp_port: int) -> None:
    """The first thing a newcomer meets."""
    code, _, err = await ask(f"127.0.0.1:{unused_tcp_port}", "Hi")
    assert code == 1
    assert err == (
        f"gateway ask: nothing answers at 127.0.0.1:{unused_tcp_port}: "
        "start the gateway with `make run` or set GATEWAY_GRPC_TARGET\n"
    )


@pytest.mark.parametrize(
    ("words", "env", "complaint"),
    [
        (["  "], {}, "there is no question"),
        (["Hi", "--timeout", "soon"], {}, "'soon' is no number of seconds"),
        (["Hi", "--max-tokens", "0"], {}, "'0' is no number above 0"),
        (["Hi", "--search", "maybe"], {}, "invalid choice: 'maybe'"),
        (["Hi", "--ca-file", "/nowhere.pem"], {}, "/nowhere.pem cannot be read"),
        (["Hi"], {"GATEWAY_INSECURE": "maybe"}, "GATEWAY_INSECURE is 'maybe': use 1 or 0"),
    ],
)
async def test_wrong_usage_has_exit_code_2(words: list[str], env: dict[str, str], complaint: str) -> None:
    """Before any call is made."""
    code, _, err = await ask("127.0.0.1:1", *words, **env)
    assert code == 2
    assert complaint in err


async def test_ctrl_c_cancels_the_call(gateway: ScriptedGateway) -> None:
    """Exit code 130, no traceback, and the server sees the caller leave."""
    gateway.script("Generate", *frames_of(text("Hal")), forever)
    process = await start(gateway.target, "Hi")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readexactly(3), GUARD_S) == b"Hal"
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), GUARD_S)
    assert (process.returncode, err) == (130, b"")
    await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)


async def test_a_reader_that_leaves_ends_the_call(gateway: ScriptedGateway) -> None:
    """`gateway ask … | head -1` stops the model, and does not complain."""
    gateway.script("Generate", *frames_of(text("Hal")), *[frames_of(text("lo "))[0]] * 20000, forever)
    process = await start(gateway.target, "Hi")
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readexactly(3), GUARD_S)
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # asyncio offers no other way
    await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)
    assert process.stderr is not None
    assert await asyncio.wait_for(process.stderr.read(), GUARD_S) == b""
    assert await asyncio.wait_for(process.wait(), GUARD_S) == 1
