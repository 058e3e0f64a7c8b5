"""The first level: values in this process, the least recently used leaving first when there are too many bytes."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.cache import Key, Miss

ENTRY_BYTES = 400
"""What a key and its place take beside the value."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    until: float


class MemoryLevel:
    """Keeps the promise of `Level`. `ticks` is in seconds of a clock that does not go back."""

    name = "memory"

    def __init__(self, max_bytes: int, ticks: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._ticks = ticks
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._held = 0

    @property
    def held(self) -> int:
        """What is held, in bytes."""
        return self._held

    async def get(self, key: Key) -> bytes:
        """The value."""
        return self.look(key)

    def look(self, key: Key) -> bytes:
        """The value, without waiting. Raises Miss."""
        entry = self._entries.get(key)
        if entry is None:
            raise Miss("absent")
        if entry.until <= self._ticks():
            self._drop(key)
            raise Miss("expired")
        self._entries.move_to_end(key)
        return entry.value

    async def put(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps it."""
        self.lay(key, value, ttl_s)

    def lay(self, key: Key, value: bytes, ttl_s: float) -> None:
        """Keeps it, without waiting. Raises Miss for what would take more than an eighth of the room."""
        size = len(value) + ENTRY_BYTES
        if size > self._max_bytes // 8:
            raise Miss("too_large")
        self._drop(key)
        self._entries[key] = _Entry(value, self._ticks() + ttl_s)
        self._held += size
        while self._held > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, tenant: str) -> None:
        """Drops everything of a tenant's."""
        for key in [key for key in self._entries if key.tenant == tenant]:
            self._drop(key)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._held -= len(entry.value) + ENTRY_BYTES
