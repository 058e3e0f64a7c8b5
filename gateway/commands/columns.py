"""How wide text is on a terminal, and how it is cut to fit; pure.

A character takes two columns where Unicode calls it wide (https://www.unicode.org/reports/tr11/), none where it
only changes the one before it.
"""

import unicodedata

ELLIPSIS = "…"


def width(text: str) -> int:
    """The columns that a line takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """The line in at most so many columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    kept, room = [], columns - width(ELLIPSIS)
    for letter in text:
        room -= _columns(letter)
        if room < 0:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + ELLIPSIS


def padded(text: str, columns: int) -> str:
    """The line with spaces behind it, up to so many columns."""
    return text + " " * (columns - width(text))


def _columns(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
