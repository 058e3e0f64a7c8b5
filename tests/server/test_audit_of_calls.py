"""What the audit says of calls: a durable intent before any search or model call, one outcome, never a text."""

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc.aio
import pytest
from aiohttp import ClientSession, TCPConnector

from gateway.audit.append import AppendFile
from gateway.audit.listing import Line, read_lines
from gateway.v1 import search_pb2
from tests.support.chat_events import text_chunk
from tests.support.gateway import Running, running
from tests.support.sweep import House, opened, question, until
from tests.support.upstream import STALL, Exchange, Reply

CANARY = "xyzzy-canary-4711"
STRICT = '[tenants.strict]\naudit = "strict"\n'


def lines(house: "House | Running") -> list[Line]:
    """What the audit holds, in order; no chain of it is broken."""
    data_dir = house.data_dir if isinstance(house, Running) else house.gateway.data_dir
    found, reports = read_lines(data_dir / "audit")
    assert [report.fault for report in reports if report.fault] == []
    return found


async def test_a_turn_has_an_intent_before_the_model_is_asked_and_an_outcome_after_it(tmp_path: Path) -> None:
    """With who asked, from where, and what it cost; with none of what was asked and said."""
    asked: list[int] = []

    def reply(_exchange: Exchange) -> Reply:
        asked.append(len(read_lines(tmp_path / "data" / "audit")[0]))
        return Reply.answer("Hel", f"lo {CANARY}")

    async with opened(tmp_path, reply) as house:
        await house.outcome(question(f"hi {CANARY}"))
        receipt = await house.receipt()
        (line,) = lines(house)
        intent, outcome = line.intent, line.outcome
        assert asked == [1]
        assert (intent.tenant, intent.subject, intent.caller_ip) == ("acme", "tester", "127.0.0.1")
        assert (intent.receipt_id, intent.method) == (receipt.receipt_id, "/gateway.v1.Inference/Generate")
        assert dict(intent.parameters)["search"] == "never"
        assert outcome is not None
        assert (outcome.code, outcome.cause, outcome.finish) == (0, "", "stop")
        assert outcome.cost_nano_usd == receipt.settled.cost_nano_usd
        assert outcome.completion_tokens == receipt.settled.completion_tokens
    for path in (tmp_path / "data" / "audit").rglob("*.audit"):
        assert CANARY.encode() not in path.read_bytes()
        assert receipt.body_sha256 not in path.read_bytes()


async def test_a_turn_that_fails_or_is_left_has_its_outcome_too(tmp_path: Path) -> None:
    """The cause is the reason that the caller is told."""

    def reply(exchange: Exchange) -> Reply:
        stays = Reply.events(text_chunk("a"), STALL)
        return stays if b"left" in exchange.body else Reply.json(402, {"error": {"message": "no"}})

    async with opened(tmp_path, reply) as house:
        call = house.generate(question("left"))
        await call.read()
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call.read()
        await house.outcome(question("fails"))
        await until(lambda: all(line.outcome for line in lines(house)) and len(lines(house)) == 2)
        left, failed = (line.outcome for line in lines(house))
        assert failed is not None
        assert left is not None
        assert (failed.code, failed.cause) == (14, "UPSTREAM_BALANCE")
        assert (left.code, left.cause, left.finish) == (1, "CANCELLED", "cancelled")


async def test_searches_and_documents_are_written_down_as_well(tmp_path: Path) -> None:
    """Search.Query and Search.Extract: sources and digests, and the failure of one that is refused a page."""
    async with running(tmp_path) as gateway:
        bearer = gateway.bearer()
        query = search_pb2.SearchRequest(query="how are broken streams metered?")
        await gateway.search.Query(query, metadata=bearer)
        await gateway.search.Extract(search_pb2.ExtractRequest(content=b"# Tides\n\nThey come."), metadata=bearer)
        with pytest.raises(grpc.aio.AioRpcError):
            await gateway.search.Extract(search_pb2.ExtractRequest(url="http://127.0.0.1/x"), metadata=bearer)
        await until(lambda: len([line for line in lines(gateway) if line.outcome]) == 3)
        searched, read, denied = lines(gateway)
        assert searched.outcome is not None
        assert searched.outcome.sources
        assert all(len(digest) == 32 for _, digest in searched.outcome.sources)
        assert searched.intent.method == "/gateway.v1.Search/Query"
        assert read.outcome is not None
        assert len(read.outcome.sources[0][1]) == 32
        assert denied.outcome is not None
        assert (denied.outcome.code, denied.outcome.cause) == (3, "INVALID_REQUEST")


async def test_what_is_refused_before_it_is_held_leaves_nothing(tmp_path: Path) -> None:
    """A-6: a tenant over its limits cannot fill the audit."""
    config = "[tenants.acme.limits]\nrequests_per_minute = 1\n"
    async with opened(tmp_path, Reply.answer("x"), config=config) as house:
        for _ in range(5):
            await house.outcome(question("hi"))
        bad = (("authorization", "Bearer nonsense"),)
        with pytest.raises(grpc.aio.AioRpcError):
            await house.gateway.inference.Complete(question("hi"), metadata=bad)
        assert len(lines(house)) == 1


async def test_without_a_durable_intent_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-2: AUDIT_UNAVAILABLE before any upstream call, the reservation is released, and it goes on when it can."""
    append, full = AppendFile.append, [True]

    def fail(file: AppendFile, data: bytes) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        append(file, data)

    async with opened(tmp_path, Reply.answer("x")) as house:
        monkeypatch.setattr(AppendFile, "append", fail)
        outcome = await house.outcome(question("hi"))
        assert outcome.told.reason == "AUDIT_UNAVAILABLE"
        assert house.upstream.exchanges == []
        assert house.limiter.held() == 0
        full[0] = False
        monkeypatch.setattr("gateway.audit.writer.RETRY_S", 0.0)
        await asyncio.sleep(1.1)
        (await house.outcome(question("hi"))).check_ok()
        assert len(lines(house)) == 1


async def test_a_strict_tenant_is_refused_where_others_go_on_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-2, by the setting `audit` of the tenant."""
    append = AppendFile.append

    def fail(file: AppendFile, data: bytes) -> None:
        if file.path.suffix == ".audit":
            raise OSError(5, "Input/output error")
        append(file, data)

    environment = {"GATEWAY_AUDIT_SPOOL_DIR": str(tmp_path / "spool")}
    async with running(tmp_path, config=STRICT, environment=environment) as gateway:
        with monkeypatch.context() as patch:
            patch.setattr(AppendFile, "append", fail)
            query = search_pb2.SearchRequest(query="receipts")
            await gateway.search.Query(query, metadata=gateway.bearer("acme"))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await gateway.search.Query(query, metadata=gateway.bearer("strict"))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [line.intent.tenant for line in lines(gateway)] == ["acme"]


async def test_a_forwarded_address_is_believed_of_the_bridge_in_this_process_alone(tmp_path: Path) -> None:
    """Over HTTP the caller's own; over gRPC whatever a caller says of itself is not looked at."""
    from_elsewhere = TCPConnector(local_addr=("127.0.0.2", 0))
    async with running(tmp_path) as gateway, ClientSession(connector=from_elsewhere) as http:
        body = {
            "query": "receipts",
            "knowledge_id": "embedded",
            "retrieval_setting": {"top_k": 1, "score_threshold": 0},
        }
        headers = {"Authorization": f"Bearer {gateway.token()}", "X-Gateway-Caller-Address": "203.0.113.9"}
        async with http.post(f"{gateway.http_url}/retrieval", json=body, headers=headers) as reply:
            assert reply.status == 200
        lies = (*gateway.bearer(), ("x-gateway-caller-address", "203.0.113.9"), ("x-gateway-bridge", "guess"))
        await gateway.search.Query(search_pb2.SearchRequest(query="receipts"), metadata=lies)
        assert [line.intent.caller_ip for line in lines(gateway)] == ["127.0.0.2", "127.0.0.1"]
