"""The same turn once more: an answered one is charged once, one that failed for nothing may be tried again."""

from pathlib import Path

import grpc
import pytest

from gateway.v1 import account_pb2, content_pb2, inference_pb2
from tests.support.chat_events import sse, text_chunk
from tests.support.gateway import running
from tests.support.upstream import FIN, Reply, ScriptedUpstream

ONE_ATTEMPT = {"GATEWAY_ROUTING_ATTEMPTS": "1"}
TURN = inference_pb2.Turn(
    turn_id="once",
    prompt="hi",
    search=inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_NEVER),
    routing=inference_pb2.Routing(allow_degraded=False),
)


async def test_a_turn_that_failed_before_output_is_run_again_under_its_receipt(tmp_path: Path) -> None:
    """The second try answers, is charged once, and its receipt tells of both."""
    replies = (Reply.json(503, {"error": {"message": "overloaded"}}), Reply.answer("yes"))
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url, environment=ONE_ATTEMPT) as gateway,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await gateway.inference.Complete(TURN, metadata=gateway.bearer())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        first = dict(caught.value.trailing_metadata() or ())["gateway-receipt-id"]
        result = await gateway.inference.Complete(TURN, metadata=gateway.bearer())
        assert (result.message.content, result.end.receipt_id) == ("yes", first)
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=first), metadata=gateway.bearer()
        )
        assert [attempt.outcome for attempt in receipt.attempts] == ["upstream_unavailable", "stop"]
        assert receipt.finish == inference_pb2.FINISH_STOP
        with pytest.raises(grpc.aio.AioRpcError) as settled:
            await gateway.inference.Complete(TURN, metadata=gateway.bearer())
        assert settled.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert len(upstream.exchanges) == 2


async def test_another_body_under_the_id_of_a_failed_turn_is_still_a_conflict(tmp_path: Path) -> None:
    """The id belongs to what was asked first."""
    async with (
        ScriptedUpstream(Reply.json(503, {"error": {"message": "overloaded"}})) as upstream,
        running(tmp_path, upstream=upstream.url, environment=ONE_ATTEMPT) as gateway,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await gateway.inference.Complete(TURN, metadata=gateway.bearer())
        other = inference_pb2.Turn()
        other.CopyFrom(TURN)
        other.prompt = "something else"
        with pytest.raises(grpc.aio.AioRpcError) as conflict:
            await gateway.inference.Complete(other, metadata=gateway.bearer())
        assert conflict.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert len(upstream.exchanges) == 1


async def test_what_broke_off_after_output_is_never_run_again_even_where_it_was_free(tmp_path: Path) -> None:
    """Something was delivered: a second answer under the same id would be another answer."""
    broken = Reply((sse(text_chunk("half")), FIN))
    async with (
        ScriptedUpstream(broken) as upstream,
        running(tmp_path, upstream=upstream.url, environment={"GATEWAY_BILLING_BROKEN_STREAM": "free"}) as gateway,
    ):
        for code in (grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await gateway.inference.Complete(TURN, metadata=gateway.bearer())
            assert caught.value.code() is code
        assert len(upstream.exchanges) == 1


async def test_a_request_of_too_many_pieces_or_faults_is_refused_whole_and_briefly(tmp_path: Path) -> None:
    """Hundreds of wrong fields are named by the first few, and a flood of messages is counted, not read."""
    async with running(tmp_path) as gateway:
        for count, words in ((1_000, "and 999 more"), (5_000, "hold more than 4096")):
            turn = inference_pb2.Turn(messages=[content_pb2.Message(content="x") for _ in range(count)])
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await gateway.inference.Complete(turn, metadata=gateway.bearer())
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert words in (caught.value.details() or "")
