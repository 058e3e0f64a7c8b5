"""A real identity provider that nobody here wrote: found by discovery, accepted without relaxing a single rule."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from gateway import identity, settings
from gateway.auth import jwks
from gateway.v1 import inference_pb2
from tests.support.gateway import Running, running
from tests.support.oidc_provider import AUDIENCE, CLIENT, OPAQUE, SECRET, Provider, oidc_provider

# Seconds where an installation has minutes, so that a rotation with overlap takes a moment.
REFRESH_S, SPACING_S = 0.5, 0.2


def config(issuer: str) -> str:
    """The provider for signed tokens by discovery, and for opaque ones by introspection."""
    return f"""
[issuers.provider]
issuer = "{issuer}"
audience = "{AUDIENCE}"
discovery = true
introspection_url = "{issuer}/token/introspection"
introspection_client_id = "{CLIENT}"
introspection_client_secret = "{SECRET}"
"""


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    """The provider, and a gateway's patience with keys shortened."""
    monkeypatch.setattr(jwks, "REFRESH_S", REFRESH_S)
    monkeypatch.setattr(jwks, "SPACING_S", SPACING_S)
    async with oidc_provider() as found:
        yield found


async def models(gateway: Running, token: str) -> int:
    """A call with this token."""
    metadata = (("authorization", f"Bearer {token}"),)
    reply = await gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=metadata)
    return len(reply.models)


async def test_its_tokens_are_accepted_through_discovery(provider: Provider, tmp_path: Path) -> None:
    """Signed and opaque ones, with the scopes they were given; no rule had to be relaxed."""
    async with running(tmp_path, config=config(provider.issuer)) as gateway:
        loaded = settings.load(str(tmp_path / "gateway.toml"), {})
        assert identity.warnings(loaded) == []
        for resource in ("", OPAQUE):
            assert await models(gateway, await provider.token("model.read", resource)) > 0
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await models(gateway, await provider.token("search", resource))
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        good = await provider.token()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await models(gateway, good[:-6] + "AAAAAA")
        assert (refused.value.code(), refused.value.details()) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "invalid_token",
        )


async def test_rotating_its_keys_loses_no_call(provider: Provider, tmp_path: Path) -> None:
    """Calls with fresh tokens go on while a key is published, then signs, and the older one is withdrawn."""
    kids: list[list[str]] = []
    calls = 0
    over = asyncio.Event()

    async def hammer(gateway: Running) -> None:
        nonlocal calls
        while not over.is_set():
            assert await models(gateway, await provider.token()) > 0
            calls += 1

    async with running(tmp_path, config=config(provider.issuer)) as gateway:
        await models(gateway, await provider.token())
        callers = [asyncio.create_task(hammer(gateway)) for _ in range(4)]
        for act in ("publish", "switch", "retire", "publish", "switch", "retire"):
            kids.append(await provider.keys(act))
            await asyncio.sleep(2 * REFRESH_S)
        over.set()
        await asyncio.gather(*callers)
    assert kids[2] == ["key-2"]
    assert kids[5] == ["key-3"]
    assert calls > 50


async def test_a_token_of_a_withdrawn_key_is_refused(provider: Provider, tmp_path: Path) -> None:
    """Also one that was verified before: what is remembered goes with the key."""
    async with running(tmp_path, config=config(provider.issuer)) as gateway:
        old = await provider.token()
        assert await models(gateway, old) > 0
        for act in ("publish", "switch", "retire"):
            await provider.keys(act)
        await asyncio.sleep(3 * REFRESH_S)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await models(gateway, old)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
