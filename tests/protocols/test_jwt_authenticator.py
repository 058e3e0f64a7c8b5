"""Signed tokens: good ones become callers, once and again, and revocation is asked every time."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.auth.jwks_file import FileKeys
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.auth.policy import IssuerPolicy
from gateway.domain.call import Caller
from gateway.domain.errors import CallerError, OperatorError, Reason
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    EVERY_ALGORITHM,
    NOW,
    STRICT,
    ManualClock,
    authenticator,
    bearer,
    claims,
    header,
    jwks,
    public_jwk,
    published,
    static_keys,
    token,
)

OTHER_ISSUER = "https://second.test"


async def reason_of(tokens: JwtAuthenticator, text: str) -> Reason | None:
    """Why the token is refused, or None where it is accepted."""
    try:
        await tokens.authenticate(bearer(text))
    except CallerError as error:
        assert error.message == "invalid_token"
        return error.reason
    return None


class CountingKeys(StaticKeys):
    """Counts how often a key is looked up, which is how often a token is really verified."""

    def __init__(self) -> None:
        super().__init__(read_verifying_keys(published(), STRICT)[0])
        self.lookups = 0

    async def find(self, key_id: str) -> object:
        self.lookups += 1
        return await super().find(key_id)


class Scene:
    """An authenticator with everything around it in the test's hands."""

    def __init__(self, remembered: int = 100) -> None:
        self.now = NOW
        self.keys = CountingKeys()
        self.revoked: Callable[[Caller], bool] = lambda _caller: False
        self.tokens = JwtAuthenticator(
            [Issuer(STRICT, self.keys)],
            revoked=self.is_revoked,
            now=lambda: self.now,
            remembered=remembered,
        )

    def is_revoked(self, caller: Caller) -> bool:
        """Asks whatever the test says at the moment."""
        return self.revoked(caller)


@pytest.mark.parametrize(("alg", "kid"), [("RS256", "rs"), ("ES256", "es"), ("PS256", "ps"), ("EdDSA", "ed")])
async def test_every_configured_algorithm_is_accepted(alg: str, kid: str) -> None:
    """Each with the key that is bound to it; the caller says which key it was."""
    text = token(header(alg=alg, kid=kid), signer=alg, alg=alg)
    caller = await authenticator(EVERY_ALGORITHM).authenticate(bearer(text))
    assert caller.key_id == kid


async def test_a_repeated_token_is_not_verified_again() -> None:
    """The same caller comes from memory; another token is verified on its own."""
    scene = Scene()
    first = await scene.tokens.authenticate(bearer(token()))
    again = await scene.tokens.authenticate(bearer(token(payload=claims(jti="token-2"))))
    text = token()
    await scene.tokens.authenticate(bearer(text))
    lookups = scene.keys.lookups
    assert await scene.tokens.authenticate(bearer(text)) == first
    assert scene.keys.lookups == lookups
    assert again != first


async def test_a_remembered_token_expires_on_time() -> None:
    """Memory does not outlive the token: at exp it is judged anew, after the leeway it is refused."""
    scene = Scene()
    text = token(payload=claims(exp=int(NOW) + 60))
    assert await reason_of(scene.tokens, text) is None
    scene.now = NOW + 60
    assert await reason_of(scene.tokens, text) is None
    assert scene.keys.lookups == 2
    scene.now = NOW + 90
    assert await reason_of(scene.tokens, text) is Reason.TOKEN_INVALID


async def test_a_changed_key_set_empties_the_memory() -> None:
    """A token whose key is gone is refused at the very next call, remembered or not."""
    scene = Scene()
    text = token()
    assert await reason_of(scene.tokens, text) is None
    scene.keys.replace({})
    assert await reason_of(scene.tokens, text) is Reason.TOKEN_INVALID


async def test_the_same_key_set_again_keeps_the_memory() -> None:
    """A refresh that changes nothing costs nothing."""
    scene = Scene()
    text = token()
    await scene.tokens.authenticate(bearer(text))
    scene.keys.replace(read_verifying_keys(published(), STRICT)[0])
    await scene.tokens.authenticate(bearer(text))
    assert scene.keys.lookups == 1


async def test_the_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    """Of three tokens with room for two, the one not used lately is verified again."""
    scene = Scene(remembered=2)
    one, two, three = (token(payload=claims(jti=name)) for name in ("1", "2", "3"))
    for text in (one, two, one, three):
        await scene.tokens.authenticate(bearer(text))
    assert scene.keys.lookups == 3
    await scene.tokens.authenticate(bearer(one))
    assert scene.keys.lookups == 3
    await scene.tokens.authenticate(bearer(two))
    assert scene.keys.lookups == 4


async def test_a_refused_token_is_not_remembered() -> None:
    """A bad token is judged anew: nothing about it is stored."""
    scene = Scene()
    forged = token(signer="ES256:attacker")
    for _ in range(2):
        assert await reason_of(scene.tokens, forged) is Reason.TOKEN_INVALID
    assert scene.keys.lookups == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("credential_id", "token-1"), ("subject", "user-1"), ("client_id", "web"), ("key_id", "es")],
)
async def test_revocation_is_asked_for_remembered_tokens_too(field: str, value: str) -> None:
    """By jti, sub, client_id and kid; the reason is REVOKED and the words are those of every refusal."""
    scene = Scene()
    text = token()
    assert await reason_of(scene.tokens, text) is None
    scene.revoked = lambda caller: getattr(caller, field) == value
    assert await reason_of(scene.tokens, text) is Reason.REVOKED
    scene.revoked = lambda _caller: False
    assert await reason_of(scene.tokens, text) is None


async def test_revocation_is_not_asked_about_bad_tokens() -> None:
    """Only a verified identity can be revoked; a bad token never reaches the question."""
    scene = Scene()
    asked: list[Caller] = []
    scene.revoked = lambda caller: bool(asked.append(caller))
    await reason_of(scene.tokens, token(signer="ES256:attacker"))
    assert asked == []


def two_issuers() -> JwtAuthenticator:
    """The strict test issuer, and a second one with a fixed tenant and a key of its own."""
    second = IssuerPolicy(OTHER_ISSUER, (AUDIENCE,), fixed_tenant="second")
    theirs = static_keys(second, jwks(public_jwk("ES256:second", "ES256", "es")))
    return JwtAuthenticator([Issuer(STRICT, static_keys()), Issuer(second, theirs)], now=lambda: NOW)


async def test_issuers_stand_side_by_side() -> None:
    """Each token is judged by its own issuer's rules."""
    theirs = token(payload=claims(iss=OTHER_ISSUER, tenant=ABSENT), signer="ES256:second")
    assert (await two_issuers().authenticate(bearer(token()))).tenant == "acme"
    assert (await two_issuers().authenticate(bearer(theirs))).tenant == "second"


async def test_one_issuer_cannot_speak_for_another() -> None:
    """The same kid at both: a key is good for its own issuer only."""
    assert await reason_of(two_issuers(), token(signer="ES256:second")) is Reason.TOKEN_INVALID
    posing = token(payload=claims(iss=OTHER_ISSUER))
    assert await reason_of(two_issuers(), posing) is Reason.TOKEN_INVALID


def test_an_issuer_cannot_be_configured_twice() -> None:
    """Which of two rules holds would be a matter of order."""
    with pytest.raises(ValueError, match="twice"):
        JwtAuthenticator([Issuer(STRICT, static_keys()), Issuer(STRICT, static_keys())])


async def test_without_issuers_every_token_is_refused() -> None:
    """No trust is no error."""
    assert await reason_of(JwtAuthenticator([]), token()) is Reason.TOKEN_INVALID


async def test_purging_forgets_verified_tokens() -> None:
    """The next call verifies from the start."""
    scene = Scene()
    text = token()
    await scene.tokens.authenticate(bearer(text))
    await scene.tokens.purge()
    await scene.tokens.authenticate(bearer(text))
    assert scene.keys.lookups == 2


async def test_a_key_file_is_followed(tmp_path: Path) -> None:
    """A new file is used within a second, and what it no longer holds is no longer believed."""
    clock, path = ManualClock(), tmp_path / "jwks.json"
    path.write_bytes(published())
    tokens = JwtAuthenticator([Issuer(STRICT, FileKeys(path, STRICT, clock=clock))], now=lambda: NOW)
    assert await reason_of(tokens, token()) is None
    path.write_bytes(jwks(public_jwk("ES256:second", "ES256", "new")))
    clock.now += 1
    assert await reason_of(tokens, token()) is Reason.TOKEN_INVALID
    assert await reason_of(tokens, token(header(kid="new"), signer="ES256:second")) is None


@pytest.mark.parametrize("content", [b"", b"<html>", json.dumps({"keys": [{"kty": "oct"}]}).encode(), None])
async def test_a_bad_key_file_keeps_the_old_keys(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-written, replaced by something else or deleted: the log says so, the callers do not notice."""
    clock, path = ManualClock(), tmp_path / "jwks.json"
    path.write_bytes(published())
    tokens = JwtAuthenticator([Issuer(STRICT, FileKeys(path, STRICT, clock=clock))], now=lambda: NOW)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    clock.now += 1
    assert await reason_of(tokens, token()) is None
    assert "jwks.json" in caplog.text


def test_a_key_file_that_is_missing_at_the_start_is_told(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(OperatorError, match=r"missing\.json"):
        FileKeys(tmp_path / "missing.json", STRICT)


def test_credentials_do_not_show_the_token() -> None:
    """Whoever logs the credentials logs no secret."""
    assert "secret" not in repr(bearer("secret"))
    assert dataclasses.is_dataclass(bearer(None))
