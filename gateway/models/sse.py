"""Server-sent events: bytes in, the data of whole events out (WHATWG HTML, "Server-sent events").

Only LF, CRLF and CR end a line; U+2028, U+0085 and VT are text. Bytes stay bytes, so events and UTF-8 may be
cut anywhere. `event`, `id` and `retry` fields are ignored: chat streams give them no meaning.
"""

MAX_EVENT_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


class EventTooLargeError(Exception):
    """One event, or one line of any kind, is above the cap; `events` are those complete before it."""

    def __init__(self, events: list[bytes], max_event_bytes: int) -> None:
        super().__init__(f"a server-sent event is larger than {max_event_bytes} bytes")
        self.events = events


class SseReader:
    """The reader of one stream. Feed it what arrives; it returns the data of the events that are complete.

    `comments` counts comment lines: a sign of life, never progress.
    """

    __slots__ = ("_after_cr", "_data", "_data_size", "_first", "_line", "_max", "comments")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.comments = 0
        self._max = max_event_bytes
        self._line = bytearray()  # the line that has not ended yet
        self._data: list[bytes] = []  # the data lines of the event that has not ended yet
        self._data_size = 0
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes. Raises EventTooLargeError."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_line_feeds(chunk)
        if b"\n" not in chunk:
            self._line += chunk
            events: list[bytes] = []
        else:
            if self._line:
                chunk = bytes(self._line) + chunk
                self._line.clear()
            events = self._whole_events(chunk)
        if self._data_size + len(self._line) > self._max + len("data: "):
            raise EventTooLargeError(events, self._max)
        return events

    def close(self) -> bytes | None:
        """At the end of the body: the data of an event that lacks its blank line, or None.

        The standard drops such an event. Some servers end their body without the blank line, so it is handed
        out; only its own brackets tell whether it is whole.
        """
        if self._line:
            self._take_line(bytes(self._line), [])
            self._line.clear()
        events: list[bytes] = []
        self._dispatch(events)
        return events[0] if events else None

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        """Ends every line with LF. A CR ends its line at once; an LF right after it belongs to it."""
        if not chunk:
            return chunk
        rest = chunk[1:] if self._after_cr and chunk.startswith(b"\n") else chunk
        self._after_cr = chunk.endswith(b"\r")
        return rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _whole_events(self, block: bytes) -> list[bytes]:
        """Splits without a loop where every event is one `data: ` line, as chat servers send them."""
        end = block.rfind(b"\n\n")
        if end < 0 or self._data or not block.startswith(b"data: "):
            return self._take_lines(block, [])
        events = block[6:end].split(b"\n\ndata: ")
        if block.count(b"\n", 0, end) != 2 * (len(events) - 1):
            return self._take_lines(block, [])
        self._first = False
        if len(block) > self._max:
            self._refuse_large(events)
        if end + 2 < len(block):
            self._take_lines(block[end + 2 :], events)
        return events

    def _refuse_large(self, events: list[bytes]) -> None:
        for position, event in enumerate(events):
            if len(event) > self._max:
                raise EventTooLargeError(events[:position], self._max)

    def _take_lines(self, block: bytes, events: list[bytes]) -> list[bytes]:
        lines = block.split(b"\n")
        self._line += lines.pop()
        for line in lines:
            self._take_line(line, events)
        return events

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
        elif line.startswith(b"data:"):
            self._append(line[6:] if line.startswith(b"data: ") else line[5:], events)
        elif line == b"data":
            self._append(b"", events)
        elif line.startswith(b":"):
            self.comments += 1

    def _append(self, data: bytes, events: list[bytes]) -> None:
        self._data.append(data)
        self._data_size += len(data) + 1
        if self._data_size > self._max + 1:
            raise EventTooLargeError(events, self._max)

    def _dispatch(self, events: list[bytes]) -> None:
        if self._data:
            events.append(b"\n".join(self._data))
            self._data.clear()
            self._data_size = 0
