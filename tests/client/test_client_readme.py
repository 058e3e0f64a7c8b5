"""The examples of the client's README are whole programs, and they work as printed."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.v1 import content_pb2, inference_pb2
from tests.support.scripted_gateway import (
    LIMITS,
    RESPONSES,
    Refusal,
    ScriptedGateway,
    ended,
    frames_of,
    scripted_gateway,
    text,
)

GUARD_S = 30
README = Path(__file__).resolve().parents[2] / "clients" / "python" / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
ANSWER = frames_of(inference_pb2.Accepted(receipt_id="r1"), text("The "), text("moon.", 4), ended())
SOURCE = content_pb2.Source(source_id="S1", title="Tides", url="https://a.example/t")
RESULT = inference_pb2.TurnResult(
    message=content_pb2.Message(content="The moon."), sources=[SOURCE], end=ended(receipt_id="r1")
)
REFUSAL = Refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "too fast", reason="RATE_LIMITED", retryable=True, retry_after_s=2
)


async def side_by_side(frames: AsyncIterator[inference_pb2.ClientFrame], context: Any) -> None:
    """Greets, and answers each turn with its prompt."""
    async for frame in frames:
        if frame.HasField("open"):
            await context.write(inference_pb2.ServerFrame(opened=inference_pb2.Opened()))
        else:
            turn = frame.turn
            await context.write(inference_pb2.ServerFrame(turn_id=turn.turn_id, delta=text(turn.prompt)))
            await context.write(inference_pb2.ServerFrame(turn_id=turn.turn_id, end=ended()))


PRINTED = [
    "The moon.\n",
    "The moon.\nS1 Tides https://a.example/t\nreceipt r1\n",
    "What makes the tides?\nWhat makes the winds?\n",
    "The moon.\nrequests_per_minute 0 of 600\n",
    "RATE_LIMITED: too fast: try again in 2 s (request ",
    "embedded 4096\n",
    "Hello",
]


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A gateway that has an answer for every example."""
    async with scripted_gateway() as running:
        running.converse = side_by_side
        running.script("Generate", *ANSWER)
        running.script("StreamPredict", *RESPONSES)
        running.script("GetLimits", LIMITS)
        models = [inference_pb2.Model(name="embedded", context_tokens=4096)]
        running.script("ListModels", inference_pb2.ListModelsResponse(models=models))
        yield running


def test_every_example_is_run() -> None:
    """An example more needs its line here."""
    assert len(EXAMPLES) == len(PRINTED)


@pytest.mark.parametrize(("example", "printed"), list(zip(EXAMPLES, PRINTED, strict=True)))
async def test_the_example_works(gateway: ScriptedGateway, tmp_path: Path, example: str, printed: str) -> None:
    """It ends well and prints what the gateway said."""
    gateway.script("Complete", REFUSAL if "except GatewayCallError" in example else RESULT)
    (tmp_path / "token").write_text("good\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        example.replace("127.0.0.1:50051", gateway.target),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GATEWAY_GRPC_TARGET": gateway.target},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), GUARD_S)
    assert (process.returncode, err.decode()) == (0, "")
    assert out.decode().startswith(printed)
