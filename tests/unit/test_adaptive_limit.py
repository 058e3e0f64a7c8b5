"""How many calls an upstream takes at once is found out by asking, and never again above what it says."""

import random

from gateway.limits.adaptive import (
    CEILING_MS,
    LEAST_WHEN_SLOW,
    NO_CUT,
    SLACK_US,
    Adaptive,
    Signals,
    adapted,
    is_slow,
)

CAP = 400
USUAL_US = 500_000
WINDOW_MS = USUAL_US // 1000


def window(state: Adaptive, now: int, used: int, signals: Signals, cap: int = CAP) -> Adaptive:
    """One window of first outputs, up to its end."""
    state = adapted(state, now, cap, used)
    return adapted(state, now + WINDOW_MS, cap, used, signals)


def fast(count: int = 10, refused_at: int = NO_CUT, named: int = 0) -> Signals:
    """First outputs as usual."""
    return Signals(count, count * USUAL_US, 0, refused_at, named)


def grown(cap: int = CAP) -> tuple[Adaptive, int]:
    """A limit after ten busy windows without a refusal, and the moment."""
    state, now = Adaptive(), 1_000
    for _ in range(10):
        state, now = window(state, now, state.limit, fast(), cap), now + 2 * WINDOW_MS
    return state, now


def test_it_is_all_there_is_until_the_upstream_says_no() -> None:
    """What was agreed holds from the first call on; an upstream that is healthy holds nobody back."""
    assert adapted(Adaptive(), 0, CAP, 0).limit == CAP
    assert grown()[0].limit == CAP
    assert adapted(grown()[0], 100_000, 2 * CAP, 0).limit == 2 * CAP


def test_a_first_refusal_goes_by_what_ran_and_takes_half_at_most() -> None:
    """A limit nobody came near to says little; a refusal while little runs says little as well."""
    for used, limit in ((CAP, 360), (300, 270), (100, 200), (1, 200)):
        assert adapted(Adaptive(), 0, CAP, used, Signals(refused_at=0)).limit == limit


def test_a_lower_limit_that_the_very_first_answer_names_is_taken_as_it_is() -> None:
    """Nothing was known before it."""
    assert adapted(Adaptive(), 0, CAP, 1, Signals(refused_at=0, named=39)).limit == 39


def test_it_stays_where_half_of_it_is_enough() -> None:
    """What is not used proves nothing; what is, one more."""
    cut = adapted(Adaptive(), 1_000, CAP, CAP, Signals(refused_at=0))
    cut = adapted(cut, 100_000, CAP, 0, fast())
    assert window(cut, 101_000, cut.limit // 2, fast()).limit == cut.limit
    assert window(cut, 101_000, cut.limit // 2 + 1, fast()).limit == cut.limit + 1


def test_a_refusal_takes_a_tenth_and_growth_is_one_by_one_after_it() -> None:
    """Additive increase, multiplicative decrease."""
    state, now = grown()
    state = adapted(state, now, CAP, CAP, Signals(refused_at=0))
    assert (state.limit, state.cuts) == (360, 1)
    for _ in range(3):
        now += 2 * WINDOW_MS
        state = window(state, now, state.limit, fast())
    assert 361 <= state.limit <= 363


def test_forty_refusals_of_one_jam_take_one_tenth() -> None:
    """Calls that were begun before the cut know nothing of it."""
    state, now = grown()
    for _ in range(40):
        state = adapted(state, now, CAP, CAP, Signals(refused_at=0))
    assert state.limit == 360
    assert adapted(state, now, CAP, CAP, Signals(refused_at=1)).limit == 324


def test_first_outputs_twice_as_slow_as_usual_take_a_tenth() -> None:
    """By most of them, so that one long prompt moves nothing; a few prove nothing."""
    state, now = grown()
    assert is_slow(2 * USUAL_US + 1, state.usual_us)
    assert not is_slow(2 * USUAL_US, state.usual_us)
    assert window(state, now, CAP, Signals(10, 10 * 1_250_000, 6)).limit == 360
    assert window(state, now, CAP, Signals(10, 10 * 1_250_000, 5)).limit == CAP
    assert window(state, now, CAP, Signals(3, 3 * 1_250_000, 3)).limit == CAP


def test_milliseconds_are_not_slow() -> None:
    """Where an upstream answers in three, thirty are a busy machine."""
    assert not is_slow(30_000, 3_000)
    assert not is_slow(3_000 + SLACK_US, 3_000)
    assert is_slow(3_001 + SLACK_US, 3_000)


def test_slowness_alone_leaves_twenty() -> None:
    """The upstream still takes what it is asked; a refusal goes below that."""
    state, now = grown()
    for _ in range(60):
        now += 10 * WINDOW_MS
        state = window(state, now, CAP, Signals(10, 10 * 5_000_000, 10))
    assert state.limit == LEAST_WHEN_SLOW
    assert adapted(state, now, CAP, 20, Signals(refused_at=state.cuts)).limit == 18


def test_answers_that_differ_much_are_no_jam() -> None:
    """First outputs from a third of a second to three, as short and long prompts bring, cut nothing."""
    chance, state, now = random.Random(3), Adaptive(), 1_000
    for _ in range(500):
        took = [round(1e6 * chance.lognormvariate(0.0, 0.7)) for _ in range(20)]
        slow = sum(is_slow(each, state.usual_us) for each in took)
        state = adapted(state, now, CAP, CAP, Signals(20, sum(took), slow))
        now += 10_000
    assert (state.cuts, state.limit) == (0, CAP)


def test_a_jam_does_not_become_the_usual() -> None:
    """A hundred slow first outputs move it by a part; as many fast ones move it all the way."""
    state, now = grown()
    for step in range(10):
        state = adapted(state, now + step, CAP, 0, Signals(10, 10 * 5_000_000, 10))
    assert state.usual_us < 2 * USUAL_US
    for step in range(10):
        state = adapted(state, now + 100 + step, CAP, 0, Signals(10, 10 * 250_000, 0))
    assert state.usual_us < 1.1 * 250_000


def test_a_limit_that_the_upstream_names_holds_for_ten_minutes() -> None:
    """It moves with an account's balance, so it is believed only that long."""
    state, now = grown()
    state = adapted(state, now, CAP, CAP, Signals(refused_at=0, named=39))
    assert state.limit == 39
    until = now + CEILING_MS
    for _ in range(30):
        now += 2 * WINDOW_MS
        state = window(state, now, state.limit, fast())
        assert state.limit <= 39
    assert window(state, until, state.limit, fast()).limit == state.limit + 1


def test_it_is_never_below_one() -> None:
    """However often the upstream says no, somebody asks again."""
    state = Adaptive()
    for cut in range(60):
        state = adapted(state, cut, CAP, 1, Signals(refused_at=cut))
    assert state.limit == 1
