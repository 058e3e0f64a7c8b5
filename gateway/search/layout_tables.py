"""Pure: tables in text that keeps its layout, as a PDF's does: rows of cells that stand under each other."""

import re
from dataclasses import dataclass

from gateway.domain.extraction import Table

MIN_ROWS = 3
MAX_TABLES, MAX_ROWS = 50, 1_000

_CELL = re.compile(r"\S+(?: \S+)*")
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?[\d.,:%/-]*\d[\d.,:%/)-]*\s?%?")


@dataclass(frozen=True, slots=True)
class _Cell:
    start: int
    end: int
    text: str


def layout_tables(text: str) -> tuple[Table, ...]:
    """The tables of a text: three or more lines in a row with the same two or more columns.

    A first row without any number above rows that have some is the header; a short single line directly before the
    table is its caption.
    """
    found: list[Table] = []
    group: list[list[_Cell]] = []
    above = caption = ""
    for line in [*text.split("\n"), ""]:
        cells = [_Cell(match.start(), match.end(), match.group()) for match in _CELL.finditer(line)]
        if len(cells) >= 2 and (not group or _fits(cells, group)):
            caption = caption if group else above
            group.append(cells)
            continue
        found += _table(group, caption)
        group = [cells] if len(cells) >= 2 else []
        caption = above if group else ""
        above = line.strip() if len(cells) == 1 else ("" if cells else above)
    found += _table(group, caption)
    return tuple(found[:MAX_TABLES])


def _fits(cells: list[_Cell], group: list[list[_Cell]]) -> bool:
    """Whether the line's cells stand under those above: each overlaps a column, and no two the same one."""
    columns = _columns(group)
    places = [_place(cell, columns) for cell in cells]
    return None not in places and len(set(places)) == len(places) and len(cells) <= len(columns)


def _columns(group: list[list[_Cell]]) -> list[tuple[int, int]]:
    """The stretch of each column, by the row that has most cells, widened by the others."""
    widest = max(group, key=len)
    columns = [(cell.start, cell.end) for cell in widest]
    for row in group:
        for cell in row:
            place = _place(cell, columns)
            if place is not None:
                start, end = columns[place]
                columns[place] = (min(start, cell.start), max(end, cell.end))
    return columns


def _place(cell: _Cell, columns: list[tuple[int, int]]) -> int | None:
    near = [n for n, (start, end) in enumerate(columns) if cell.start < end + 2 and cell.end > start - 2]
    return near[0] if len(near) == 1 else None


def _table(group: list[list[_Cell]], caption: str) -> list[Table]:
    if len(group) < MIN_ROWS:
        return []
    columns = _columns(group)
    rows = []
    for cells in group[:MAX_ROWS]:
        row = [""] * len(columns)
        for cell in cells:
            place = _place(cell, columns)
            if place is not None:
                row[place] = cell.text
        rows.append(tuple(row))
    titled = not any(map(_NUMBER.fullmatch, rows[0])) and any(map(_NUMBER.fullmatch, sum(rows[1:], ())))
    short = caption if len(caption) <= 120 else ""
    return [Table(tuple(rows[1:]), rows[0], short) if titled else Table(tuple(rows), (), short)]
