"""An answer that was given is given again: at once and whole, from each level, to its tenant alone, paid once."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.domain.receipt import Receipt
from gateway.ledger.reader import ReceiptReader
from gateway.v1 import account_pb2, content_pb2, inference_pb2
from tests.support.calls import ALWAYS, NEVER, NOT_DEGRADED, Talk, kinds, refused, streamed, text_of, until
from tests.support.chat_events import DONE, LAST_CHUNK, USAGE, chat_chunk, reasoning_chunk, text_chunk
from tests.support.gateway import Running, running
from tests.support.redis_server import redis_server, say
from tests.support.sweep import opened
from tests.support.upstream import RESET, STALL, Exchange, Reply, ScriptedUpstream

Frames = list[inference_pb2.ServerFrame]
SEALED = {"GATEWAY_SEAL_KEY": "a1" * 32}
ANSWER = Reply.answer("A bucket ", "of tokens.")
USES = {
    "read_only": inference_pb2.CACHE_USE_READ_ONLY,
    "write_only": inference_pb2.CACHE_USE_WRITE_ONLY,
    "bypass": inference_pb2.CACHE_USE_BYPASS,
}
QUESTION = "how does the gateway meter a broken stream?"


def asked(prompt: str = "what is a bucket?", **fields: Any) -> inference_pb2.Turn:  # Any: the fields of Turn
    """A turn that neither searches nor degrades unless told otherwise."""
    return inference_pb2.Turn(prompt=prompt, **{"search": NEVER, "routing": NOT_DEGRADED, **fields})


async def told(gateway: Running, turn: inference_pb2.Turn, tenant: str = "acme") -> Frames:
    """The frames of a turn that ends OK."""
    frames, status = await streamed(gateway.inference.Generate(turn, metadata=gateway.bearer(tenant)))
    assert status.code is grpc.StatusCode.OK, status
    return frames


def level_of(frames: Frames) -> str:
    """The level that the notice names; empty where the model was asked."""
    found = [f.notice for f in frames if f.notice.kind == inference_pb2.NOTICE_KIND_FROM_CACHE]
    return found[0].facts["level"] if found else ""


def receipts(gateway: Running) -> list[Receipt]:
    """Every receipt, the oldest first."""
    return ReceiptReader(gateway.data_dir).recent(None, 100)[::-1]


def found(frames: Frames) -> list[content_pb2.Source]:
    """The sources that a turn was told of."""
    return [source for frame in frames for source in frame.search.sources]


async def spent(gateway: Running, tenant: str = "acme") -> tuple[int, int]:
    """Money and tokens that the tenant's limits say were used."""
    limits = await gateway.account.GetLimits(account_pb2.GetLimitsRequest(), metadata=gateway.bearer(tenant))
    used = {item.dimension: item.limit - item.remaining for item in limits.allowances}
    return used["usd_per_day"], used["tokens_per_minute"]


async def test_the_same_question_again_costs_nothing(tmp_path: Path) -> None:
    """One call to the model; the second answer is one frame behind its notice, with a receipt that says so."""
    async with opened(tmp_path, ANSWER, recalls=True) as house:
        first = await told(house.gateway, asked())
        money = await spent(house.gateway)
        again = await told(house.gateway, asked())
        assert (text_of(again), level_of(first), level_of(again)) == ("A bucket of tokens.", "", "memory")
        assert kinds(again) == ["accepted", "notice", "delta", "end"]
        assert [frame.seq for frame in again] == [1, 2, 3, 4]
        facts = again[1].notice.facts
        assert facts["key"].startswith("model:deepseek-flash/1:query:")
        assert (facts["age_s"], again[2].delta.events) == ("0", 2)
        assert (await spent(house.gateway))[0] == money[0] > 0
        paid, free = house.receipts()
        assert (paid.cache_level, paid.settled.cost_nano_usd > 0, len(paid.attempts)) == ("", True, 1)
        assert (free.cache_level, free.settled.cost_nano_usd, free.attempts) == ("memory", 0, ())
        assert free.settled.completion_tokens == paid.settled.completion_tokens == 2
        assert again[-1].end.model == "deepseek-flash"
        assert len(house.upstream.exchanges) == 1


async def test_every_way_to_ask_gets_the_kept_answer(tmp_path: Path) -> None:
    """Complete, Converse and the bridge, whole and streamed; the bridge says where it came from."""
    async with (
        ScriptedUpstream(ANSWER) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
        aiohttp.ClientSession(headers=dict(gateway.bearer())) as http,
    ):
        await told(gateway, asked(generation=inference_pb2.GenerationOptions(max_tokens=64)))
        result = await gateway.inference.Complete(
            asked(generation=inference_pb2.GenerationOptions(max_tokens=64)), metadata=gateway.bearer()
        )
        assert (result.message.content, result.end.served_by) == ("A bucket of tokens.", "deepseek")
        async with Talk(gateway) as talk:
            await talk.ask("what is a bucket?", "t", generation=inference_pb2.GenerationOptions(max_tokens=64))
            await talk.until("end")
            assert text_of(talk.said) == "A bucket of tokens."
        body = {"messages": [{"role": "user", "content": "what is a bucket?"}], "max_tokens": 64}
        for stream in (False, True):
            async with http.post(
                f"{gateway.http_url}/v1/chat/completions", json={**body, "stream": stream, "web_search": False}
            ) as reply:
                page = await reply.text()
                assert (reply.headers["x-gateway-cache"], "A bucket of tokens." in page) == ("hit", True), page
                assert '"completion_tokens":2' in page.replace(" ", "")
        assert len(upstream.exchanges) == 1


async def test_reasoning_is_told_again_to_those_who_ask_for_it(tmp_path: Path) -> None:
    """The model reasoned for a caller who did not want to see it; the next one does."""
    reply = Reply.events(reasoning_chunk("hm "), reasoning_chunk("so"), text_chunk("42"), LAST_CHUNK, DONE)
    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
    ):
        thinking = {"thinking": inference_pb2.THINKING_HIGH}
        first = await told(gateway, asked(generation=inference_pb2.GenerationOptions(**thinking)))
        shown = inference_pb2.GenerationOptions(include_reasoning=True, **thinking)
        again = await told(gateway, asked(generation=shown))
        assert "".join(f.delta.reasoning for f in first) == ""
        assert ("".join(f.delta.reasoning for f in again), text_of(again)) == ("hm so", "42")
        assert len(upstream.exchanges) == 1


@pytest.mark.parametrize(
    ("one", "other", "calls"),
    [
        ({}, {"use": USES["write_only"]}, 2),
        ({}, {"use": USES["bypass"]}, 2),
        ({}, {"use": USES["read_only"]}, 1),
        ({"use": USES["read_only"]}, {}, 2),
        ({"use": USES["bypass"]}, {}, 2),
        ({"use": USES["write_only"]}, {}, 1),
        ({}, {"max_age": {"nanos": 1}}, 2),
        ({}, {"max_age": {"seconds": 60}}, 1),
    ],
)
async def test_a_turn_says_how_it_uses_the_cache(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], calls: int
) -> None:
    """Reading and writing are two wishes; an answer may be too old for a caller."""
    async with (
        ScriptedUpstream(ANSWER) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
    ):
        for policy in (one, other):
            await told(gateway, asked(cache=inference_pb2.CachePolicy(**policy)))
        assert len(upstream.exchanges) == calls


DIFFERENT: dict[str, dict[str, Any]] = {
    "another question": {"prompt": "what is a  bucket?"},
    "another model": {"model": "deepseek-v4-pro"},
    "another limit": {"generation": inference_pb2.GenerationOptions(max_tokens=64)},
    "a temperature of zero": {"generation": inference_pb2.GenerationOptions(temperature=0.0)},
    "thinking": {"generation": inference_pb2.GenerationOptions(thinking=inference_pb2.THINKING_LOW)},
    "tools": {"tools": [content_pb2.Tool(name="clock")]},
    "as a conversation": {
        "prompt": "",
        "messages": [
            content_pb2.Message(role=content_pb2.ROLE_SYSTEM, content=""),
            content_pb2.Message(role=content_pb2.ROLE_USER, content="what is a bucket?"),
        ],
    },
}


async def test_another_question_is_another_answer(tmp_path: Path) -> None:
    """Whatever differs: words, model, limits, options, tools, history, tenant; and great heat is never kept."""
    hot = asked(generation=inference_pb2.GenerationOptions(temperature=1.5))
    async with (
        ScriptedUpstream(ANSWER) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
    ):
        await told(gateway, asked())
        for fields in DIFFERENT.values():
            assert level_of(await told(gateway, asked(**{"prompt": "what is a bucket?", **fields}))) == ""
        assert level_of(await told(gateway, asked(), tenant="other")) == ""
        assert [level_of(await told(gateway, hot)) for _ in range(2)] == ["", ""]
        assert len(upstream.exchanges) == 1 + len(DIFFERENT) + 1 + 2


CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
INCOMPLETE = {
    "cut at its limit": Reply.events(text_chunk("half"), chat_chunk({}, finish="length", usage=USAGE), DONE),
    "filtered": Reply.events(text_chunk("half"), chat_chunk({}, finish="content_filter", usage=USAGE), DONE),
    "a tool call": Reply.events(chat_chunk({"tool_calls": [CALL]}), chat_chunk({}, finish="tool_calls"), DONE),
    "empty": Reply.events(LAST_CHUNK, DONE),
    "broken off": Reply.events(text_chunk("half"), RESET),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
async def test_only_a_whole_answer_is_kept(tmp_path: Path, kind: str) -> None:
    """The next one who asks is given a new answer."""
    async with opened(tmp_path, [INCOMPLETE[kind], ANSWER], recalls=True) as house:
        await house.outcome(asked(tools=[content_pb2.Tool(name="clock")]))
        again = await told(house.gateway, asked(tools=[content_pb2.Tool(name="clock")]))
        assert (text_of(again), level_of(again)) == ("A bucket of tokens.", "")


async def test_an_answer_that_its_caller_left_is_not_kept(tmp_path: Path) -> None:
    """It was never whole."""
    async with opened(tmp_path, [Reply.events(text_chunk("half"), STALL), ANSWER], recalls=True) as house:
        call = house.generate(asked())
        await until(lambda: house.upstream.exchanges != [])
        await call.read()
        call.cancel()
        await until(house.upstream.exchanges[0].closed.is_set)
        assert level_of(await told(house.gateway, asked())) == ""


async def test_a_tenant_may_have_no_cache_and_pay_for_what_others_paid_for(tmp_path: Path) -> None:
    """`answer_cache = false` for one tenant; half of the price for what is given again to another."""
    config = "[billing]\ncached_answer_percent = 50\n[tenants.shy]\nanswer_cache = false\n"
    async with (
        ScriptedUpstream(ANSWER) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True, config=config) as gateway,
    ):
        for tenant in ("shy", "shy", "acme", "acme"):
            await told(gateway, asked(), tenant=tenant)
        costs = [receipt.settled.cost_nano_usd for receipt in receipts(gateway)]
        assert (len(upstream.exchanges), costs[:3]) == (3, costs[:1] * 3)
        assert costs[3] == -(-costs[2] // 2)


async def test_an_answer_with_sources_is_kept_by_its_sources(tmp_path: Path) -> None:
    """The same sources: searched again, told again, citations and all, without the marker of either turn."""

    def reply(exchange: Exchange) -> Reply:
        shown = exchange.json["messages"][-1]["content"]
        marker = shown.partition("<<<evidence ")[2].partition(">")[0]
        return Reply.answer(f"It is metered.[S1] {marker}")

    async with (
        ScriptedUpstream(reply) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
    ):
        first = await told(gateway, asked(QUESTION, search=ALWAYS))
        again = await told(gateway, asked(QUESTION, search=ALWAYS))
        other = await told(gateway, asked(QUESTION, search=NEVER))
        assert (level_of(again), level_of(other)) == ("memory", "")
        # Of a marker five characters may pass, whoever's it was.
        assert text_of(first) == text_of(again) == text_of(first)[: len("It is metered. 12345")]
        cited = [[f.citation for f in frames if f.HasField("citation")] for frames in (first, again)]
        assert cited[0] == cited[1] != []
        assert found(again) == found(first) != []


# --- the same turn --------------------------------------------------------------------------------------


async def test_the_same_turn_is_told_again_with_its_own_receipt(tmp_path: Path) -> None:
    """No second receipt, no second charge, no second search; another body is still a conflict."""
    turn = asked(QUESTION, search=ALWAYS, turn_id="t1")
    async with opened(tmp_path, Reply.answer("It is metered.[S1]"), recalls=True) as house:
        first = await told(house.gateway, turn)
        money = await spent(house.gateway)
        again = await told(house.gateway, turn)
        assert again[-1].end == first[-1].end
        assert again[0].accepted.receipt_id == first[0].accepted.receipt_id
        assert (text_of(again), level_of(again)) == (text_of(first), "memory")
        assert found(again) == found(first) != []
        assert [f.citation for f in again if f.HasField("citation")] == [
            f.citation for f in first if f.HasField("citation")
        ]
        assert (await spent(house.gateway))[0] == money[0]
        other = await refused(
            house.gateway.inference.Complete(asked("ho", turn_id="t1"), metadata=house.gateway.bearer())
        )
        assert other.reason == "IDEMPOTENCY_CONFLICT"
        assert (len(house.receipts()), len(house.upstream.exchanges)) == (1, 1)


async def test_a_turn_answered_from_the_cache_is_told_again_as_well(tmp_path: Path) -> None:
    """And one that bypassed it is settled, for its answer is not kept."""
    async with (
        ScriptedUpstream(ANSWER) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True) as gateway,
    ):
        await told(gateway, asked())
        first, again = [await told(gateway, asked(turn_id="t1")) for _ in range(2)]
        assert first[-1].end == again[-1].end
        apart = asked(turn_id="t2", cache=inference_pb2.CachePolicy(use=USES["bypass"]))
        await told(gateway, apart)
        settled = await refused(gateway.inference.Complete(apart, metadata=gateway.bearer()))
        assert settled.reason == "TURN_SETTLED"
        assert len(upstream.exchanges) == 2


# --- other levels ---------------------------------------------------------------------------------------


async def test_answers_survive_a_restart(tmp_path: Path) -> None:
    """From the disk, then from memory; under another seal key they are misses, unless the old one is beside it."""
    other = {"GATEWAY_SEAL_KEY": "b2" * 32}
    both = {**other, "GATEWAY_SEAL_OLD_KEYS": SEALED["GATEWAY_SEAL_KEY"]}
    async with ScriptedUpstream(ANSWER) as upstream:
        for environment, levels in ((SEALED, ["", "memory"]), (SEALED, ["disk", "memory"]), (both, ["disk"])):
            async with running(tmp_path, upstream=upstream.url, recalls=True, environment=environment) as gateway:
                assert [level_of(await told(gateway, asked())) for _ in levels] == levels
        async with running(tmp_path, upstream=upstream.url, recalls=True, environment=other) as gateway:
            assert level_of(await told(gateway, asked())) == ""
        assert len(upstream.exchanges) == 2
    files = [path for path in (tmp_path / "data" / "cache").rglob("*") if path.is_file()]
    assert files and not any(b"bucket" in path.read_bytes() for path in files)


async def test_gateways_share_answers_through_redis(tmp_path: Path) -> None:
    """What one was told the other knows; what is spoiled there is asked for anew."""
    with redis_server(tmp_path / "redis") as url:
        shared = {**SEALED, "GATEWAY_REDIS_URL": url, "GATEWAY_CACHE_DISK_MIB": "0"}
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        async with (
            ScriptedUpstream(ANSWER) as upstream,
            running(tmp_path / "one", upstream=upstream.url, recalls=True, environment=shared) as one,
            running(tmp_path / "two", upstream=upstream.url, recalls=True, environment=shared) as two,
        ):
            await told(one, asked())
            await until(lambda: b":answer:" in say(url, "KEYS", "gateway:cache:*"))
            assert level_of(await told(two, asked())) == "redis"
            assert level_of(await told(two, asked(), tenant="other")) == ""
            await told(one, asked("another"))
            await until(lambda: say(url, "KEYS", "gateway:cache:{acme}*").count(b":answer:") == 2)
            for name in say(url, "KEYS", "gateway:cache:{acme}*").split(b"\r\n"):
                if b":answer:" in name:
                    say(url, "SET", name.decode(), "poison")
            assert level_of(await told(two, asked("another"))) == ""
            page = await _metrics(two)
            assert 'gateway_cache_misses_total{level="redis",reason="seal"} 1.0' in page
            assert 'gateway_cache_hits_total{kind="answer",level="redis"} 1.0' in page
            assert len(upstream.exchanges) == 4


async def test_without_a_seal_key_nothing_leaves_the_process(tmp_path: Path) -> None:
    """Neither to the disk nor to Redis."""
    with redis_server(tmp_path / "redis") as url:
        async with (
            ScriptedUpstream(ANSWER) as upstream,
            running(
                tmp_path, upstream=upstream.url, recalls=True, environment={"GATEWAY_REDIS_URL": url}
            ) as gateway,
        ):
            assert [level_of(await told(gateway, asked())) for _ in range(2)] == ["", "memory"]
        assert b"gateway:cache" not in say(url, "KEYS", "*")
        assert not (tmp_path / "data" / "cache").exists()


async def test_an_old_answer_stands_in_when_no_model_answers(tmp_path: Path) -> None:
    """Its lifetime is over; it is marked in frame, end and receipt. Whoever does not want it gets the error."""
    replies = [ANSWER, *[Reply.json(401, {"error": {"message": "no"}})] * 4]
    environment = {"GATEWAY_CACHE_LIFETIME_S": "0"}
    async with (
        ScriptedUpstream(replies) as upstream,
        running(tmp_path, upstream=upstream.url, recalls=True, environment=environment) as gateway,
    ):
        willing = inference_pb2.Routing(allow_degraded=True)
        await told(gateway, asked())
        stale = await told(gateway, asked(routing=willing))
        notices = [f.notice.kind for f in stale if f.HasField("notice")]
        assert inference_pb2.NOTICE_KIND_DEGRADED in notices
        assert (text_of(stale), stale[-1].end.degraded) == ("A bucket of tokens.", True)
        receipt = receipts(gateway)[-1]
        assert (receipt.degraded, receipt.cache_level, receipt.settled.cost_nano_usd) == (True, "memory", 0)
        for unwilling in (
            asked(),
            asked(routing=willing, cache=inference_pb2.CachePolicy(max_age={"nanos": 1})),
        ):
            told_off = await refused(gateway.inference.Complete(unwilling, metadata=gateway.bearer()))
            assert told_off.code is grpc.StatusCode.UNAVAILABLE


async def _metrics(gateway: Running) -> str:
    port = gateway.gateway.metrics_port
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as page:
        return await page.text()


async def test_many_questions_at_once_each_get_their_own(tmp_path: Path) -> None:
    """Interleaved, some cancelled: an answer is always the answer to its own question."""

    def echo(exchange: Exchange) -> Reply:
        return Reply.answer("to: ", exchange.json["messages"][-1]["content"])

    async with opened(tmp_path, echo, recalls=True) as house:

        async def ask(number: int) -> None:
            call = house.generate(asked(f"question {number % 7}"))
            if number % 5 == 4:
                await call.read()
                call.cancel()
                return
            frames, _ = await streamed(call)
            assert text_of(frames) == f"to: question {number % 7}"

        await asyncio.gather(*(ask(number) for number in range(40)))
        assert len(house.upstream.exchanges) < 20
