"""The parent's own lines of log, in the shape of the workers' lines."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Journal:
    """Writes to standard error what is at `level` or above, as JSON or, with `style` console, as text."""

    def __init__(self, level: str, style: str, write: Callable[[str], object] = sys.stderr.write) -> None:
        self._least = LEVELS[level]
        self._as_text = style == "console"
        self._write = write

    def note(self, event: str, **facts: object) -> None:
        """Something that is as it should be."""
        self._line("info", event, facts)

    def warn(self, event: str, **facts: object) -> None:
        """Something an operator should look at."""
        self._line("warning", event, facts)

    def _line(self, level: str, event: str, facts: dict[str, object]) -> None:
        if LEVELS[level] < self._least:
            return
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self._as_text:
            told = " ".join(f"{name}={value}" for name, value in facts.items())
            self._write(f"{moment} [{level:<8}] {event} {told}\n")
        else:
            self._write(json.dumps({**facts, "event": event, "level": level, "timestamp": moment}) + "\n")
