"""How a worker gives way under load: what it sees of itself decides how far it is up the ladder (pure).

A level is entered when what asks for it has lasted 2 s, and left when what lets it go has lasted 10 s; a jump may
pass over levels. There are never more than two changes within a minute, so that load cannot swing with the ladder.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How far up."""

    NORMAL = 0
    BROWN_OUT = 1
    """Everybody gets a little less: searches from the cache only, shorter answers where nobody said how long."""
    SHED = 2
    """New turns of tenants above their fair share are refused; nobody waits long for a model."""
    PROTECT = 3
    """Every new call is refused, and the worker is not ready; what runs goes on."""


class Signals(NamedTuple):
    """What a worker sees of itself: how late its event loop is (seconds), and shares of what it has (1 = all)."""

    lag_s: float = 0.0
    calls: float = 0.0
    memory: float = 0.0
    slots: float = 0.0

    @property
    def fullest(self) -> float:
        """The largest share."""
        return max(self.calls, self.memory, self.slots)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a reason must last, and how many changes there may be in how long; times in seconds."""

    enter_after_s: float = 2.0
    leave_after_s: float = 10.0
    changes: int = 2
    within_s: float = 60.0


class Ladder:
    """Looks at signals now and then. `now` is in seconds of a clock that does not go back."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._asked_since: dict[Level, float] = {}
        self._freed_since: dict[Level, float] = {}
        self._changed: deque[float] = deque(maxlen=self._pace.changes)
        self.level = Level.NORMAL

    def look(self, signals: Signals, now: float) -> Level:
        """The level from now on."""
        for level in (Level.BROWN_OUT, Level.SHED, Level.PROTECT):
            _since(self._asked_since, level, now, holds=asks_for(level, signals))
            _since(self._freed_since, level, now, holds=lets_go(level, signals))
        wanted = self._wanted(now)
        full = len(self._changed) == self._changed.maxlen and now - self._changed[0] < self._pace.within_s
        if wanted is not self.level and not full:
            self.level = wanted
            self._changed.append(now)
        return self.level

    def _wanted(self, now: float) -> Level:
        asked = [
            level
            for level, since in self._asked_since.items()
            if level > self.level and now - since >= self._pace.enter_after_s
        ]
        if asked:
            return max(asked)
        wanted = self.level
        while wanted > Level.NORMAL:
            since = self._freed_since.get(wanted)
            if since is None or now - since < self._pace.leave_after_s:
                break
            wanted = Level(wanted - 1)
        return wanted


def asks_for(level: Level, seen: Signals) -> bool:
    """Whether these signals ask for this level."""
    if level is Level.BROWN_OUT:
        return seen.fullest > 0.8 or seen.lag_s > 0.1
    if level is Level.SHED:
        return seen.fullest > 0.95 or seen.lag_s > 0.25
    return seen.memory > 0.98 or seen.lag_s > 0.5


def lets_go(level: Level, seen: Signals) -> bool:
    """Whether these signals let a worker leave this level."""
    if level is Level.BROWN_OUT:
        return seen.fullest < 0.5 and seen.lag_s < 0.05
    if level is Level.SHED:
        return seen.fullest < 0.8 and seen.lag_s < 0.1
    return seen.memory < 0.95 and seen.lag_s < 0.25


NEARLY = 0.8


def sheds(used: int, fair: float, remaining_s: float, usual_s: float) -> bool:
    """Whether a turn of a tenant that runs `used` turns, with a fair share of `fair`, is refused.

    Above the share all are. Close below it those with the nearest deadline are refused first: they are the least
    likely to be answered in time. `usual_s` is the usual time to a deadline.
    """
    if used >= fair:
        return True
    near = (used / fair - NEARLY) / (1 - NEARLY)
    return near > 0 and remaining_s < near * usual_s


def _since(moments: dict[Level, float], level: Level, now: float, *, holds: bool) -> None:
    if holds:
        moments.setdefault(level, now)
    else:
        moments.pop(level, None)
