"""Pure: plain text into paragraphs, and lines that were wrapped by an editor back into sentences."""

import re
from collections.abc import Sequence

from gateway.search.outline import BlockKind, Document, Outline

MAX_TITLE_LINE = 100

_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_ITEM = re.compile(r"[ \t]*(?:[-*+•][ \t]|\(?\d{1,3}[.)、][ \t]?|[a-zA-Z][.)][ \t])")
_WIDE = re.compile("[\u3000-\u303f\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")


def read_text(text: str, fallback_title: str) -> Document:
    """The document of a plain text; its first line is the title when it is short and stands alone."""
    outline = Outline()
    paragraphs = _BLANK.split(text.strip("\n"))
    first = paragraphs[0].strip()
    if len(paragraphs) > 1 and "\n" not in first and len(first) <= MAX_TITLE_LINE:
        outline.heading(1, first)
        del paragraphs[0]
    for paragraph in paragraphs:
        add_lines(outline, paragraph.split("\n"))
    return outline.document(fallback_title)


def add_lines(outline: Outline, lines: Sequence[str]) -> None:
    """Adds the lines of one paragraph: as code when all of them are indented, else as prose."""
    if lines and all(line.startswith(("    ", "\t")) for line in lines if line.strip()):
        outline.block("\n".join(lines), BlockKind.CODE)
    else:
        outline.block(unwrap(lines))


def unwrap(lines: Sequence[str]) -> str:
    """The lines of one paragraph as one line, except that each item of a list begins its own."""
    text = ""
    for line in lines:
        if not text or _ITEM.match(line):
            text += ("\n" if text else "") + line.rstrip()
        elif _WIDE.match(text[-1]) and _WIDE.match(line.strip()[:1]):
            text += line.strip()
        else:
            text += " " + line.strip()
    return text
