"""Tables on a terminal: aligned columns of text that cannot move the cursor or colour anything."""

from collections.abc import Sequence
from typing import TextIO


def write_table(
    heads: Sequence[str], sides: str, rows: Sequence[Sequence[str]], out: TextIO, *, nothing: str
) -> None:
    """Rows under their heads; `sides` says of each column whether it is set left (<) or right (>)."""
    if not rows:
        out.write(f"{nothing}\n")
        return
    shown = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads))]
    for row in shown:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def printable(text: str) -> str:
    """Names come from callers: nothing in them may move the cursor or colour the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
