"""Connections to one upstream: made within a time limit, kept for the next request, closed when they grow old."""

import asyncio
import socket
import ssl
import time
from typing import cast

from aiohappyeyeballs import AddrInfoType, start_connection

from gateway.models import Warming
from gateway.models.http_connection import Connection

KEEP_S = 30.0
NAMES_S = 60.0
NEXT_ADDRESS_S = 0.25
"""When the next address of a host is tried beside the one that has not answered yet (RFC 8305)."""


class Pool:
    """The connections to one host. Use it on one event loop."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, *, connect_timeout_s: float, read_ahead: int
    ) -> None:
        """`connect_timeout_s` covers name resolution, TCP and TLS."""
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._read_ahead = read_ahead
        self._idle: list[Connection] = []
        self._addresses: list[AddrInfoType] = []
        self._addresses_until = 0.0
        self._sweep: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._unclaimed: asyncio.Task[None] | None = None
        self._closed = False

    async def take(self) -> Connection:
        """The youngest idle connection, the one that is being opened ahead, or a new one.

        Raises TimeoutError, socket.gaierror, ssl.SSLError or another OSError; UnicodeError for what is no name.
        """
        found = self._waiting()
        if found is not None:
            return found
        async with asyncio.timeout(self._connect_timeout_s):
            if self._unclaimed is not None:
                # Of several who want it, one waits for it; the others do better to open their own.
                opening, self._unclaimed = self._unclaimed, None
                await asyncio.wait([opening])
                found = self._waiting()
            return found or await self._connect()

    def warm(self) -> Warming | None:
        """Begins to open a connection where none is idle, and none is being opened ahead for nobody yet."""
        if self._closed or self._unclaimed is not None or any(one.is_open for one in self._idle):
            return None
        warming = Warming(time.perf_counter())
        opening = asyncio.get_running_loop().create_task(self._open_ahead(warming))
        self._unclaimed = opening
        self._opening.add(opening)
        opening.add_done_callback(self._opened_ahead)
        return warming

    def give(self, connection: Connection) -> None:
        """Takes a connection back: kept when it is reusable, and closed at once when it is not."""
        if not connection.reusable or self._closed:
            connection.abort()
            return
        self._keep(connection)

    def close(self) -> None:
        """Closes what is idle, and what is given back from now on; what is being opened ahead is given up."""
        self._closed = True
        for opening in self._opening:
            opening.cancel()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def closed(self) -> None:
        """Waits for what was given up by `close`."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _waiting(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP_S, self._close_old)

    async def _open_ahead(self, warming: Warming) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connection = await self._connect()
        except (OSError, UnicodeError):
            return  # whoever asks tries for himself, and says what is wrong
        warming.ready = time.perf_counter()
        self._keep(connection)

    def _opened_ahead(self, opening: asyncio.Task[None]) -> None:
        self._opening.discard(opening)
        if self._unclaimed is opening:
            self._unclaimed = None

    def _close_old(self) -> None:
        now, self._sweep = asyncio.get_running_loop().time(), None
        kept = [connection for connection in self._idle if connection.is_open]
        self._idle = [connection for connection in kept if now - connection.idle_since < KEEP_S]
        for connection in kept[: len(kept) - len(self._idle)]:
            connection.abort()
        if self._idle:
            oldest_s = now - self._idle[0].idle_since
            self._sweep = asyncio.get_running_loop().call_later(KEEP_S - oldest_s, self._close_old)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            addresses = await self._resolved()
            found = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1)
        except OSError:
            self._addresses_until = 0.0  # the host may have moved
            raise
        try:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            name = self._host if self._tls is not None else None
            _, connection = await loop.create_connection(
                lambda: Connection(self._read_ahead), sock=found, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            found.close()
            raise
        return connection

    async def _resolved(self) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._addresses_until:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._addresses = cast("list[AddrInfoType]", found)
            self._addresses_until = loop.time() + NAMES_S
        return list(self._addresses)
