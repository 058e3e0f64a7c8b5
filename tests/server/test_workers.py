"""Several workers behind one port are one gateway: their callers, limits, metrics, deaths and their end."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import grpc
import pytest

from gateway.domain.events import Finish
from gateway.v1 import account_pb2
from tests.support.calls import refused
from tests.support.chat_events import DONE, USAGE, chat_chunk, text_chunk
from tests.support.many_workers import GUARD_S, Crowd, crowd, kill
from tests.support.outcomes import Outcome, outcome_of, read_kind
from tests.support.redis_server import redis_server
from tests.support.sweep import question, until
from tests.support.upstream import Exchange, Reply, Script, ScriptedUpstream

THREE_STREAMS = '[tenants.dev]\nsearch_mode = "never"\n[tenants.dev.limits]\nconcurrent_streams = 3\n'
FREE = (
    '[tenants.dev]\nsearch_mode = "never"\n'
    "[tenants.dev.limits]\nrequests_per_minute = 0\ntokens_per_minute = 0\nconcurrent_streams = 0\n"
    "usd_per_day = 1000.0\nusd_per_month = 1000.0\n"
)


def numbered(go_on: asyncio.Event) -> Script:
    """A script: each prompt `7` is answered in two halves with 7 tokens; the second waits for `go_on`."""

    def reply(exchange: Exchange) -> Reply:
        name = exchange.json["messages"][-1]["content"]
        usage = {**USAGE, "completion_tokens": int(name), "total_tokens": 11 + int(name)}
        last = chat_chunk({"content": ""}, finish="stop", usage=usage)
        return Reply.events(text_chunk(f"one {name}, "), go_on, text_chunk(f"two {name}"), last, DONE)

    return reply


async def nothing_is_held(gateway: Crowd) -> None:
    """Waits until the limits that a caller is told are whole but for what was used: Redis ends leases in 30 s."""
    async with asyncio.timeout(GUARD_S):
        while True:
            limits = await gateway.account().GetLimits(account_pb2.GetLimitsRequest())
            if not any(one.held for one in limits.allowances):
                return
            await asyncio.sleep(0.1)


async def going_away(gateway: Crowd) -> None:
    """Waits until the gateway no longer calls itself ready."""
    async with asyncio.timeout(20):
        while (await gateway.get("/readyz"))[0] != 503:
            await asyncio.sleep(0.01)


async def test_two_workers_share_connections_limits_and_metrics(tmp_path: Path) -> None:
    """Eight connections are split evenly, three streams are three whoever serves them, and one page counts all."""
    go_on = asyncio.Event()
    async with (
        ScriptedUpstream(numbered(go_on)) as upstream,
        crowd(tmp_path, upstream, channels=8, config=THREE_STREAMS) as gateway,
    ):
        assert len(gateway.workers()) == 2
        assert sum(gateway.split()) == 8
        assert min(gateway.split()) >= 3
        await gateway.becomes("gateway_worker_connections", 8.0)
        calls = []
        for number in range(3):
            calls.append(gateway.inference(number).Generate(question(str(number + 1), turn_id=f"t{number}")))
            await read_kind(calls[-1], "delta")
        for number in range(8):
            told = await refused(gateway.inference(number).Complete(question("9")))
            assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
            assert told.facts["dimension"] == "concurrent_streams"
        assert sum((await gateway.metric("gateway_active_turns")).values()) == 3.0
        go_on.set()
        for call in calls:
            (await outcome_of(call)).check_ok()
        await gateway.becomes("gateway_turns_total", 3.0)
        assert sum((await gateway.metric("gateway_refused_calls_total")).values()) == 8.0
        await nothing_is_held(gateway)


async def lose_one(gateway: Crowd, upstream: ScriptedUpstream, go_on: asyncio.Event, streams: int) -> None:
    """Kills one worker while each stream has half of its answer, and looks at everybody."""
    workers = gateway.workers()
    calls = [
        gateway.inference(number).Generate(question(str(number), turn_id=f"t{number}"), wait_for_ready=True)
        for number in range(1, streams + 1)
    ]
    for call in calls:
        await read_kind(call, "delta")
    kill(min(workers))
    ends = [asyncio.create_task(outcome_of(call)) for call in calls]
    # Whoever was served by it hears so at once; nobody else does.
    await until(lambda: any(end.done() for end in ends))
    await gateway.becomes("gateway_worker_restarts_total", 1.0)
    await gateway.becomes("gateway_workers", float(len(workers)))
    victims = {number for number, end in enumerate(ends, 1) if end.done()}
    assert 0 < len(victims) < streams
    go_on.set()
    check_outcomes(dict(enumerate(await asyncio.gather(*ends), 1)), victims)
    assert len(gateway.workers() - workers) == 1
    # The new worker serves too, and takes the connections that the dead one had.
    upstream.script = Reply.answer("again")
    for number in range(len(gateway.channels)):
        turn = question("0", turn_id=f"after{number}")
        assert (await outcome_of(gateway.inference(number).Generate(turn, wait_for_ready=True))).text == "again"
    await nothing_is_held(gateway)
    await settled(gateway, upstream, victims)


def check_outcomes(outcomes: dict[int, Outcome], victims: set[int]) -> None:
    """Victims are told that the connection is gone, all others have every byte."""
    for number, outcome in outcomes.items():
        if number in victims:
            assert outcome.status.code is grpc.StatusCode.UNAVAILABLE
        else:
            outcome.check_ok()
            assert f"one {number}, {outcome.text}" == f"one {number}, two {number}"


async def settled(gateway: Crowd, upstream: ScriptedUpstream, victims: set[int]) -> None:
    """Row by row: what the upstream was asked is in the books, at its own count, or as lost with the worker."""
    await until(lambda: all(receipt.finish is not None for receipt in gateway.receipts()), within_s=60.0)
    books = {r.turn_id: r for r in gateway.receipts()}
    asked = Counter(exchange.json["messages"][-1]["content"] for exchange in upstream.exchanges)
    assert asked.pop("0") == len(gateway.channels)
    assert set(asked.values()) == {1}
    assert len(books) == len(upstream.exchanges)
    for name in asked:
        receipt = books[f"t{name}"]
        if int(name) in victims:
            assert (receipt.finish, receipt.reason) == (Finish.ERROR, "worker_lost")
        else:
            assert (receipt.finish, receipt.settled.completion_tokens) == (Finish.STOP, int(name))


async def test_a_killed_worker_takes_nobody_with_it_and_comes_back(tmp_path: Path) -> None:
    """P-1, small: two workers, and 24 streams over six connections."""
    go_on = asyncio.Event()
    async with (
        ScriptedUpstream(numbered(go_on)) as upstream,
        crowd(tmp_path, upstream, channels=6, config=FREE) as gateway,
    ):
        await lose_one(gateway, upstream, go_on, 24)


@pytest.mark.full
@pytest.mark.parametrize("keeper", ["the parent", "Redis"])
async def test_one_of_four_workers_is_killed_with_two_hundred_streams_running(tmp_path: Path, keeper: str) -> None:
    """P-1, with the limits kept by the parent and by Redis."""
    go_on = asyncio.Event()
    with redis_server(tmp_path / "redis") as url:
        # The slots of one upstream begin at twenty a worker, and have tests of their own.
        environment = {
            "GATEWAY_SLOTS_ENABLED": "false",
            **({"GATEWAY_REDIS_URL": url} if keeper == "Redis" else {}),
        }
        async with (
            ScriptedUpstream(numbered(go_on)) as upstream,
            crowd(tmp_path, upstream, workers=4, channels=16, config=FREE, environment=environment) as gateway,
        ):
            await lose_one(gateway, upstream, go_on, 200)


async def test_all_workers_drain_together_and_the_parent_ends_well(tmp_path: Path) -> None:
    """P-2: not ready at once, running answers are finished, and nothing of the gateway is left."""
    go_on = asyncio.Event()
    async with ScriptedUpstream(numbered(go_on)) as upstream, crowd(tmp_path, upstream) as gateway:
        calls = [gateway.inference(number).Generate(question(str(number + 1))) for number in range(4)]
        for call in calls:
            await read_kind(call, "delta")
        workers = gateway.workers()
        gateway.served.process.send_signal(signal.SIGTERM)
        await going_away(gateway)
        go_on.set()
        for call in calls:
            (await outcome_of(call)).check_ok()
        assert await asyncio.to_thread(gateway.served.process.wait, 20) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert [receipt.finish for receipt in gateway.receipts()] == [Finish.STOP] * 4


async def test_a_second_signal_ends_all_of_them_at_once(tmp_path: Path) -> None:
    """P-3: the receipts stay open for the next start to close."""
    async with (
        ScriptedUpstream(numbered(asyncio.Event())) as upstream,
        crowd(tmp_path, upstream, channels=2) as gateway,
    ):
        calls = [gateway.inference(number).Generate(question(str(number + 1))) for number in range(2)]
        for call in calls:
            await read_kind(call, "delta")
        workers = gateway.workers()
        gateway.served.process.send_signal(signal.SIGINT)
        await going_away(gateway)
        gateway.served.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(gateway.served.process.wait, 20) == 1
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        for call in calls:
            assert (await outcome_of(call)).status.code is grpc.StatusCode.UNAVAILABLE
        assert [receipt.finish for receipt in gateway.receipts()] == [None] * 2
