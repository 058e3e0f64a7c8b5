"""Whether a failed call is made again, where, and when."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Reason, UpstreamError
from gateway.models import ModelCard
from gateway.models.catalogue import Endpoint, Route
from gateway.models.retry import Budget, Move, RetryRules, fits, in_order, move_after, pause_s
from tests.support.routes import Provider

RULES = RetryRules()
FLASH, PRO = ModelCard("flash", "o", "p", 10, 10), ModelCard("pro", "o", "p", 10, 10)
EU, ASIA = Provider("eu"), Provider("asia")


def route(provider: Provider, key: int = 1, card: ModelCard = FLASH) -> Route:
    return Route(card, Endpoint(provider, key), "requested")


def failure(reason: Reason, cause: str = "http_503", wait_s: float | None = None) -> UpstreamError:
    return UpstreamError(reason, "x", facts={"upstream_cause": cause}, retry_after_s=wait_s)


A1, A2, B, P = route(EU), route(EU, 2), route(ASIA), route(EU, 1, PRO)
KNOWN = [A1, A2, B, P]
BUSY = failure(Reason.UPSTREAM_UNAVAILABLE)


@dataclass(frozen=True)
class Case:
    """A failure, and whom it lets be asked next, in this order."""

    error: UpstreamError
    order: list[Route]


CASES = {
    "a fault of a moment": Case(BUSY, [A1, A2, B, P]),
    "garbage": Case(failure(Reason.UPSTREAM_PROTOCOL, "not_json"), [A1, A2, B, P]),
    "out of reach": Case(failure(Reason.UPSTREAM_UNAVAILABLE, "connect"), [A2, B, P, A1]),
    "too slow": Case(failure(Reason.UPSTREAM_TTFT_TIMEOUT, "first_output_timeout"), [A2, B, P, A1]),
    "at its limit": Case(failure(Reason.UPSTREAM_RATE_LIMITED, "http_429"), [B, A1]),
    "a dead key": Case(failure(Reason.UPSTREAM_CREDENTIALS, "http_401"), [A2, B]),
    "no balance": Case(failure(Reason.UPSTREAM_BALANCE, "http_402"), [A2, B]),
    "no such model there": Case(failure(Reason.UPSTREAM_MODEL_GONE, "http_404"), [B]),
    "a certificate of nobody's": Case(failure(Reason.UPSTREAM_TLS, "tls"), [B]),
    "our own fault": Case(failure(Reason.UPSTREAM_REJECTED, "http_405"), []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_who_is_asked_next(case: Case) -> None:
    """What the same place will answer the same way again is not asked of it."""
    assert in_order(move_after([case.error]), A1, [A1], KNOWN) == case.order


def test_the_second_retry_goes_elsewhere_before_it_comes_back() -> None:
    """Once more here, then the standby."""
    assert in_order(move_after([BUSY, BUSY]), A1, [A1, A1], KNOWN) == [A2, B, P, A1]


@pytest.mark.parametrize(
    "error",
    [
        failure(Reason.UPSTREAM_CREDENTIALS, "http_401"),
        failure(Reason.UPSTREAM_MODEL_GONE, "http_404"),
        failure(Reason.UPSTREAM_PROTOCOL, "blank_json"),
    ],
)
def test_some_moves_are_made_once(error: UpstreamError) -> None:
    """The second dead key, the second missing model, the second empty JSON end the turn."""
    assert move_after([error]) is not Move.NOBODY
    assert move_after([error, error]) is Move.NOBODY


def test_a_pause_is_jittered_between_nothing_and_its_bound_which_doubles_up_to_a_second() -> None:
    """At the same server; another one is asked at once, and so is another key after a dead one."""
    bounds = [pause_s(BUSY, A1, A1, retries=n, rules=RULES, chance=1.0) for n in range(6)]
    assert bounds == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pause_s(BUSY, A1, A1, retries=3, rules=RULES, chance=0.0) == 0
    assert pause_s(BUSY, A1, B, retries=0, rules=RULES, chance=1.0) == 0
    assert pause_s(CASES["a dead key"].error, A1, A2, retries=0, rules=RULES, chance=1.0) == 0
    assert pause_s(BUSY, A1, A2, retries=0, rules=RULES, chance=1.0) == 0.1


def test_the_upstreams_own_wait_is_honoured_and_no_hint_of_ours() -> None:
    """`Retry-After` of an answer, not what we tell our callers after a timeout."""
    asked = failure(Reason.UPSTREAM_RATE_LIMITED, "http_429", 3.0)
    assert pause_s(asked, A1, A1, retries=0, rules=RULES, chance=0.5) == 3.0
    ours = failure(Reason.UPSTREAM_TTFT_TIMEOUT, "first_output_timeout", 1.0)
    assert pause_s(ours, A1, A1, retries=0, rules=RULES, chance=0.5) == 0.05


@pytest.mark.parametrize(
    ("pause", "remaining", "median", "fit"),
    [
        (5.0, 60.0, 1.0, True),
        (5.1, 60.0, 1.0, False),  # never longer than five seconds
        (3.0, 5.9, 0.0, False),  # nor than half of what is left
        (0.0, 2.1, 1.0, True),
        (0.0, 2.0, 1.0, False),  # twice the usual first output must remain
        (1.0, 2.9, 1.0, False),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_a_retry_must_fit_into_what_is_left(pause: float, remaining: float, median: float, fit: bool) -> None:
    """Or it is not made."""
    assert fits(pause, remaining, median) is fit


@given(st.lists(st.booleans(), max_size=2_000))
def test_retries_are_a_tenth_of_the_successes_and_fifty_at_most_on_top(steps: list[bool]) -> None:
    """Whatever the order: a success earns a tenth, a retry takes one, below fifty none is made."""
    budget, retries = Budget(RULES), 0
    for well in steps:
        if well:
            budget.earn()
        elif budget.allows:
            budget.spend()
            retries += 1
    assert retries <= 50 + sum(steps) / 10 + 1
    assert 49 <= budget.left <= 100
