"""Pure: the shape every kind of file is read into: a title, and blocks of visible text under heading paths."""

import unicodedata
from dataclasses import dataclass, field
from enum import Enum

MAX_TITLE_CHARACTERS = 200


class UnreadableFileError(Exception):
    """A file that gives no text; the message says why and what can be done, and names no path."""


class BlockKind(Enum):
    """Prose may be split between sentences; code and tables are kept whole where they fit."""

    PROSE = "prose"
    CODE = "code"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, list, code block or table, as a reader sees it."""

    text: str
    kind: BlockKind = BlockKind.PROSE


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading. `path` holds the headings above it, the document's title left out."""

    path: tuple[str, ...]
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text. `title` is never empty; a document without any block has no sections."""

    title: str
    sections: tuple[Section, ...]


@dataclass(slots=True)
class Outline:
    """Collects headings and blocks in reading order and makes the document of them."""

    title: str = ""
    _headings: list[tuple[int, str]] = field(default_factory=list)
    _anchor: str = ""
    _blocks: list[Block] = field(default_factory=list)
    _sections: list[Section] = field(default_factory=list)
    _anchors: dict[str, int] = field(default_factory=dict)

    def heading(self, level: int, text: str, anchor: str = "") -> None:
        """Starts a section. The first heading of level 1 names the document if nothing has named it yet."""
        text = single_line(text)
        if not text:
            return
        self._finish_section()
        self._headings = [(above, name) for above, name in self._headings if above < level]
        self._anchor = self._unique(anchor or slug(text))
        if level == 1 and not self.title:
            self.title = text
        if text != self.title:
            self._headings.append((level, text))

    def block(self, text: str, kind: BlockKind = BlockKind.PROSE) -> None:
        """Adds a block to the section that is open; blank ones are left out."""
        text = text.strip("\n").rstrip() if kind is BlockKind.CODE else text.strip()
        if text.strip():
            self._blocks.append(Block(text, kind))

    def document(self, fallback_title: str) -> Document:
        """Everything collected so far, under `fallback_title` if no title was found."""
        self._finish_section()
        title = single_line(self.title) or single_line(fallback_title) or "Untitled"
        return Document(title, tuple(self._sections))

    def _finish_section(self) -> None:
        if self._blocks:
            path = tuple(name for _, name in self._headings)
            self._sections.append(Section(path, self._anchor, tuple(self._blocks)))
            self._blocks = []

    def _unique(self, anchor: str) -> str:
        count = self._anchors.get(anchor, 0)
        self._anchors[anchor] = count + 1
        return f"{anchor}-{count}" if count else anchor


def single_line(text: str) -> str:
    """The text on one line, at most 200 characters."""
    return " ".join(text.split())[:MAX_TITLE_CHARACTERS].strip()


def slug(heading: str) -> str:
    """A heading as the fragment of a link, the way Markdown hosts write it: `Rate limits` is `rate-limits`."""
    kept = (letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).strip().replace(" ", "-")


def visible(text: str) -> str:
    """The text without what nobody sees: control, format, zero-width and bidi characters, variation selectors."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(letter for letter in text if _is_seen(letter))


def _is_seen(letter: str) -> bool:
    if letter in "\n\t" or letter.isprintable():
        return not ("\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef")
    return unicodedata.category(letter) == "Zs"
