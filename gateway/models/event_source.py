"""The body of one streamed answer as events: what has arrived, together, until the body ends or breaks."""

import asyncio
from contextlib import suppress

from gateway.domain.errors import GatewayError, Reason
from gateway.models.http_connection import Connection, ConnectionBrokenError
from gateway.models.openai_errors import protocol_failure, upstream_failure
from gateway.models.sse import EventTooLargeError, SseReader

FINISH_GRACE_S = 2.0
"""How long an answer that has its finish reason is kept open for its usage and `[DONE]`."""
POOL_GRACE_S = 0.05
"""How long an answer that had its `[DONE]` may take to end, so that its connection can be used again."""


class EventSource:
    """The events of one answer, as they arrive."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader = SseReader()
        self._grace_ends: float | None = None
        self._failure: GatewayError | None = None

    async def read(self, *, whole: bool) -> list[bytes] | None:
        """The data of every event that has arrived; empty after a sign of life; None at the end of the body.

        `whole` says that the answer has its finish reason: then a broken or silent connection is an end as well.
        Raises UpstreamError.
        """
        if self._failure is None:
            if whole:
                chunk = await self._read_within_grace()
            else:
                try:
                    chunk = await self._connection.read()
                except ConnectionBrokenError:
                    chunk = self._lost()
            if chunk:
                return self._feed(chunk)
            if self._failure is None:
                return self._last_event()
        if whole:
            return None
        raise self._failure

    async def end_cleanly(self) -> None:
        """Waits a moment for the body to end, so that the connection goes back to the pool; drops what comes."""
        if self._connection.over:
            return
        with suppress(ConnectionBrokenError, TimeoutError):
            async with asyncio.timeout(POOL_GRACE_S):
                while await self._connection.read():
                    pass

    def _lost(self) -> bytes:
        self._failure = upstream_failure(Reason.UPSTREAM_UNAVAILABLE, "connection_lost")
        return b""

    async def _read_within_grace(self) -> bytes:
        if self._grace_ends is None:
            self._grace_ends = asyncio.get_running_loop().time() + FINISH_GRACE_S
        try:
            async with asyncio.timeout_at(self._grace_ends):
                return await self._connection.read()
        except TimeoutError:
            return b""
        except ConnectionBrokenError:
            return self._lost()

    def _feed(self, chunk: bytes) -> list[bytes]:
        try:
            return self._reader.feed(chunk)
        except EventTooLargeError as error:
            self._failure = protocol_failure("event_too_large")
            return error.events

    def _last_event(self) -> list[bytes] | None:
        """An event whose blank line is missing counts when it is closed by its own bracket."""
        last = self._reader.close()
        return [last] if last and last.endswith((b"}", b"]")) else None
