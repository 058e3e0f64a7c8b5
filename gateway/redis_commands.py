"""Commands to a Redis for whoever asks it in passing: in time or not at all.

Nothing is tried twice (redis-py would, for seconds) and nobody waits long for a connection. One whose command was
cut off is closed before anybody else may have it, so that no answer reaches the wrong caller.
"""

import asyncio
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from gateway.domain.errors import OperatorError, Reason

TIMEOUT_S = 0.05
POOL_WAIT_S = 0.02

Word = str | bytes | int


class _Pool(BlockingConnectionPool):
    """Whoever is cancelled while giving a connection back does not take its place along."""

    def __init__(self, **options: Any) -> None:  # Any: redis-py's own options
        super().__init__(**options)
        self._releasing: set[asyncio.Task[None]] = set()

    async def release(self, connection: AbstractConnection) -> None:
        """Gives the connection back, if need be after the caller has left."""
        try:
            await super().release(connection)
        except asyncio.CancelledError:
            if connection in self._in_use_connections:
                task = asyncio.get_running_loop().create_task(super().release(connection))
                self._releasing.add(task)
                task.add_done_callback(self._releasing.discard)
            raise


class RedisCommands:
    """The Redis at `url`, or the cluster that `url` is a node of; at most `connections` to it at once."""

    def __init__(self, url: str, *, connections: int, cluster: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        """Raises OperatorError for what is no Redis URL. Connects to nothing."""
        options: dict[str, Any] = {  # Any: redis-py's own options
            "protocol": 2,
            "max_connections": connections,
            # One timer goes around the whole of a call; these would be further ones inside it.
            "socket_timeout": None,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),
            # A new connection asks for what it was opened for, and does not introduce itself first.
            "driver_info": None,
        }
        self._cluster: RedisCluster | None = None
        try:
            if cluster:
                self._cluster = RedisCluster.from_url(url, **options)
            else:
                self._pool = _Pool.from_url(url, timeout=POOL_WAIT_S, **options)
        except (ValueError, RedisError) as error:
            # The URL may hold a password, so that it is not repeated.
            raise OperatorError(Reason.INTERNAL, f"redis.url is no Redis URL ({type(error).__name__})") from None

    async def command(self, *words: Word) -> object:
        """One command, without a time limit of its own; text comes as bytes, errors are redis-py's."""
        if self._cluster is not None:
            found: object = await self._cluster.execute_command(*words)
            return found
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's decorator
        try:
            # hiredis packs a command in a third of the time that redis-py takes for it.
            packed = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one
            await connection.send_packed_command(packed, check_health=False)
            # What a URL's options would make of values as text is no concern of ours: some are ciphertext.
            return await connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    async def aclose(self) -> None:
        """Closes every connection."""
        try:
            await (self._cluster.aclose() if self._cluster else self._pool.aclose())
        except (RedisError, OSError, TimeoutError):
            return
