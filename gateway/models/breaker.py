"""The circuit of one (upstream, model, key): who may be asked now, learned from how the last calls went (pure).

Closed lets everything through. Five failures in a row, or half of at least twenty calls within ten seconds, open
it; after thirty seconds one probe is let through, and each probe that fails doubles the wait. Where nobody else
could answer, an open circuit is limited instead: one probe a second. After a good probe traffic comes back in
steps, a tenth of what it was, then twice as much every second. What the caller did wrong is never told to it.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import inf

STEPS = 4
"""Steps of the ramp: 10, 20, 40 and 80 percent."""


class State(StrEnum):
    """What a circuit lets through."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    RAMPING = "ramping"


class Pass(StrEnum):
    """How a call was let through; give it back with its outcome."""

    NORMAL = "normal"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a circuit opens and how it closes; times in seconds. With `failures` 0 it never opens."""

    failures: int = 5
    least_calls: int = 20
    failed_percent: int = 50
    window_s: int = 10
    open_s: float = 30.0
    most_open_s: float = 300.0
    probe_s: float = 1.0
    ramp_step_s: float = 1.0
    ramp_percent: int = 10
    ramp_least: int = 5


class Circuit:
    """One state machine. `now` is any clock of seconds that never goes back."""

    __slots__ = (
        "_admitted",
        "_calls",
        "_failed",
        "_in_a_row",
        "_last_probe",
        "_open_s",
        "_probes",
        "_rate",
        "_rules",
        "_seconds",
        "_since",
        "_step",
        "_until",
        "state",
    )

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self.state = State.CLOSED
        self._open_s = rules.open_s
        self._until = 0.0
        self._last_probe = -inf
        self._probes = 0
        self._since = 0.0
        self._rate = 0.0
        self._step = -1
        self._admitted = 0
        self._reset()

    def try_pass(self, now: float, *, last: bool) -> Pass | None:
        """Lets a call through, or not. `last` says that nobody else could answer it.

        Every pass must be given back, exactly once, to `succeeded`, `failed` or `released`.
        """
        if self.state is State.RAMPING:
            return self._ramp(now)
        if self.state is State.CLOSED:
            return Pass.NORMAL
        due = self.state is State.OPEN and now >= self._until and not self._probes
        if due or (last and now >= self._last_probe + self._rules.probe_s):
            self._last_probe = now
            self._probes += 1
            if due:
                self.state = State.PROBING
            return Pass.PROBE
        return None

    def would_pass(self, now: float) -> bool:
        """Whether a call would be let through that others could answer as well; takes nothing."""
        match self.state:
            case State.CLOSED:
                return True
            case State.RAMPING:
                return self._allowance(now) > 0
            case State.OPEN:
                return now >= self._until and not self._probes
            case State.PROBING:
                return False

    def succeeded(self, how: Pass, now: float) -> None:
        """The upstream answered. A call from before the circuit opened proves nothing about now."""
        if how is Pass.PROBE:
            self._probes -= 1
            if self.state in (State.OPEN, State.PROBING):
                self._reset()
                self.state, self._since, self._step, self._admitted = State.RAMPING, now, -1, 0
        elif self.state in (State.CLOSED, State.RAMPING):
            self._in_a_row = 0
            self._count(now, failed=False)

    def failed(self, how: Pass, now: float) -> None:
        """The upstream failed, by its own fault."""
        if how is Pass.PROBE:
            self._probes -= 1
            if self.state is State.PROBING:
                self._open_s = min(self._open_s * 2, self._rules.most_open_s)
                self.state, self._until = State.OPEN, now + self._open_s
        elif self.state in (State.CLOSED, State.RAMPING):
            self._in_a_row += 1
            self._count(now, failed=True)
            if self._is_bad(now):
                self._open(now)

    def released(self, how: Pass) -> None:
        """The call told nothing about the upstream: its caller left, or asked for what cannot be."""
        if how is Pass.PROBE:
            self._probes -= 1
            if self.state is State.PROBING:
                self.state = State.OPEN  # its wait is over, so the next call is the probe

    def condemn(self, now: float) -> None:
        """Opens at once: the upstream has said that it will not answer. The last hope may be probed right away."""
        if self._rules.failures and self.state in (State.CLOSED, State.RAMPING):
            self._open(now)
            self._last_probe = -inf

    def _open(self, now: float) -> None:
        if self.state is State.RAMPING:  # it had not recovered
            self._open_s = min(self._open_s * 2, self._rules.most_open_s)
        else:
            self._rate = self._in_window(now)[0] / self._rules.window_s
        self.state, self._until, self._last_probe = State.OPEN, now + self._open_s, now

    def _ramp(self, now: float) -> Pass | None:
        if self._allowance(now) < 1:
            return None
        self._admitted += 1
        return Pass.NORMAL

    def _allowance(self, now: float) -> int:
        """How many more calls this step of the ramp lets through; past the last step the circuit is closed."""
        rules = self._rules
        step = int((now - self._since) / rules.ramp_step_s)
        if step >= STEPS:
            self.state, self._open_s = State.CLOSED, rules.open_s
            return 1
        if step != self._step:
            self._step, self._admitted = step, 0
        share = self._rate * rules.ramp_step_s * (rules.ramp_percent << step) / 100
        return max(rules.ramp_least, int(share)) - self._admitted

    # --- the last seconds: one count of calls and one of failures for each -------------------------------

    def _reset(self) -> None:
        size = self._rules.window_s
        self._in_a_row = 0
        self._seconds = [-size] * size
        self._calls = [0] * size
        self._failed = [0] * size

    def _count(self, now: float, *, failed: bool) -> None:
        second = int(now)
        place = second % self._rules.window_s
        if self._seconds[place] != second:
            self._seconds[place], self._calls[place], self._failed[place] = second, 0, 0
        self._calls[place] += 1
        self._failed[place] += failed

    def _in_window(self, now: float) -> tuple[int, int]:
        """Calls and failures of the last seconds."""
        oldest = int(now) - self._rules.window_s
        places = [place for place, second in enumerate(self._seconds) if oldest < second]
        return sum(self._calls[place] for place in places), sum(self._failed[place] for place in places)

    def _is_bad(self, now: float) -> bool:
        rules = self._rules
        if not rules.failures:
            return False
        if self._in_a_row >= rules.failures:
            return True
        calls, failed = self._in_window(now)
        return calls >= rules.least_calls and failed * 100 >= calls * rules.failed_percent
