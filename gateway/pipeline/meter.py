"""What a running turn has used so far, told at most once a second, and how near its own limit is (pure)."""

from collections.abc import Callable, Sequence

from gateway.domain.answer import Received
from gateway.domain.events import Notice, NoticeKind
from gateway.domain.usage import Usage

TELL_EVERY_S = 1.0


class Meter:
    """Reads one turn. Between two tellings a reading costs three comparisons, whatever the answer's length."""

    def __init__(self, usage: Callable[[], Usage], now: float, *, near: int = 0, most: int = 0) -> None:
        """`usage` prices what was counted so far; `near` and `most` are output tokens; 0 means no limit.

        `now` is on any clock of seconds; every reading must come from the same one.
        """
        self._usage = usage
        self._tell_at = now + TELL_EVERY_S
        self._near = near
        self._most = most

    def read(self, received: Received, now: float) -> Sequence[Usage | Notice]:
        """What the caller should be told now; mostly nothing."""
        told: list[Usage | Notice] = []
        if self._near and received.output_events >= self._near:
            self._near = 0
            told.append(Notice(NoticeKind.LIMIT_NEAR, "four fifths of limit.max_cost_nano_usd are used up"))
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            told.append(self._usage())
        return told

    def is_spent(self, received: Received) -> bool:
        """Whether the turn's own limit is used up."""
        return 0 < self._most <= received.output_events
