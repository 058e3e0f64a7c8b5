"""How many calls an upstream takes at once: all that were agreed, until it says no or slows down (pure).

Multiplicative decrease, additive increase. A refusal makes the limit a tenth lower than it was or than what ran,
but never less than half of it; first outputs that take more than twice as long as usual make it a tenth lower.
After that each window, as long as a first output takes, in which more than half of the limit was used makes it one
higher. Refusals of calls that were begun before the last cut are its own echo and cut nothing.
"""

from typing import NamedTuple

LEAST_WHEN_SLOW = 20
"""Slow answers alone make it no lower: the upstream still takes what it is asked."""
CEILING_MS = 600_000
"""How long a limit that the upstream named is believed: it moves with an account's balance."""
SHORTEST_WINDOW_MS, LONGEST_WINDOW_MS = 50, 5_000
SLACK_US = 250_000
"""So much later than usual is the network or a busy machine, whatever is usual."""
FEWEST_SAMPLES = 4
"""Fewer slow first outputs than these in a window prove nothing."""
NO_CUT = -1


class Adaptive(NamedTuple):
    """The limit of one upstream and model. Moments in milliseconds, the usual first output in microseconds.

    `cuts` numbers the decreases. `ceiling` is the upstream's own word, 0 where it said none or long ago.
    """

    limit: int = 0
    cuts: int = 0
    ceiling: int = 0
    ceiling_until: int = 0
    window: int = 0
    seen: int = 0
    slow: int = 0
    peak: int = 0
    cut_in_window: int = 0
    usual_us: int = 0


class Signals(NamedTuple):
    """What was seen of the upstream since the last time.

    First outputs (how many, how long altogether, how many of them slow), the last cut that a refused call knew of
    (NO_CUT = none was refused), and the limit that a refusal named (0 = none).
    """

    seen: int = 0
    sum_us: int = 0
    slow: int = 0
    refused_at: int = NO_CUT
    named: int = 0


NOTHING = Signals()


def adapted(was: Adaptive, now: int, cap: int, used: int, signals: Signals = NOTHING) -> Adaptive:
    """The limit after what was seen; it stays from 1 to `cap`. `used` is how many calls run now."""
    state = _named(was, now, signals.named)
    top = min(cap, state.ceiling) if state.ceiling else cap
    before = was.limit if was.cuts else cap
    limit = max(1, min(before, top))
    state = state._replace(limit=limit, window=state.window or now, peak=max(state.peak, used))
    if signals.refused_at == state.cuts:
        # A limit that was named, and is lower, says exactly how much less it has to be.
        state = _cut(state, limit if signals.named and limit < before else _less(state))
    if signals.seen:
        state = state._replace(
            seen=state.seen + signals.seen,
            slow=state.slow + signals.slow,
            usual_us=_usual(state.usual_us, signals),
        )
    return _after_window(state, now, top)


def is_slow(took_us: int, usual_us: int) -> bool:
    """Whether a first output took more than twice as long as usual, and noticeably so."""
    return usual_us > 0 and took_us - usual_us > max(usual_us, SLACK_US)


def _named(state: Adaptive, now: int, named: int) -> Adaptive:
    if named > 0:
        return state._replace(ceiling=named, ceiling_until=now + CEILING_MS)
    if state.ceiling and now >= state.ceiling_until:
        return state._replace(ceiling=0, ceiling_until=0)
    return state


def _cut(state: Adaptive, limit: int) -> Adaptive:
    return state._replace(limit=max(1, limit), cuts=state.cuts + 1, cut_in_window=1)


def _less(state: Adaptive) -> int:
    """After a refusal: what ran was too much, but one that comes while little runs says little."""
    return min(state.limit * 9 // 10, max(state.peak * 9 // 10, state.limit // 2))


def _usual(usual_us: int, signals: Signals) -> int:
    """Follows faster answers soon and slower ones late, so that a jam does not become the usual.

    Not so soon that the fastest of very different answers do.
    """
    mean = signals.sum_us // signals.seen
    if not usual_us:
        return mean
    weight, off = min(signals.seen, 16), min(mean, 2 * usual_us) - usual_us
    return usual_us + off * weight // (32 if off < 0 else 256)


def _after_window(state: Adaptive, now: int, top: int) -> Adaptive:
    length = max(SHORTEST_WINDOW_MS, min(state.usual_us // 1000, LONGEST_WINDOW_MS))
    if not state.seen or now - state.window < length:
        return state
    if not state.cut_in_window:
        if state.seen >= FEWEST_SAMPLES and 2 * state.slow > state.seen:
            state = _cut(state, max(min(state.limit, LEAST_WHEN_SLOW), state.limit * 9 // 10))
        elif 2 * state.peak > state.limit:
            state = state._replace(limit=min(state.limit + 1, top))
    return state._replace(window=now, seen=0, slow=0, peak=0, cut_in_window=0)
