"""Limits and repeats: what is refused takes nothing, what is asked twice is charged once."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import deepseek_pb2
from gateway.v1 import account_pb2, inference_pb2, search_pb2
from tests.support.calls import NEVER, NOT_DEGRADED, kinds, refused, streamed, text_of, until
from tests.support.chat_events import DONE, LAST_CHUNK, chat_chunk, text_chunk
from tests.support.gateway import Running, running
from tests.support.upstream import RESET, Reply, ScriptedUpstream

CODE = grpc.StatusCode
LIMITS = """
[tenants.slow.limits]
requests_per_minute = 2
[tenants.short.limits]
tokens_per_minute = 1000
[tenants.single.limits]
concurrent_streams = 1
[tenants.poor.limits]
usd_per_day = 0.000001
usd_per_month = 0
[tenants.thrifty.limits]
usd_per_day = 0.01
"""


def plain(prompt: str = "hi", **fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn without search and without a stand-in."""
    return inference_pb2.Turn(prompt=prompt, **{"search": NEVER, "routing": NOT_DEGRADED, **fields})


def at_most(tokens: int) -> inference_pb2.GenerationOptions:
    """An answer of at most so many tokens."""
    return inference_pb2.GenerationOptions(max_tokens=tokens)


async def allowances(gateway: Running, tenant: str) -> dict[str, tuple[int, int]]:
    """What is left and what is held, by dimension."""
    limits = await gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=gateway.bearer(tenant))
    return {item.dimension: (item.remaining, item.held) for item in limits.allowances}


# --- limits ---------------------------------------------------------------------------------------------


async def test_requests_beyond_the_rate_are_told_when_to_come_back(tmp_path: Path) -> None:
    """RATE_LIMITED with the dimension, the wait in RetryInfo and as push-back, and the quota that was met."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url, config=LIMITS) as gateway,
    ):
        for _ in range(2):
            await gateway.inference.Complete(plain(generation=at_most(8)), metadata=gateway.bearer("slow"))
        told = await refused(
            gateway.inference.Complete(plain(generation=at_most(8)), metadata=gateway.bearer("slow"))
        )
        assert (told.code, told.reason) == (CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert (told.facts["dimension"], told.facts["limit"]) == ("requests_per_minute", "2")
        assert told.facts["retryable"] == "true"
        assert told.retry_after_s is not None
        assert 0 < told.retry_after_s <= 30
        assert abs(int(told.trailers["grpc-retry-pushback-ms"]) - told.retry_after_s * 1000) <= 1
        assert [subject for subject, _ in told.quotas] == ["tenant:slow"]
        assert "receipt_id" not in told.facts
        assert "retry in" in told.message
        assert len(upstream.exchanges) == 2


async def test_search_alone_counts_as_a_request(tmp_path: Path) -> None:
    """Query is refused by the same law, and a refused one leaves the next tenant alone."""
    async with running(tmp_path, config=LIMITS) as gateway:
        request = search_pb2.SearchRequest(query="receipts")
        for _ in range(2):
            await gateway.search.Query(request, metadata=gateway.bearer("slow"))
        told = await refused(gateway.search.Query(request, metadata=gateway.bearer("slow")))
        assert told.reason == "RATE_LIMITED"
        await gateway.search.Query(request, metadata=gateway.bearer("acme"))


async def test_a_turn_that_can_never_fit_is_not_to_be_tried_again(tmp_path: Path) -> None:
    """More tokens than a minute has, or more money than a day: push-back -1, and what to change."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url, config=LIMITS) as gateway,
    ):
        long = await refused(gateway.inference.Complete(plain(), metadata=gateway.bearer("short")))
        dear = await refused(gateway.inference.Complete(plain(), metadata=gateway.bearer("poor")))
        assert (long.code, long.reason, long.retry_after_s) == (CODE.RESOURCE_EXHAUSTED, "RATE_LIMITED", None)
        assert (dear.code, dear.reason, dear.retry_after_s) == (CODE.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", None)
        for told in (long, dear):
            assert told.trailers["grpc-retry-pushback-ms"] == "-1"
            assert told.facts["retryable"] == "false"
            assert "Lower max_tokens" in told.message
        assert upstream.exchanges == []
        fits = await gateway.inference.Complete(plain(generation=at_most(64)), metadata=gateway.bearer("short"))
        assert fits.end.finish == inference_pb2.FINISH_STOP


async def test_a_budget_that_is_used_up_is_not_to_be_tried_again(tmp_path: Path) -> None:
    """Money does not come back within the call's patience: BUDGET_EXHAUSTED, and a client library stops."""
    dear = {"prompt_tokens": 10, "completion_tokens": 2000, "total_tokens": 2010}
    reply = Reply.answer("fine", usage=dear)
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url, config=LIMITS) as gateway,
    ):
        metadata = gateway.bearer("thrifty")
        while True:
            frames, told = await streamed(gateway.inference.Generate(plain(), metadata=metadata))
            if told.code is not CODE.OK:
                break
        assert (told.code, told.reason) == (CODE.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED")
        assert told.trailers["grpc-retry-pushback-ms"] == "-1"
        assert told.quotas[0][1].startswith("usd_per_day")
        assert frames == []
        assert len(upstream.exchanges) > 1


async def test_streams_beyond_the_limit_wait_outside(tmp_path: Path) -> None:
    """One stream at once: the second is refused while the first runs, and let in when it has ended."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), gate, LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url, config=LIMITS) as gateway,
    ):
        metadata = gateway.bearer("single")
        first = gateway.inference.Generate(plain(), metadata=metadata)
        await first.read()
        request = deepseek_pb2.ModelRequest(text="hi")
        messages, told = await streamed(gateway.deepseek.StreamPredict(request, metadata=metadata))
        gate.set()
        await streamed(first)
        result = await gateway.inference.Complete(plain(), metadata=metadata)
        assert messages == []
        assert (told.reason, told.facts["dimension"]) == ("RATE_LIMITED", "concurrent_streams")
        assert told.retry_after_s is not None
        assert result.message.content == "x"


@pytest.mark.parametrize("tenant", ["short", "poor"])
async def test_a_refusal_takes_nothing(tmp_path: Path, tenant: str) -> None:
    """Whichever limit refused, the others are as they were: no request, no token, no stream, no money."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url, config=LIMITS) as gateway,
    ):
        before = await allowances(gateway, tenant)
        await refused(gateway.inference.Complete(plain(), metadata=gateway.bearer(tenant)))
        bad = inference_pb2.Turn(prompt="x", model="nobody")
        await refused(gateway.inference.Complete(bad, metadata=gateway.bearer(tenant)))
        assert await allowances(gateway, tenant) == before


async def test_what_was_held_and_not_used_is_given_back(tmp_path: Path) -> None:
    """A turn holds its most; after it only what it used is gone, and nothing is held."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), gate, LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        call = gateway.inference.Generate(plain(), metadata=gateway.bearer())
        await call.read()
        running_ = await allowances(gateway, "acme")
        gate.set()
        frames, _ = await streamed(call)
        after = await allowances(gateway, "acme")
        assert running_["concurrent_streams"] == (49, 1)
        assert running_["tokens_per_minute"][1] > 2048
        assert running_["usd_per_day"][1] > frames[-1].end.usage.cost_nano_usd
        assert {held for _, held in after.values()} == {0}
        assert after["usd_per_day"][0] == 10_000_000_000 - frames[-1].end.usage.cost_nano_usd


# --- the caller's own ceiling ---------------------------------------------------------------------------


async def test_a_ceiling_of_money_lowers_what_the_model_may_write(tmp_path: Path) -> None:
    """max_tokens goes upstream as what the money pays for, and an answer cut there ends LIMIT, not LENGTH."""

    def cut(exchange: Any) -> Reply:  # Any: an exchange
        most = exchange.json["max_tokens"]
        usage = {"prompt_tokens": 5, "completion_tokens": most, "total_tokens": most + 5}
        return Reply.events(text_chunk("cut"), chat_chunk({"content": ""}, finish="length", usage=usage), DONE)

    async with (
        ScriptedUpstream(cut) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        ceiling = 100_000
        limited = plain(limit=inference_pb2.TurnLimit(max_cost_nano_usd=ceiling))
        result = await gateway.inference.Complete(limited, metadata=gateway.bearer())
        own = await gateway.inference.Complete(plain(generation=at_most(3)), metadata=gateway.bearer())
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=result.end.receipt_id), metadata=gateway.bearer()
        )
        lowered = upstream.exchanges[0].json["max_tokens"]
        assert 0 < lowered < 2048
        assert result.end.finish == inference_pb2.FINISH_LIMIT
        assert 0 < result.end.usage.cost_nano_usd <= ceiling
        assert 0 < receipt.reserved.cost_nano_usd <= ceiling
        assert own.end.finish == inference_pb2.FINISH_LENGTH


async def test_a_ceiling_that_does_not_pay_for_the_prompt_is_refused(tmp_path: Path) -> None:
    """One nano-USD buys no answer; the field and what the prompt may cost are named."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = plain(limit=inference_pb2.TurnLimit(max_cost_nano_usd=1))
        told = await refused(gateway.inference.Complete(turn, metadata=gateway.bearer()))
        free = inference_pb2.Turn(prompt="hi", model="embedded", search=NEVER, limit=turn.limit)
        result = await gateway.inference.Complete(free, metadata=gateway.bearer())
        assert (told.code, list(told.fields)) == (CODE.INVALID_ARGUMENT, ["limit.max_cost_nano_usd"])
        assert result.end.usage.cost_nano_usd == 0
        assert upstream.exchanges == []


# --- the same turn again --------------------------------------------------------------------------------


async def test_a_turn_asked_twice_is_charged_once(tmp_path: Path) -> None:
    """Settled: TURN_SETTLED with its receipt; another body: a conflict; no further call, no further money."""
    async with (
        ScriptedUpstream(Reply.answer("once")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        result = await gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer())
        before = await allowances(gateway, "acme")
        again = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        frames, streamed_again = await streamed(
            gateway.inference.Generate(plain(turn_id="t1"), metadata=gateway.bearer())
        )
        other = await refused(gateway.inference.Complete(plain("ho", turn_id="t1"), metadata=gateway.bearer()))
        after = await allowances(gateway, "acme")
        for told in (again, streamed_again):
            assert (told.code, told.reason) == (CODE.ALREADY_EXISTS, "TURN_SETTLED")
            assert told.facts["receipt_id"] == result.end.receipt_id
            assert told.facts["retryable"] == "false"
        assert frames == []
        assert (other.code, other.reason) == (CODE.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT")
        assert after["usd_per_day"] == before["usd_per_day"]
        assert after["tokens_per_minute"][0] >= before["tokens_per_minute"][0]
        assert len(upstream.exchanges) == 1


async def test_a_turn_that_runs_is_in_progress_to_whoever_asks_again(tmp_path: Path) -> None:
    """On another call, and for another tenant it is another turn."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), gate, LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        first = gateway.inference.Generate(plain(turn_id="t1"), metadata=gateway.bearer())
        receipt_id = (await first.read()).accepted.receipt_id
        told = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        stranger = gateway.inference.Generate(plain(turn_id="t1"), metadata=gateway.bearer("other"))
        other_id = (await stranger.read()).accepted.receipt_id
        gate.set()
        await streamed(first)
        await streamed(stranger)
        assert (told.code, told.reason) == (CODE.ALREADY_EXISTS, "TURN_IN_PROGRESS")
        assert told.facts["receipt_id"] == receipt_id != other_id


async def test_many_at_once_under_one_id_are_one_turn(tmp_path: Path) -> None:
    """One is answered; the others learn of it, none of them reaches the model or holds anything."""
    async with (
        ScriptedUpstream(Reply.answer("once")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        calls = [gateway.inference.Generate(plain(turn_id="t1"), metadata=gateway.bearer()) for _ in range(10)]
        outcomes = await asyncio.gather(*(streamed(call) for call in calls))
        answered = [text_of(frames) for frames, told in outcomes if told.code is CODE.OK]
        reasons = {told.reason for _, told in outcomes if told.code is not CODE.OK}
        assert answered == ["once"]
        assert reasons <= {"TURN_IN_PROGRESS", "TURN_SETTLED"}
        assert len(upstream.exchanges) == 1
        assert {held for _, held in (await allowances(gateway, "acme")).values()} == {0}


async def test_a_restart_forgets_neither_receipts_nor_what_was_spent(tmp_path: Path) -> None:
    """On the same data directory the turn is settled, its receipt is there, and the money is still spent."""
    async with ScriptedUpstream(Reply.answer("once")) as upstream:
        async with running(tmp_path, upstream=upstream.url) as gateway:
            result = await gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer())
        async with running(tmp_path, upstream=upstream.url) as gateway:
            told = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
            receipt = await gateway.account.GetReceipt(
                account_pb2.GetReceiptRequest(receipt_id=result.end.receipt_id), metadata=gateway.bearer()
            )
            left = await allowances(gateway, "acme")
            assert (told.reason, told.facts["receipt_id"]) == ("TURN_SETTLED", result.end.receipt_id)
            assert receipt.settled == result.end.usage
            assert left["usd_per_day"][0] == 10_000_000_000 - result.end.usage.cost_nano_usd
            assert len(upstream.exchanges) == 1


async def test_a_turn_that_failed_before_any_output_may_be_tried_again_under_its_id(tmp_path: Path) -> None:
    """The second attempt has the receipt of the first; once it is answered the turn is settled."""
    replies = [Reply.json(401, {"error": {"message": "no"}}), Reply.answer("fine")]
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        first = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        again = await gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer())
        third = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        assert first.reason == "UPSTREAM_CREDENTIALS"
        assert again.message.content == "fine"
        assert again.end.receipt_id == first.facts["receipt_id"] == third.facts["receipt_id"]
        assert third.reason == "TURN_SETTLED"


async def test_a_turn_that_broke_off_is_settled(tmp_path: Path) -> None:
    """What was delivered was charged, so the same id does not run again."""
    replies = [Reply.events(text_chunk("half"), RESET), Reply.answer("whole")]
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        first = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        again = await refused(gateway.inference.Complete(plain(turn_id="t1"), metadata=gateway.bearer()))
        assert first.reason == "STREAM_INTERRUPTED"
        assert (again.reason, again.facts["receipt_id"]) == ("TURN_SETTLED", first.facts["receipt_id"])
        assert len(upstream.exchanges) == 1


# --- tenants --------------------------------------------------------------------------------------------

TENANTS = """
known_tenants_only = true
[tenants.acme]
[tenants.closed]
suspended = true
[tenants.small]
models = ["deepseek-v4-*"]
search_providers = []
"""


async def test_tenants_get_what_the_file_says(tmp_path: Path) -> None:
    """Suspended and unknown tenants are refused alike; models and search providers are those of the list."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url, config=TENANTS) as gateway,
    ):
        for tenant in ("closed", "nobody"):
            told = await refused(
                gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=gateway.bearer(tenant))
            )
            assert (told.code, told.reason) == (CODE.PERMISSION_DENIED, "TENANT_SUSPENDED")
        small = gateway.bearer("small")
        denied = await refused(gateway.inference.Complete(plain(model="deepseek-flash"), metadata=small))
        allowed = await gateway.inference.Complete(plain(model="deepseek-v4-pro"), metadata=small)
        named = search_pb2.SearchRequest(
            query="receipts", options=inference_pb2.SearchOptions(providers=["embedded"])
        )
        no_search = await refused(gateway.search.Query(named, metadata=small))
        any_search = await gateway.search.Query(search_pb2.SearchRequest(query="receipts"), metadata=small)
        assert (denied.code, denied.reason) == (CODE.PERMISSION_DENIED, "MODEL_NOT_ALLOWED")
        assert allowed.message.content == "fine"
        assert (no_search.code, list(no_search.fields)) == (CODE.INVALID_ARGUMENT, ["options.providers"])
        assert not any_search.sources
        assert not any_search.prompt_text


async def test_a_suspended_tenants_running_turns_finish_and_no_new_one_begins(tmp_path: Path) -> None:
    """The file is followed while the gateway runs; what was admitted is answered."""
    gate = asyncio.Event()
    config = "[tenants.acme]\nsuspended = {}\n"
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), gate, LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url, config=config.format("false")) as gateway,
    ):
        call = gateway.inference.Generate(plain(), metadata=gateway.bearer())
        await call.read()
        (tmp_path / "gateway.toml").write_text(config.format("true"), encoding="utf-8")
        reasons: list[str] = []

        async def ask() -> None:
            try:
                await gateway.inference.ListModels(
                    inference_pb2.ListModelsRequest(), metadata=gateway.bearer(scope="model.read")
                )
            except grpc.aio.AioRpcError as error:
                reasons.append(error.details() or "")

        async def ask_until_refused() -> None:
            while not reasons:
                await ask()
                await asyncio.sleep(0.1)

        await asyncio.wait_for(ask_until_refused(), 20)
        gate.set()
        frames, told = await streamed(call)
        assert reasons == ["this tenant is not served; ask the operator"]
        assert told.code is CODE.OK
        assert kinds(frames)[-1] == "end"
        await until(lambda: len(gateway.gateway.running) == 0)
