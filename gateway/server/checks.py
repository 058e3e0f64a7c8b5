"""Collects what is wrong with a request, field by field (pure)."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import TypeVar

from google.protobuf.message import Message

from gateway.domain.errors import CallerError, FieldViolation, Reason

T = TypeVar("T")
MAX_NESTING = 32
MAX_SCHEMA = 262_144
MAX_VIOLATIONS = 20
MAX_PATH = 128
MAX_DURATION_S = 86_400 * 366


class Checks:
    """Use its methods while reading a request, then `raise_if_any`; a failed check returns a usable value."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []
        self._found = 0

    def fail(self, path: str, description: str) -> None:
        """Notes one wrong field; beyond the first few they are only counted, for a status has little room."""
        self._found += 1
        if len(self._violations) < MAX_VIOLATIONS:
            self._violations.append(FieldViolation(path[:MAX_PATH], description))

    def require(self, holds: bool, path: str, description: str) -> None:
        """Notes the field unless the condition holds."""
        if not holds:
            self.fail(path, description)

    def choice(self, number: int, known: Mapping[int, T], path: str, otherwise: T) -> T:
        """The domain's word for an enum number; a number of a newer contract is refused, never guessed."""
        if number in known:
            return known[number]
        self.fail(path, f"{number} is no value this version knows" if number else "is missing")
        return otherwise

    def within(self, options: Message, field: str, low: float, high: float, path: str) -> None:
        """Notes an optional number outside [low, high], or one that is not finite."""
        if options.HasField(field):
            value = getattr(options, field)
            self.require(isfinite(value) and low <= value <= high, path, f"must be between {low} and {high}")

    def duration(self, parent: Message, field: str, path: str) -> float | None:
        """Seconds of an optional duration above zero."""
        if not parent.HasField(field):
            return None
        value = getattr(parent, field)
        seconds = float(value.seconds) + float(value.nanos) / 1e9
        if not 0 < seconds <= MAX_DURATION_S:
            self.fail(path, "must be above zero, and at most a year")
            return None
        return seconds

    def timestamp(self, parent: Message, field: str, path: str) -> float | None:
        """Seconds since the epoch of an optional timestamp."""
        if not parent.HasField(field):
            return None
        value = getattr(parent, field)
        if not (-62_135_596_800 <= value.seconds <= 253_402_300_799 and 0 <= value.nanos < 1_000_000_000):
            self.fail(path, "is no time between the years 1 and 9999")
            return None
        return float(value.seconds) + float(value.nanos) / 1e9

    def json_object(self, text: str, path: str) -> None:
        """Notes text that is not a JSON object, is too long, or nests deeper than 32 levels."""
        if len(text) > MAX_SCHEMA:
            self.fail(path, f"is longer than {MAX_SCHEMA} characters")
            return
        if _nesting(text) > MAX_NESTING:
            self.fail(path, f"nests deeper than {MAX_NESTING} levels")
            return
        try:
            value = json.loads(text)
        except ValueError:
            self.fail(path, "is not valid JSON")
            return
        self.require(isinstance(value, dict), path, "must be a JSON object")

    def raise_if_any(self) -> None:
        """Raises CallerError(INVALID_REQUEST) with everything noted so far."""
        if not self._violations:
            return
        first = self._violations[0]
        more = f" (and {self._found - 1} more)" if self._found > 1 else ""
        raise CallerError(
            Reason.INVALID_REQUEST,
            f"{first.field}: {first.description}{more}",
            fields=tuple(self._violations),
        )


def _nesting(text: str) -> int:
    """The deepest nesting of brackets outside strings, read without recursion."""
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            inside, escaped = True, False
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
