"""Which workers live: those whose beat was seen to change within a lease (pure).

Nobody's clock is compared with anybody else's: every observer counts the seconds that it has looked itself. One
that could not look for a while starts anew, so that whoever could not be seen meanwhile is not taken for dead.
"""

from collections.abc import Iterable

LEASE_S = 30.0


class Sightings:
    """What one observer has seen. `now` is in seconds of any clock that does not go back."""

    def __init__(self, lease_s: float = LEASE_S) -> None:
        self._lease_s = lease_s
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, beats: Iterable[tuple[str, int]], now: float) -> list[tuple[str, int]]:
        """Those that are dead, with their last beat."""
        known, self._seen = self._seen, {}
        for worker, beat in beats:
            was, since = known.get(worker, (None, now))
            self._seen[worker] = (beat, since if was == beat else now)
        return [(worker, beat) for worker, (beat, since) in self._seen.items() if now - since >= self._lease_s]

    def forget(self) -> None:
        """Starts anew."""
        self._seen.clear()
