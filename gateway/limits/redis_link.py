"""Asks Redis as long as it answers; when it is lost, nobody waits for it."""

import logging
from collections.abc import Callable

from gateway.limits.breaker import Breaker
from gateway.limits.redis_words import Act
from gateway.limits.script import Script, Unreachable

_log = logging.getLogger(__name__)


class RedisLink:
    """The script behind a breaker. `ticks` is in seconds of a clock that does not go back."""

    def __init__(self, script: Script, ticks: Callable[[], float]) -> None:
        self._script = script
        self._ticks = ticks
        self._breaker = Breaker()

    @property
    def lost(self) -> bool:
        """Whether Redis counts as lost."""
        return self._breaker.open

    async def ask(self, act: Act) -> list[object]:
        """The answer. Raises Unreachable; whether Redis counts as lost is the caller's to look at before."""
        begun = self._ticks()
        try:
            answer = await self._script.run(act.keys, act.words)
        except Unreachable as error:
            self._note(begun, str(error))
            raise
        self._note(begun)
        return answer

    def found(self) -> None:
        """Redis answers again."""
        if self.lost:
            self._breaker.close()
            _log.warning("Redis answers again: limits are shared again")

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._script.aclose()

    def _note(self, begun: float, failure: str = "") -> None:
        now, was_lost = self._ticks(), self.lost
        self._breaker.note(now, now - begun, failed=bool(failure))
        if self.lost and not was_lost:
            why = failure or "slow"
            _log.warning(
                "Redis is lost (%s): each worker keeps to its part of the limits, alone; look at the server of "
                "redis.url, it is asked again by itself",
                why,
            )
