"""The body of an HTTP/1.1 answer: bytes of the wire in, content out, by each way to end (pure; RFC 9112)."""

from functools import lru_cache
from typing import Protocol

from gateway.models.http_head import BadAnswerError, Head

MAX_LINE = 8 * 1024
_SIZE_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_WITHOUT_BODY = (204, 304)


class Body(Protocol):
    """One body. `over` says that all of it has come; `rest` is what came after it and belongs to nobody."""

    over: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """The content in these bytes. Raises BadAnswerError where the framing is broken."""
        ...

    def end(self) -> bool:
        """The connection has ended: whether the body may end with it."""
        ...


def body_of(head: Head) -> Body:
    """The body that follows this head (RFC 9112, section 6.3). Raises BadAnswerError."""
    coding = head.words("transfer-encoding")
    if head.status in _WITHOUT_BODY:
        return SizedBody(0)
    if coding:
        if coding != ["chunked"]:
            raise BadAnswerError
        return ChunkedBody()
    sizes = set(head.words("content-length"))
    if not sizes:
        return EndlessBody()
    size = sizes.pop()
    if sizes or not (size.isascii() and size.isdecimal() and len(size) <= 18):
        raise BadAnswerError
    return SizedBody(int(size))


class SizedBody:
    """A body whose length was told."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.over = size == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        content, self.rest = data[: self._left], data[self._left :]
        self._left -= len(content)
        self.over = self._left == 0
        return content

    def end(self) -> bool:
        return self.over


class EndlessBody:
    """A body that ends with the connection."""

    def __init__(self) -> None:
        self.over = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bool:
        self.over = True
        return True


class ChunkedBody:
    """A body in chunks, each with its size before it; extensions and trailers are passed over."""

    def __init__(self) -> None:
        self._line = b""  # of a size or a trailer, not ended yet
        self._left = 0  # of a chunk, with the line end after it
        self._in_trailer = False
        self.over = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        if self._line:
            data, self._line = self._line + data, b""
        position, size = 0, len(data)
        while position < size and not self.over:
            if self._left:
                position = self._take_content(data, position, pieces)
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._keep_line(data[position:])
                break
            length = 0 if self._in_trailer else _chunk_size(data[position:end])
            stop = end + 2 + length
            if length and data.startswith(b"\r\n", stop):
                # The whole chunk is here, which is the usual case.
                pieces.append(data[end + 2 : stop])
                position = stop + 2
            else:
                self._begin(length, is_empty=end == position)
                position = end + 2
        if self.over:
            self.rest = data[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> bool:
        return self.over

    def _take_content(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Takes what is there of a chunk and of the line end that belongs to it."""
        content = self._left - 2
        if content > 0:
            piece = data[position : position + content]
            pieces.append(piece)
            position += len(piece)
            self._left -= len(piece)
        if self._left <= 2:
            line_end = data[position : position + self._left]
            if not b"\r\n"[-self._left :].startswith(line_end):
                raise BadAnswerError
            position += len(line_end)
            self._left -= len(line_end)
        return position

    def _begin(self, length: int, *, is_empty: bool) -> None:
        """A chunk whose content is still to come, or a line of the trailer; an empty one ends the body."""
        if length:
            self._left = length + 2
        elif self._in_trailer:
            self.over = is_empty
        else:
            self._in_trailer = True

    def _keep_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise BadAnswerError
        self._line = line


@lru_cache(maxsize=4096)
def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > 15 or not _SIZE_DIGITS.issuperset(digits):
        raise BadAnswerError
    return int(digits, 16)
