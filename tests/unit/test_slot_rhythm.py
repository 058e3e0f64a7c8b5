"""How often workers report their slots: a shared Redis hears no more of a thousand than of a hundred."""

import pytest

from gateway.limits.slot_keeper import LEASE_S, POLL_S, REPORTS_A_SECOND, TICK_S, rhythm


@pytest.mark.parametrize("workers", [2, 10, 25, 26, 100, 310, 1_000, 3_000])
def test_all_workers_together_report_a_hundred_times_a_second_at_most(workers: int) -> None:
    """Whether they wait or not, and however much news there is."""
    pace = rhythm(workers)
    for pause_s in (pace.gap_s, pace.waiting_s, pace.idle_s):
        assert workers / pause_s <= REPORTS_A_SECOND * 1.001


@pytest.mark.parametrize("workers", [1, 2, 100, 310, 1_000, 3_000])
@pytest.mark.parametrize("lease_s", [0.3, 2.0, LEASE_S])
def test_a_lease_is_renewed_three_times_before_it_ends(workers: int, lease_s: float) -> None:
    """Two reports may be lost; what a dead worker of a thousand held is free within half a minute."""
    pace = rhythm(workers, lease_s)
    assert pace.gap_s <= pace.waiting_s <= max(pace.idle_s, POLL_S)
    assert lease_s <= pace.lease_s
    assert 3 * pace.idle_s <= pace.lease_s * 1.001
    assert pace.lease_s <= max(lease_s, workers * 3 / REPORTS_A_SECOND, 3 * TICK_S)


def test_few_workers_wait_for_nobody() -> None:
    """One reports at once; ten are as quick as they like while a turn waits, four times a second else."""
    assert rhythm(1) == (0.0, POLL_S, TICK_S, LEASE_S)
    assert rhythm(5).waiting_s == POLL_S
    assert rhythm(25).idle_s == TICK_S
