"""The single-turn calls: what each answers, what it needs, and what a caller is told when it is refused."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import deepseek_pb2
from gateway.v1 import account_pb2, content_pb2, inference_pb2, search_pb2
from tests.support.calls import NEVER, NOT_DEGRADED, Talk, kinds, refused, streamed, text_of, until
from tests.support.chat_events import DONE, LAST_CHUNK, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import ALL_SCOPES, Running, running
from tests.support.upstream import RESET, Reply, ScriptedUpstream

Turn = inference_pb2.Turn
CODE = grpc.StatusCode
REQUEST_ID = (("x-request-id", "from-the-caller_1"),)


def plain(prompt: str = "hi", **fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn without search and without a stand-in."""
    return Turn(prompt=prompt, **{"search": NEVER, "routing": NOT_DEGRADED, **fields})


def calls_of(gateway: Running) -> dict[str, tuple[Any, Any]]:
    """Every single call by its name: the stub's method and a request that is answered. Any: stubs differ."""
    return {
        "Generate": (gateway.inference.Generate, plain()),
        "Complete": (gateway.inference.Complete, plain()),
        "ListModels": (gateway.inference.ListModels, inference_pb2.ListModelsRequest()),
        "StreamPredict": (gateway.deepseek.StreamPredict, deepseek_pb2.ModelRequest(text="hi")),
        "Query": (gateway.search.Query, search_pb2.SearchRequest(query="receipts")),
        "GetLimits": (gateway.account.GetLimits, account_pb2.GetLimitsRequest()),
        "GetReceipt": (gateway.account.GetReceipt, account_pb2.GetReceiptRequest(receipt_id="none")),
    }


async def outcome(call: Any) -> tuple[list[Any], Any]:
    """Messages and status of any kind of call. Any: a call and its messages."""
    if hasattr(call, "__aiter__"):
        return await streamed(call)
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        return [], (await streamed(_Failed(error)))[1]
    trailers = {str(key): value for key, value in await call.trailing_metadata()}
    return [reply], type("Ok", (), {"code": await call.code(), "trailers": trailers})


class _Failed:
    """A call that has failed already, to be read like one that streams."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self._error = error

    def __aiter__(self) -> "_Failed":
        return self

    async def __anext__(self) -> None:
        raise self._error


CALLS = ["Generate", "Complete", "ListModels", "StreamPredict", "Query", "GetLimits", "GetReceipt"]
NEEDS = {"Generate": "model.stream", "Complete": "model.read", "ListModels": "model.read"}
NEEDS |= {"StreamPredict": "model.stream", "Query": "search"}


# --- answers --------------------------------------------------------------------------------------------


async def test_generate_complete_and_stream_predict_give_one_answer(tmp_path: Path) -> None:
    """The same bytes, whichever way they are asked for, and each with a receipt of its own."""
    async with (
        ScriptedUpstream(Reply.answer("Grüß", " Gott", " 你好\n")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        frames, _ = await streamed(gateway.inference.Generate(plain(), metadata=gateway.bearer()))
        result = await gateway.inference.Complete(plain(), metadata=gateway.bearer())
        request = deepseek_pb2.ModelRequest(text="hi")
        parts, told = await streamed(gateway.deepseek.StreamPredict(request, metadata=gateway.bearer()))
        assert text_of(frames) == "Grüß Gott 你好\n"
        assert result.message == content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, content="Grüß Gott 你好\n")
        assert "".join(part.text for part in parts) == "Grüß Gott 你好\n"
        assert all(part.text for part in parts)
        end = frames[-1].end
        assert (end.finish, end.served_by, end.model) == (inference_pb2.FINISH_STOP, "deepseek", "deepseek-flash")
        assert end.usage == result.end.usage
        assert len({end.receipt_id, result.end.receipt_id, told.trailers["gateway-receipt-id"]}) == 3


async def test_offsets_count_bytes_and_seq_has_no_holes(tmp_path: Path) -> None:
    """However the events are folded, offset and text of every delta meet those of the next."""
    gate = asyncio.Event()
    reply = Reply.events(text_chunk("Grüß"), gate, text_chunk(" Gott"), text_chunk("!"), LAST_CHUNK, DONE)
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        call = gateway.inference.Generate(plain(), metadata=gateway.bearer())
        frames = [await call.read(), await call.read()]
        gate.set()
        while (frame := await call.read()) is not grpc.aio.EOF:
            frames.append(frame)
        assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
        deltas = [frame.delta for frame in frames if frame.HasField("delta")]
        assert (deltas[0].text, deltas[0].offset) == ("Grüß", 0)
        assert deltas[1].offset == len("Grüß".encode())
        assert sum(delta.events for delta in deltas) == 3
        assert kinds(frames)[0] == "accepted"
        assert kinds(frames)[-1] == "end"


async def test_stream_predict_tells_its_facts_in_trailing_metadata(tmp_path: Path) -> None:
    """Receipt, model and usage, and a notice for everything that was changed."""
    async with (
        ScriptedUpstream(Reply.answer("Hello")) as upstream,
        running(tmp_path, upstream=upstream.url, config="[tenant_defaults]\nmax_output_tokens = 8\n") as gateway,
    ):
        request = deepseek_pb2.ModelRequest(text="say hello", max_tokens=100)
        _, told = await streamed(gateway.deepseek.StreamPredict(request, metadata=gateway.bearer()))
        usage = content_pb2.Usage.FromString(told.trailers["gateway-usage-bin"])
        notice = inference_pb2.Notice.FromString(told.trailers["gateway-notice-bin"])
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=told.trailers["gateway-receipt-id"]),
            metadata=gateway.bearer(),
        )
        assert told.trailers["gateway-model"] == "deepseek-flash"
        assert (usage, usage.prompt_tokens) == (receipt.settled, 11)
        assert notice.kind == inference_pb2.NOTICE_KIND_OPTION_CLAMPED
        assert notice.facts == {"field": "generation.max_tokens", "max_tokens": "8"}
        assert upstream.exchanges[0].json["max_tokens"] == 8


async def test_a_model_name_that_no_header_can_carry_is_percent_encoded(tmp_path: Path) -> None:
    """The provider chooses the name; an answered turn never fails for it."""
    name = "模型\n1"
    reply = Reply.events(
        chat_chunk({"content": "x"}, model=name), chat_chunk({"content": ""}, finish="stop", model=name), DONE
    )
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        request = deepseek_pb2.ModelRequest(text="hi")
        _, told = await streamed(gateway.deepseek.StreamPredict(request, metadata=gateway.bearer()))
        assert (told.code, told.trailers["gateway-model"]) == (CODE.OK, "%E6%A8%A1%E5%9E%8B%0A1")


async def test_reasoning_is_sent_only_when_asked_for_and_charged_all_the_same(tmp_path: Path) -> None:
    """With include_reasoning it comes first; without, not a byte of it leaves."""
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 4}}
    reply = Reply.events(
        reasoning_chunk("hm, "),
        reasoning_chunk("well"),
        text_chunk("42"),
        chat_chunk({"content": ""}, finish="stop", usage=usage),
        DONE,
    )
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        thinking = inference_pb2.GenerationOptions(thinking=inference_pb2.THINKING_HIGH)
        quiet = await gateway.inference.Complete(plain(generation=thinking), metadata=gateway.bearer())
        thinking.include_reasoning = True
        loud = await gateway.inference.Complete(plain(generation=thinking), metadata=gateway.bearer())
        assert (quiet.message.reasoning, quiet.message.content) == ("", "42")
        assert (loud.message.reasoning, loud.message.content) == ("hm, well", "42")
        assert quiet.end.usage == loud.end.usage
        assert quiet.end.usage.reasoning_tokens == 4


async def test_list_models_names_what_the_tenant_may_use_with_prices(tmp_path: Path) -> None:
    """The default first, the embedded model always, and only those of the allow-list."""
    config = '[tenants.small]\nmodels = ["embedded"]\n[tenants.none]\nmodels = []\n'
    async with running(tmp_path, upstream="http://127.0.0.1:9", config=config) as gateway:
        request = inference_pb2.ListModelsRequest()
        every = (await gateway.inference.ListModels(request, metadata=gateway.bearer())).models
        small = (await gateway.inference.ListModels(request, metadata=gateway.bearer("small"))).models
        none = (await gateway.inference.ListModels(request, metadata=gateway.bearer("none"))).models
        assert [model.name for model in every] == ["deepseek-flash", "deepseek-v4-pro", "embedded"]
        assert [model.name for model in small] == ["embedded"]
        assert not none
        flash, embedded = every[0], every[2]
        assert flash.prompt_nano_usd > flash.cached_prompt_nano_usd > 0
        assert flash.completion_nano_usd > flash.prompt_nano_usd
        assert "thinking" in flash.capabilities
        assert embedded.local
        assert not flash.local
        assert embedded.prompt_nano_usd == 0


async def test_get_limits_shows_every_limit_and_uses_none_up(tmp_path: Path) -> None:
    """What is left after a turn is what the turn took; asking twice says the same."""
    async with (
        ScriptedUpstream(Reply.answer("Hello")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        request = account_pb2.GetLimitsRequest()
        before = {
            item.dimension: item
            for item in (await gateway.account.GetLimits(request, metadata=gateway.bearer())).allowances
        }
        result = await gateway.inference.Complete(plain(), metadata=gateway.bearer())
        after = {
            item.dimension: item
            for item in (await gateway.account.GetLimits(request, metadata=gateway.bearer())).allowances
        }
        assert list(before) == [
            "requests_per_minute",
            "tokens_per_minute",
            "concurrent_streams",
            "usd_per_day",
            "usd_per_month",
        ]
        assert all(item.remaining == item.limit and not item.held for item in before.values())
        assert before["usd_per_day"].limit == 10_000_000_000
        assert before["requests_per_minute"].scope == "tenant:acme"
        assert after["usd_per_day"].limit - after["usd_per_day"].remaining == result.end.usage.cost_nano_usd
        assert after["concurrent_streams"].remaining == 50


async def test_a_receipt_tells_the_whole_turn_and_only_to_its_tenant(tmp_path: Path) -> None:
    """What was held and charged, who answered, under whose request; another tenant's does not exist."""
    async with (
        ScriptedUpstream(Reply.answer("Hello")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = plain(turn_id="t1", labels={"project": "apollo"})
        result = await gateway.inference.Complete(turn, metadata=gateway.bearer() + REQUEST_ID)
        request = account_pb2.GetReceiptRequest(receipt_id=result.end.receipt_id)
        receipt = await gateway.account.GetReceipt(request, metadata=gateway.bearer())
        stranger = await refused(gateway.account.GetReceipt(request, metadata=gateway.bearer("other")))
        nobody = await refused(
            gateway.account.GetReceipt(
                account_pb2.GetReceiptRequest(receipt_id="0" * 32), metadata=gateway.bearer()
            )
        )
        empty = await refused(
            gateway.account.GetReceipt(account_pb2.GetReceiptRequest(), metadata=gateway.bearer())
        )
        assert (receipt.tenant, receipt.subject, receipt.turn_id) == ("acme", "tester", "t1")
        assert (receipt.model, receipt.served_by, receipt.request_id) == (
            "deepseek-flash",
            "deepseek",
            "from-the-caller_1",
        )
        assert receipt.labels == {"project": "apollo"}
        assert receipt.settled == result.end.usage
        assert receipt.reserved.completion_tokens == 2048
        assert receipt.reserved.cost_nano_usd > receipt.settled.cost_nano_usd > 0
        assert (receipt.finish, receipt.reason, receipt.broken_stream_policy) == (
            inference_pb2.FINISH_STOP,
            "",
            "",
        )
        assert receipt.price_entry.startswith("deepseek-flash@")
        assert [(one.upstream, one.outcome) for one in receipt.attempts] == [("deepseek", "stop")]
        assert receipt.created.seconds <= receipt.settled_at.seconds
        assert (stranger.code, stranger.reason) == (CODE.NOT_FOUND, "NOT_FOUND")
        assert (nobody.code, nobody.message) == (stranger.code, stranger.message)
        assert (empty.code, list(empty.fields)) == (CODE.INVALID_ARGUMENT, ["receipt_id"])


async def test_the_receipt_of_a_running_turn_says_that_it_runs(tmp_path: Path) -> None:
    """It is there from the moment the turn is accepted: something is held, and nothing is settled."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream(Reply.events(text_chunk("x"), gate, LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        call = gateway.inference.Generate(plain(), metadata=gateway.bearer())
        accepted = (await call.read()).accepted
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=accepted.receipt_id), metadata=gateway.bearer()
        )
        gate.set()
        await streamed(call)
        assert receipt.finish == inference_pb2.FINISH_UNSPECIFIED
        assert receipt.reserved.cost_nano_usd > 0
        assert not receipt.HasField("settled")
        assert not receipt.HasField("settled_at")


async def test_a_receipt_names_nobody_where_nobody_answered(tmp_path: Path) -> None:
    """A turn that failed before any output costs nothing, was served by nobody, and says why."""
    reply = Reply.json(402, {"error": {"message": "Insufficient Balance"}})
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        told = await refused(gateway.inference.Complete(plain(), metadata=gateway.bearer()))
        request = account_pb2.GetReceiptRequest(receipt_id=told.facts["receipt_id"])
        receipt = await gateway.account.GetReceipt(request, metadata=gateway.bearer())
        assert (told.code, told.reason) == (CODE.UNAVAILABLE, "UPSTREAM_BALANCE")
        assert (receipt.reason, receipt.served_by) == ("UPSTREAM_BALANCE", "")
        assert receipt.settled.cost_nano_usd == 0
        assert told.facts["billed"] == "false"


async def test_an_interrupted_turn_names_the_policy_by_which_it_is_charged(tmp_path: Path) -> None:
    """ABORTED, never OK: the frames before it stand, `end` comes first, and the receipt says what was charged."""
    async with (
        ScriptedUpstream(Reply.events(text_chunk("half"), RESET)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        frames, told = await streamed(gateway.inference.Generate(plain(), metadata=gateway.bearer()))
        receipt = await gateway.account.GetReceipt(
            account_pb2.GetReceiptRequest(receipt_id=told.facts["receipt_id"]), metadata=gateway.bearer()
        )
        assert (told.code, told.reason) == (CODE.ABORTED, "STREAM_INTERRUPTED")
        assert kinds(frames) == ["accepted", "delta", "end"]
        assert frames[-1].end.receipt_id == told.facts["receipt_id"] == told.trailers["gateway-receipt-id"]
        assert (receipt.broken_stream_policy, receipt.served_by) == ("charge_delivered", "deepseek")


# --- trouble --------------------------------------------------------------------------------------------


async def test_trouble_before_the_first_frame_is_the_status_alone(tmp_path: Path) -> None:
    """Generate has sent nothing then, so that a client library may try again by itself; never a fault.

    A retry of the gateway's own is a notice, and with it the frames begin.
    """
    reply = Reply.json(503, {"error": {"message": "overloaded"}})
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url, environment={"GATEWAY_ROUTING_ATTEMPTS": "1"}) as gateway,
    ):
        for method, request in (
            (gateway.inference.Generate, plain()),
            (gateway.deepseek.StreamPredict, deepseek_pb2.ModelRequest(text="x")),
        ):
            messages, told = await streamed(method(request, metadata=gateway.bearer()))
            assert messages == []
            assert (told.code, told.reason) == (CODE.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
            assert told.facts["retryable"] == "true"
            assert told.facts["receipt_id"] == told.trailers["gateway-receipt-id"]


@pytest.mark.parametrize("name", CALLS)
async def test_the_request_id_is_echoed_always(tmp_path: Path, name: str) -> None:
    """Taken over when it is one, made when it is not, on success and on failure alike."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        method, request = calls_of(gateway)[name]
        _, good = await outcome(method(request, metadata=gateway.bearer() + REQUEST_ID))
        _, made = await outcome(method(request, metadata=(*gateway.bearer(), ("x-request-id", "not one!"))))
        _, bad = await outcome(method(request, metadata=(("authorization", "Bearer no"), *REQUEST_ID)))
        assert good.trailers["x-request-id"] == "from-the-caller_1"
        assert len(made.trailers["x-request-id"]) == 32
        assert bad.trailers["x-request-id"] == bad.facts["request_id"] == "from-the-caller_1"
        assert (bad.code, bad.message, bad.domain) == (CODE.UNAUTHENTICATED, "invalid_token", "gateway.v1")


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_needs_its_own_scope(tmp_path: Path, name: str) -> None:
    """The other scopes together are not enough; account calls need any valid token and no scope."""
    need = NEEDS.get(name, "")
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        method, request = calls_of(gateway)[name]
        others = " ".join(word for word in f"{ALL_SCOPES} admin".split() if word != need)
        _, with_others = await outcome(method(request, metadata=gateway.bearer(scope=others)))
        _, with_it = await outcome(method(request, metadata=gateway.bearer(scope=need or "nothing.here")))
        if need:
            assert (with_others.code, with_others.reason) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING")
            assert need in with_others.message
        assert with_it.code is (CODE.NOT_FOUND if name == "GetReceipt" else CODE.OK)


@pytest.mark.parametrize(
    "path",
    [
        "/gateway.v1.Inference/Nope",
        "/gateway.v1.inference/Complete",
        "/gateway.v1.Inference/complete",
        "/gateway.v1.Inference//Complete",
        "/gateway.v1.Inference%2FComplete",
        "/gateway.v1.Jobs/Create",
    ],
)
async def test_what_is_not_in_the_table_does_not_exist(tmp_path: Path, path: str) -> None:
    """Methods are matched exactly: another case or another slash is another method, and there is none."""
    async with running(tmp_path) as gateway:
        call = gateway.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        assert (await refused(call(b"", metadata=gateway.bearer()))).code is CODE.UNIMPLEMENTED


async def test_bad_metadata_is_refused_before_anything_else(tmp_path: Path) -> None:
    """Two credentials, another scheme, control characters and a flood of keys, each with its own reason."""
    async with running(tmp_path) as gateway:
        good = gateway.bearer()
        bad_credentials: list[tuple[tuple[str, str], ...]] = [
            good + good,
            (("authorization", f"Basic {gateway.token()}"),),
            (("authorization", "Bearer"),),
            (("authorization", "Bearer "),),
            (("authorization", gateway.token()),),
            (("authorization", f"Bearer {gateway.token()} x"),),
        ]
        for metadata in bad_credentials:
            told = await refused(gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=metadata))
            assert (told.code, told.reason, told.message) == (
                CODE.UNAUTHENTICATED,
                "TOKEN_INVALID",
                "invalid_token",
            )
        flood = tuple((f"key-{number}", "x") for number in range(64))
        told = await refused(gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=good + flood))
        assert (told.code, told.reason) == (CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert "64" in told.message


@pytest.mark.parametrize("name", CALLS)
async def test_garbage_is_the_callers_fault(tmp_path: Path, name: str) -> None:
    """Bytes that are no message are INVALID_ARGUMENT with details, and name nothing of ours but the method."""
    async with running(tmp_path) as gateway:
        path = {
            "StreamPredict": "/deepseek.DeepSeek/StreamPredict",
            "Query": "/gateway.v1.Search/Query",
            "GetReceipt": "/gateway.v1.Account/GetReceipt",
            "GetLimits": "/gateway.v1.Account/GetLimits",
        }.get(name, f"/gateway.v1.Inference/{name}")
        streams = name in ("Generate", "StreamPredict")
        make = gateway.channel.unary_stream if streams else gateway.channel.unary_unary
        call = make(path, request_serializer=bytes, response_deserializer=bytes)
        _, told = await outcome(call(b"\xff\xff\xff", metadata=gateway.bearer()))
        assert (told.code, told.reason) == (CODE.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert told.message == f"the request is no valid message of {path}"


async def test_a_message_over_the_limit_is_refused_by_its_size(tmp_path: Path) -> None:
    """5 MB do not fit into 4 MiB, as one message or as a frame of a stream; just below the limit they do."""
    async with (
        ScriptedUpstream(Reply.answer("read")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        told = await refused(gateway.inference.Complete(plain("x" * 5_000_000), metadata=gateway.bearer()))
        assert told.code is CODE.RESOURCE_EXHAUSTED
        async with Talk(gateway) as talk:
            await talk.ask("x" * 5_000_000)
            assert (await talk.status()).code is CODE.RESOURCE_EXHAUSTED
        no_limit = gateway.bearer("large")
        told = await refused(gateway.inference.Complete(plain("x" * 4_000_000), metadata=no_limit))
        assert told.reason == "RATE_LIMITED"  # it was read, and is more than any tenant may use in a minute
        assert upstream.exchanges == []


@pytest.mark.parametrize("timeout_s", [3e9, 1e8, 1000.0])
async def test_absurd_deadlines_are_clamped(tmp_path: Path, timeout_s: float) -> None:
    """A century is 900 seconds, and the call is answered."""
    async with (
        ScriptedUpstream(Reply.answer("fine")) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        result = await gateway.inference.Complete(plain(), metadata=gateway.bearer(), timeout=timeout_s)
        assert result.message.content == "fine"


async def test_a_turn_may_have_a_deadline_of_its_own(tmp_path: Path) -> None:
    """`timeout` ends the turn with DEADLINE, before the call's own deadline and with a receipt."""
    async with (
        ScriptedUpstream(Reply.events(text_chunk("slow"), asyncio.Event(), LAST_CHUNK, DONE)) as upstream,
        running(tmp_path, upstream=upstream.url) as gateway,
    ):
        turn = plain()
        turn.timeout.FromMilliseconds(300)
        frames, told = await streamed(gateway.inference.Generate(turn, metadata=gateway.bearer(), timeout=30))
        assert (told.code, told.reason) == (CODE.DEADLINE_EXCEEDED, "DEADLINE")
        assert (frames[-1].end.finish, text_of(frames)) == (inference_pb2.FINISH_DEADLINE, "slow")
        await until(upstream.exchanges[0].closed.is_set)
