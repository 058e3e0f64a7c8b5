"""The circuit of an upstream: when it opens, whom it lets through, and how it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models.breaker import BreakerRules, Circuit, Pass, State

RULES = BreakerRules()


def circuit(rules: BreakerRules = RULES) -> Circuit:
    return Circuit(rules)


def call(one: Circuit, now: float, *, well: bool, last: bool = False) -> bool:
    """Whether a call was let through; it ends at once."""
    how = one.try_pass(now, last=last)
    if how is not None:
        (one.succeeded if well else one.failed)(how, now)
    return how is not None


def opened(now: float = 0.0, rules: BreakerRules = RULES) -> Circuit:
    one = circuit(rules)
    for _ in range(rules.failures):
        assert call(one, now, well=False)
    assert one.state is State.OPEN
    return one


class TestOpening:
    """By failures in a row, or by their share."""

    def test_five_failures_in_a_row_open_it_and_four_do_not(self) -> None:
        """A success in between starts the count anew."""
        one = circuit()
        for well in (False, False, False, False, True, False, False, False, False):
            call(one, 0.0, well=well)
        assert one.state is State.CLOSED
        call(one, 0.0, well=False)
        assert one.state is State.OPEN

    def test_half_of_twenty_within_ten_seconds_open_it(self) -> None:
        """However they alternate; ten minutes later the same failures are forgotten."""
        one = circuit()
        for number in range(19):
            call(one, number / 2, well=number % 2 == 0)
        assert one.state is State.CLOSED
        call(one, 9.9, well=False)
        assert one.state is State.OPEN

    def test_what_lies_further_back_than_ten_seconds_does_not_count(self) -> None:
        """One failure a second among as many successes never makes twenty."""
        one = circuit()
        for second in range(100):
            call(one, second, well=True)
            call(one, second, well=False)
            assert one.state is (State.CLOSED if second < 9 else State.OPEN)
            if one.state is State.OPEN:
                break
        slow = circuit()
        for second in range(0, 400, 2):
            call(slow, second, well=second % 4 == 0)
        assert slow.state is State.CLOSED

    def test_what_was_released_counts_for_nothing(self) -> None:
        """A caller's mistake, and a caller who leaves, are no word on the upstream."""
        one = circuit()
        for _ in range(100):
            how = one.try_pass(0.0, last=True)
            assert how is Pass.NORMAL
            one.released(how)
        assert one.state is State.CLOSED

    def test_a_dead_key_opens_it_at_once(self) -> None:
        """Without a count; where nobody else is, the next call may look whether it is still dead."""
        one = circuit()
        one.condemn(0.0)
        assert not call(one, 29.9, well=True)
        assert call(one, 29.9, well=False, last=True)
        assert not call(one, 29.95, well=True, last=True)

    def test_without_a_limit_of_failures_it_never_opens(self) -> None:
        """Not even by condemnation."""
        one = circuit(BreakerRules(failures=0))
        for _ in range(100):
            assert call(one, 0.0, well=False)
        one.condemn(0.0)
        assert one.state is State.CLOSED


class TestOpen:
    """Nobody passes but a probe."""

    def test_one_probe_after_thirty_seconds_then_sixty_up_to_three_hundred(self) -> None:
        """Each probe that fails doubles the wait."""
        one, now = opened(), 0.0
        for wait in (30, 60, 120, 240, 300, 300):
            assert not call(one, now + wait - 0.1, well=True)
            now += wait
            assert call(one, now, well=False)
        assert one.state is State.OPEN

    def test_while_the_probe_is_out_nobody_else_passes(self) -> None:
        """Half open is one call."""
        one = opened()
        probe = one.try_pass(30.0, last=False)
        assert probe is Pass.PROBE
        assert one.try_pass(31.0, last=False) is None
        one.released(probe)
        assert one.try_pass(31.0, last=False) is Pass.PROBE

    def test_the_last_hope_is_probed_once_a_second(self) -> None:
        """Everything else fails fast."""
        one = opened()
        passed = [tenth / 10 for tenth in range(1, 100) if call(one, tenth / 10, well=False, last=True)]
        assert passed == [float(second) for second in range(1, 10)]

    def test_a_call_from_before_it_opened_changes_nothing(self) -> None:
        """However it ends."""
        one = circuit()
        before = [one.try_pass(0.0, last=False) for _ in range(2)]
        for _ in range(5):
            call(one, 0.0, well=False)
        for how, tell in zip(before, (one.succeeded, one.failed), strict=True):
            assert how is not None
            tell(how, 1.0)
        assert one.state is State.OPEN
        assert one.try_pass(29.0, last=False) is None


class TestComingBack:
    """In steps: a tenth of the old rate, then twice as much every second."""

    def recovered(self, per_second: int) -> Circuit:
        """A circuit that carried so much, opened, and whose probe just went well at 100 s."""
        one = circuit()
        for number in range(per_second * 10):
            call(one, number / per_second, well=number < per_second * 10 - 5)
        assert one.state is State.OPEN
        assert call(one, 100.0, well=True)
        return one

    def test_ten_twenty_forty_eighty_percent_then_all(self) -> None:
        """Of two hundred a second."""
        one = self.recovered(200)
        let_through = [sum(call(one, 100.0 + step, well=True) for _ in range(400)) for step in range(5)]
        assert let_through == [20, 40, 80, 160, 400]
        assert one.state is State.CLOSED

    def test_a_small_gateway_is_not_held_up(self) -> None:
        """Five a second pass from the first step on."""
        one = self.recovered(1)
        assert sum(call(one, 100.5, well=True) for _ in range(10)) == 5

    def test_one_that_falls_back_waits_twice_as_long(self) -> None:
        """It had not recovered."""
        one = self.recovered(200)
        for _ in range(5):
            call(one, 100.5, well=False)
        assert one.state is State.OPEN
        assert one.try_pass(160.4, last=False) is None
        assert one.try_pass(160.5, last=False) is Pass.PROBE


STEPS = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=40, allow_nan=False),
        st.sampled_from(["well", "badly", "released", "kept", "condemned"]),
        st.booleans(),
    ),
    max_size=200,
)


@given(STEPS)
def test_whatever_happens_an_open_circuit_lets_at_most_one_call_a_second_through(
    steps: list[tuple[float, str, bool]],
) -> None:
    """And it is never shut for good: five minutes later the last hope is asked again."""
    one, now = circuit(), 0.0
    probes: list[float] = []
    out: list[Pass] = []
    for wait, end, last in steps:
        now += wait
        if end == "condemned":
            one.condemn(now)
            continue
        was = one.state
        how = one.try_pass(now, last=last)
        if how is None:
            assert was is not State.CLOSED
            continue
        assert (how is Pass.PROBE) == (was in (State.OPEN, State.PROBING))
        if how is Pass.PROBE:
            probes.append(now)
        match end:
            case "well":
                one.succeeded(how, now)
            case "badly":
                one.failed(how, now)
            case "released":
                one.released(how)
            case _:
                out.append(how)
    for how in out:
        one.released(how)
    assert one.try_pass(now + RULES.most_open_s, last=True) is not None


@pytest.mark.parametrize("rate", [50, 200])
def test_half_of_the_calls_failing_for_five_minutes_is_mostly_failed_fast(rate: int) -> None:
    """The upstream is spared: far fewer calls arrive than were wished for."""
    one, arrived = circuit(), 0
    for number in range(rate * 300):
        arrived += call(one, number / rate, well=number % 2 == 0, last=True)
    assert arrived < rate * 300 / 2
