"""Single commands to the Redis of the cache: in time or not at all, and nobody waits for one that is away.

Nothing is tried twice (redis-py would, for seconds). A connection whose command was cut off is closed before
anybody else may have it, so that no answer reaches the wrong caller.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from gateway.cache import Miss
from gateway.domain.errors import OperatorError, Reason

TIMEOUT_S = 0.05
POOL_WAIT_S = 0.02
CONNECTIONS = 16
FAILURES = 5
WITHIN_S = 1.0
REST_S = 1.0

Word = str | bytes | int


class RedisStore:
    """The Redis at `url`, or the cluster that `url` is a node of.

    After 5 failures within a second it is left alone for a second, then one command tries. `ticks` is in seconds
    of a clock that does not go back.
    """

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        timeout_s: float = TIMEOUT_S,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OperatorError for what is no Redis URL. Connects to nothing."""
        self._timeout_s = timeout_s
        self._ticks = ticks
        self._failed_at: list[float] = []
        self._rests_until = 0.0
        options: dict[str, Any] = {  # Any: redis-py's own options
            "protocol": 2,
            "max_connections": CONNECTIONS,
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
                self._pool = BlockingConnectionPool.from_url(url, timeout=POOL_WAIT_S, **options)
        except (ValueError, RedisError) as error:
            # The URL may hold a password, so that it is not repeated.
            raise OperatorError(Reason.INTERNAL, f"redis.url is no Redis URL ({type(error).__name__})") from None

    async def ask(self, *words: Word) -> object:
        """What Redis answers. Raises Miss: `wrong_type`, `refused` (it is full, say) or `unreachable`."""
        now = self._ticks()
        if now < self._rests_until:
            raise Miss("unreachable")
        if self._rests_until:
            # Until this one is back, nobody else tries.
            self._rests_until = now + REST_S
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._command(*words)
        except ResponseError as error:
            self._rests_until = 0.0
            raise Miss("wrong_type" if str(error).startswith("WRONGTYPE") else "refused") from error
        except (RedisError, OSError, TimeoutError) as error:
            self._note_failure()
            raise Miss("unreachable") from error
        self._rests_until = 0.0
        return answer

    async def aclose(self) -> None:
        """Closes every connection."""
        try:
            await (self._cluster.aclose() if self._cluster else self._pool.aclose())
        except (RedisError, OSError, TimeoutError):
            return

    async def _command(self, *words: Word) -> object:
        if self._cluster is not None:
            found: object = await self._cluster.execute_command(*words)
            return found
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's decorator
        try:
            await connection.send_command(*words, check_health=False)
            # Values are ciphertext: what redis-py would make of them as text is no concern of ours.
            return await connection.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    def _note_failure(self) -> None:
        now = self._ticks()
        self._failed_at = [*[at for at in self._failed_at if now - at <= WITHIN_S][-FAILURES:], now]
        if len(self._failed_at) >= FAILURES or self._rests_until:
            self._rests_until = now + REST_S


def create(url: str, *, cluster: bool, timeout_s: float = TIMEOUT_S) -> RedisStore:
    """What is loaded by name where a URL is set; see `RedisStore`."""
    return RedisStore(url, cluster=cluster, timeout_s=timeout_s)
