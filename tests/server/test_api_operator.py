"""What an operator sees: one page of metrics, a line of log for each turn, and no secret in either."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.v1 import inference_pb2, inference_pb2_grpc
from tests.support.calls import NEVER, NOT_DEGRADED, Talk, refused, streamed
from tests.support.chat_events import reasoning_chunk, text_chunk
from tests.support.gateway import running
from tests.support.upstream import RESET, Reply, ScriptedUpstream

KEY, PROMPT, ANSWER = "sk-canary-key-1234567890", "canary prompt about Zandvliet", "canary answer"
START_S, STOP_S = 60, 30


def plain(prompt: str = PROMPT, **fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn without search and without a stand-in."""
    return inference_pb2.Turn(prompt=prompt, **{"search": NEVER, "routing": NOT_DEGRADED, **fields})


async def page_of(port: int, path: str = "/metrics") -> str:
    """What the metrics port answers, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    page = await reader.read()
    writer.close()
    await writer.wait_closed()
    return page.decode()


def value(page: str, series: str) -> float:
    """The value of one series, 0 where it is not on the page."""
    return next((float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(series)), 0.0)


async def test_the_page_counts_turns_tokens_money_and_trouble(tmp_path: Path) -> None:
    """By model, finish and reason; no tenant in any label, so that the page stays short however many there are."""
    replies = [
        Reply.answer("fine"),
        Reply.events(reasoning_chunk("hm"), text_chunk("half"), RESET),
        Reply.json(401, {"error": {"message": "no"}}),
    ]
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        result = await gateway.inference.Complete(plain(), metadata=gateway.bearer())
        for _ in range(2):
            await refused(gateway.inference.Complete(plain(), metadata=gateway.bearer("other")))
        await refused(gateway.inference.Complete(plain(model="nobody"), metadata=gateway.bearer()))
        await refused(
            gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=(("authorization", "x"),))
        )
        page = await page_of(gateway.gateway.metrics_port)
        turns = 'gateway_turns_total{finish="%s",model="deepseek-flash",reason="%s"}'
        assert value(page, turns % ("stop", "")) == 1
        assert value(page, turns % ("error", "STREAM_INTERRUPTED")) == 1
        assert value(page, turns % ("error", "UPSTREAM_CREDENTIALS")) == 1
        assert value(page, 'gateway_tokens_total{kind="prompt",model="deepseek-flash"}') >= 11
        assert (
            value(page, 'gateway_cost_usd_total{model="deepseek-flash"}') >= result.end.usage.cost_nano_usd / 1e9
        )
        assert value(page, 'gateway_time_to_first_output_seconds_count{model="deepseek-flash"}') == 2
        refusals = 'gateway_refused_calls_total{method="/gateway.v1.Inference/%s",reason="%s"}'
        assert value(page, refusals % ("Complete", "MODEL_NOT_FOUND")) == 1
        assert value(page, refusals % ("ListModels", "TOKEN_INVALID")) == 1
        assert value(page, "gateway_active_turns") == 0
        for words in ("acme", "other", PROMPT, "tester", KEY):
            assert words not in page


async def test_a_turn_that_runs_is_active_and_ends_once(tmp_path: Path) -> None:
    """Also when it is cancelled, and also on a conversation."""
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), asyncio.Event())) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
        Talk(gateway) as talk,
    ):
        await talk.ask("hi", "t1")
        await talk.until("delta")
        during = await page_of(gateway.gateway.metrics_port)
        await talk.say(cancel=inference_pb2.Cancel())
        await talk.until("end")
        await talk.finish()
        after = await page_of(gateway.gateway.metrics_port)
        turns = 'gateway_turns_total{finish="cancelled",model="deepseek-flash",reason="CANCELLED"}'
        assert (value(during, "gateway_active_turns"), value(after, "gateway_active_turns")) == (1, 0)
        assert (value(during, turns), value(after, turns)) == (0, 1)


async def test_the_operators_port_says_alive_and_ready(tmp_path: Path) -> None:
    """Without a credential, and nothing else is there."""
    async with running(tmp_path) as gateway:
        port = gateway.gateway.metrics_port
        assert (await page_of(port, "/healthz")).endswith("ok\n")
        assert (await page_of(port, "/readyz")).endswith("ready\n")
        assert " 404 " in (await page_of(port, "/secrets")).splitlines()[0]


# --- the log of a real process --------------------------------------------------------------------------


@contextmanager
def serving(folder: Path, upstream: str) -> Iterator[tuple[str, Path]]:
    """`gateway serve --dev` with an upstream; its target, and the file that holds its log when it has ended."""
    log = folder / "log"
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("GATEWAY_", "DEEPSEEK_"))},
        **{f"GATEWAY_{name}_ADDRESS": "127.0.0.1:0" for name in ("GRPC", "HTTP", "METRICS")},
        "GATEWAY_DATA_DIR": str(folder / "data"),
        "GATEWAY_CACHE_ANSWERS": "false",
        "DEEPSEEK_API_KEY": KEY,
        "DEEPSEEK_BASE_URL": upstream,
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--dev"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "gRPC on " in first, log.read_text("utf-8")
        yield first.split("gRPC on ")[1].split(",")[0].strip(), log
        process.terminate()
        process.communicate(timeout=STOP_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate(timeout=STOP_S)


@pytest.fixture(name="told", scope="module")
def log_of_a_morning(tmp_path_factory: pytest.TempPathFactory) -> "Told":
    """The log of a gateway that answered, failed and refused: as text, as records, and the receipts' ids."""
    return asyncio.run(morning(tmp_path_factory.mktemp("operator")))


async def morning(folder: Path) -> "Told":
    """Asks a gateway in a process of its own, well and badly, and ends it."""
    replies = [
        Reply.answer(ANSWER),
        Reply.events(text_chunk(ANSWER), RESET),
        Reply.json(401, {"error": {"message": KEY}}),
    ]
    receipts = []
    async with ScriptedUpstream(replies) as upstream:
        with serving(folder, upstream.url) as (target, log):
            token = await asyncio.to_thread((folder / "data" / "dev-token").read_text, "utf-8")
            metadata = (("authorization", f"Bearer {token.strip()}"), ("x-request-id", "morning-1"))
            async with grpc.aio.insecure_channel(target) as channel:
                stub: Any = inference_pb2_grpc.InferenceStub(channel)
                frames, _ = await streamed(stub.Generate(plain(labels={"project": "apollo"}), metadata=metadata))
                receipts.append(frames[-1].end.receipt_id)
                for _ in range(2):
                    told = await refused(stub.Complete(plain(), metadata=metadata))
                    receipts.append(told.facts["receipt_id"])
                bad = (("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2VjcmV0"),)
                for _ in range(20):
                    await refused(stub.Complete(plain(), metadata=bad))
                await refused(stub.Complete(plain(model="nobody"), metadata=metadata))
        text = await asyncio.to_thread(log.read_text, "utf-8")
    return text, [json.loads(line) for line in text.splitlines()], receipts


Told = tuple[str, list[dict[str, Any]], list[str]]


def test_every_turn_is_one_line_of_json(told: Told) -> None:
    """Who, what, how it ended, what it cost, and how long it took, under the receipt's id."""
    _, records, receipts = told
    turns = [record for record in records if record["event"] == "turn"]
    assert [turn["receipt"] for turn in turns] == receipts
    good, cut, failed = turns
    assert (good["tenant"], good["subject"], good["request"]) == ("dev", "developer", "morning-1")
    assert (good["model"], good["served_by"], good["finish"], good["reason"]) == (
        "deepseek-flash",
        "deepseek",
        "STOP",
        "",
    )
    assert (good["prompt_tokens"], good["completion_tokens"], good["basis"]) == (11, 2, "PROVIDER")
    assert good["cost_nano_usd"] > 0
    assert good["first_output_ms"] <= good["duration_ms"]
    assert good["method"] == "/gateway.v1.Inference/Generate"
    assert (cut["finish"], cut["reason"]) == ("ERROR", "STREAM_INTERRUPTED")
    assert (failed["reason"], failed["cost_nano_usd"], failed["first_output_ms"]) == (
        "UPSTREAM_CREDENTIALS",
        0,
        None,
    )
    assert all(record["level"] in ("info", "warning", "error") and record["timestamp"] for record in records)


def test_a_flood_of_refusals_is_two_lines(told: Told) -> None:
    """The first of its kind in a second, and how often it was repeated."""
    _, records, _ = told
    refusals = [record for record in records if record["event"] == "refused"]
    repeats = [record for record in records if record["event"] == "refused_again"]
    assert {record["reason"] for record in refusals} == {"TOKEN_INVALID", "MODEL_NOT_FOUND"}
    assert sum(record["reason"] == "TOKEN_INVALID" for record in refusals) < 20
    counted = sum(record["count"] for record in repeats if record["reason"] == "TOKEN_INVALID")
    assert counted + sum(record["reason"] == "TOKEN_INVALID" for record in refusals) == 20


def test_the_log_holds_no_secret_and_nobodys_words(told: Told) -> None:
    """Neither key nor token, neither question nor answer, and no file of this machine."""
    text, records, _ = told
    for words in (KEY, PROMPT, ANSWER, "eyJ", "Zandvliet", "Bearer", str(Path.home())):
        assert words not in text
    assert [record["event"] for record in records if record["event"] in ("started", "draining", "stopped")] == [
        "started",
        "draining",
        "stopped",
    ]
