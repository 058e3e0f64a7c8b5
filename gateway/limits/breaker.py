"""When Redis counts as lost: it fails, or is slow, too often to wait for it on every turn (pure)."""

from collections import deque

FAILURES = 5
WITHIN_S = 1.0
SLOW_S = 0.05
SLOW_SHARE = 0.01
SLOW_FOR_S = 5


class Breaker:
    """Opens after 5 failures within a second, or when the 99th percentile was above 50 ms for 5 seconds running.

    It never closes by itself: whoever probes says so. `now` is in seconds of any clock that does not go back.
    """

    def __init__(self) -> None:
        self.open = False
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._seconds: deque[list[int]] = deque(maxlen=SLOW_FOR_S + 1)  # of each second: which, calls, slow calls

    def note(self, now: float, took_s: float, *, failed: bool) -> None:
        """One call ended. A failure counts as slow, however soon it came."""
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += failed or took_s > SLOW_S
        if failed:
            self._failures.append(now)
        self.open = self.open or self._failing(now) or self._slow(second)

    def close(self) -> None:
        """Redis answers again."""
        self.open = False
        self._failures.clear()
        self._seconds.clear()

    def _failing(self, now: float) -> bool:
        return len(self._failures) == FAILURES and now - self._failures[0] <= WITHIN_S

    def _slow(self, second: int) -> bool:
        """The seconds before this one: it is not over yet."""
        past = [each for each in self._seconds if second - SLOW_FOR_S <= each[0] < second]
        return len(past) == SLOW_FOR_S and all(slow > calls * SLOW_SHARE for _, calls, slow in past)
