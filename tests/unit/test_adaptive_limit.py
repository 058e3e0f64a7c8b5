"""How many calls an upstream takes at once is found out by asking, and never again above what it says."""

from gateway.limits.adaptive import CEILING_MS, MOST_AT_START, NO_CUT, Adaptive, Signals, adapted, is_slow

CAP = 400
USUAL_US = 200_000
WINDOW_MS = USUAL_US // 1000


def window(state: Adaptive, now: int, used: int, signals: Signals, cap: int = CAP) -> Adaptive:
    """One window of first outputs, up to its end."""
    state = adapted(state, now, cap, used)
    return adapted(state, now + WINDOW_MS, cap, used, signals)


def fast(count: int = 10, refused_at: int = NO_CUT, named: int = 0) -> Signals:
    """First outputs as usual."""
    return Signals(count, count * USUAL_US, 0, refused_at, named)


def grown(cap: int = CAP) -> tuple[Adaptive, int]:
    """A limit after ten busy windows, and the moment."""
    state, now = Adaptive(), 1_000
    for _ in range(10):
        state, now = window(state, now, state.limit, fast(), cap), now + 2 * WINDOW_MS
    return state, now


def test_it_starts_with_twenty_or_with_all_there_is() -> None:
    """Nobody knows yet what the upstream takes."""
    assert adapted(Adaptive(), 0, CAP, 0).limit == MOST_AT_START
    assert adapted(Adaptive(), 0, 7, 0).limit == 7


def test_it_doubles_while_more_than_half_is_used_and_stops_at_the_cap() -> None:
    """Until the upstream first says no."""
    state = window(Adaptive(), 1_000, 11, fast())
    assert state.limit == 2 * MOST_AT_START
    assert grown()[0].limit == CAP


def test_it_stays_where_half_of_it_is_enough() -> None:
    """What is not used proves nothing."""
    assert window(Adaptive(), 1_000, 10, fast()).limit == MOST_AT_START


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
    assert window(state, now, CAP, Signals(10, 10 * 500_000, 6)).limit == 360
    assert window(state, now, CAP, Signals(10, 10 * 500_000, 5)).limit == CAP
    assert window(state, now, CAP, Signals(3, 3 * 500_000, 3)).limit == CAP


def test_a_jam_does_not_become_the_usual() -> None:
    """A hundred slow first outputs move it by a small part; as many fast ones move it all the way."""
    state, now = grown()
    for step in range(10):
        state = adapted(state, now + step, CAP, 0, Signals(10, 10 * 1_000_000, 10))
    assert state.usual_us < 2 * USUAL_US
    for step in range(10):
        state = adapted(state, now + 100 + step, CAP, 0, Signals(10, 10 * 100_000, 0))
    assert state.usual_us < 1.1 * 100_000


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
