"""Single commands to the Redis of the cache: nobody waits for one that is away."""

import asyncio
import time
from collections.abc import Callable

from redis.exceptions import RedisError, ResponseError

from gateway.cache import Miss
from gateway.redis_commands import TIMEOUT_S, RedisCommands, Word

CONNECTIONS = 16
FAILURES = 5
WITHIN_S = 1.0
REST_S = 1.0


class RedisStore(RedisCommands):
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
        super().__init__(url, connections=CONNECTIONS, cluster=cluster, timeout_s=timeout_s)

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
                answer = await self.command(*words)
        except ResponseError as error:
            self._rests_until = 0.0
            raise Miss("wrong_type" if str(error).startswith("WRONGTYPE") else "refused") from error
        except (RedisError, OSError, TimeoutError) as error:
            self._note_failure()
            raise Miss("unreachable") from error
        self._rests_until = 0.0
        return answer

    def _note_failure(self) -> None:
        now = self._ticks()
        self._failed_at = [*[at for at in self._failed_at if now - at <= WITHIN_S][-FAILURES:], now]
        if len(self._failed_at) >= FAILURES or self._rests_until:
            self._rests_until = now + REST_S


def create(url: str, *, cluster: bool, timeout_s: float = TIMEOUT_S) -> RedisStore:
    """What is loaded by name where a URL is set; see `RedisStore`."""
    return RedisStore(url, cluster=cluster, timeout_s=timeout_s)
