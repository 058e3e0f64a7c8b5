"""The model of many gateways keeps the laws it is made of."""

import pytest

from tests.bench.scaling_model import Balancing, Callers, Costs, House, shared, simulate

CALM = Callers(turns_per_s=20, events=100, gap_s=0.03, connections=8)


def test_streams_are_arrivals_times_duration() -> None:
    """Little's law: 20 turns a second of 3 s each are 60 at once."""
    seen = simulate(House(workers=2), CALM, seconds=120)
    assert seen.streams == pytest.approx(60, rel=0.1)


def test_cpu_is_what_turns_and_events_cost() -> None:
    """Where nothing waits, the workers use what arrived costs, and no more."""
    costs = Costs(turn_s=1e-3, event_s=50e-6)
    seen = simulate(House(workers=4, costs=costs), CALM, seconds=120)
    assert seen.utilisation * 4 == pytest.approx(20 * 1e-3 + 20 * 100 * 50e-6, rel=0.1)
    assert seen.lag_p99_s == 0


def test_an_overloaded_worker_lags_and_folding_bounds_it() -> None:
    """At twice what it can do, events wait; folded they cost less, so that the wait stays near one gap."""
    busy = Callers(turns_per_s=400, events=100, gap_s=0.03)
    house = House(workers=1, costs=Costs(turn_s=1e-4, event_s=50e-6, folded_s=8e-6))
    folding = simulate(house, busy, seconds=20)
    stuck = simulate(House(1, costs=Costs(turn_s=1e-4, event_s=50e-6, folded_s=50e-6)), busy, seconds=20)
    assert 0 < folding.lag_p99_s < 0.2 < stuck.lag_p99_s
    assert folding.utilisation_max <= 1.0 + 1e-9


def test_few_connections_fall_unevenly() -> None:
    """Eight connections hashed over four workers leave one busier than round robin over calls does."""
    house = House(workers=4)
    hashed = simulate(house, Callers(20, 100, 0.03, 8, Balancing.CONNECTION), seconds=60)
    fair = simulate(house, Callers(20, 100, 0.03, 8, Balancing.EACH_CALL), seconds=60)
    best = simulate(house, Callers(20, 100, 0.03, 8, Balancing.LEAST), seconds=60)
    assert hashed.busiest_share > fair.busiest_share >= 1.0
    assert best.busiest_share < hashed.busiest_share


def test_a_full_worker_refuses() -> None:
    """What is above the cap of streams is turned away, and counted."""
    seen = simulate(House(workers=1, streams_each=10), CALM, seconds=60)
    assert seen.refused > 0 and seen.streams <= 10
    assert 0 < seen.refused_share < 1


def test_workers_that_share_cores_share_their_time() -> None:
    """Four workers on two cores do no more than two do."""
    busy = Callers(turns_per_s=900, events=50, gap_s=0.03)
    costs = Costs(turn_s=1e-3, event_s=50e-6, folded_s=50e-6)
    four = simulate(House(workers=4, cores=2, costs=costs), busy, seconds=20)
    assert four.utilisation * 4 == pytest.approx(2.0, rel=0.02)


def test_redis_is_busy_by_its_decisions() -> None:
    """A thousand turns a second with two decisions of 100 µs use a fifth of it."""
    costs = Costs(turn_s=0, event_s=0, decision_s=100e-6)
    seen = simulate(House(workers=4, costs=costs), Callers(1000, 10, 0.03), seconds=20)
    assert seen.redis_utilisation == pytest.approx(0.2, rel=0.1)


def test_what_is_shared_is_never_more_than_there_is() -> None:
    """Who wants little gets it, the others get equal parts of the rest."""
    assert shared([0.1, 1.0, 1.0], 1.0, 1.0) == pytest.approx([0.1, 0.45, 0.45])
    assert shared([0.1, 2.0], 5.0, 1.0) == pytest.approx([0.1, 1.0])
