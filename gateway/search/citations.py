"""Takes citation marks out of a streamed answer and says which words each mark stands behind; pure.

A mark is `[S1]`, `[S1, S3]` or the same in lenticular brackets. The mark alone is removed: a space before it
stays, so that the caller gets the model's own text byte for byte, without the marks and with nothing else changed.
`[s1]` counts too, but not directly behind a letter, digit or bracket, where it is more likely an index in code.
"""

import re
from collections.abc import Collection
from enum import Enum

from gateway.domain.events import Citation
from gateway.domain.text import sentence_spans

MAX_HELD_BYTES = 16
_CLOSING = {"[": "]", "【": "】"}
_OPEN = re.compile(r"[\[【]")
_CODE_BEFORE = re.compile(r"[A-Za-z0-9_)\]]$")
_LEAD = re.compile(r"[\s.。,，;；:：!！?？…)）\]】*_~]*(?:[-•+]\s+)?")


class CitationParser:
    """Reads one answer. Every split of it into pieces gives the same text and the same citations.

    `source_ids` are the sources the model was shown; a mark that names another is dropped and cites nothing.
    At most 16 bytes are held back, and only while they may be the beginning of a mark. A list of names that is
    longer than this is a mark already, wherever it ends.
    """

    def __init__(self, source_ids: Collection[str]) -> None:
        self._known = frozenset(source_ids)
        self._mark: _Mark | None = None
        self._before = ""
        self._offset = 0
        self._since_mark: list[str] = []
        self._last_span: tuple[int, int] | None = None

    def feed(self, text: str) -> tuple[str, list[Citation]]:
        """The text that is certain by now, without marks, and the citations whose marks are complete."""
        out: list[str] = []
        citations: list[Citation] = []
        place = 0
        while place < len(text):
            if self._mark is None:
                place = self._read_text(text, place, out)
            else:
                place += self._read_mark(self._mark, text[place], out, citations)
        return "".join(out), citations

    def close(self) -> tuple[str, list[Citation]]:
        """What was held when the answer ended: an unfinished mark is text."""
        out: list[str] = []
        citations: list[Citation] = []
        if self._mark is not None:
            self._mark.stop()
            self._break_off(self._mark, out, citations)
        return "".join(out), citations

    def _read_text(self, text: str, place: int, out: list[str]) -> int:
        """Passes text on up to the next bracket; the place behind what was read."""
        found = _OPEN.search(text, place)
        end = found.start() if found else len(text)
        self._pass(text[place:end], out)
        if found is None:
            return end
        self._mark = _Mark(found.group(), in_code=bool(_CODE_BEFORE.search(self._before)))
        return found.end()

    def _read_mark(self, mark: "_Mark", char: str, out: list[str], citations: list[Citation]) -> int:
        """Shows one character to the mark; 0 when it belongs to the text that follows."""
        match mark.read(char):
            case _Read.DONE:
                self._cite(mark.names, citations)
                self._mark = None
            case _Read.NO_MARK:
                self._break_off(mark, out, citations)
                return 0
            case _Read.MORE:
                pass
        return 1

    def _break_off(self, mark: "_Mark", out: list[str], citations: list[Citation]) -> None:
        self._mark = None
        if mark.certain:
            self._cite(mark.names, citations)
        self._pass(mark.held, out)

    def _pass(self, text: str, out: list[str]) -> None:
        if text:
            out.append(text)
            self._since_mark.append(text)
            self._offset += _bytes(text)
            self._before = text[-1]

    def _cite(self, names: list[str], citations: list[Citation]) -> None:
        start, end = self._last_span = self._span()
        self._since_mark = []
        self._before = ""
        known = tuple(dict.fromkeys(name for name in names if name in self._known))
        if known:
            citations.append(Citation(start, end, known))

    def _span(self) -> tuple[int, int]:
        """From the previous mark or the sentence's start up to here; a mark behind a mark shares its words."""
        text = "".join(self._since_mark)
        said = [start for start, end in sentence_spans(text) if re.search(r"[^\W_]", text[start:end])]
        if not said:
            again = self._last_span is not None and "\n" not in text
            return self._last_span if again and self._last_span else (self._offset, self._offset)
        lead = _LEAD.match(text, said[-1])
        start = lead.end() if lead else said[-1]
        return self._offset - _bytes(text[start:]), self._offset


class _Read(Enum):
    """What one more character makes of a possible mark."""

    MORE = 1
    DONE = 2
    NO_MARK = 3


class _At(Enum):
    """Where in a mark the reader stands: before a name, before its number, in the number, behind it."""

    NAME = 1
    NUMBER_START = 2
    NUMBER = 3
    BEHIND = 4


class _Mark:
    """One possible mark. `held` is what would be text again: of a `certain` one only what follows its names."""

    def __init__(self, bracket: str, *, in_code: bool) -> None:
        self.held = bracket
        self.names: list[str] = []
        self.certain = False
        self._closing = _CLOSING[bracket]
        self._in_code = in_code
        self._at = _At.NAME
        self._digits = ""
        self._behind = ""

    def read(self, char: str) -> _Read:
        """Takes `char` in, unless the answer is NO_MARK."""
        if char == self._closing and self._at in (_At.NUMBER, _At.BEHIND):
            self._end_name()
            return _Read.DONE
        at = self._next(char)
        if at is None:
            return self.stop()
        if self._at is _At.NUMBER and at is not _At.NUMBER:
            self._end_name()
        if _bytes(self.held + char) > MAX_HELD_BYTES and not self._make_certain():
            return self.stop()
        self._digits += char if at is _At.NUMBER else ""
        self.held += char
        self._behind += char
        self._at = at
        return _Read.MORE

    def _next(self, char: str) -> _At | None:
        match self._at:
            case _At.NAME if char == " ":
                return _At.NAME
            case _At.NAME if char == "S" or (char == "s" and not self._in_code):
                return _At.NUMBER_START
            case _At.NUMBER_START | _At.NUMBER if char in "0123456789" and len(self._digits) < 3:
                return _At.NUMBER
            case _At.NUMBER | _At.BEHIND if char in ",，、;；":
                return _At.NAME
            case _At.NUMBER | _At.BEHIND if char == " ":
                return _At.BEHIND
            case _:
                return None

    def stop(self) -> _Read:
        """The text goes on, or ends, with something else; the last name of a certain mark is whole then."""
        if self.certain and self._at is _At.NUMBER:
            self._end_name()
        return _Read.NO_MARK

    def _end_name(self) -> None:
        self.names.append(f"S{self._digits}")
        self._digits = self._behind = ""
        if self.certain:
            self.held = ""

    def _make_certain(self) -> bool:
        """Two whole names and more to come: too long to hold, too much like a mark to be anything else."""
        if self.certain or len(self.names) < 2:
            return False
        self.certain, self.held = True, self._behind
        return True


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
