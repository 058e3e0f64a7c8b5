"""Whose numbers count, and what of them is charged for each way a turn ends."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import ProviderUsage
from gateway.domain.usage import Usage, UsageBasis
from gateway.limits.billing import SANE_FLOOR, BrokenStream, Ending, billed, settle_usage

HOLD = Usage(prompt_tokens=1_000, completion_tokens=2_048)
COUNTED = Usage(prompt_tokens=900, completion_tokens=300, search_calls=2, tool_runs=1, basis=UsageBasis.COUNTED)


def test_the_provider_wins() -> None:
    """Its tokens, our searches and tool runs, and no cost yet."""
    settled = settle_usage(ProviderUsage(950, 896, 320, 100), COUNTED, HOLD)
    assert settled.usage == Usage(950, 896, 320, 100, 2, 1, 0, UsageBasis.PROVIDER)
    assert settled.flags == ()


def test_an_explicit_zero_wins_too() -> None:
    """B-2: billed 0 although we counted 300."""
    settled = settle_usage(ProviderUsage(0, 0, 0, 0), COUNTED, HOLD)
    assert (settled.usage.prompt_tokens, settled.usage.completion_tokens) == (0, 0)
    assert (settled.usage.basis, settled.flags) == (UsageBasis.PROVIDER, ())


def test_without_usage_our_count_is_the_bill() -> None:
    """It keeps its basis; one that has none is called counted."""
    assert settle_usage(None, COUNTED, HOLD).usage == COUNTED
    estimated = Usage(900, basis=UsageBasis.ESTIMATED)
    assert settle_usage(None, estimated, HOLD).usage.basis is UsageBasis.ESTIMATED
    assert settle_usage(None, Usage(900), HOLD).usage.basis is UsageBasis.COUNTED


# Any: what a provider sends is whatever JSON can hold.
NONSENSE: list[Any] = [-1, 10**18, 2**63, 4_097, 3.5, math.nan, math.inf, "12", None, True]


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_flagged_and_replaced_by_our_count(value: Any) -> None:
    """B-3: negative, above twice the hold, no whole number; nothing of such a report is believed."""
    settled = settle_usage(ProviderUsage(950, 0, value, 0), COUNTED, HOLD)
    assert settled.flags == ("completion_tokens",)
    assert settled.usage == COUNTED


def test_twice_the_hold_is_still_believed() -> None:
    """The bound itself is sane."""
    assert settle_usage(ProviderUsage(2_000, 0, 4_096, 0), COUNTED, HOLD).flags == ()


def test_a_short_prompt_may_grow_by_what_the_server_adds() -> None:
    """A template, tools or an image are thousands of tokens that the estimate of a short text cannot see."""
    hold = Usage(prompt_tokens=10, completion_tokens=100)
    assert settle_usage(ProviderUsage(8_192, 0, 5, 0), COUNTED, hold).flags == ()
    assert settle_usage(ProviderUsage(8_193, 0, 5, 0), COUNTED, hold).flags == ("prompt_tokens",)


def test_parts_larger_than_their_sum_are_flagged_and_never_make_a_negative_line() -> None:
    """Cached tokens are cut to the prompt; reasoning has no price of its own and stays as the provider said it."""
    settled = settle_usage(ProviderUsage(100, 150, 10, 20), COUNTED, HOLD)
    assert (settled.usage.cached_prompt_tokens, settled.usage.reasoning_tokens) == (100, 20)
    assert settled.flags == ("cached_prompt_tokens", "reasoning_tokens")


ANY_INT = st.integers(-(2**70), 2**70)


@given(
    st.none() | st.builds(ProviderUsage, ANY_INT, ANY_INT, ANY_INT, ANY_INT),
    st.builds(Usage, ANY_INT, ANY_INT, ANY_INT, ANY_INT),
    st.sampled_from(Ending),
    ANY_INT,
    st.sampled_from(BrokenStream),
)
def test_no_bill_is_negative_or_above_twice_the_hold(
    provider: ProviderUsage | None, counted: Usage, ending: Ending, delivered: int, policy: BrokenStream
) -> None:
    """Whatever anybody reports; a prompt may exceed twice its hold by what a server adds to a short one."""
    bill = billed(ending, settle_usage(provider, counted, HOLD).usage, delivered, policy)
    assert 0 <= bill.cached_prompt_tokens <= bill.prompt_tokens <= SANE_FLOOR
    assert 0 <= bill.completion_tokens <= 4_096
    assert 0 <= bill.reasoning_tokens <= 4_096


@pytest.mark.parametrize(
    ("ending", "policy", "prompt", "completion"),
    [
        (Ending.COMPLETE, BrokenStream.FREE, 900, 300),
        (Ending.CANCELLED, BrokenStream.FREE, 900, 300),
        (Ending.CLIENT_TOO_SLOW, BrokenStream.FREE, 900, 300),
        (Ending.DEADLINE, BrokenStream.FREE, 900, 300),
        (Ending.INTERRUPTED, BrokenStream.CHARGE_DELIVERED, 900, 120),
        (Ending.INTERRUPTED, BrokenStream.FREE, 0, 0),
        (Ending.FAILED_BEFORE_OUTPUT, BrokenStream.CHARGE_DELIVERED, 0, 0),
        (Ending.FROM_CACHE, BrokenStream.CHARGE_DELIVERED, 0, 0),
        (Ending.WORKER_LOST, BrokenStream.FREE, 900, 300),
    ],
)
def test_each_ending_has_its_charge(ending: Ending, policy: BrokenStream, prompt: int, completion: int) -> None:
    """The table of bills; 120 of 300 received tokens were delivered."""
    bill = billed(ending, COUNTED, 120, policy)
    assert (bill.prompt_tokens, bill.completion_tokens) == (prompt, completion)
