"""The overload ladder on a real server: each level by signals of the test's own, and what a caller sees of it."""

from pathlib import Path

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.pipeline.ladder import Level, Signals
from gateway.v1 import inference_pb2, search_pb2
from tests.support.calls import ALWAYS, refused, until
from tests.support.gateway import Running, running
from tests.support.outcomes import Outcome, outcome_of, read_kind
from tests.support.search_web import ScriptedVendor
from tests.support.sweep import opened, question
from tests.support.unfinished import PATIENT, words
from tests.support.upstream import Reply, ScriptedUpstream
from tests.support.vendor_replies import KEY

AT_ONCE = {
    **PATIENT,
    "GATEWAY_OVERLOAD_ENABLED": "true",
    "GATEWAY_OVERLOAD_ENTER_AFTER_S": "0",
    "GATEWAY_OVERLOAD_LEAVE_AFTER_S": "0",
}
QUIET, BUSY, FULL, TOO_MUCH = Signals(), Signals(calls=0.9), Signals(calls=0.97), Signals(memory=0.99)


async def climb(gateway: Running, signals: Signals, level: Level) -> None:
    """The gateway sees this from now on, and gets there."""
    overload = gateway.gateway.overload
    overload.forced = signals
    await until(lambda: overload.level is level)


async def page(gateway: Running, path: str = "metrics") -> tuple[int, str]:
    """A page of the operator's port."""
    url = f"http://127.0.0.1:{gateway.gateway.metrics_port}/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status, await reply.text()


async def counted(gateway: Running, action: str) -> float:
    """How often the ladder did something."""
    _, text = await page(gateway)
    line = next(
        line for line in text.splitlines() if line.startswith(f'gateway_overload_actions_total{{action="{action}"')
    )
    return float(line.rpartition(" ")[2])


async def test_a_brown_out_gives_everybody_a_little_less_and_says_so(tmp_path: Path) -> None:
    """Level 1: 512 tokens where nobody said how many, and searches from the cache alone; then all as before."""
    async with ScriptedVendor("brave") as vendor, ScriptedUpstream(Reply.answer("hi")) as upstream:
        environment = {
            **AT_ONCE,
            "GATEWAY_SEARCH_PROVIDERS": "brave",
            "GATEWAY_SEARCH_BRAVE_URL": vendor.url,
            "GATEWAY_SEARCH_BRAVE_KEY": KEY,
            # A busy machine is no late vendor.
            "GATEWAY_SEARCH_BRAVE_TIMEOUT_S": "20",
            "GATEWAY_SEARCH_TIMEOUT_S": "20",
        }
        async with running(tmp_path, upstream=upstream.url, environment=environment) as gateway:
            known = search_pb2.SearchRequest(query="harbour crane")
            await gateway.search.Query(known, metadata=gateway.bearer())
            await climb(gateway, BUSY, Level.BROWN_OUT)
            found = await gateway.search.Query(known, metadata=gateway.bearer())
            assert [event.from_cache for event in found.events] == [True]
            told = await asked(gateway)
            notices = {frame.notice.kind: frame.notice for frame in told.frames if frame.HasField("notice")}
            assert notices[inference_pb2.NOTICE_KIND_OPTION_CLAMPED].facts["max_tokens"] == "512"
            assert "much to do" in notices[inference_pb2.NOTICE_KIND_SEARCH_SKIPPED].message
            assert upstream.exchanges[-1].json["max_tokens"] == 512
            assert len(vendor.asked) == 1
            assert (await counted(gateway, "shortened"), await counted(gateway, "cached_search")) == (1, 1)
            await climb(gateway, QUIET, Level.NORMAL)
            await asked(gateway)
            assert upstream.exchanges[-1].json["max_tokens"] == 2048
            assert len(vendor.asked) == 2


async def test_shedding_refuses_who_has_more_than_a_fair_share(tmp_path: Path) -> None:
    """Level 2: the tenant with three of four turns is refused, the other is not; what runs goes on."""
    async with opened(tmp_path, words(1), environment=AT_ONCE) as house:
        gateway = house.gateway
        tenants = ("loud", "loud", "loud", "quiet")
        calls = [gateway.inference.Generate(question(), metadata=gateway.bearer(name)) for name in tenants]
        for call in calls:
            await read_kind(call, "delta")
        await climb(gateway, FULL, Level.SHED)
        told = await refused(gateway.inference.Complete(question(), metadata=gateway.bearer("loud")))
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert 1.0 <= (told.retry_after_s or 0) <= 10.0
        assert (told.facts["retryable"], await counted(gateway, "shed")) == ("true", 1)
        newcomer = gateway.inference.Generate(question(), metadata=gateway.bearer("quiet"))
        await read_kind(newcomer, "delta")
        for call in (*calls, newcomer):
            call.cancel()


async def test_at_the_top_a_worker_is_not_ready_and_what_runs_goes_on(tmp_path: Path) -> None:
    """Level 3: every new call is refused before its credential is looked at, also a turn of an open stream."""
    async with opened(tmp_path, words(1), environment=AT_ONCE) as house:
        gateway = house.gateway
        stays = house.generate()
        await read_kind(stays, "delta")
        await climb(gateway, TOO_MUCH, Level.PROTECT)
        for metadata in (gateway.bearer(), (("authorization", "Bearer nonsense"),)):
            told = await refused(
                gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=metadata)
            )
            assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert (await page(gateway, "readyz"))[0] == 503
        health = health_pb2_grpc.HealthStub(gateway.channel)
        await until_serving(health, health_pb2.HealthCheckResponse.NOT_SERVING)
        assert await counted(gateway, "refused_all") == 2
        assert "gateway_overload_level 3.0" in (await page(gateway))[1]
        assert not stays.done()
        await climb(gateway, QUIET, Level.NORMAL)
        await until_serving(health, health_pb2.HealthCheckResponse.SERVING)
        await gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=gateway.bearer())
        stays.cancel()


async def test_more_calls_than_a_worker_takes_are_refused_fast(tmp_path: Path) -> None:
    """`[grpc] calls` in all, and a little less than gRPC's own ceiling on one connection."""
    environment = {**PATIENT, "GATEWAY_GRPC_CALLS": "3"}
    async with opened(tmp_path, words(1), environment=environment) as house:
        calls = [house.generate() for _ in range(3)]
        for call in calls:
            await read_kind(call, "delta")
        assert "gateway_open_calls" in (await page(house.gateway))[1]
        told = await refused(house.gateway.inference.Complete(question(), metadata=house.gateway.bearer()))
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        for call in calls:
            call.cancel()
        await until(lambda: house.gateway.gateway.overload.calls.count == 0)


async def until_serving(health: health_pb2_grpc.HealthStub, status: int) -> None:
    """Health says so, sooner or later."""
    while (await health.Check(health_pb2.HealthCheckRequest())).status != status:
        pass


async def asked(gateway: Running) -> Outcome:
    """Everything that is said to a turn with a search, which ends well."""
    turn = question("what is a gantry?", search=ALWAYS)
    told = await outcome_of(gateway.inference.Generate(turn, metadata=gateway.bearer()))
    told.check_ok()
    return told
