"""Connections to an upstream, on the loop of tests and on the one that serves: kept, dropped, never mixed up."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from gateway.models import http_pool
from gateway.models.http_connection import Connection, ConnectionBrokenError
from gateway.models.http_pool import Pool

OK = b"HTTP/1.1 200 OK\r\n"
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]
REQUEST = b"POST / HTTP/1.1\r\n\r\n"


class Server:
    """Answers each request with the next of `answers`; `ended` is set when a connection has closed."""

    def __init__(self, *answers: bytes, hang_up: bool = False) -> None:
        self._answers = list(answers)
        self._hang_up = hang_up
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answers.pop(0) if self._answers else b"")
                await writer.drain()
                if self._hang_up:
                    break
        writer.close()
        self.ended.set()


Story = Callable[[Pool, Server], Awaitable[None]]


def told(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], server: Callable[[], Server], story: Story
) -> None:
    """Runs a story with a pool and a server on one kind of event loop."""

    async def tell() -> None:
        handler = server()
        listener = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        pool = Pool("127.0.0.1", port, None, connect_timeout_s=5.0, read_ahead=1000)
        try:
            async with asyncio.timeout(10):
                await story(pool, handler)
        finally:
            pool.close()
            listener.close()
            for writer in handler.writers:
                writer.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(tell())


async def answer(connection: Connection) -> bytes:
    """The whole content of one exchange."""
    await connection.exchange(REQUEST)
    content = b""
    while piece := await connection.read():
        content += piece
    return content


@pytest.mark.parametrize("loop", LOOPS)
class TestConnections:
    """One pool, one server."""

    def test_a_connection_whose_answer_ended_is_used_again(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """Chunked, sized or without a body."""

        async def story(pool: Pool, server: Server) -> None:
            for expected in (b"abc", b"de", b""):
                connection = await pool.take()
                assert await answer(connection) == expected
                pool.give(connection)
            assert server.connections == 1

        answers = (
            OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            OK + b"Content-Length: 2\r\n\r\nde",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        )
        told(loop, lambda: Server(*answers), story)

    @pytest.mark.parametrize(
        "first",
        [
            OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
            OK + b"Content-Length: 1\r\n\r\na and more",
        ],
    )
    def test_a_connection_that_must_not_be_kept_is_closed(
        self, loop: Callable[[], asyncio.AbstractEventLoop], first: bytes
    ) -> None:
        """It says so, it is old, or it sent what nobody asked for."""

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            assert await answer(connection) == b"a"
            pool.give(connection)
            await server.ended.wait()
            pool.give(await pool.take())
            assert server.connections == 2

        told(loop, lambda: Server(first), story)

    def test_a_connection_opened_ahead_is_the_one_that_is_taken(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """However often it is asked for, one at a time is opened, and none where one is idle."""

        async def story(pool: Pool, server: Server) -> None:
            warming = [pool.warm() for _ in range(5)]
            assert [one is not None for one in warming] == [True, False, False, False, False]
            connection = await pool.take()
            assert warming[0] is not None
            assert warming[0].ready is not None
            assert warming[0].ready > warming[0].begun
            assert await answer(connection) == b"a"
            pool.give(connection)
            assert pool.warm() is None
            assert await answer(await pool.take()) == b"b"
            assert server.connections == 1

        answers = (OK + b"Content-Length: 1\r\n\r\na", OK + b"Content-Length: 1\r\n\r\nb")
        told(loop, lambda: Server(*answers), story)

    def test_of_many_who_want_it_one_waits_and_the_others_open_their_own(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """So nobody waits for somebody else's connection, and nobody gets the same one."""

        async def story(pool: Pool, server: Server) -> None:
            pool.warm()
            taken = await asyncio.gather(*(pool.take() for _ in range(3)))
            assert len(set(taken)) == 3
            assert server.connections == 3
            for connection in taken:
                connection.abort()

        told(loop, Server, story)

    def test_a_taker_who_leaves_leaves_the_connection_for_the_next(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """It is not cut off with him."""

        async def story(pool: Pool, server: Server) -> None:
            pool.warm()
            leaving = asyncio.ensure_future(pool.take())
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait([leaving])
            while server.connections == 0:
                await asyncio.sleep(0.001)
            (await pool.take()).abort()
            assert server.connections == 1

        told(loop, Server, story)

    def test_closing_gives_up_what_is_being_opened(self, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """And leaves no task and no socket behind."""

        async def story(pool: Pool, server: Server) -> None:
            before = asyncio.all_tasks()
            pool.warm()
            await asyncio.sleep(0)
            pool.close()
            await pool.closed()
            assert asyncio.all_tasks() == before
            assert pool.warm() is None
            assert server.connections <= 1

        told(loop, Server, story)

    def test_opening_ahead_fails_in_silence(self, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """Whoever asks then meets the failure himself."""

        async def story(_pool: Pool, _server: Server) -> None:
            nobody = Pool("127.0.0.1", 1, None, connect_timeout_s=5.0, read_ahead=1000)
            warming = nobody.warm()
            with pytest.raises(ConnectionRefusedError):
                await nobody.take()
            assert warming is not None
            assert warming.ready is None
            nobody.close()
            await nobody.closed()

        told(loop, Server, story)

    def test_what_an_idle_connection_says_ends_it(self, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """It could be taken for the answer to the next request."""

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            assert await answer(connection) == b"a"
            pool.give(connection)
            server.writers[0].write(OK + b"Content-Length: 6\r\n\r\nforged")
            await server.ended.wait()
            connection = await pool.take()
            assert await answer(connection) == b"b"
            assert server.connections == 2

        told(loop, lambda: Server(*(OK + b"Content-Length: 1\r\n\r\n%b" % text for text in (b"a", b"b"))), story)

    def test_a_body_without_a_length_ends_with_the_connection(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """Cleanly; one with a length does not."""

        async def story(pool: Pool, server: Server) -> None:
            assert await answer(await pool.take()) == b"all of it"
            connection = await pool.take()
            await connection.exchange(REQUEST)
            assert await connection.read() == b"half"
            with pytest.raises(ConnectionBrokenError):
                await connection.read()
            assert not connection.reusable

        answers = (OK + b"\r\nall of it", OK + b"Content-Length: 8\r\n\r\nhalf")
        told(loop, lambda: Server(*answers, hang_up=True), story)

    def test_content_nobody_wanted_is_not_the_next_answer(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """Also when there was so much of it that the upstream had to wait."""

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            await connection.exchange(REQUEST)
            while not connection.over:
                await asyncio.sleep(0.001)
            pool.give(connection)
            assert await answer(await pool.take()) == b"b"
            assert server.connections == 1

        answers = (OK + b"Content-Length: 2000\r\n\r\n" + b"x" * 2000, OK + b"Content-Length: 1\r\n\r\nb")
        told(loop, lambda: Server(*answers), story)

    def test_an_unread_answer_makes_the_upstream_wait_and_is_whole_when_it_is_read(
        self, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        """Nothing is lost between pausing and resuming."""
        size = 8 * 1024 * 1024

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            await connection.exchange(REQUEST)
            await asyncio.sleep(0.05)
            assert not connection.over
            content = 0
            while piece := await connection.read():
                content += len(piece)
            assert content == size

        told(loop, lambda: Server(OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size), story)

    def test_an_old_idle_connection_is_closed(
        self, loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before servers and firewalls forget it."""
        monkeypatch.setattr(http_pool, "KEEP_S", 0.02)

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            await answer(connection)
            pool.give(connection)
            await server.ended.wait()

        told(loop, lambda: Server(OK + b"Content-Length: 1\r\n\r\na"), story)

    def test_a_closed_pool_keeps_nothing(self, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """Neither what was idle nor what is given back afterwards."""

        async def story(pool: Pool, server: Server) -> None:
            connection = await pool.take()
            await answer(connection)
            pool.close()
            pool.give(connection)
            await server.ended.wait()

        told(loop, lambda: Server(OK + b"Content-Length: 1\r\n\r\na"), story)
