"""P-3: however a gateway's process ends, no record of the audit is lost, and every intent gets its outcome."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc.aio
import pytest

from gateway.audit.listing import read_lines
from gateway.v1 import inference_pb2_grpc
from tests.support.chat_events import text_chunk
from tests.support.served_gateway import Served, served
from tests.support.sweep import question, until
from tests.support.upstream import STALL, Reply, ScriptedUpstream

TURNS = 3
DEATHS = {
    "killed": [signal.SIGKILL],
    "told twice": [signal.SIGTERM, signal.SIGTERM],
    "interrupted, and told": [signal.SIGINT, signal.SIGTERM],
}


def outcomes(data_dir: Path) -> list[str]:
    """The cause of each turn's outcome, "open" for none; the audit is whole."""
    lines, reports = read_lines(data_dir / "audit")
    assert [report.fault for report in reports if report.fault] == []
    return [line.outcome.cause if line.outcome else "open" for line in lines]


async def begin(gateway: Served, channel: grpc.aio.Channel) -> None:
    """Turns that have said something and go on."""
    stub = inference_pb2_grpc.InferenceStub(channel)
    bearer = (("authorization", f"Bearer {gateway.token_file.read_text().strip()}"),)
    calls = [stub.Generate(question(f"turn {number}"), metadata=bearer) for number in range(TURNS)]
    for call in calls:
        await call.read()


async def die(folder: Path, upstream: str, signals: list[signal.Signals]) -> Path:
    """A gateway with running turns that gets these signals; its data directory, once it is dead."""
    with served(folder, upstream=upstream) as gateway:
        async with grpc.aio.insecure_channel(gateway.target) as channel:
            await begin(gateway, channel)
            assert outcomes(gateway.data_dir) == ["open"] * TURNS
            for number in signals:
                gateway.process.send_signal(number)
                await asyncio.sleep(0.2)
            await asyncio.to_thread(gateway.process.wait, 20)
    return gateway.data_dir


@pytest.mark.parametrize(
    "death", [*list(DEATHS)[:1], *(pytest.param(d, marks=pytest.mark.full) for d in list(DEATHS)[1:])]
)
async def test_the_next_start_says_what_became_of_turns_whose_process_died(tmp_path: Path, death: str) -> None:
    """Every intent is still there and gets `worker_lost`, once; books and audit name the same turns."""
    async with ScriptedUpstream(Reply.events(text_chunk("a"), STALL)) as upstream:
        data_dir = await die(tmp_path, upstream.url, DEATHS[death])
        assert len(outcomes(data_dir)) == TURNS
        with served(tmp_path, upstream=upstream.url):
            assert outcomes(data_dir) == ["worker_lost"] * TURNS


@pytest.mark.full
async def test_an_orderly_end_seals_the_audit(tmp_path: Path) -> None:
    """SIGTERM, once: each turn has the outcome that its caller was told, and the segment its seal."""
    async with ScriptedUpstream(Reply.events(text_chunk("a"), STALL)) as upstream:
        data_dir = await die(tmp_path, upstream.url, [signal.SIGTERM])
    assert outcomes(data_dir) == ["STREAM_INTERRUPTED"] * TURNS
    (report,) = read_lines(data_dir / "audit")[1]
    assert (report.sealed, report.open) == (True, ())


@pytest.mark.full
async def test_a_signal_during_the_start_leaves_a_whole_audit(tmp_path: Path) -> None:
    """At any moment of the start; the next gateway begins as if nothing had been."""
    environment = {**os.environ, "GATEWAY_DATA_DIR": str(tmp_path / "data"), "GATEWAY_HTTP_ADDRESS": ""}
    environment |= {"GATEWAY_GRPC_ADDRESS": "127.0.0.1:0", "GATEWAY_METRICS_ADDRESS": ""}
    for step in range(8):
        command = [sys.executable, "-m", "gateway", "serve", "--dev"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as one:
            await asyncio.sleep(0.5 + step * 0.2)
            one.send_signal(signal.SIGTERM)
            await asyncio.to_thread(one.wait, 30)
        assert outcomes(tmp_path / "data") == []
    with served(tmp_path):
        await until(lambda: outcomes(tmp_path / "data") == [])
