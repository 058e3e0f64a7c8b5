"""Upstreams fail, and the answer still arrives: from the same place again, from another, or marked as lesser.

The primary is the upstream `deepseek` with its script; the standby is a second one of the same kind.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import aiohttp
import grpc
import grpc.aio
import pytest
import pytest_asyncio

import deepseek_pb2
from gateway.domain.receipt import Receipt
from gateway.v1 import inference_pb2
from tests.support.calls import refused
from tests.support.chat_events import DONE, USAGE, chat_chunk, text_chunk
from tests.support.outcomes import Outcome
from tests.support.sweep import House, opened, question
from tests.support.upstream import RESET, STALL, Exchange, Reply, ScriptedUpstream
from tests.support.upstream_faults import FAULTS, HEADS, KEY, SAYS, TEXT, Fault

pytestmark = pytest.mark.asyncio(loop_scope="module")

STANDBY = """
[tenant_defaults.limits]
requests_per_minute = 0
tokens_per_minute = 0
[upstreams.standby]
kind = "deepseek"
base_url = "{url}"
key = "sk-standby-key"
region = "asia"
"""
PATIENT = {"GATEWAY_ROUTING_CIRCUIT_FAILURES": "0", "GATEWAY_ROUTING_RETRY_BUDGET": "1000000"}
BUSY = Reply.json(503, SAYS)
RETRIED, REROUTED = inference_pb2.NOTICE_KIND_RETRIED, inference_pb2.NOTICE_KIND_REROUTED
DEGRADED = inference_pb2.NOTICE_KIND_DEGRADED
# A question that cannot be asked is nobody's fault but the caller's, and a refusal of ours helps nowhere else.
FINAL = {"INVALID_REQUEST", "UPSTREAM_REJECTED"}


@dataclass
class Stage:
    """What the primary does next, and the standby."""

    reply: Reply | Callable[[Exchange], Reply] = field(default_factory=Reply)
    standby: Reply = field(default_factory=lambda: Reply.answer("from ", "standby"))

    def primary(self, exchange: Exchange) -> Reply:
        return self.reply if isinstance(self.reply, Reply) else self.reply(exchange)


@dataclass
class Pair:
    """A gateway with both."""

    house: House
    stage: Stage
    standby: ScriptedUpstream

    async def ask(self, **options: Any) -> tuple[Outcome, Receipt]:
        """One turn, with its receipt. Any: the fields of Turn."""
        outcome = await self.house.outcome(question("how does the gateway meter a broken stream?", **options))
        receipt_id = outcome.end.receipt_id if outcome.frames else outcome.status.facts["receipt_id"]
        (receipt,) = [receipt for receipt in self.house.receipts() if receipt.receipt_id == receipt_id]
        return outcome, receipt

    @property
    def calls(self) -> tuple[int, int]:
        """How often each was asked."""
        return len(self.house.upstream.exchanges), len(self.standby.exchanges)


def notices(outcome: Outcome) -> list[int]:
    """The kinds of notices that came."""
    return [frame.notice.kind for frame in outcome.frames if frame.WhichOneof("frame") == "notice"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """One gateway for all, whose circuits never open."""
    stage = Stage()
    async with ScriptedUpstream(lambda _: stage.standby) as standby:
        folder = tmp_path_factory.mktemp("gateway")
        config = STANDBY.format(url=standby.url)
        options: dict[str, Any] = {"fast": True, "config": config, "environment": PATIENT, "hang_guard_s": 3600}
        async with opened(folder, stage.primary, **options) as house:
            yield Pair(house, stage, standby)


@pytest_asyncio.fixture(loop_scope="module")
async def pair(shared: Pair) -> AsyncIterator[Pair]:
    """Swept after every fault."""
    shared.house.upstream.exchanges.clear()
    shared.standby.exchanges.clear()
    shared.stage.standby = Reply.answer("from ", "standby")
    yield shared
    await shared.house.sweep()


def before_output() -> list[Any]:
    """Every fault before any output: in place of a head, after it, or wrong from its head on. Any: parameters."""
    quick = {"U-6 reset", "U-8 stall", "U-9 comments only", "U-16 an error object: key", "U-2 503", "U-5 402"}
    quick |= {"U-16 an error object: request", "404", "U-3 429"}
    found = []
    for fault in FAULTS:
        found.append((f"{fault.name}, after headers", fault, Reply.events(0.02, *fault.steps), fault.reason))
        if fault.head:
            head = Reply(fault.head, status=None)
            found.append((f"{fault.name}, before headers", fault, head, fault.head_says[0]))
    found += [(name, None, reply, reason) for name, reply, reason, _ in HEADS]
    return [
        pytest.param(
            reply,
            reason,
            id=name,
            marks=[] if (fault.name if isinstance(fault, Fault) else name) in quick else [pytest.mark.full],
        )
        for name, fault, reply, reason in found
    ]


@pytest.mark.parametrize(("reply", "reason"), before_output())
async def test_before_any_output_the_answer_comes_from_elsewhere(pair: Pair, reply: Reply, reason: str) -> None:
    """U-1 to U-20: whole, told, charged once, every call on the receipt; what cannot be helped is told."""
    pair.stage.reply = reply
    outcome, receipt = await pair.ask()
    if reason in FINAL:
        assert (outcome.status.reason, pair.calls) == (reason, (1, 0))
        return
    outcome.check_ok()
    outcome.check_frames()
    assert (outcome.text, outcome.end.served_by, outcome.end.degraded) == ("from standby", "standby", False)
    primary, standby = pair.calls
    assert (primary in (1, 2), standby) == (True, 1)
    assert [made.outcome for made in receipt.attempts] == [reason.lower()] * primary + ["stop"]
    assert [made.upstream for made in receipt.attempts] == ["deepseek"] * primary + ["standby"]
    assert notices(outcome) == [RETRIED] * (primary - 1) + [REROUTED]
    assert outcome.kinds.index("notice") < outcome.kinds.index("delta")
    assert (receipt.served_by, receipt.route_reason) == ("standby", "standby_upstream")
    used = receipt.settled
    assert (used.prompt_tokens, used.completion_tokens) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert used.cost_nano_usd == outcome.end.usage.cost_nano_usd > 0
    assert KEY not in str(outcome.frames)
    assert TEXT not in str(outcome.frames)


class TestOneUpstream:
    """With nobody else to ask."""

    async def test_a_fault_of_a_moment_is_tried_again(self, pair: Pair) -> None:
        """Told as RETRIED, charged once."""
        replies = iter((BUSY, Reply.answer("at last")))
        pair.stage.reply = lambda _: next(replies)
        outcome, receipt = await pair.ask()
        assert (outcome.text, notices(outcome), pair.calls) == ("at last", [RETRIED], (2, 0))
        assert (receipt.route_reason, receipt.served_by) == ("default", "deepseek")

    async def test_three_calls_are_all(self, pair: Pair) -> None:
        """Then the fault is told as it is, and nothing is charged."""
        pair.stage.reply = pair.stage.standby = BUSY
        outcome, receipt = await pair.ask()
        assert outcome.status.reason == "UPSTREAM_UNAVAILABLE"
        assert sum(pair.calls) == len(receipt.attempts) == 3
        assert receipt.settled.cost_nano_usd == 0
        assert TEXT not in str(outcome.status)

    async def test_calls_without_frames_are_sent_nothing_until_the_answer(self, pair: Pair) -> None:
        """Complete and StreamPredict: what was tried stands in the result and in the trailers."""
        gateway = pair.house.gateway
        pair.stage.reply = BUSY
        result = await gateway.inference.Complete(question(), metadata=gateway.bearer())
        assert [notice.kind for notice in result.notices] == [RETRIED, REROUTED]
        call = gateway.deepseek.StreamPredict(deepseek_pb2.ModelRequest(text="hi?"), metadata=gateway.bearer())
        assert "".join([reply.text async for reply in call]) == "from standby"
        trailers = [value for name, value in await call.trailing_metadata() if name == "gateway-notice-bin"]
        kinds = [inference_pb2.Notice.FromString(value).kind for value in trailers]
        assert [kind for kind in kinds if kind in (RETRIED, REROUTED)] == [RETRIED, REROUTED]

    async def test_what_a_failed_call_cost_is_ours_to_bear(self, pair: Pair) -> None:
        """It stands on the receipt beside its attempt, in a metric, and not in the charge."""
        broke = chat_chunk({}, finish="insufficient_system_resource", usage={**USAGE, "prompt_tokens": 1_000})
        pair.stage.reply = Reply.events(chat_chunk({"content": ""}, usage=USAGE), broke, DONE)
        _, receipt = await pair.ask()
        costs = [made.usage.cost_nano_usd for made in receipt.attempts]
        assert costs[0] > 0
        assert receipt.settled.prompt_tokens == USAGE["prompt_tokens"]
        page = await read(pair, "/metrics")
        assert 'gateway_own_cost_usd_total{model="deepseek-flash"}' in page

    async def test_no_call_starts_after_a_cancel(
        self, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The caller leaves while a retry is waited for."""
        monkeypatch.setattr("gateway.pipeline.answering.random", SimpleNamespace(random=lambda: 0.9))
        environment = {"GATEWAY_ROUTING_BACKOFF_S": "1"}
        async with opened(tmp_path, BUSY, environment=environment) as house:
            call = house.generate()
            async for frame in call:
                if frame.notice.kind == RETRIED:
                    break
            call.cancel()
            assert (await house.receipt()).reason == "CANCELLED"
            await house.sweep()
            assert len(house.upstream.exchanges) == 1


class TestJson:
    """JSON mode may give nothing at all."""

    JSON = inference_pb2.GenerationOptions(response_format=inference_pb2.RESPONSE_FORMAT_JSON_OBJECT)
    EMPTY = Reply.answer()

    async def test_an_empty_answer_is_asked_for_once_more(self, pair: Pair) -> None:
        """And told."""
        replies = iter((self.EMPTY, Reply.answer('{"a": 1}')))
        pair.stage.reply = lambda _: next(replies)
        outcome, receipt = await pair.ask(generation=self.JSON)
        assert (outcome.text, notices(outcome)) == ('{"a": 1}', [RETRIED])
        assert [made.outcome for made in receipt.attempts] == ["blank_json", "stop"]
        assert receipt.attempts[0].usage.cost_nano_usd > 0

    async def test_two_empty_answers_are_a_failure(self, pair: Pair) -> None:
        """Not charged, and not tried a third time."""
        pair.stage.reply = self.EMPTY
        outcome, receipt = await pair.ask(generation=self.JSON)
        assert (outcome.status.reason, pair.calls) == ("UPSTREAM_PROTOCOL", (2, 0))
        assert (receipt.settled.cost_nano_usd, receipt.served_by) == (0, "")

    async def test_blanks_alone_are_reported(self, pair: Pair) -> None:
        """They were output, so they stand; but the caller hears that there is no JSON in them."""
        pair.stage.reply = Reply.answer(" \n", "  ")
        outcome, receipt = await pair.ask(generation=self.JSON)
        outcome.check_ok()
        assert (notices(outcome), receipt.degraded) == ([DEGRADED], True)


class TestStandby:
    """Other keys, regions and models, within the tenant's rules and the price that is held."""

    KEYS = """
[upstreams.deepseek]
kind = "deepseek"
key = "sk-first, sk-second"
"""

    async def test_a_dead_key_is_left_at_once(self, tmp_path: Path) -> None:
        """U-5: one move to the next key; from then on the dead one is not even tried."""
        asked: list[str] = []

        def by_key(exchange: Exchange) -> Reply:
            asked.append(exchange.headers["authorization"].removeprefix("Bearer sk-"))
            return Reply.json(402, SAYS) if asked[-1] == asked[0] else Reply.answer("paid")

        async with opened(tmp_path, by_key, config=self.KEYS) as house:
            first, second = await house.outcome(), await house.outcome()
            assert (first.text, second.text) == ("paid", "paid")
            assert (notices(first), notices(second)) == ([RETRIED], [])
            assert len(asked) == 3
            assert asked[1] == asked[2] != asked[0]
            receipts = house.receipts()
            assert [made.outcome for made in receipts[0].attempts] == ["upstream_balance", "stop"]
            assert receipts[1].route_reason in ("default", "standby_key")

    async def test_every_key_dead_is_told_as_unavailable(self, tmp_path: Path) -> None:
        """U-5: never as the caller's credential."""
        async with opened(tmp_path, Reply.json(401, SAYS), config=self.KEYS) as house:
            outcome = await house.outcome()
            assert (outcome.status.code, outcome.status.reason) == (
                grpc.StatusCode.UNAVAILABLE,
                "UPSTREAM_CREDENTIALS",
            )
            assert len(house.upstream.exchanges) == 2
            later = [await house.outcome() for _ in range(10)]
            assert {outcome.status.reason for outcome in later} == {"UPSTREAM_CREDENTIALS"}
            assert len(house.upstream.exchanges) < 12

    async def test_a_region_is_a_wish_that_is_kept(self, pair: Pair) -> None:
        """Even when the first upstream is well; one that is unknown is refused by name."""
        pair.stage.reply = Reply.answer("from primary")
        routing = inference_pb2.Routing(region="asia", allow_degraded=False)
        outcome, receipt = await pair.ask(routing=routing)
        assert (outcome.text, receipt.route_reason, pair.calls) == ("from standby", "default", (0, 1))
        pair.stage.standby = BUSY
        outcome, _ = await pair.ask(routing=routing)
        assert (outcome.status.reason, pair.calls[0]) == ("UPSTREAM_UNAVAILABLE", 0)
        gateway, mars = pair.house.gateway, question(routing=inference_pb2.Routing(region="mars"))
        told = await refused(gateway.inference.Complete(mars, metadata=gateway.bearer()))
        assert (told.code, "asia" in told.message) == (grpc.StatusCode.INVALID_ARGUMENT, True)

    @staticmethod
    def only(model: str) -> Callable[[Exchange], Reply]:
        """An upstream that answers with this model alone."""

        def reply(exchange: Exchange) -> Reply:
            if exchange.json["model"] != model:
                return BUSY
            last = chat_chunk({"content": ""}, finish="stop", usage=USAGE, model=model)
            return Reply.events(text_chunk("ok"), last, DONE)

        return reply

    async def test_a_cheaper_model_of_the_family_stands_in_at_its_own_price(self, tmp_path: Path) -> None:
        """Pro is down, flash answers; the caller is told, and pays for flash."""
        async with opened(tmp_path, self.only("deepseek-flash"), fast=True) as house:
            outcome = await house.outcome(question(model="deepseek-v4-pro"))
            outcome.check_ok()
            receipt = await house.receipt()
            assert (outcome.end.model, receipt.model) == ("deepseek-flash", "deepseek-v4-pro")
            assert (receipt.route_reason, notices(outcome)) == ("standby_model", [RETRIED, REROUTED])
            assert receipt.price_entry.startswith("deepseek-flash@")

    async def test_a_dearer_one_stands_in_only_where_its_price_is_held(self, tmp_path: Path) -> None:
        """By the operator's word, and then every hold is for the dearest."""
        held = []
        for dearer, reason in (("false", "UPSTREAM_UNAVAILABLE"), ("true", "")):
            environment = {"GATEWAY_ROUTING_DEARER_STANDBY": dearer}
            upstream = self.only("deepseek-v4-pro")
            async with opened(made(tmp_path / dearer), upstream, fast=True, environment=environment) as house:
                await house.outcome()
                receipt = await house.receipt()
                assert receipt.reason == reason
                held.append(receipt.reserved.cost_nano_usd)
                assert receipt.settled.cost_nano_usd <= receipt.reserved.cost_nano_usd
        assert held[1] > held[0]

    async def test_when_nobody_is_left_the_stand_in_quotes_the_evidence(self, pair: Pair) -> None:
        """Marked in notice, end and receipt, after all that was tried."""
        pair.stage.reply = pair.stage.standby = BUSY
        outcome, receipt = await pair.ask(
            search=inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS),
            routing=inference_pb2.Routing(allow_degraded=True),
        )
        outcome.check_ok()
        assert [made.upstream for made in receipt.attempts] == ["deepseek", "deepseek", "standby", "embedded"]
        assert notices(outcome)[-1] == DEGRADED
        assert (outcome.end.degraded, receipt.degraded, receipt.route_reason) == (True, True, "degraded")


class TestCircuit:
    """Who keeps failing is not asked."""

    SLOW_TO_CLOSE: ClassVar = {"GATEWAY_ROUTING_CIRCUIT_OPEN_S": "60", "GATEWAY_ROUTING_PROBE_S": "60"}

    async def test_the_last_upstream_is_probed_and_everybody_else_fails_fast(self, tmp_path: Path) -> None:
        """U-23: a hundred turns, and no call beyond those that opened it; degraded answers go on."""
        environment = {**self.SLOW_TO_CLOSE, "GATEWAY_ROUTING_BACKOFF_S": "0.001"}
        async with opened(tmp_path, BUSY, environment=environment) as house:
            outcomes = [await house.outcome() for _ in range(100)]
            assert len(house.upstream.exchanges) == 5
            facts = outcomes[-1].status.facts
            assert facts["upstream_cause"] == "circuit_open"
            assert outcomes[-1].status.retry_after_s == 1.0
            assert house.receipts()[-1].attempts == ()
            routing = inference_pb2.Routing(allow_degraded=True)
            search = inference_pb2.SearchOptions(mode=inference_pb2.SEARCH_MODE_ALWAYS)
            answer = await house.outcome(question("what is a receipt?", search=search, routing=routing))
            assert answer.end.degraded
            assert len(house.upstream.exchanges) == 5

    async def test_it_comes_back_by_a_probe(self, tmp_path: Path) -> None:
        """Without anybody's hand."""
        script = Stage(BUSY)
        async with opened(tmp_path, script.primary, fast=True) as house:
            for _ in range(6):
                await house.outcome()
            script.reply = Reply.answer("back")
            async with asyncio.timeout(10):
                while (await house.outcome()).told.code is not grpc.StatusCode.OK:
                    await asyncio.sleep(0.005)

    async def test_with_a_standby_the_broken_one_is_left_alone(self, tmp_path: Path) -> None:
        """Its circuit opens after five; from then on turns begin elsewhere, and say so."""
        async with ScriptedUpstream(Reply.answer("here")) as standby:
            config = STANDBY.format(url=standby.url)
            environment = self.SLOW_TO_CLOSE
            async with opened(tmp_path, BUSY, config=config, environment=environment) as house:
                outcomes = [await house.outcome() for _ in range(20)]
                assert [outcome.text for outcome in outcomes] == ["here"] * 20
                assert (len(house.upstream.exchanges), len(standby.exchanges)) == (5, 20)
                assert notices(outcomes[-1]) == [REROUTED]
                last = house.receipts()[-1]
                assert (len(last.attempts), last.route_reason) == (1, "standby_upstream")
                pair = Pair(house, Stage(), standby)
                shown = {
                    one["upstream"]: one["state"]
                    for one in await read_json(pair)
                    if one["model"] == "deepseek-flash"
                }
                assert shown == {"deepseek": "open", "standby": "closed"}
                page = await read(pair, "/metrics")
                assert 'gateway_upstream_usable{key="1",model="deepseek-flash",upstream="deepseek"} 0.0' in page
                assert 'gateway_upstream_attempts_total{outcome="stop",upstream="standby"} 20.0' in page
                assert 'gateway_rerouted_turns_total{reason="standby_upstream"} 20.0' in page

    async def test_retries_are_paid_for_by_successes(self, tmp_path: Path) -> None:
        """U-22: every other call fails; fifty retries are free, and ten successes buy one more."""
        answers = iter(range(10**6))

        def every_other(_exchange: Exchange) -> Reply:
            return BUSY if next(answers) % 2 else Reply.answer("ok")

        environment = {"GATEWAY_ROUTING_BACKOFF_S": "0.0001", "GATEWAY_ROUTING_CIRCUIT_FAILURES": "0"}
        config = STANDBY[: STANDBY.index("[upstreams")]
        async with opened(tmp_path, every_other, config=config, environment=environment) as house:
            for _ in range(15):
                await asyncio.gather(*(house.outcome() for _ in range(20)))
            well = sum(receipt.reason == "" for receipt in house.receipts())
            retries = len(house.upstream.exchanges) - len(house.receipts())
            assert 50 <= retries <= 50 + well / 10 + 1


class TestAfterOutput:
    """Two answers are never spliced."""

    @pytest.mark.parametrize("texts", [1, pytest.param(50, marks=pytest.mark.full)])
    async def test_a_break_after_output_is_told_and_nobody_else_is_asked(self, pair: Pair, texts: int) -> None:
        """However well the standby is."""
        pair.stage.reply = Reply.events(*[text_chunk("a")] * texts, 0.02, RESET)
        outcome, receipt = await pair.ask()
        assert (outcome.status.code, outcome.status.reason) == (grpc.StatusCode.ABORTED, "STREAM_INTERRUPTED")
        assert (outcome.text, pair.calls) == ("a" * texts, (1, 0))
        assert receipt.settled.completion_tokens == texts


class TestConfiguredModels:
    """Names, keys and timers are those of the configuration."""

    CONFIG = """
[upstreams.rack]
kind = "vllm"
base_url = "{rack}/v1"
local = true
first_output_s = 0.05

[upstreams.cloud]
kind = "azure"
base_url = "{cloud}/openai/v1"
key = "azure-key"

[models.qwen]
upstreams = ["rack:Qwen/Qwen3-8B", "cloud:my-deployment"]
context_tokens = 32768
max_output_tokens = 4096
capabilities = ["tools", "thinking"]

[tenants.acme]
place = "local_first"

[billing]
price_book = "{prices}"
"""
    PRICES = """
[[models]]
name = "qwen"
valid_from = 2026-01-01
price = { cached_input = 0, input = 1, output = 2 }
[[models]]
name = "embedded"
valid_from = 2026-01-01
price = { cached_input = 0, input = 0, output = 0 }
"""

    async def test_each_upstream_is_asked_in_its_own_way(self, tmp_path: Path) -> None:
        """The rack is too slow, the cloud answers: other model name, other header, other field for the limit."""
        prices = tmp_path / "prices.toml"
        prices.write_text(self.PRICES, encoding="utf-8")
        slow, well = Reply([STALL], status=None), Reply.answer("from the cloud")
        async with ScriptedUpstream(slow) as rack, ScriptedUpstream(well) as cloud:
            config = self.CONFIG.format(rack=rack.url, cloud=cloud.url, prices=prices)
            async with opened(tmp_path, Reply(), upstream="", config=config) as house:
                outcome = await house.outcome("hi")
                assert (outcome.text, outcome.end.served_by) == ("from the cloud", "cloud")
                listed = await house.gateway.inference.ListModels(
                    inference_pb2.ListModelsRequest(), metadata=house.gateway.bearer()
                )
                assert [model.name for model in listed.models] == ["qwen", "embedded"]
        local, remote = rack.exchanges[0], cloud.exchanges[0]
        assert (local.path, remote.path) == ("/v1/chat/completions", "/openai/v1/chat/completions")
        assert (local.json["model"], remote.json["model"]) == ("Qwen/Qwen3-8B", "my-deployment")
        assert "authorization" not in local.headers
        assert (remote.headers["api-key"], "authorization" in remote.headers) == ("azure-key", False)
        assert ("max_tokens" in local.json, "max_completion_tokens" in remote.json) == (True, True)
        assert local.json["chat_template_kwargs"]["enable_thinking"] is False


def made(folder: Path) -> Path:
    """The folder, which is there now."""
    folder.mkdir()
    return folder


class TestLocalFirst:
    """A free model on the operator's own machine, and the cloud behind it."""

    CONFIG = """
[upstreams.rack]
kind = "llamacpp"
base_url = "{url}/v1"
local = true
[models.tiny]
upstreams = ["rack"]
context_tokens = 2048
max_output_tokens = 512
free = true
"""

    async def test_the_local_model_is_asked_first_and_the_cloud_when_it_is_gone(self, tmp_path: Path) -> None:
        """The cloud's price is held for both; what is charged is the price of the one that answered."""
        local = Reply.events(text_chunk("here"), chat_chunk({}, finish="stop", model="/models/tiny.gguf"), DONE)
        routing = inference_pb2.Routing(place=inference_pb2.PLACE_LOCAL_FIRST, allow_degraded=False)
        async with ScriptedUpstream([local, BUSY]) as rack:
            config = self.CONFIG.format(url=rack.url)
            async with opened(tmp_path, Reply.answer("outside"), fast=True, config=config) as house:
                first, second = [await house.outcome(question(routing=routing)) for _ in range(2)]
                assert (first.text, first.end.model, first.end.served_by) == ("here", "tiny", "rack")
                assert (second.text, second.end.model) == ("outside", "deepseek-flash")
                free, paid = house.receipts()
                assert (free.settled.cost_nano_usd, free.route_reason) == (0, "local_first")
                assert 0 < paid.settled.cost_nano_usd < free.reserved.cost_nano_usd == paid.reserved.cost_nano_usd
                assert notices(second)[-1] == REROUTED

    async def test_local_only_never_leaves(self, tmp_path: Path) -> None:
        """However well the cloud is."""
        routing = inference_pb2.Routing(place=inference_pb2.PLACE_LOCAL_ONLY, allow_degraded=False)
        async with ScriptedUpstream(BUSY) as rack:
            config = self.CONFIG.format(url=rack.url)
            async with opened(tmp_path, Reply.answer("outside"), fast=True, config=config) as house:
                outcome = await house.outcome(question(routing=routing))
                assert outcome.status.reason == "UPSTREAM_UNAVAILABLE"
                assert (len(rack.exchanges), house.upstream.exchanges) == (3, [])


async def read(pair: Pair, path: str) -> str:
    """A page of the operator's port."""
    url = f"http://127.0.0.1:{pair.house.gateway.gateway.metrics_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.text()


async def read_json(pair: Pair) -> list[dict[str, Any]]:
    """How every upstream is doing. Any: JSON."""
    found: list[dict[str, Any]] = json.loads(await read(pair, "/upstreams"))["upstreams"]
    return found
