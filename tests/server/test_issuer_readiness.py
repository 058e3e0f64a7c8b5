"""Keys that cannot be fetched: the gateway is alive and not ready, says UNAVAILABLE, and recovers by itself."""

import asyncio
import time
from pathlib import Path

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.auth import jwks
from gateway.v1 import inference_pb2
from tests.support.calls import refused
from tests.support.gateway import Running, running
from tests.support.identity import claims, header, published, token
from tests.support.jwks_server import jwks_server

MODELS = inference_pb2.ListModelsRequest()


async def status(gateway: Running, page: str) -> int:
    """What the operator's port answers."""
    url = f"http://127.0.0.1:{gateway.gateway.metrics_port}/{page}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


async def health(gateway: Running) -> int:
    """What `grpc.health.v1.Health` says of the whole server."""
    stub = health_pb2_grpc.HealthStub(gateway.channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest())).status)


async def test_a_cold_gateway_without_keys_is_alive_and_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callers are told to come back; API keys and the tokens of other issuers work meanwhile."""
    monkeypatch.setattr(jwks, "COLD_SPACING_S", 0.05)
    async with jwks_server() as issuer:
        environment = {
            "GATEWAY_JWT_ISSUER": issuer.url,
            "GATEWAY_JWT_AUDIENCE": "https://gateway.test",
            "GATEWAY_JWKS_URL": f"{issuer.url}/keys",
        }
        async with running(tmp_path, environment=environment) as gateway:
            now = int(time.time())
            good = token(header(), claims(iss=issuer.url, iat=now, exp=now + 600))
            metadata = (("authorization", f"Bearer {good}"),)
            assert (await status(gateway, "healthz"), await status(gateway, "readyz")) == (200, 503)
            assert await health(gateway) == health_pb2.HealthCheckResponse.NOT_SERVING
            told = await refused(gateway.inference.ListModels(MODELS, metadata=metadata))
            assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "IDP_UNAVAILABLE")
            assert told.retry_after_s == 0.05
            await gateway.inference.ListModels(MODELS, metadata=gateway.bearer())
            issuer.publish("/keys", published())
            async with asyncio.timeout(20):
                while await status(gateway, "readyz") != 200:
                    await asyncio.sleep(0.02)
            async with asyncio.timeout(20):
                while await health(gateway) != health_pb2.HealthCheckResponse.SERVING:
                    await asyncio.sleep(0.05)
            assert (await gateway.inference.ListModels(MODELS, metadata=metadata)).models
