"""The asynchronous client against a scripted gateway: deadlines, retries, tokens, leaving."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

import deepseek_pb2
from gateway.v1 import account_pb2, content_pb2, inference_pb2, search_pb2
from gateway_client import FileToken, GatewayCallError, GatewayClient, StaticToken, TokenUnavailable
from gateway_client.attempts import Attempt, Attempts
from tests.support.scripted_gateway import (
    LIMITS,
    RESPONSES,
    Refusal,
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


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway."""
    async with scripted_gateway() as running:
        yield running


def client_of(gateway: ScriptedGateway, **options: object) -> GatewayClient:
    """A client without jitter that sends the token `good`."""
    return GatewayClient(gateway.target, **{"token": "good", "chance": lambda: 0.0, **options})  # type: ignore[arg-type]


class CountedToken:
    """Gives `t0`, and a new token each time a fresh one is asked for."""

    def __init__(self) -> None:
        self.refreshed = 0

    async def token(self, refresh: bool) -> str | None:
        """The newest token."""
        self.refreshed += refresh
        return f"t{self.refreshed}"


async def test_frames_arrive_in_order_and_fold_into_the_answer(gateway: ScriptedGateway) -> None:
    """What the server sends is what the iteration gives; `answer()` folds it."""
    gateway.script("Generate", *ANSWER)
    gateway.script("Generate", *ANSWER)
    async with client_of(gateway) as client:
        async with client.generate(prompt="Hi") as frames:
            assert [frame async for frame in frames] == ANSWER
        async with client.generate(prompt="Hi") as frames:
            answer = await frames.answer()
    assert (answer.text, answer.receipt_id, answer.finish) == ("Hello", "r1", inference_pb2.FINISH_STOP)


async def test_every_call_carries_a_deadline_a_token_and_a_request_id(gateway: ScriptedGateway) -> None:
    """No method can be called without a deadline; calls that generate nothing have a short one."""
    gateway.script("Generate", *ANSWER)
    gateway.script("Complete", inference_pb2.TurnResult())
    gateway.script("StreamPredict", *RESPONSES)
    gateway.script("ListModels", inference_pb2.ListModelsResponse())
    gateway.script("Query", search_pb2.SearchReply())
    gateway.script("GetLimits", LIMITS)
    gateway.script("GetReceipt", account_pb2.Receipt(receipt_id="r1"))
    gateway.converse = greet_only
    async with client_of(gateway) as client:
        async with client.generate(prompt="Hi") as frames:
            await frames.answer()
        await client.complete(prompt="Hi")
        async with client.predict("Hi") as pieces:
            assert [piece.text async for piece in pieces] == ["Hel", "lo"]
        assert await client.list_models() == ()
        assert await client.search("tides") == search_pb2.SearchReply()
        assert await client.limits() == LIMITS
        assert (await client.receipt("r1")).receipt_id == "r1"
        async with client.converse():
            pass
    assert len(gateway.calls) == 8
    for call in gateway.calls:
        long = call.method in ("Generate", "Complete", "StreamPredict", "Converse")
        longest = 900 if long else 30
        assert longest - GUARD_S < call.time_remaining_s < longest + 1
        assert call.metadata["authorization"] == "Bearer good"
        assert call.metadata["x-request-id"]


async def greet_only(frames: AsyncIterator[inference_pb2.ClientFrame], context: grpc.aio.ServicerContext) -> None:  # type: ignore[type-arg]
    """A conversation in which nothing is said."""
    await context.write(inference_pb2.ServerFrame(seq=1, opened=inference_pb2.Opened(session_id="s")))
    async for _ in frames:
        pass


async def test_unavailable_before_the_first_frame_is_retried_with_the_same_turn(gateway: ScriptedGateway) -> None:
    """The retry is the same turn under the same id and the same request id."""
    gateway.script("Generate", unavailable())
    gateway.script("Generate", unavailable(retry_after_s=0.001))
    gateway.script("Generate", *ANSWER)
    async with client_of(gateway) as client, client.generate(prompt="Hi", timeout_s=50) as frames:
        await frames.answer()
    assert [call.request for call in gateway.calls] == [gateway.calls[0].request] * 3
    assert gateway.calls[0].request.turn_id == frames.turn_id != ""
    assert len({call.metadata["x-request-id"] for call in gateway.calls}) == 1


async def test_all_tries_share_one_deadline() -> None:
    """What a pause took is missing from the next try's time."""
    left: list[float] = []

    async def start(attempt: Attempt) -> str:
        left.append(attempt.timeout_s)
        if len(left) == 1:
            trailing = grpc.aio.Metadata(("grpc-retry-pushback-ms", "50"), *unavailable().trailing())
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailing)
        return "done"

    assert await Attempts("somewhere:1", StaticToken("x"), lambda: 0.0).first(start, 20.0) == "done"
    assert left[1] <= left[0] - 0.05


async def test_at_most_two_retries_are_made(gateway: ScriptedGateway) -> None:
    """The third refusal is the caller's to see."""
    for _ in range(4):
        gateway.script("Complete", unavailable())
    async with client_of(gateway) as client:
        with pytest.raises(GatewayCallError) as caught:
            await client.complete(prompt="Hi")
    assert caught.value.reason == "OVERLOADED"
    assert len(gateway.calls) == 3


async def test_nothing_is_retried_once_a_frame_arrived(gateway: ScriptedGateway) -> None:
    """A half-delivered answer is never asked for again behind the caller's back."""
    gateway.script("Generate", ANSWER[0], unavailable())
    async with client_of(gateway) as client, client.generate(prompt="Hi") as frames:
        assert await anext(frames) == ANSWER[0]
        with pytest.raises(GatewayCallError, match="OVERLOADED"):
            await anext(frames)
        assert [frame async for frame in frames] == []
    assert len(gateway.calls) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        unavailable(retryable=False),
        unavailable(pushback_ms="-1"),
        unavailable(retry_after_s=600.0),
        Refusal(grpc.StatusCode.ABORTED, reason="STREAM_INTERRUPTED"),
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="RATE_LIMITED", retryable=True, retry_after_s=0.001),
    ],
    ids=["not retryable", "pushback -1", "wait too long", "aborted", "rate limited"],
)
async def test_what_must_not_be_retried_is_tried_once(gateway: ScriptedGateway, refusal: Refusal) -> None:
    """Only UNAVAILABLE that the server calls retryable, and soon, is tried again."""
    gateway.script("StreamPredict", refusal)
    async with client_of(gateway) as client, client.predict("Hi") as pieces:
        with pytest.raises(GatewayCallError):
            await anext(pieces)
    assert len(gateway.calls) == 1


async def test_leaving_the_iteration_early_cancels_the_call(gateway: ScriptedGateway) -> None:
    """`break` inside `async with` reaches the server as a cancel: nothing goes on generating."""
    gateway.script("Generate", ANSWER[0], forever)
    async with client_of(gateway) as client:
        async with client.generate(prompt="Hi") as frames:
            async for _ in frames:
                break
        await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)


async def test_a_cancelled_task_cancels_its_call_before_the_first_frame(gateway: ScriptedGateway) -> None:
    """A caller who gives up while waiting for the first frame is seen to leave as well."""
    gateway.script("Generate", forever)
    async with client_of(gateway) as client:
        async with client.generate(prompt="Hi") as frames:
            waiting = asyncio.create_task(frames.answer())
            await until(lambda: len(gateway.calls) == 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.wait_for(gateway.calls[0].left.wait(), GUARD_S)


async def until(condition: object) -> None:
    """Lets other tasks run until the condition holds."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def test_a_stream_outside_async_with_refuses_to_start(gateway: ScriptedGateway) -> None:
    """Nobody can start a call that nobody will cancel."""
    async with client_of(gateway) as client:
        with pytest.raises(RuntimeError, match="async with"):
            await anext(client.generate(prompt="Hi"))
    assert gateway.calls == []


async def test_a_refused_token_is_replaced_once(gateway: ScriptedGateway) -> None:
    """UNAUTHENTICATED asks the token source for a fresh token, one time."""
    refused = Refusal(grpc.StatusCode.UNAUTHENTICATED, "invalid_token", reason="TOKEN_EXPIRED")
    gateway.script("Complete", refused)
    gateway.script("Complete", inference_pb2.TurnResult(message=content_pb2.Message(content="Hello")))
    gateway.script("Complete", refused)
    gateway.script("Complete", refused)
    tokens = CountedToken()
    async with client_of(gateway, token=tokens) as client:
        assert (await client.complete(prompt="Hi")).text == "Hello"
        with pytest.raises(GatewayCallError, match="get a new token"):
            await client.complete(prompt="Hi")
    sent = [call.metadata["authorization"] for call in gateway.calls]
    assert sent == ["Bearer t0", "Bearer t1", "Bearer t1", "Bearer t2"]


async def test_a_token_that_cannot_change_is_not_tried_twice(gateway: ScriptedGateway) -> None:
    """With a fixed token there is nothing to refresh."""
    gateway.script("Complete", Refusal(grpc.StatusCode.UNAUTHENTICATED, "invalid_token", reason="TOKEN_INVALID"))
    async with client_of(gateway) as client:
        with pytest.raises(GatewayCallError, match="TOKEN_INVALID: invalid_token: set GATEWAY_TOKEN"):
            await client.complete(prompt="Hi")
    assert len(gateway.calls) == 1


async def test_without_a_token_no_credential_is_sent(gateway: ScriptedGateway) -> None:
    """`StaticToken(None)` is the way to call without a credential."""
    gateway.script("ListModels", inference_pb2.ListModelsResponse())
    async with client_of(gateway, token=StaticToken(None)) as client:
        await client.list_models()
    assert "authorization" not in gateway.calls[0].metadata


async def test_a_token_file_is_read_for_every_call(gateway: ScriptedGateway, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Another program may renew the file; a missing one stops the call before it is made."""
    path = tmp_path / "token"
    gateway.script("ListModels", inference_pb2.ListModelsResponse())
    gateway.script("ListModels", inference_pb2.ListModelsResponse())
    async with client_of(gateway, token=FileToken(path)) as client:
        with pytest.raises(TokenUnavailable, match="does not exist"):
            await client.list_models()
        for word in ("one", "two"):
            path.write_text(f"{word}\n")
            await client.list_models()
    assert [call.metadata["authorization"] for call in gateway.calls] == ["Bearer one", "Bearer two"]


async def test_the_details_of_a_status_become_attributes(gateway: ScriptedGateway) -> None:
    """Reason, wait, ids, billing, fields and quotas of `google.rpc` details; the line says what to do."""
    refusal = Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "tokens per minute are used up",
        reason="RATE_LIMITED",
        retryable=True,
        retry_after_s=12.5,
        facts={"request_id": "q7", "receipt_id": "r9", "billed": "true", "dimension": "tokens_per_minute"},
        fields=(("generation.max_tokens", "ask for less"),),
        quotas=(("tenant:acme", "tokens_per_minute"),),
    )
    gateway.script("Complete", refusal)
    async with client_of(gateway) as client:
        with pytest.raises(GatewayCallError) as caught:
            await client.complete(prompt="Hi")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (error.retryable, error.retry_after_s, error.billed) == (True, 12.5, True)
    assert (error.request_id, error.receipt_id) == ("q7", "r9")
    assert [(f.field, f.description) for f in error.fields] == [("generation.max_tokens", "ask for less")]
    assert [(q.subject, q.description) for q in error.quotas] == [("tenant:acme", "tokens_per_minute")]
    assert error.failure.facts["dimension"] == "tokens_per_minute"
    assert str(error) == (
        "RATE_LIMITED: tokens per minute are used up: try again in 12.5 s (request q7, receipt r9)"
    )


async def test_where_nothing_listens_the_error_says_how_to_start_a_gateway(unused_tcp_port: int) -> None:
    """A refused connection is retried, then explained."""
    target = f"127.0.0.1:{unused_tcp_port}"
    async with GatewayClient(target, token="x", chance=lambda: 0.0) as client:
        with pytest.raises(GatewayCallError) as caught:
            await client.list_models()
    assert str(caught.value) == (
        f"nothing answers at {target}: start the gateway with `make run` or set GATEWAY_GRPC_TARGET"
    )


async def test_a_call_ends_at_its_deadline(gateway: ScriptedGateway) -> None:
    """The deadline is the client's own too: a silent server cannot hold it."""
    gateway.script("Complete", forever)
    async with client_of(gateway) as client:
        with pytest.raises(GatewayCallError, match="no answer in time: allow more time") as caught:
            await client.complete(prompt="Hi", timeout_s=0.05)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_simple_entry_tells_its_facts_after_the_end(gateway: ScriptedGateway) -> None:
    """`StreamPredict` has no frames: its facts stand in trailing metadata."""
    usage = content_pb2.Usage(completion_tokens=2)
    notices = [inference_pb2.Notice(message=word) for word in ("one", "two")]
    gateway.trailing = (
        ("gateway-receipt-id", "r1"),
        ("gateway-model", "deepseek-flash"),
        ("gateway-usage-bin", usage.SerializeToString()),
        *(("gateway-notice-bin", notice.SerializeToString()) for notice in notices),
    )
    gateway.script("StreamPredict", *RESPONSES)
    async with client_of(gateway) as client, client.predict("Hi", max_tokens=5) as pieces:
        assert pieces.facts is None
        assert [piece.text async for piece in pieces] == ["Hel", "lo"]
        facts = pieces.facts
    assert gateway.calls[0].request == deepseek_pb2.ModelRequest(text="Hi", max_tokens=5)
    assert facts is not None
    assert (facts.receipt_id, facts.model, facts.usage) == ("r1", "deepseek-flash", usage)
    assert list(facts.notices) == notices
