"""What a worker may admit alone."""

import pytest

from gateway.domain.tenant import NO_LIMITS, TenantLimits
from gateway.limits.degraded import MOST_CUSHION_USD, alone, cushion_usd


def test_a_worker_takes_half_of_its_part_of_every_rate() -> None:
    """Of 600 requests between three workers: 100."""
    assert alone(TenantLimits(600, 200_000, 50, 0.0, 0.0), 3) == TenantLimits(100, 33_333, 8, 0.0, 0.0)


def test_no_limit_stays_none_and_a_limit_never_becomes_none() -> None:
    """0 means no limit, so that the smallest part is one."""
    assert alone(NO_LIMITS, 7) == NO_LIMITS
    narrow = alone(TenantLimits(1, 1, 1, 0.000000001, 0.0), 1_000)
    assert (narrow.requests_per_minute, narrow.tokens_per_minute, narrow.concurrent_streams) == (1, 1, 1)
    assert narrow.usd_per_day > 0


@pytest.mark.parametrize(
    ("day", "month", "cushion"),
    [(10.0, 100.0, 1.0), (0.5, 100.0, 0.5), (0.0, 100.0, 1.0), (3.0, 0.0, 3.0), (1e6, 1e6, MOST_CUSHION_USD)],
)
def test_the_cushion_of_money_is_the_smallest_of_three(day: float, month: float, cushion: float) -> None:
    """One hundredth of the monthly budget, the daily one, and what no tenant gets more than."""
    limits = TenantLimits(0, 0, 0, day, month)
    assert cushion_usd(limits) == pytest.approx(cushion)
    assert alone(limits, 4).usd_per_day == pytest.approx(cushion / 4)
    assert alone(limits, 4).usd_per_month == 0.0
