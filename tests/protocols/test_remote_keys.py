"""An issuer's keys by URL: fresh in the background, kept through every failure, fetched seldom."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.auth.endpoint import FetchError
from gateway.auth.jwks import COLD_SPACING_S, HARD_TTL_S, SOFT_TTL_S, SPACING_S, RemoteKeys
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.domain.errors import CallerError, OperatorError, Reason
from tests.support.identity import (
    NOW,
    STRICT,
    ManualClock,
    bearer,
    header,
    jwks,
    public_jwk,
    settle,
    token,
)

DOWN = FetchError("connection refused")
OLD = public_jwk("ES256", "ES256", "es")
NEW = public_jwk("ES256:new", "ES256", "new")
BAD = public_jwk("ES256:bad", "ES256", "bad", alg="HS256")


class Idp:
    """What the identity provider publishes now; `fetches` are the moments when somebody asked."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.clock = ManualClock()
        self.fetches: list[float] = []
        self.gate: asyncio.Event | None = None
        self.keys = RemoteKeys(STRICT, self._load, clock=self.clock, sleep=self.clock.sleep)
        self.tokens = JwtAuthenticator([Issuer(STRICT, self.keys)], now=lambda: NOW)

    async def _load(self) -> bytes:
        self.fetches.append(self.clock.now)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def outcome(self, text: str) -> Reason | None:
        """Why the call is refused, or None."""
        try:
            await self.tokens.authenticate(bearer(text))
        except (CallerError, OperatorError) as error:
            return error.reason
        return None


@asynccontextmanager
async def running(answer: bytes | Exception) -> AsyncIterator[Idp]:
    """An authenticator in front of the provider, started like the gateway starts it, and closed."""
    idp = Idp(answer)
    idp.tokens.start()
    await settle()
    try:
        yield idp
    finally:
        await idp.tokens.aclose()


def old_token() -> str:
    return token()


def new_token() -> str:
    return token(header(kid="new"), signer="ES256:new")


def unknown_token(number: int = 0) -> str:
    return token(header(kid=f"unknown-{number}"))


async def test_a_warm_gateway_survives_its_issuer_for_a_day() -> None:
    """Every call succeeds until the hard limit; then nothing is believed any more, remembered tokens included."""
    async with running(jwks(OLD)) as idp:
        idp.answer = DOWN
        text = old_token()
        for _ in range(int(HARD_TTL_S // 3600)):
            assert await idp.outcome(text) is None
            assert idp.tokens.ready
            await idp.clock.advance(3599)
        await idp.clock.advance(3600)
        assert not idp.tokens.ready
        assert await idp.outcome(text) is Reason.IDP_UNAVAILABLE


async def test_a_cold_gateway_says_that_it_cannot_know() -> None:
    """Not the caller's fault: IDP_UNAVAILABLE with a time to come back, and not ready."""
    async with running(DOWN) as idp:
        with pytest.raises(OperatorError) as refused:
            await idp.tokens.authenticate(bearer(old_token()))
        assert refused.value.reason is Reason.IDP_UNAVAILABLE
        assert refused.value.retry_after_s == 5
        assert not idp.tokens.ready
        assert "refused" not in refused.value.message


async def test_a_cold_gateway_recovers_without_being_asked() -> None:
    """It becomes ready five seconds after the issuer does, at the latest."""
    async with running(DOWN) as idp:
        idp.answer = jwks(OLD)
        await idp.clock.advance(COLD_SPACING_S)
        assert idp.tokens.ready
        assert await idp.outcome(old_token()) is None


async def test_a_cold_gateway_does_not_flood_its_issuer() -> None:
    """A thousand calls within five seconds are one fetch."""
    async with running(DOWN) as idp:
        for _ in range(1000):
            assert await idp.outcome(old_token()) is Reason.IDP_UNAVAILABLE
        assert len(idp.fetches) == 1


async def test_bad_tokens_cause_no_fetch_even_when_cold() -> None:
    """What breaks a rule that needs no key is refused without the issuer, whether it is up or not."""
    idp = Idp(DOWN)
    assert await idp.outcome(token(header(typ="JWT"))) is Reason.TOKEN_INVALID
    assert idp.fetches == []


async def test_the_first_calls_share_one_fetch() -> None:
    """Twenty calls meet a cold gateway that nobody started; one fetch serves them all."""
    idp = Idp(jwks(OLD))
    idp.gate = asyncio.Event()
    calls = [asyncio.create_task(idp.outcome(old_token())) for _ in range(20)]
    await settle()
    idp.gate.set()
    assert await asyncio.gather(*calls) == [None] * 20
    assert len(idp.fetches) == 1
    await idp.tokens.aclose()


async def test_a_caller_who_leaves_does_not_end_the_fetch_of_the_others() -> None:
    """One of two waiting calls is cancelled; the other one gets its answer."""
    idp = Idp(jwks(OLD))
    idp.gate = asyncio.Event()
    leaves, stays = (asyncio.create_task(idp.outcome(old_token())) for _ in range(2))
    await settle()
    leaves.cancel()
    await settle()
    idp.gate.set()
    assert await stays is None
    assert leaves.cancelled()
    await idp.tokens.aclose()


async def test_rotation_with_overlap_is_not_noticed() -> None:
    """Both keys are published for the soft time; no call of either key ever fails."""
    async with running(jwks(OLD)) as idp:
        idp.answer = jwks(OLD, NEW)
        await idp.clock.advance(SOFT_TTL_S)
        idp.answer = jwks(NEW)
        assert await idp.outcome(old_token()) is None
        assert await idp.outcome(new_token()) is None


async def test_rotation_without_overlap_costs_half_a_minute_at_most() -> None:
    """A key nobody has seen is looked for, thirty seconds after the last fetch at the latest."""
    async with running(jwks(OLD)) as idp:
        idp.answer = jwks(NEW)
        await idp.clock.advance(SPACING_S - 1)
        assert await idp.outcome(new_token()) is Reason.TOKEN_INVALID
        await idp.clock.advance(1)
        assert await idp.outcome(new_token()) is None
        assert await idp.outcome(old_token()) is Reason.TOKEN_INVALID


async def test_a_flood_of_unknown_keys_is_two_fetches_a_minute() -> None:
    """Ten unknown keys every second for ten minutes; good tokens are served from memory all the while."""
    async with running(jwks(OLD)) as idp:
        unknown = [unknown_token(number) for number in range(10)]
        good = old_token()
        for _ in range(600):
            await idp.clock.advance(1)
            for text in unknown:
                assert await idp.outcome(text) is Reason.TOKEN_INVALID
            assert await idp.outcome(good) is None
        for start in range(600):
            window = [at for at in idp.fetches if start < at - 1000 <= start + 60]
            assert len(window) <= 2


async def test_good_tokens_do_not_wait_for_the_search_of_an_unknown_key() -> None:
    """The issuer hangs; a call with a known key is answered nevertheless."""
    async with running(jwks(OLD)) as idp:
        await idp.clock.advance(SPACING_S)
        idp.gate = asyncio.Event()
        waiting = asyncio.create_task(idp.outcome(unknown_token()))
        await settle()
        assert await idp.outcome(old_token()) is None
        assert not waiting.done()
        idp.gate.set()
        assert await waiting is Reason.TOKEN_INVALID


FAILURES: dict[str, bytes | Exception] = {
    "unreachable": DOWN,
    "html": b"<html>maintenance</html>",
    "bad JSON": b'{"keys": [',
    "too large": b" " * 70_000,
    "no key usable": jwks(BAD),
    "private key published": jwks({**OLD, "d": "AAAA"}),
    "symmetric": jwks({"kty": "oct", "kid": "es", "alg": "HS256", "k": "AAAA"}),
    "too many": jwks(*[public_jwk("ES256", "ES256", f"k{i}") for i in range(21)]),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_no_failure_takes_the_good_keys_away(
    failure: bytes | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good set stays, and the operator is told."""
    async with running(jwks(OLD)) as idp:
        idp.answer = failure
        await idp.clock.advance(SOFT_TTL_S)
        assert len(idp.fetches) == 2
        assert await idp.outcome(old_token()) is None
        assert STRICT.issuer in caplog.text


async def test_a_bad_entry_is_skipped_and_told_while_the_good_ones_serve(caplog: pytest.LogCaptureFixture) -> None:
    """One bad key among good ones spoils nothing."""
    async with running(jwks(BAD, OLD)) as idp:
        assert await idp.outcome(old_token()) is None
        assert "skipped" in caplog.text


async def test_a_failed_refresh_is_tried_again_in_half_a_minute() -> None:
    """Not at once, and not only at the next soft limit."""
    async with running(jwks(OLD)) as idp:
        idp.answer = DOWN
        await idp.clock.advance(SOFT_TTL_S)
        idp.answer = jwks(NEW)
        await idp.clock.advance(SPACING_S - 1)
        assert len(idp.fetches) == 2
        await idp.clock.advance(1)
        assert len(idp.fetches) == 3
        assert await idp.outcome(new_token()) is None


async def test_a_removed_key_is_refused_after_the_soft_time_without_any_call_between() -> None:
    """Nobody has to call for the keys to be refreshed: the first call after five minutes is refused already."""
    async with running(jwks(OLD, NEW)) as idp:
        text = old_token()
        assert await idp.outcome(text) is None
        idp.answer = jwks(NEW)
        await idp.clock.advance(SOFT_TTL_S)
        assert await idp.outcome(text) is Reason.TOKEN_INVALID


async def test_a_refresh_that_changes_nothing_leaves_verified_tokens_alone() -> None:
    """Only a change of the set ends what was verified under it."""
    async with running(jwks(OLD)) as idp:
        generation = idp.keys.generation
        await idp.clock.advance(SOFT_TTL_S)
        assert len(idp.fetches) == 2
        assert idp.keys.holds(generation)
        idp.answer = jwks(OLD, NEW)
        await idp.clock.advance(SOFT_TTL_S)
        assert not idp.keys.holds(generation)


async def test_an_issuer_may_withdraw_every_key() -> None:
    """An empty list is an answer, not a failure: nothing is accepted afterwards."""
    async with running(jwks(OLD)) as idp:
        idp.answer = jwks()
        await idp.clock.advance(SOFT_TTL_S)
        assert await idp.outcome(old_token()) is Reason.TOKEN_INVALID


async def test_purging_refuses_a_removed_key_at_once() -> None:
    """An operator need not wait for the soft time, however short ago the last fetch was."""
    async with running(jwks(OLD)) as idp:
        text = old_token()
        assert await idp.outcome(text) is None
        idp.answer = jwks(NEW)
        await idp.tokens.purge()
        assert await idp.outcome(text) is Reason.TOKEN_INVALID
        assert await idp.outcome(new_token()) is None


async def test_purging_during_a_fetch_does_not_believe_that_fetch() -> None:
    """The document under way may still hold the bad key; another one is fetched after it."""
    async with running(jwks(OLD)) as idp:
        await idp.clock.advance(SPACING_S)
        idp.gate = asyncio.Event()
        searching = asyncio.create_task(idp.outcome(unknown_token()))
        await settle()
        purging = asyncio.create_task(idp.tokens.purge())
        await settle()
        idp.gate.set()
        idp.answer = jwks(NEW)
        await asyncio.gather(searching, purging)
        assert len(idp.fetches) == 3
        assert await idp.outcome(old_token()) is Reason.TOKEN_INVALID


async def test_purging_without_the_issuer_leaves_nothing_to_believe() -> None:
    """The operator said the keys are bad: until better ones come, nobody can be verified."""
    async with running(jwks(OLD)) as idp:
        idp.answer = DOWN
        await idp.tokens.purge()
        assert await idp.outcome(old_token()) is Reason.IDP_UNAVAILABLE
        assert not idp.tokens.ready


async def test_the_background_work_ends_with_the_authenticator() -> None:
    """After `aclose` no task is left, not even one in the middle of a fetch."""
    before = asyncio.all_tasks()
    idp = Idp(jwks(OLD))
    idp.gate = asyncio.Event()
    idp.tokens.start()
    await settle()
    assert len(asyncio.all_tasks() - before) == 2
    await idp.tokens.aclose()
    assert asyncio.all_tasks() == before


async def test_a_call_after_the_end_starts_nothing_new() -> None:
    """What is known still serves; what is not known is not fetched any more."""
    before = asyncio.all_tasks()
    idp = Idp(jwks(OLD))
    assert await idp.outcome(old_token()) is None
    await idp.tokens.aclose()
    await idp.clock.advance(SPACING_S)
    assert await idp.outcome(old_token()) is None
    assert await idp.outcome(unknown_token()) is Reason.TOKEN_INVALID
    assert len(idp.fetches) == 1
    assert asyncio.all_tasks() == before


async def test_starting_twice_is_starting_once() -> None:
    """One task keeps the keys fresh."""
    async with running(jwks(OLD)) as idp:
        tasks = asyncio.all_tasks()
        idp.tokens.start()
        assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("make", [old_token, new_token])
async def test_a_fresh_set_serves_every_key_in_it(make: Callable[[], str]) -> None:
    """Both keys of an overlapping set verify."""
    async with running(jwks(OLD, NEW)) as idp:
        assert await idp.outcome(make()) is None
        assert len(idp.fetches) == 1
