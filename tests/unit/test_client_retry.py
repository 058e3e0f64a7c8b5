"""When the client tries a call again."""

import grpc
import pytest

from gateway_client.errors import Failure
from gateway_client.retry import RetryAfter, RetryWithFreshToken, Tried, next_step


def step(failure: Failure, tried: Tried = Tried(), *, left_s: float = 60.0, chance: float = 0.5) -> object:  # noqa: B008 - frozen
    """The decision for a failure with a minute left."""
    return next_step(failure, tried, time_left_s=left_s, chance=chance)


def unavailable(**changes: object) -> Failure:
    """A failure that may be retried."""
    return Failure(grpc.StatusCode.UNAVAILABLE, "no", **{"retryable": True, **changes})  # type: ignore[arg-type]


def test_the_pause_is_a_random_part_of_a_bound_that_doubles() -> None:
    """Full jitter over 0.1 s, then 0.2 s."""
    assert step(unavailable(), chance=0.5) == RetryAfter(0.05)
    assert step(unavailable(), Tried(retries=1), chance=0.5) == RetryAfter(0.1)


def test_two_retries_are_all() -> None:
    """The third failure stands."""
    assert step(unavailable(), Tried(retries=2)) is None


def test_the_servers_wait_is_the_least_wait() -> None:
    """RetryInfo is honoured and jittered on top; pushback is taken as it is."""
    assert step(unavailable(retry_after_s=3.0)) == RetryAfter(3.05)
    assert step(unavailable(retry_after_s=3.0, pushback_s=0.7)) == RetryAfter(0.7)
    assert step(unavailable(pushback_s=0.0)) == RetryAfter(0.0)


@pytest.mark.parametrize("failure", [unavailable(pushback_s=-1.0), unavailable(retry_after_s=10.1)])
def test_a_server_that_asks_for_no_retry_or_a_late_one_gets_none(failure: Failure) -> None:
    """Negative pushback means never; more than 10 s is the caller's decision."""
    assert step(failure) is None


def test_a_retry_that_the_deadline_would_cut_is_not_made() -> None:
    """Sleeping into the deadline only delays the bad news."""
    assert step(unavailable(retry_after_s=3.0), left_s=3.0) is None


@pytest.mark.parametrize(
    "code", [c for c in grpc.StatusCode if c not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)]
)
def test_no_other_code_is_retried(code: grpc.StatusCode) -> None:
    """Even where the gateway calls it retryable: later, by the caller, but not here."""
    assert step(Failure(code, "no", retryable=True)) is None


def test_a_refused_credential_is_answered_with_one_fresh_token() -> None:
    """The second refusal stands."""
    refused = Failure(grpc.StatusCode.UNAUTHENTICATED, "invalid_token")
    assert step(refused) == RetryWithFreshToken()
    assert step(refused, Tried(refreshed=True)) is None
