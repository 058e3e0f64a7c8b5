"""One HTTP/1.1 connection to an upstream: one exchange at a time, read without a task of its own.

What arrives is unframed at once and waits, bounded, for its reader, who is woken once for all of it. Nothing of a
request is kept, so no error can hold the key in its headers.
"""

import asyncio
from typing import cast

from gateway.models.http_body import Body, body_of
from gateway.models.http_head import BadAnswerError, Head, HeadReader


class ConnectionBrokenError(Exception):
    """The connection ended, or its framing broke, before the answer did."""


class Connection(asyncio.Protocol):
    """Made by a pool. `exchange`, then `read` until it returns b""; `reusable` then says whether to keep it."""

    def __init__(self, read_ahead: int) -> None:
        """More than `read_ahead` bytes that nobody has read make the upstream wait."""
        self._read_ahead = read_ahead
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head_reader: HeadReader | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._fault: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent on it."""
        return self._fault is None and self._transport is not None and not self._transport.is_closing()

    @property
    def over(self) -> bool:
        """Whether the whole body has come, read or not."""
        return self._body is not None and self._body.over

    @property
    def reusable(self) -> bool:
        """Whether the exchange has ended in a way that leaves the connection for another one."""
        head, body = self._head, self._body
        return (
            self.is_open and head is not None and head.keeps and body is not None and body.over and not body.rest
        )

    async def exchange(self, request: bytes) -> Head:
        """Sends a request and waits for the head of its answer.

        Raises ConnectionBrokenError, or BadAnswerError for what is no HTTP.
        """
        if self._transport is None or not self.is_open:
            raise ConnectionBrokenError
        self._forget()
        self._transport.write(request)
        while self._head is None:
            if self._fault is not None:
                raise self._fault
            await self._wait()
        return self._head

    async def read(self) -> bytes:
        """All content that has arrived, or the next that does; b"" at the end. Raises ConnectionBrokenError."""
        while not self._pieces:
            if self.over:
                return b""
            if self._fault is not None:
                raise self._fault
            # Not a coroutine of its own: this is waited for once for each event of a slow stream.
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._take()

    def abort(self) -> None:
        """Closes the socket at once, without a polite end of TLS."""
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        """Ready for another answer; of the last one there may be content that nobody wanted."""
        self._take()
        self._head, self._body, self._head_reader = None, None, HeadReader()

    def _take(self) -> bytes:
        pieces = self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._waiting_bytes = 0
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return content

    async def _wait(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- what the event loop calls ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._receive(data)
        except BadAnswerError as error:
            # Broken framing after the head is a broken answer: how it began was good.
            self._fault = error if self._head is None else ConnectionBrokenError()
            self.abort()
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self._body is not None and error is None:
            self._body.end()
        self._fault = self._fault or ConnectionBrokenError()
        self._transport = None
        self._wake()

    def _receive(self, data: bytes) -> None:
        body = self._body
        if body is None:
            body, data = self._receive_head(data)
            if body is None:
                return
        elif body.over:
            # Whatever comes after an answer, or without a question, makes the connection useless.
            self.abort()
            return
        content = body.feed(data)
        if content:
            self._pieces.append(content)
            self._waiting_bytes += len(content)
            if self._waiting_bytes > self._read_ahead and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        if content or body.over:
            self._wake()

    def _receive_head(self, data: bytes) -> tuple[Body | None, bytes]:
        if self._head_reader is None:
            raise BadAnswerError
        found = self._head_reader.feed(data)
        if found is None:
            return None, b""
        head, rest = found
        self._body, self._head, self._head_reader = body_of(head), head, None
        self._wake()
        return self._body, rest
