"""Two gateways with one Redis are one gateway to a limit; without their Redis they go on, narrower."""

from pathlib import Path

import grpc.aio

from gateway.v1 import account_pb2, inference_pb2
from tests.support.gateway import Running, running
from tests.support.redis_server import free_port, redis_server

CONFIG = """
[tenant_defaults.limits]
requests_per_minute = 6
[tenant_defaults.per_subject]
requests_per_minute = 3
"""


async def ask(gateway: Running, subject: str) -> str:
    """OK, or the scope of the limit that refused the turn."""
    turn = inference_pb2.Turn(prompt="how are limits shared?")
    try:
        async for _frame in gateway.inference.Generate(turn, metadata=gateway.bearer(subject=subject)):
            pass
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return (error.details() or "").split(" (")[0]
    return "OK"


def folder(root: Path, name: str) -> Path:
    """A directory for one of them."""
    path = root / name
    path.mkdir()
    return path


async def test_two_gateways_share_one_minute_of_a_tenant_and_of_its_subjects(tmp_path: Path) -> None:
    """Alice has three turns and the tenant six, wherever they are asked for; the account shows both."""
    with redis_server(tmp_path / "redis") as url:
        shared = {"GATEWAY_REDIS_URL": url}
        async with (
            running(folder(tmp_path, "a"), config=CONFIG, environment=shared) as first,
            running(folder(tmp_path, "b"), config=CONFIG, environment=shared) as second,
        ):
            found = [await ask(gateway, "alice") for gateway in (first, second, first, second)]
            assert found == ["OK", "OK", "OK", "The limit of the subject alice is met"]
            limits = await second.account.GetLimits(
                account_pb2.GetLimitsRequest(), metadata=second.bearer(subject="alice")
            )
            remaining = {(a.scope, a.dimension): a.remaining for a in limits.allowances}
            assert remaining["tenant:acme", "requests_per_minute"] == 3
            assert remaining["subject:alice", "requests_per_minute"] == 0
            found = [await ask(gateway, "bob") for gateway in (first, second, first)]
            assert found == ["OK", "OK", "OK"]
            assert await ask(second, "carol") == "The limit of the tenant is met"


async def test_without_its_redis_a_gateway_starts_and_answers(tmp_path: Path) -> None:
    """Neither the start nor a turn nor a token waits for it: half of the limit is left."""
    away = {"GATEWAY_REDIS_URL": f"redis://:secret@127.0.0.1:{free_port()}/0"}
    async with running(folder(tmp_path, "a"), config=CONFIG, environment=away) as gateway:
        found = [await ask(gateway, subject) for subject in ("alice", "bob", "carol", "dora")]
        assert found == ["OK", "OK", "OK", "The limit of the tenant is met"]
