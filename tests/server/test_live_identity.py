"""Identity on calls under way: revocation ends them with a receipt, a stream is told before its token ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from gateway.auth.revocation import Kind, Revocation
from gateway.auth.revocations import RevocationFile
from gateway.v1 import account_pb2, inference_pb2
from tests.support.chat_events import text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import STALL, Reply, ScriptedUpstream

NO_SEARCH = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER)
ENDLESS = Reply.events(text_chunk("Hel"), STALL)
PATIENT = {"GATEWAY_TIMERS_SILENCE_S": "60"}
TURN = inference_pb2.Turn(prompt="hi", search=NO_SEARCH)


def revoke(gateway: Running, kind: Kind, value: str, tenant: str = "") -> None:
    """What `gateway revoke` does to the data directory."""
    RevocationFile(gateway.data_dir).add(Revocation(kind, value, tenant, int(time.time())))


async def first_delta(call: "AsyncIterator[inference_pb2.ServerFrame]") -> str:
    """Reads to the first text; returns the receipt's id."""
    receipt = ""
    async for frame in call:
        receipt = receipt or frame.accepted.receipt_id
        if frame.delta.text:
            break
    return receipt


async def test_a_revocation_ends_a_running_turn_with_a_receipt(tmp_path: Path) -> None:
    """The turn ends by itself, the status says REVOKED, the upstream is closed; another tenant's goes on."""
    async with (
        ScriptedUpstream(ENDLESS) as upstream,
        running(tmp_path, upstream=upstream.url, environment=PATIENT) as gateway,
    ):
        theirs = gateway.inference.Generate(TURN, metadata=gateway.bearer("globex", subject="bob"))
        await first_delta(theirs)
        call = gateway.inference.Generate(TURN, metadata=gateway.bearer("acme", subject="alice"))
        receipt_id = await first_delta(call)
        began = time.monotonic()
        revoke(gateway, Kind.SUBJECT, "alice", "acme")
        rest = []
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            rest += [frame async for frame in call]
        assert time.monotonic() - began < 5
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        details = dict(ended.value.trailing_metadata() or ())
        assert details["gateway-receipt-id"] == receipt_id
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=receipt_id), metadata=gateway.bearer("acme", subject="carol")
        )
        assert (receipt.finish, receipt.reason) == (inference_pb2.FINISH_ERROR, "REVOKED")
        await asyncio.wait_for(upstream.exchanges[1].closed.wait(), 5)
        assert not upstream.exchanges[0].closed.is_set()
        assert not theirs.done()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await gateway.inference.Complete(TURN, metadata=gateway.bearer("acme", subject="alice"))
        assert (refused.value.code(), refused.value.details()) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "invalid_token",
        )
        theirs.cancel()


async def test_a_revoked_conversation_ends_after_the_ends_of_its_turns(tmp_path: Path) -> None:
    """Each running turn gets its fault and its end, and then the stream its status."""
    async with (
        ScriptedUpstream(ENDLESS) as upstream,
        running(tmp_path, upstream=upstream.url, environment=PATIENT) as gateway,
    ):
        call = gateway.inference.Converse(metadata=gateway.bearer("acme"))
        for turn_id in ("one", "two"):
            await call.write(
                inference_pb2.ClientFrame(turn=inference_pb2.Turn(turn_id=turn_id, prompt="hi", search=NO_SEARCH))
            )
        frames: list[inference_pb2.ServerFrame] = []
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async for frame in call:
                frames.append(frame)
                if sum(1 for one in frames if one.delta.text) == 2 and frame.delta.text:
                    revoke(gateway, Kind.TENANT, "acme")
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        last = [(f.turn_id, f.WhichOneof("frame")) for f in frames if f.WhichOneof("frame") in ("fault", "end")]
        for turn_id in ("one", "two"):
            assert [kind for name, kind in last if name == turn_id] == ["fault", "end"]
        assert {f.fault.reason for f in frames if f.WhichOneof("frame") == "fault"} == {"REVOKED"}
        assert all(f.end.receipt_id for f in frames if f.WhichOneof("frame") == "end")


async def test_an_idle_conversation_ends_when_its_caller_is_revoked(tmp_path: Path) -> None:
    """Nothing runs on it, and it does not stay."""
    async with running(tmp_path) as gateway:
        call = gateway.inference.Converse(metadata=gateway.bearer("acme", subject="alice"))
        await call.write(inference_pb2.ClientFrame(open=inference_pb2.Open()))
        await call.read()
        revoke(gateway, Kind.SUBJECT, "alice")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_conversation_is_told_before_its_credential_expires(tmp_path: Path) -> None:
    """The notice comes ahead of the end, and another one for a credential that was swapped in."""
    async with running(tmp_path, environment={"GATEWAY_TIMERS_CREDENTIAL_NOTICE_S": "600"}) as gateway:
        call = gateway.inference.Converse(metadata=gateway.bearer("acme", ttl_s=300))  # type: ignore[arg-type]
        await call.write(inference_pb2.ClientFrame(open=inference_pb2.Open()))
        kinds: list[inference_pb2.ServerFrame] = []
        while len(kinds) < 2:
            kinds.append(await call.read())
        notice = next(frame.notice for frame in kinds if frame.WhichOneof("frame") == "notice")
        assert notice.kind == inference_pb2.NOTICE_KIND_CREDENTIAL_EXPIRING
        assert 290 <= int(notice.facts["seconds_left"]) <= 300
        swapped = inference_pb2.Credential(bearer=gateway.token("acme", ttl_s=500))
        await call.write(inference_pb2.ClientFrame(credential=swapped))
        frame = await call.read()
        assert 490 <= int(frame.notice.facts["seconds_left"]) <= 500
        await call.done_writing()


async def test_a_credential_of_somebody_else_ends_the_stream(tmp_path: Path) -> None:
    """Same subject and tenant, otherwise PERMISSION_DENIED."""
    async with running(tmp_path) as gateway:
        for other in (gateway.token("acme", subject="mallory"), gateway.token("globex")):
            call = gateway.inference.Converse(metadata=gateway.bearer("acme"))
            await call.write(inference_pb2.ClientFrame(credential=inference_pb2.Credential(bearer=other)))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_tenants_follow_the_file_and_open_streams_of_others_stay(tmp_path: Path) -> None:
    """A suspended tenant is refused within seconds, without a restart; a bad file keeps the last good tenants."""
    config = "[tenants.acme]\n[tenants.globex]\n"
    async with running(tmp_path, config=config) as gateway:
        stream = gateway.inference.Converse(metadata=gateway.bearer("globex"))
        await stream.write(inference_pb2.ClientFrame(open=inference_pb2.Open()))
        await stream.read()
        path = tmp_path / "gateway.toml"
        path.write_text("[tenants.acme]\nsuspended = true\n[tenants.globex]\n", encoding="utf-8")
        await until_refused(gateway, "acme")
        path.write_text("[tenants.acme]\nsuspended = 5\n", encoding="utf-8")
        await asyncio.sleep(1.2)
        await until_refused(gateway, "acme")
        await stream.write(inference_pb2.ClientFrame(turn=inference_pb2.Turn(prompt="what is metered?")))
        await stream.done_writing()
        frame = await stream.read()
        while frame.WhichOneof("frame") != "end":
            frame = await stream.read()
        assert frame.end.finish == inference_pb2.FINISH_STOP


async def until_refused(gateway: Running, tenant: str) -> None:
    """Waits until calls of the tenant are refused as those of a suspended one."""
    for _ in range(50):
        try:
            await gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=gateway.bearer(tenant))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{tenant} is still served")
