"""Health without a credential, reflection with one, and grpcurl that needs nothing else."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway import app, settings
from gateway.auth.api_key import ApiKeyFile
from tests.support import tools
from tests.support.calls import refused, streamed
from tests.support.gateway import running

SERVICES = {
    "gateway.v1.Inference",
    "gateway.v1.Search",
    "gateway.v1.Account",
    "deepseek.DeepSeek",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}
SERVING = health_pb2.HealthCheckResponse.SERVING
LIST = reflection_pb2.ServerReflectionRequest(list_services="")


async def listed(channel: grpc.aio.Channel, metadata: Any = None) -> set[str]:
    """The services that reflection names. Any: metadata."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    replies, told = await streamed(stub.ServerReflectionInfo(iter([LIST]), metadata=metadata))
    if told.code is not grpc.StatusCode.OK:
        raise AssertionError(told)
    return {service.name for reply in replies for service in reply.list_services_response.service}


class Strict:
    """A gateway as it is outside of --dev, with one API key and a channel to it."""

    def __init__(self, gateway: app.Gateway, channel: grpc.aio.Channel, key: str) -> None:
        self.gateway = gateway
        self.channel = channel
        self.bearer = (("authorization", f"Bearer {key}"),)


@pytest.fixture(name="strict")
async def open_strict(tmp_path: Path) -> Any:  # Any: an async generator
    """A gateway without --dev."""
    key, _ = ApiKeyFile(tmp_path).create("acme", "model.read", 0.0)
    loaded = settings.load(None, {**FREE_PORTS, "GATEWAY_DATA_DIR": str(tmp_path)})
    async with (
        app.opened(loaded, dev=False) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        yield Strict(gateway, channel, key)


FREE_PORTS = {
    "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
    "GATEWAY_METRICS_ADDRESS": "",
    "GATEWAY_HTTP_ADDRESS": "",
    "GATEWAY_GRPC_DRAIN_GRACE_S": "3",
}


# --- health ---------------------------------------------------------------------------------------------


async def test_health_needs_no_credential(strict: Strict) -> None:
    """The server and each of its services are SERVING to anybody; what is not there is NOT_FOUND, with details."""
    stub: Any = health_pb2_grpc.HealthStub(strict.channel)
    for service in ("", "gateway.v1.Inference", "gateway.v1.Search", "gateway.v1.Account", "deepseek.DeepSeek"):
        assert (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
    told = await refused(stub.Check(health_pb2.HealthCheckRequest(service="nobody")))
    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert told.trailers["x-request-id"]


async def test_health_lists_every_service(strict: Strict) -> None:
    """One call for a dashboard."""
    stub: Any = health_pb2_grpc.HealthStub(strict.channel)
    request: Any = health_pb2.HealthListRequest()  # type: ignore[attr-defined]  # untyped
    statuses = (await stub.List(request)).statuses
    own = {name for name in SERVICES if not name.startswith("grpc.")}
    assert set(statuses) == {"", *own}
    assert {one.status for one in statuses.values()} == {SERVING}


async def test_a_watcher_of_health_is_told_at_once_and_let_go_at_the_end(tmp_path: Path) -> None:
    """Its stream ends with NOT_SERVING and OK when the gateway leaves, so that it does not hold up the drain."""
    async with running(tmp_path, environment={"GATEWAY_GRPC_DRAIN_GRACE_S": "60"}) as gateway:
        stub: Any = health_pb2_grpc.HealthStub(gateway.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        first = await watch.read()
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        stranger = await unknown.read()
        drain = asyncio.create_task(gateway.gateway.server.drain())
        rest, told = await asyncio.wait_for(streamed(watch), 20)
        await asyncio.wait_for(drain, 20)
        assert first.status == SERVING
        assert stranger.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        assert [one.status for one in rest] == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert told.code is grpc.StatusCode.OK


@pytest.mark.parametrize("method", ["Check", "List", "Watch"])
async def test_garbage_to_health_is_the_callers_fault(strict: Strict, method: str) -> None:
    """INVALID_ARGUMENT with details, and no class of ours in the text."""
    make = strict.channel.unary_stream if method == "Watch" else strict.channel.unary_unary
    call = make(f"/grpc.health.v1.Health/{method}", request_serializer=bytes, response_deserializer=bytes)(
        b"\xff\xff"
    )
    told = (await streamed(call))[1] if method == "Watch" else await refused(call)
    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "pb2" not in told.message


# --- reflection -----------------------------------------------------------------------------------------


async def test_reflection_needs_a_credential(strict: Strict) -> None:
    """Any valid one, whatever its scopes; none and a bad one are UNAUTHENTICATED."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(strict.channel)
    for metadata in (None, (("authorization", "Bearer bad"),)):
        _, told = await streamed(stub.ServerReflectionInfo(iter([LIST]), metadata=metadata))
        assert (told.code, told.message) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_token")
    assert await listed(strict.channel, strict.bearer) == SERVICES


async def test_under_dev_reflection_is_open(tmp_path: Path) -> None:
    """A tool needs nothing but the port."""
    async with running(tmp_path) as gateway:
        assert await listed(gateway.channel) == SERVICES


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    """Then the service does not exist, and everything else does."""
    async with running(tmp_path, environment={"GATEWAY_GRPC_REFLECTION": "false"}) as gateway:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
        _, told = await streamed(stub.ServerReflectionInfo(iter([LIST]), metadata=gateway.bearer()))
        assert told.code is grpc.StatusCode.UNIMPLEMENTED
        health: Any = health_pb2_grpc.HealthStub(gateway.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING


@pytest.mark.parametrize("dev", [True, False])
async def test_garbage_to_reflection_is_the_callers_fault(tmp_path: Path, strict: Strict, dev: bool) -> None:
    """INVALID_ARGUMENT, with a credential and without one; what came before it was answered."""
    async with running(tmp_path / "dev") as gateway:
        channel = gateway.channel if dev else strict.channel
        call = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=bytes,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )(iter([LIST.SerializeToString(), b"\xff\xff"]), metadata=() if dev else strict.bearer)
        replies, told = await streamed(call)
        assert len(replies) == 1
        assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


# --- grpcurl --------------------------------------------------------------------------------------------


async def curl(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of grpcurl."""
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(tools.go_tool, "grpcurl"),
        "-plaintext",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, out.decode(), err.decode()


async def test_grpcurl_lists_describes_and_calls_with_port_and_token(tmp_path: Path) -> None:
    """Every service is listed, every method and message described, and answers come as JSON."""
    async with running(tmp_path) as gateway:
        token = ("-H", f"authorization: Bearer {gateway.token()}")
        _, services, _ = await curl(*token, gateway.target, "list")
        assert set(services.split()) == SERVICES
        for service in sorted(SERVICES - {"grpc.reflection.v1alpha.ServerReflection"}):
            code, methods, err = await curl(*token, gateway.target, "describe", service)
            assert code == 0, err
            assert "rpc " in methods
        _, message, _ = await curl(*token, gateway.target, "describe", "gateway.v1.Turn")
        assert "map<string, string> labels = 11;" in message
        body = json.dumps({"prompt": "how does the gateway meter a broken stream?"})
        code, frames, err = await curl(*token, "-d", body, gateway.target, "gateway.v1.Inference/Generate")
        assert code == 0, err
        assert '"finish": "FINISH_STOP"' in frames
        code, models, _ = await curl(*token, gateway.target, "gateway.v1.Inference/ListModels")
        assert (code, json.loads(models)["models"][0]["name"]) == (0, "embedded")
        code, health, _ = await curl(gateway.target, "grpc.health.v1.Health/Check")
        assert (code, json.loads(health)) == (0, {"status": "SERVING"})


async def test_grpcurl_shows_the_details_of_a_refusal(tmp_path: Path) -> None:
    """Code, message, reason and the field: what a person debugging needs."""
    async with running(tmp_path) as gateway:
        code, _, err = await curl("-d", "{}", gateway.target, "gateway.v1.Inference/Complete")
        assert code != 0
        for words in ("InvalidArgument", "messages: is empty", "INVALID_REQUEST", '"field": "messages"'):
            assert words in err


async def test_grpcurl_without_a_token_learns_nothing(strict: Strict) -> None:
    """Outside of --dev not even the names of the services."""
    target = f"127.0.0.1:{strict.gateway.grpc_port}"
    code, out, err = await curl(target, "list")
    assert (code != 0, out) == (True, "")
    assert "Unauthenticated" in err
