"""Keeps an answer from sending its reader anywhere but to the sources it cites; pure, and it holds no text back.

A page that steers a model can make it write a link or an image whose address carries what the model has read; an
image is fetched without a click. Addresses are read as they stream: as long as what has come may still be a cited
host it passes; with the first character that cannot be, the address is broken off with a caret (no host may hold
one, https://url.spec.whatwg.org/#forbidden-host-code-points, and no autolinker ends a host there), a note says so,
and the rest of the address is dropped. So nothing of it loads, and no text waits.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from enum import Enum

from gateway.domain.text import CJK
from gateway.search.urls import host_of

REMOVED = "^ (link removed)"
MAX_TAIL = 64
MAX_HOSTS_NAMED = 20

_TRIGGER = re.compile(r"[/\\(:.=]")
# Browsers want one slash behind the schemes that they know best, and take any number.
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:[/\\]{2}|(?:https?|ftp|wss?):[/\\])$", re.IGNORECASE)
_WWW = re.compile(r"(?<![A-Za-z0-9._@-])www\.$", re.IGNORECASE)
_AUTOLINK = re.compile(
    r"(?:<(?:https?|ftp|file|data|javascript|vbscript)|[(=][\"']?(?:https?|ftp|wss?)):$", re.IGNORECASE
)
# Where Markdown, HTML and CSS take an address that need not begin with a scheme.
_DESTINATION = re.compile(
    r"(?:\]\(|\]:|url\(|\b(?:src|srcset|href|action|formaction|poster|background|data|cite|ping)\s{0,8}=)$",
    re.IGNORECASE,
)
_HOST = re.compile(r"[a-z0-9._-]")
_END = re.compile(r"[\s)\]>}\"'`,;!*|，。、；：！？（）《》「」『』【】“”‘’…]")
_DROP_END = re.compile(r"[\s)\]>\"`|<，。、；：！？（）《》「」『』【】“”‘’…]")
_UNSPACED = re.compile(f"[{CJK}]")
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'()\[\]]+", re.IGNORECASE)
_HIDERS = "&\\"
"""Markdown reads a character entity or an escape inside an address, so either could spell any other character."""


class _At(Enum):
    """Where in an address the reader stands."""

    TEXT = 1
    DESTINATION = 2
    HOST = 3
    PORT = 4
    BEHIND = 5
    DROPPED = 6


class LinkFilter:
    """Reads one answer. Every split of it into pieces gives the same text."""

    def __init__(self, hosts: Collection[str]) -> None:
        """`hosts` are those of the cited sources, in lower case; a subdomain of one is another host."""
        self._hosts = frozenset(host.rstrip(".") for host in hosts if host)
        self._at = _At.TEXT
        self._tail = ""
        self._seen = ""
        self._foreign = False

    def ignores(self, text: str) -> bool:
        """Whether nothing in the text can begin or end an address."""
        return self._at is _At.TEXT and not _TRIGGER.search(text)

    def feed(self, text: str) -> str:
        """The text without what leads elsewhere."""
        if self.ignores(text):
            self._tail = (self._tail + text)[-MAX_TAIL:]
            return text
        return "".join(map(self._read, text))

    def close(self) -> str:
        """The note that is due when the answer ends inside an address that was none of the cited ones."""
        unfinished = self._at is _At.HOST and self._seen and not self._is_cited()
        self._at = _At.TEXT
        return REMOVED if unfinished else ""

    def _read(self, char: str) -> str:
        match self._at:
            case _At.TEXT:
                return self._in_text(char)
            case _At.DESTINATION:
                return self._in_destination(char)
            case _At.HOST:
                return self._in_host(char)
            case _At.PORT:
                return self._behind_host(char) if not char.isdecimal() else self._passed(char)
            case _At.BEHIND:
                return self._in_behind(char)
            case _At.DROPPED:
                return self._in_dropped(char)

    def _passed(self, char: str) -> str:
        self._tail = (self._tail + char)[-MAX_TAIL:]
        return char

    def _in_text(self, char: str) -> str:
        self._at = _At.TEXT
        self._passed(char)
        if char in "/\\" and _SCHEME.search(self._tail):
            self._enter(_At.HOST)
        elif char == "." and _WWW.search(self._tail):
            self._enter(_At.HOST, self._www())
        elif char == ":" and _AUTOLINK.search(self._tail):
            self._enter(_At.HOST)
        elif char in "(:=" and _DESTINATION.search(self._tail):
            self._enter(_At.DESTINATION)
        return char

    def _www(self) -> str:
        """What of a host has been seen after `www.`: a source's own name may begin so, or leave it out."""
        return "www." if any(host.startswith("www.") for host in self._hosts) else ""

    def _enter(self, at: _At, seen: str = "") -> None:
        self._at, self._seen = at, seen

    def _in_destination(self, char: str) -> str:
        seen = self._seen.lower()
        foreign = char == ":" and seen not in ("http", "https")
        # Browsers skip a line end inside an address, so what looks cut in two goes on as one.
        torn = char.isspace() and seen != "" and "https".startswith(seen)
        if char in _HIDERS or foreign or torn:
            return self._broken("" if torn else char)
        if char == ":" or (char == "/" and seen == "/"):
            self._enter(_At.HOST)
        elif char == "/" and not seen:
            self._seen = "/"
        elif seen and (char in "/?#" or _END.match(char) or len(seen) > MAX_TAIL):
            return self._in_text(char)
        elif char in "(:=" and _DESTINATION.search(self._tail + char):
            self._enter(_At.DESTINATION)  # the one before it was none, as in [a](b[c](//host)
        elif not (char.isspace() or char in "<\"'"):
            self._seen += char
            if char == "." and _WWW.search(self._seen):
                self._enter(_At.HOST, self._www())
        return self._passed(char)

    def _in_host(self, char: str) -> str:
        lower = char.lower()
        if not self._seen and char == "/":
            return self._passed(char)
        if char.isascii() and _HOST.match(lower):
            return self._grown(char, lower)
        if self._is_cited():
            return self._behind_host(char)
        if not self._seen and _END.match(char):
            return self._in_text(char)
        return self._broken(char)

    def _grown(self, char: str, lower: str) -> str:
        whole = self._seen + lower
        if whole.rstrip(".") not in self._hosts and not any(host.startswith(whole) for host in self._hosts):
            return self._broken(char)
        self._seen = whole
        return self._passed(char)

    def _is_cited(self) -> bool:
        return self._seen.rstrip(".") in self._hosts

    def _behind_host(self, char: str) -> str:
        """The first character behind a cited host: what could make another host of it breaks it off."""
        if char == ":" and self._at is _At.HOST:
            self._at = _At.PORT
            return self._passed(char)
        if char in "/?#<" or char.isspace():
            return self._in_text(char)
        if _END.match(char):
            self._at = _At.BEHIND
            return self._passed(char)
        return self._broken(char) if char.isascii() else " " + self._in_text(char)

    def _in_behind(self, char: str) -> str:
        """Behind punctuation behind a cited host: with an at sign all of it would turn out to be a user's name."""
        if char == "@":
            return self._broken(char)
        passed = self._in_text(char)
        if self._at is _At.TEXT and not (char in "/?#<" or char.isspace()):
            self._at = _At.BEHIND
        return passed

    def _broken(self, char: str) -> str:
        self._at, self._foreign = _At.DROPPED, not char.isascii()
        self._tail = ""
        return REMOVED + (self._in_text(char) if _DROP_END.match(char) else "")

    def _in_dropped(self, char: str) -> str:
        ends = _DROP_END.match(char) or (not self._foreign and _UNSPACED.match(char))
        return self._in_text(char) if ends else ""


class CanaryFilter:
    """Keeps the marker of the evidence out of an answer; at most its first five characters ever pass.

    Text that only begins like the marker is given back as soon as it differs.
    """

    PASSED = 5

    def __init__(self, canary: str) -> None:
        self._canary = canary.lower()
        self._matched = ""

    def ignores(self, text: str) -> bool:
        """Whether nothing in the text can be a part of the marker that must not pass."""
        return not self._canary or not (self._matched or self._canary[: self.PASSED + 1] in text.lower())

    def feed(self, text: str) -> str:
        """The text without the marker."""
        return "".join(map(self._read, text)) if self._canary else text

    def close(self) -> str:
        """What was kept and turned out to be something else."""
        kept, self._matched = self._matched[self.PASSED :], ""
        return kept

    def _read(self, char: str) -> str:
        longer = self._matched + char
        if self._canary.startswith(longer.lower()):
            self._matched = "" if len(longer) == len(self._canary) else longer
            return "" if len(longer) > self.PASSED else char
        kept = self._matched[self.PASSED :]
        self._matched = ""
        # What begins the marker may stand inside what only began like it.
        for start in range(1, len(longer)):
            if self._canary.startswith(longer[start:].lower()):
                self._matched = longer[start:]
                break
        return kept + char


class OutputFilter:
    """What an answer with evidence passes last, and where each place of it ended up."""

    def __init__(self, hosts: Collection[str], canary: str) -> None:
        self._links = LinkFilter(hosts)
        self._canary = CanaryFilter(canary)
        self._read = self._shown = 0
        self._shifts: list[tuple[int, int]] = [(0, 0)]

    def feed(self, text: str) -> str:
        """The text that may be shown."""
        # Whole where nothing in it can matter, else character by character: only so every change is placed.
        if self._links.ignores(text) and self._canary.ignores(text):
            return self._one(text)
        return "".join(map(self._one, text))

    def close(self) -> str:
        """What is due at the end."""
        return self._links.feed(self._canary.close()) + self._links.close()

    def place(self, offset: int) -> int:
        """Where the byte at `offset` of what was fed stands in what was shown, or would if it was dropped."""
        index = bisect_right(self._shifts, offset, key=lambda shift: shift[0]) - 1
        read, shown = self._shifts[index]
        limit = self._shifts[index + 1][1] if index + 1 < len(self._shifts) else self._shown
        return min(shown + offset - read, limit)

    def _one(self, piece: str) -> str:
        shown = self._links.feed(self._canary.feed(piece))
        self._read += _bytes(piece)
        self._shown += _bytes(shown)
        if shown != piece:
            self._shifts.append((self._read, self._shown))
        return shown


def cited_hosts(urls: Iterable[str], question: str) -> frozenset[str]:
    """The hosts an answer may link to: those of its sources, and those that the asking person names."""
    named = _URL_IN_TEXT.findall(question[:4_000])[:MAX_HOSTS_NAMED]
    found: set[str] = set()
    for url in (*urls, *named):
        try:
            found.add(host_of(url))
        except ValueError:
            continue
    return frozenset(found - {""})


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
