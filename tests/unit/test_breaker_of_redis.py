"""When Redis counts as lost."""

import pytest

from gateway.limits.breaker import FAILURES, SLOW_FOR_S, Breaker


def test_five_failures_within_a_second_open_it() -> None:
    """Four do not, and five spread over longer do not."""
    breaker = Breaker()
    for number in range(FAILURES - 1):
        breaker.note(10 + number * 0.2, 0.001, failed=True)
    assert not breaker.open
    breaker.note(10.8, 0.001, failed=True)
    assert breaker.open
    slow = Breaker()
    for number in range(20):
        slow.note(10 + number * 0.3, 0.001, failed=True)
        slow.note(10 + number * 0.3, 0.001, failed=False)
        if number == FAILURES:
            break
    assert not slow.open


@pytest.mark.parametrize(("slow_calls", "opens"), [(1, False), (2, True)])
def test_five_seconds_above_fifty_milliseconds_open_it(slow_calls: int, opens: bool) -> None:
    """The 99th percentile of each of five seconds: one slow call of a hundred is allowed, two are not."""
    breaker = Breaker()
    for second in range(SLOW_FOR_S):
        for call in range(100):
            breaker.note(second + call / 100, 0.08 if call < slow_calls else 0.001, failed=False)
            assert not breaker.open
    breaker.note(SLOW_FOR_S, 0.001, failed=False)
    assert breaker.open is opens


def test_one_good_second_starts_the_count_anew() -> None:
    """Four slow seconds, a good one, four slow ones: it stays closed."""
    breaker = Breaker()
    for second in range(10):
        breaker.note(second, 0.001 if second in (4, 9) else 0.08, failed=False)
    assert not breaker.open


def test_it_closes_only_when_told() -> None:
    """Good answers of calls that were under way do not close it; closing forgets what was."""
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.note(1.0, 0.0, failed=True)
    breaker.note(1.1, 0.001, failed=False)
    assert breaker.open
    breaker.close()
    breaker.note(1.2, 0.0, failed=True)
    assert not breaker.open
