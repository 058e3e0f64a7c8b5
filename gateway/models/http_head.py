"""The head of an HTTP/1.1 answer: bytes in, status and headers out (pure; RFC 9112).

Bounded in size and in number, strict where a lenient reading would guess. Interim answers (1xx) are passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256

_END = b"\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadAnswerError(Exception):
    """What came is no HTTP answer. It has no text: what came may hold anything."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers; names in lower case, repeated ones joined by a comma.

    `keeps` says that the connection may carry another exchange after this one.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    keeps: bool = True

    def words(self, name: str) -> list[str]:
        """The elements of a header that is a list, in lower case."""
        return [word.strip().lower() for word in self.headers.get(name, "").split(",") if word.strip()]

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class HeadReader:
    """Reads one head, however it is cut."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and what came after it, or None while it is not whole. Raises BadAnswerError."""
        searched = max(0, len(self._data) - len(_END) + 1)
        self._data = data = self._data + data if self._data else data
        start = 0
        while (end := data.find(_END, max(start, searched))) >= 0:
            head = read_head(data[start:end])
            start = end + len(_END)
            if head.status >= 200:
                return head, data[start:]
        self._data = data[start:]
        if not b"HTTP/1.".startswith(self._data[:7]) or len(self._data) > MAX_HEAD_BYTES:
            raise BadAnswerError
        return None


def read_head(data: bytes) -> Head:
    """The head in these bytes, which lack the empty line at its end. Raises BadAnswerError."""
    first, *lines = data.split(b"\r\n", MAX_HEADERS + 1)
    found = _STATUS_LINE.fullmatch(first)
    if found is None or len(lines) > MAX_HEADERS or len(data) > MAX_HEAD_BYTES:
        raise BadAnswerError
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name) or b"\0" in value:
            raise BadAnswerError
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    head = Head(int(found[2]), headers)
    if found[1] == b"0" or "close" in head.words("connection"):
        return Head(head.status, headers, keeps=False)
    return head
