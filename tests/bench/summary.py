"""Numbers become sentences: percentiles, medians with their range, tables (pure)."""

from collections.abc import Mapping, Sequence
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, between two of them by their distance."""
    if not values:
        raise ValueError("no values to take a percentile of")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def number(value: float) -> str:
    """Three figures, which is more than a repeat keeps."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_range(values: Sequence[float]) -> str:
    """The median, and the range where there was more than one repeat."""
    if not values:
        return "–"
    middle = number(median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def ratio(values: Sequence[float], reference: Sequence[float]) -> str:
    """How many times the reference, by the medians of both."""
    if not values or not reference or not median(reference):
        return "–"
    return f"{median(values) / median(reference):.2f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned for reading as text too."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [_line(header, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)]) + "\n"


def between_markers(page: str, measured: str, name: str = "measured") -> str:
    """The page with its section of this name replaced, or added where it has none."""
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.partition(first)
    if not begin:
        return f"{page.rstrip()}\n\n{first}\n{measured}\n{last}\n"
    _, end, after = rest.partition(last)
    if not end:
        raise ValueError(f"the page has {first} and no {last} after it")
    return f"{before}{first}\n{measured}\n{last}{after}"


def facts_line(facts: Mapping[str, str]) -> str:
    """Versions and the machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
