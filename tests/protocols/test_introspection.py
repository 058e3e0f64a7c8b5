"""Opaque tokens: the issuer is asked once, believed for seconds, and a token it cannot vouch for is refused."""

import asyncio
import base64
import json

import pytest
from aiohttp import web

from gateway.auth.dispatch import ByCredentialKind
from gateway.auth.endpoint import FetchError
from gateway.auth.introspection import MAX_QUESTIONS, Endpoint, OpaqueAuthenticator, OpaqueIssuer
from gateway.auth.policy import IssuerPolicy
from gateway.domain.errors import CallerError, OperatorError, Reason
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    NOW,
    STRICT,
    ManualClock,
    authenticator,
    bearer,
    merged,
    settle,
    token,
)
from tests.support.jwks_server import jwks_server

TEXT = "opaque-token-of-alice"


def answer(**changes: object) -> bytes:
    """What an issuer says of a good token, changed."""
    good = {
        "active": True,
        "aud": AUDIENCE,
        "sub": "alice",
        "client_id": "web",
        "jti": "o-1",
        "tenant": "acme",
        "scope": "model.read",
        "exp": int(NOW) + 600,
    }
    return json.dumps(merged(good, changes)).encode()


class Issuer:
    """Answers as the test says, and counts the questions."""

    def __init__(self, reply: bytes | Exception) -> None:
        self.reply = reply
        self.asked: list[str] = []
        self.hold: asyncio.Event | None = None

    async def ask(self, text: str) -> bytes:
        """One question."""
        self.asked.append(text)
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


class Door:
    """An authenticator over one issuer, with clocks of the test's own."""

    def __init__(self, reply: bytes | Exception, policy: IssuerPolicy = STRICT, **options: object) -> None:
        self.issuer = Issuer(reply)
        self.clock = ManualClock()
        self.wall = [NOW]
        self.opaque = OpaqueAuthenticator(
            [OpaqueIssuer(policy, self.issuer.ask, **options)],  # type: ignore[arg-type]  # keywords of the test
            now=lambda: self.wall[0],
            clock=self.clock,
        )

    async def refused(self, text: str = TEXT) -> Reason:
        """Why the token is not accepted."""
        with pytest.raises((CallerError, OperatorError)) as error:
            await self.opaque.authenticate(bearer(text))
        return error.value.reason


async def test_a_good_token_is_who_the_issuer_says() -> None:
    """Every fact of the caller comes from the answer."""
    caller = await Door(answer()).opaque.authenticate(bearer(TEXT))
    assert (caller.tenant, caller.subject, caller.client_id) == ("acme", "alice", "web")
    assert (caller.scopes, caller.expires_at, caller.credential_id) == ({"model.read"}, NOW + 600, "o-1")


async def test_an_answer_is_kept_for_thirty_seconds() -> None:
    """Within them nobody is asked; after them the issuer is asked again, and its no counts."""
    door = Door(answer())
    for _ in range(3):
        await door.opaque.authenticate(bearer(TEXT))
    door.clock.now += 29
    await door.opaque.authenticate(bearer(TEXT))
    assert len(door.issuer.asked) == 1
    door.clock.now += 2
    door.issuer.reply = b'{"active": false}'
    assert await door.refused() is Reason.TOKEN_INVALID
    assert len(door.issuer.asked) == 2


async def test_a_refusal_is_kept_for_five_seconds() -> None:
    """So a caller who hammers with a bad token costs the issuer little, and a fresh one is soon seen."""
    door = Door(b'{"active": false}')
    for _ in range(3):
        assert await door.refused() is Reason.TOKEN_INVALID
    assert len(door.issuer.asked) == 1
    door.clock.now += 5
    door.issuer.reply = answer()
    await door.opaque.authenticate(bearer(TEXT))


async def test_a_token_is_never_believed_past_its_end() -> None:
    """However young the answer is."""
    door = Door(answer(exp=int(NOW) + 10))
    await door.opaque.authenticate(bearer(TEXT))
    door.wall[0] += 10
    assert await door.refused() is Reason.TOKEN_INVALID
    assert len(door.issuer.asked) == 2


async def test_many_calls_with_one_token_are_one_question() -> None:
    """The one who asked first may leave; the others get the answer."""
    door = Door(answer())
    door.issuer.hold = asyncio.Event()
    calls = [asyncio.create_task(door.opaque.authenticate(bearer(TEXT))) for _ in range(20)]
    await settle()
    calls[0].cancel()
    await settle()
    door.issuer.hold.set()
    callers = await asyncio.gather(*calls[1:])
    assert len(door.issuer.asked) == 1
    assert {caller.subject for caller in callers} == {"alice"}


async def test_made_up_tokens_keep_a_bounded_number_of_questions_open() -> None:
    """The rest is told to come back, and the issuer is not overrun."""
    door = Door(answer())
    door.issuer.hold = asyncio.Event()
    calls = [asyncio.create_task(door.opaque.authenticate(bearer(f"t{n}"))) for n in range(MAX_QUESTIONS + 5)]
    await settle()
    assert len(door.issuer.asked) == MAX_QUESTIONS
    door.issuer.hold.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, OperatorError) for result in results) == 5


@pytest.mark.parametrize("reply", [FetchError("down"), b"<html>", b"[]", b'{"active": true, "active": true}'])
async def test_an_issuer_that_cannot_be_asked_is_no_verdict(reply: bytes | Exception) -> None:
    """UNAVAILABLE and not UNAUTHENTICATED, and the next call asks again."""
    door = Door(reply)
    assert await door.refused() is Reason.IDP_UNAVAILABLE
    door.issuer.reply = answer()
    await door.opaque.authenticate(bearer(TEXT))


@pytest.mark.parametrize(
    "changes",
    [
        {"active": "true"},
        {"active": 1},
        {"aud": "https://other.test"},
        {"aud": ABSENT},
        {"iss": "https://other.test"},
        {"exp": ABSENT},
        {"exp": int(NOW)},
        {"exp": str(int(NOW) + 60)},
        {"sub": ABSENT, "client_id": ABSENT},
        {"sub": ""},
        {"tenant": "A!"},
        {"tenant": ABSENT},
        {"scope": ["model.read"]},
        {"nbf": int(NOW) + 600},
        {"cnf": {"x5t#S256": "x"}},
        {"act": {"sub": "x"}},
    ],
)
async def test_an_answer_outside_the_policy_is_a_bad_token(changes: dict[str, object]) -> None:
    """The rules of signed tokens hold here as well."""
    assert await Door(answer(**changes)).refused() is Reason.TOKEN_INVALID


@pytest.mark.parametrize("changes", [{"iss": ISSUER}, {"client_id": ABSENT}, {"jti": ABSENT}, {"exp": NOW + 9e9}])
async def test_what_rfc_7662_leaves_out_may_be_missing(changes: dict[str, object]) -> None:
    """A long life is believed for a day at a time."""
    caller = await Door(answer(**changes)).opaque.authenticate(bearer(TEXT))
    assert caller.expires_at <= NOW + 86_400


async def test_a_client_that_acts_for_itself_is_its_own_subject() -> None:
    """Issuers leave `sub` out of what they say of client credentials."""
    caller = await Door(answer(sub=ABSENT)).opaque.authenticate(bearer(TEXT))
    assert (caller.subject, caller.client_id) == ("web", "web")


async def test_an_answer_without_audience_needs_the_operators_word() -> None:
    """It is refused unless the configuration says so by name."""
    door = Door(answer(aud=ABSENT), audience_optional=True)
    assert (await door.opaque.authenticate(bearer(TEXT))).subject == "alice"


async def test_a_token_goes_to_the_issuer_of_its_prefix_alone() -> None:
    """No issuer sees the tokens of another one."""
    named, rest = Issuer(answer()), Issuer(answer(sub="bob"))
    door = OpaqueAuthenticator(
        [OpaqueIssuer(STRICT, rest.ask), OpaqueIssuer(STRICT, named.ask, prefix="corp_")], now=lambda: NOW
    )
    assert (await door.authenticate(bearer("corp_x"))).subject == "alice"
    assert (await door.authenticate(bearer("x"))).subject == "bob"
    assert (named.asked, rest.asked) == (["corp_x"], ["x"])


@pytest.mark.parametrize("text", ["", "x" * 8193, "tökén"])
async def test_what_is_no_token_is_asked_about_nowhere(text: str) -> None:
    """Too long, empty or not ASCII: refused before anybody is troubled."""
    door = Door(answer(), prefix="" if text else "never")
    assert await door.refused(text) is Reason.TOKEN_INVALID
    assert door.issuer.asked == []


async def test_signed_tokens_and_keys_are_never_sent_to_an_issuer() -> None:
    """Only what has not the form of a signed token is opaque."""
    door = Door(answer())
    kinds = ByCredentialKind(authenticator(), authenticator(), opaque=door.opaque)
    assert (await kinds.authenticate(bearer(token()))).subject == "user-1"
    for text in ("gw_abcdefgh_x", "a.b.c", None):
        with pytest.raises(CallerError):
            await kinds.authenticate(bearer(text))
    assert door.issuer.asked == []
    assert (await kinds.authenticate(bearer(TEXT))).subject == "alice"


async def test_the_endpoint_is_asked_as_rfc_7662_says() -> None:
    """A form by POST, with the gateway's own credentials; the token is in the body alone."""
    seen: list[tuple[str, dict[str, str], str]] = []

    async def introspect(request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        seen.append((request.method, form, request.headers["Authorization"]))
        return web.Response(body=answer())

    async with jwks_server() as server:
        server.handlers["/introspect"] = introspect
        endpoint = Endpoint(f"{server.url}/introspect", "gate way", "s:cret")
        assert json.loads(await endpoint.ask(TEXT))["sub"] == "alice"
        server.publish("/introspect", b"", status=401)
        with pytest.raises(FetchError, match="401"):
            await endpoint.ask(TEXT)
    ((method, form, authorization),) = seen
    assert (method, form) == ("POST", {"token": TEXT, "token_type_hint": "access_token"})
    name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    assert (name, secret) == ("gate way", "s:cret")


def test_an_endpoint_in_plain_http_elsewhere_is_refused() -> None:
    """Tokens and our own secret would travel in the open."""
    with pytest.raises(ValueError, match="plain HTTP"):
        Endpoint("http://idp.example.com/introspect", "gw", "s")
