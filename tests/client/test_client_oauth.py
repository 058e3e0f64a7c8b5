"""Client credentials against a scripted token endpoint."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from gateway_client import ClientCredentials, SettingsError, TokenUnavailable
from tests.support.scripted_issuer import ScriptedIssuer, scripted_issuer


@pytest.fixture
async def issuer() -> AsyncIterator[ScriptedIssuer]:
    """A token endpoint."""
    async with scripted_issuer() as running:
        yield running


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_id_and_secret_are_sent_as_http_basic(issuer: ScriptedIssuer) -> None:
    """RFC 6749, section 2.3.1: form-encoded, then Basic; the scopes go into the form."""
    issuer.grant("t1")
    source = ClientCredentials(issuer.url, "my id", "s:cret", scopes="model.read model.stream")
    assert await source.token(refresh=False) == "t1"
    headers, form = issuer.seen[0]
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"my+id:s%3Acret"
    assert form == {"grant_type": ["client_credentials"], "scope": ["model.read model.stream"]}


async def test_a_token_is_kept_and_renewed_before_it_expires(issuer: ScriptedIssuer) -> None:
    """One fetch serves many calls; a minute before the end the next one fetches again."""
    issuer.grant("t1", expires_in=600)
    issuer.grant("t2", expires_in=600)
    clock = Clock()
    source = ClientCredentials(issuer.url, "id", "secret", clock=clock)
    tokens = []
    for moment in (0, 539, 541):
        clock.now = 1000.0 + moment
        tokens.append(await source.token(refresh=False))
    assert tokens == ["t1", "t1", "t2"]


async def test_tasks_that_need_a_token_at_once_share_one_fetch(issuer: ScriptedIssuer) -> None:
    """A second reply does not exist, so a second request would fail."""
    issuer.grant("t1")
    source = ClientCredentials(issuer.url, "id", "secret")
    assert await asyncio.gather(*(source.token(refresh=False) for _ in range(5))) == ["t1"] * 5
    issuer.grant("t2")
    assert await asyncio.gather(*(source.token(refresh=True) for _ in range(5))) == ["t2"] * 5
    assert len(issuer.seen) == 2


async def test_a_refusal_says_why(issuer: ScriptedIssuer) -> None:
    """RFC 6749, section 5.2: the error and its description reach the person."""
    issuer.replies.append((401, b'{"error":"invalid_client","error_description":"unknown client"}'))
    with pytest.raises(TokenUnavailable, match="answered 401: invalid_client: unknown client"):
        await ClientCredentials(issuer.url, "id", "secret").token(refresh=False)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"<html>", "without an access_token"),
        (b"[]", "without an access_token"),
        (b'{"access_token":"t","token_type":"mac"}', "not a bearer token"),
        (b'{"access_token":"a\\r\\nb","token_type":"bearer"}', "characters that no token has"),
    ],
)
async def test_a_reply_that_is_no_grant_is_refused(issuer: ScriptedIssuer, body: bytes, complaint: str) -> None:
    """Nothing but a well-formed bearer grant is taken."""
    issuer.replies.append((200, body))
    with pytest.raises(TokenUnavailable, match=complaint):
        await ClientCredentials(issuer.url, "id", "secret").token(refresh=False)


async def test_a_redirect_is_not_followed(issuer: ScriptedIssuer) -> None:
    """The secret goes to the configured place and to no other."""
    issuer.replies.append((307, b""))
    with pytest.raises(TokenUnavailable, match="answered 307"):
        await ClientCredentials(issuer.url, "id", "secret").token(refresh=False)
    assert len(issuer.seen) == 1


async def test_an_endpoint_that_is_not_there_is_named(unused_tcp_port: int) -> None:
    """The person sees which URL failed."""
    url = f"http://127.0.0.1:{unused_tcp_port}/oauth/token"
    with pytest.raises(TokenUnavailable, match=url):
        await ClientCredentials(url, "id", "secret").token(refresh=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/token",
        "http://localhost:80@idp.example/token",
        "file:///etc/passwd",
        "idp.example/token",
    ],
)
def test_a_secret_never_leaves_in_plain_text(url: str) -> None:
    """https everywhere but on loopback."""
    with pytest.raises(SettingsError, match="must be https"):
        ClientCredentials(url, "id", "secret")
