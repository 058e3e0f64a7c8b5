"""The gateway's own issuer over HTTP: found by discovery, tokens for client credentials, keys that rotate."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_plus

import aiohttp
import pytest

from gateway.auth.clients import ClientFile
from gateway.auth.endpoint import DiscoveredJwks
from gateway.cli import main
from gateway.v1 import inference_pb2
from tests.support.gateway import Running, running

GRANT = {"grant_type": "client_credentials"}


class Port:
    """The HTTP port of a gateway with one client, `billing` of the tenant `acme`."""

    def __init__(self, gateway: Running, secret: str, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.secret = secret
        self.url = f"http://127.0.0.1:{gateway.gateway.http_port}"
        self._session = session

    async def get(self, path: str) -> dict[str, object]:
        """A page."""
        async with self._session.get(self.url + path) as response:
            assert response.status == 200
            return await response.json(content_type=None)

    async def post(
        self, form: dict[str, str] | bytes, **headers: str
    ) -> tuple[int, dict[str, str], "aiohttp.typedefs.LooseHeaders"]:
        """An answer of the token endpoint."""
        async with self._session.post(f"{self.url}/oauth/token", data=form, headers=headers) as response:
            return response.status, json.loads(await response.text()), response.headers

    def basic(self, client: str = "billing", secret: str | None = None) -> str:
        """The header of client_secret_basic."""
        pair = f"{quote_plus(client)}:{quote_plus(self.secret if secret is None else secret)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    async def models(self, token: str) -> int:
        """A call with this token."""
        metadata = (("authorization", f"Bearer {token}"),)
        reply = await self.gateway.inference.ListModels(inference_pb2.ListModelsRequest(), metadata=metadata)
        return len(reply.models)


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    """A gateway for development, with its HTTP port."""
    secret, _ = ClientFile(tmp_path / "data").create("billing", "acme", "model.read search", 0.0)
    environment = {"GATEWAY_HTTP_ADDRESS": "127.0.0.1:0"}
    async with running(tmp_path, environment=environment) as gateway, aiohttp.ClientSession() as session:
        yield Port(gateway, secret, session)


async def test_discovery_leads_to_keys_and_tokens(port: Port) -> None:
    """The strict reader that the gateway uses for others takes it, and the token opens a call."""
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        page = await port.get(path)
        assert page["issuer"] == port.url
        assert page["token_endpoint"] == f"{port.url}/oauth/token"
    assert json.loads(await DiscoveredJwks(port.url).load())["keys"]
    status, body, headers = await port.post(GRANT, Authorization=port.basic())
    assert (status, body["token_type"], body["expires_in"], body["scope"]) == (
        200,
        "Bearer",
        3600,
        "model.read search",
    )
    assert headers["Cache-Control"] == "no-store"
    assert await port.models(body["access_token"]) > 0


async def test_a_client_may_authenticate_in_the_form(port: Port) -> None:
    """client_secret_post, and fewer scopes than it may have."""
    form = {**GRANT, "client_id": "billing", "client_secret": port.secret, "scope": "search"}
    status, body, _ = await port.post(form)
    assert (status, body["scope"]) == (200, "search")


async def test_rotating_the_key_loses_no_call(
    port: Port, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of both keys are good while the command runs beside the gateway."""
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    tokens = []
    for _ in range(3):
        _, body, _ = await port.post(GRANT, Authorization=port.basic())
        tokens.append(body["access_token"])
        assert main(["client", "rotate-key", "--data-dir", str(tmp_path / "data")]) == 0
        for token in tokens:
            assert await port.models(token) > 0


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        (GRANT, {}, (401, "invalid_client")),
        (GRANT, {"Authorization": "Basic !!!"}, (401, "invalid_client")),
        (GRANT, {"Authorization": "Bearer x"}, (401, "invalid_client")),
        ({**GRANT, "client_id": "billing", "client_secret": "wrong"}, {}, (401, "invalid_client")),
        ({**GRANT, "client_id": "nobody", "client_secret": "wrong"}, {}, (401, "invalid_client")),
        ({**GRANT, "client_id": "billing"}, {}, (401, "invalid_client")),
        ({"scope": "search"}, {}, (400, "invalid_request")),
        ({"grant_type": "password"}, {}, (400, "unsupported_grant_type")),
        ({**GRANT, "resource": "https://elsewhere"}, {}, (400, "invalid_target")),
        (b"grant_type=client_credentials&grant_type=x", {}, (400, "invalid_request")),
        (b'{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}, (400, "invalid_request")),
        (b"x" * 10_000, {}, (413, "invalid_request")),
        (b"\xff=1", {}, (400, "invalid_request")),
        (b"&".join(b"a%d=1" % n for n in range(30)), {}, (400, "invalid_request")),
    ],
)
async def test_a_bad_request_is_told_in_the_words_of_the_standard(
    port: Port, form: dict[str, str] | bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """RFC 6749 section 5.2, and a challenge where the client is not known."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers} if isinstance(form, bytes) else headers
    status, body, answered = await port.post(form, **sent)
    assert (status, body["error"]) == expected
    assert ("WWW-Authenticate" in answered) == (status == 401)


async def test_more_scope_than_the_client_has_is_refused(port: Port) -> None:
    """It is not cut down in silence."""
    status, body, _ = await port.post({**GRANT, "scope": "admin"}, Authorization=port.basic())
    assert (status, body["error"]) == (400, "invalid_scope")


async def test_a_revoked_client_gets_no_token(port: Port, tmp_path: Path) -> None:
    """Within a second, with the words of a wrong secret."""
    ClientFile(tmp_path / "data").revoke("billing", 1.0)
    for _ in range(100):
        status, body, _ = await port.post(GRANT, Authorization=port.basic())
        if status == 401:
            assert body["error"] == "invalid_client"
            return
        await asyncio.sleep(0.05)
    pytest.fail("the client still gets tokens")
