"""Pure: the dates of vendors: what they write into seconds since the epoch, and time spans as they want them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_DAY_S = 86_400
_ISO_DAY = re.compile(r"(\d{4})[-/年.](\d{1,2})[-/月.](\d{1,2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_S = 253_402_300_799


def moment(written: object) -> float | None:
    """Seconds since the epoch of an ISO date or time, a Chinese date, or a number; None for anything else.

    Numbers above 10^11 are milliseconds. A time without a zone is taken for UTC.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    if isinstance(written, int | float):
        seconds = written / 1000 if written > 1e11 else float(written)
        return seconds if 0 < seconds <= _MAX_S else None
    try:
        parsed = datetime.fromisoformat(written.strip())
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return (parsed - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return _day(written)


def _day(written: str) -> float | None:
    found = _ISO_DAY.search(written)
    if found is None:
        return None
    year, month, day = map(int, found.groups())
    try:
        return (datetime(year, month, day, tzinfo=UTC) - _EPOCH).total_seconds()
    except ValueError:
        return None


def iso_day(seconds: float, *, later: bool = False) -> str:
    """The UTC date of a moment as 2026-11-21; with `later`, of the day that follows it."""
    span = timedelta(seconds=min(max(seconds, -6.2e10), _MAX_S - _DAY_S), days=int(later))
    return (_EPOCH + span).date().isoformat()


def recency(not_before: float | None, now: float, names: Mapping[int, str]) -> str | None:
    """The narrowest of a vendor's named spans (days to name) that reaches back to `not_before`; None for none."""
    if not_before is None:
        return None
    return next((names[days] for days in sorted(names) if now - not_before <= days * _DAY_S), None)
