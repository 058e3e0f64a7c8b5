"""Pure: whether a vendor may be called now: off after a refusal, resting after a 429, open circuit after failures.

401, 402 and 403 switch it off until the configuration changes, which means a new process. A 429 rests it as long
as it says, else longer each time. Five failures in a row open the circuit for 30 s, doubling to 300 s; then one
call tries.
"""

import re
from dataclasses import dataclass
from enum import Enum

FAILURES, OPEN_S, MAX_OPEN_S = 5, 30.0, 300.0
REST_S, MAX_REST_S = 2.0, 300.0


class Outcome(Enum):
    """How one call ended, as far as the vendor's standing is concerned."""

    OK = 1
    REFUSED = 2
    TOO_MANY = 3
    FAILED = 4
    OUR_FAULT = 5


@dataclass(slots=True)
class Standing:
    """One vendor and one key. Moments are seconds on one clock that never goes back."""

    off: str = ""
    _until: float = 0.0
    _failures: int = 0
    _open_s: float = OPEN_S
    _rest_s: float = REST_S
    _trying: bool = False
    _why: str = ""

    def refusal(self, now: float) -> str:
        """Why it is not called now; empty when it may be, and then a try after an open circuit has begun."""
        if self.off:
            return self.off
        if now < self._until or self._trying:
            return self._why
        self._trying = self._failures >= FAILURES
        return ""

    def forget(self) -> None:
        """A call was given up by the caller: it says nothing about the vendor."""
        self._trying = False

    def note(self, outcome: Outcome, now: float, *, why: str = "", retry_after_s: float | None = None) -> None:
        """Takes in how a call ended."""
        self._trying = False
        match outcome:
            case Outcome.OK | Outcome.OUR_FAULT:
                self._failures, self._open_s, self._rest_s, self._until = 0, OPEN_S, REST_S, 0.0
            case Outcome.REFUSED:
                self.off = why
            case Outcome.TOO_MANY:
                rest = self._rest_s if retry_after_s is None else retry_after_s
                self._until, self._why = now + min(rest, MAX_REST_S), why
                self._rest_s = min(2 * self._rest_s, MAX_REST_S)
            case Outcome.FAILED:
                self._failures += 1
                if self._failures >= FAILURES:
                    self._until, self._why = now + self._open_s, why
                    self._open_s = min(2 * self._open_s, MAX_OPEN_S)


def outcome_of(status: int) -> Outcome:
    """What an HTTP status says of the vendor's standing."""
    match status:
        case 200:
            return Outcome.OK
        case 401 | 402 | 403:
            return Outcome.REFUSED
        case 429:
            return Outcome.TOO_MANY
        case _ if 400 <= status < 500 and status != 408:
            return Outcome.OUR_FAULT
    return Outcome.FAILED


def retry_after_s(written: str) -> float | None:
    """The seconds of a Retry-After header, clamped to 300; None where it is no plain number (RFC 9110, 10.2.3)."""
    return min(float(written), MAX_REST_S) if re.fullmatch(r"\d{1,9}(?:\.\d{1,3})?", written.strip()) else None
