"""All levels as one: the fastest is asked first, those above the one that had it learn of it.

The first level lies in this process and holds values as they are; for the others they are sealed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from gateway.cache import MAX_VALUE_BYTES, CacheObserver, Found, Key, Level, Miss
from gateway.cache.memory import MemoryLevel
from gateway.sealing import BrokenSeal, Label
from gateway.sealing.salts import Salts
from gateway.sealing.sealer import Sealer

MOST_WRITING = 256
LAST_WRITES_S = 2.0
_EXPIRY_BYTES = 8

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Chain:
    """Keeps the promise of `Cache`. `now` is in seconds since the epoch."""

    def __init__(
        self,
        memory: MemoryLevel,
        outer: Sequence[Level],
        sealer: Sealer,
        salts: Salts,
        observer: CacheObserver,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`outer` are the levels outside of this process, the fastest first."""
        self._memory = memory
        self._outer = tuple(outer)
        self._sealer = sealer
        self._salts = salts
        self._observer = observer
        self._now = now
        self._writing: set[asyncio.Task[None]] = set()

    async def naming_key(self, tenant: str) -> bytes | None:
        """See `Cache`."""
        salt = await self._salts.of(tenant)
        return None if salt is None else self._sealer.naming_key(tenant, salt)

    async def find(self, key: Key, read: Callable[[bytes], T]) -> Found[T] | None:
        """See `Cache`."""
        for place, level in enumerate((self._memory, *self._outer)):
            try:
                value = await self._value(level, key, sealed=place > 0)
                found = read(value[_EXPIRY_BYTES:])
            except Miss as miss:
                self._observer.missed(level.name, miss.reason)
                continue
            self._observer.hit(level.name, key.kind)
            if place:
                self._fill(key, value, self._outer[: place - 1])
            return Found(level.name, found)
        return None

    def keep(self, key: Key, value: bytes, ttl_s: float) -> None:
        """See `Cache`."""
        if len(value) > MAX_VALUE_BYTES:
            self._observer.lost("memory", "too_large")
            return
        expiry = int((self._now() + ttl_s) * 1000).to_bytes(_EXPIRY_BYTES, "big")
        self._fill(key, expiry + value, self._outer)

    async def aclose(self) -> None:
        """Gives what is being written a moment, and closes every level."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=LAST_WRITES_S)
        late = tuple(self._writing)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for level in (self._memory, *self._outer):
            await level.aclose()

    async def _value(self, level: Level, key: Key, *, sealed: bool) -> bytes:
        """What a level holds, opened, its time not over yet. Raises Miss."""
        value = await level.get(key)
        if sealed:
            value = await self._opened(key, value)
        if len(value) <= _EXPIRY_BYTES or len(value) > MAX_VALUE_BYTES + _EXPIRY_BYTES:
            raise Miss("torn")
        if self._left_s(value) <= 0:
            raise Miss("expired")
        return value

    async def _opened(self, key: Key, value: bytes) -> bytes:
        salt = await self._salts.of(key.tenant)
        if salt is None:
            raise Miss("no_salt")
        try:
            return self._sealer.open(_label(key), salt, value)
        except BrokenSeal:
            raise Miss("seal") from None

    def _left_s(self, value: bytes) -> float:
        return int.from_bytes(value[:_EXPIRY_BYTES], "big") / 1000 - self._now()

    def _fill(self, key: Key, value: bytes, outer: Sequence[Level]) -> None:
        ttl_s = self._left_s(value)
        try:
            self._memory.lay(key, value, ttl_s)
        except Miss as miss:
            self._observer.lost("memory", miss.reason)
        else:
            self._note_kept(self._memory, len(value))
        if not outer:
            return
        if len(self._writing) >= MOST_WRITING:
            for level in outer:
                self._observer.lost(level.name, "busy")
            return
        self._spawn(self._fill_outer(key, value, ttl_s, outer))

    async def _fill_outer(self, key: Key, value: bytes, ttl_s: float, outer: Sequence[Level]) -> None:
        salt = await self._salts.of(key.tenant)
        if salt is None:
            return
        sealed = self._sealer.seal(_label(key), salt, value)
        for level in outer:
            try:
                await level.put(key, sealed, ttl_s)
            except Miss as miss:
                self._observer.lost(level.name, miss.reason)
            else:
                self._note_kept(level, len(sealed))

    def _note_kept(self, level: Level, size: int) -> None:
        self._observer.kept(level.name, size)
        if level.held is not None:
            self._observer.holds(level.name, level.held)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a value could not be kept", exc_info=error)


def _label(key: Key) -> Label:
    return Label(key.tenant, key.kind.value, key.digest)
