"""When a worker that died is started again: at once the first time, later and later when it keeps dying. Pure."""

from dataclasses import dataclass

FIRST_S = 0.5
MOST_S = 30.0
SOUND_S = 60.0
"""A worker that lived so long was sound: its death is a first one again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often in a row the worker of one seat has died young."""

    deaths: int = 0

    def died(self, lived_s: float) -> "Backoff":
        """After one more death of a worker that lived so long, in seconds."""
        return Backoff(1 if lived_s >= SOUND_S else self.deaths + 1)

    @property
    def delay_s(self) -> float:
        """How long to wait before the next start, in seconds."""
        if self.deaths <= 1:
            return 0.0
        return min(FIRST_S * 2.0 ** min(self.deaths - 2, 16), MOST_S)
