"""One end of the wire between the parent and a worker: JSON arrays, one a line, handed over as they come."""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from typing import cast

Words = list[object]
"""A word that says what it is about, and what belongs to it."""


class Channel(asyncio.Protocol):
    """`heard` gets every message; `gone` is called once, when the other end is closed or its process is dead."""

    def __init__(self, heard: Callable[[Words], None], gone: Callable[[], None]) -> None:
        self._heard = heard
        self._gone = gone
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether anybody listens at the other end."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, words: Sequence[object]) -> None:
        """Says it, in the order of the calls; to nobody, where the other end has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(json.dumps(words, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Closes this end; what was said before still arrives."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop's: the wire is there."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """The event loop's: some bytes of it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            words: Words = json.loads(line)
            self._heard(words)

    def connection_lost(self, _error: Exception | None) -> None:
        """The event loop's: the other end has gone."""
        self._transport = None
        self._gone()


async def connected(end: socket.socket, heard: Callable[[Words], None], gone: Callable[[], None]) -> Channel:
    """The channel over one end of a socket pair, which it owns from then on."""
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(lambda: Channel(heard, gone), sock=end)
    return channel
