"""Runs a script in Redis, such as `bucket.lua`."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from redis.exceptions import NoScriptError, RedisError

from gateway.limits.script import Script, Unreachable, Word
from gateway.redis_commands import TIMEOUT_S, RedisCommands

SOURCE = Path(__file__).with_name("bucket.lua").read_text(encoding="utf-8")
CONNECTIONS = 32


class RedisScript(RedisCommands):
    """The script in the Redis at `url`, or in the cluster that `url` is a node of."""

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        timeout_s: float = TIMEOUT_S,
        connections: int = CONNECTIONS,
        source: str = SOURCE,
    ) -> None:
        """Raises OperatorError for what is no Redis URL. Connects to nothing."""
        self._timeout_s = timeout_s
        self._source = source
        self._sha = hashlib.sha1(source.encode("utf-8"), usedforsecurity=False).hexdigest()
        super().__init__(url, connections=connections, cluster=cluster, timeout_s=timeout_s)

    async def run(self, keys: Sequence[str], words: Sequence[Word]) -> list[object]:
        """What the script answers. Raises Unreachable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    answer = await self.command("EVALSHA", self._sha, len(keys), *keys, *words)
                except NoScriptError:
                    answer = await self.command("EVAL", self._source, len(keys), *keys, *words)
        except (RedisError, OSError, TimeoutError) as error:
            raise Unreachable(type(error).__name__) from error
        if not isinstance(answer, list):
            raise Unreachable("an answer of another kind")
        return answer


def create(url: str, *, cluster: bool = False, connections: int = CONNECTIONS, source: str = SOURCE) -> Script:
    """What is loaded by name where a URL is set; see `RedisScript`."""
    return RedisScript(url, cluster=cluster, connections=connections, source=source)
