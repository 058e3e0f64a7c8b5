"""Which files the disk level has, how large they are, and which of them was not used for longest."""

import threading
from collections import OrderedDict


class DiskIndex:
    """Names and sizes up to `max_bytes`. Looking is for any thread; changing takes its lock."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self.held = 0

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def add(self, name: str, size: int) -> list[str]:
        """Counts a file in; the names of those that have to go for it."""
        gone = []
        with self._lock:
            self._forget(name)
            self._sizes[name] = size
            self.held += size
            while self.held > self._max_bytes:
                oldest = next(iter(self._sizes))
                self._forget(oldest)
                gone.append(oldest)
        return gone

    def touch(self, name: str) -> None:
        """It was used just now."""
        with self._lock:
            if name in self._sizes:
                self._sizes.move_to_end(name)

    def drop(self, name: str) -> None:
        """It is gone."""
        with self._lock:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self.held -= self._sizes.pop(name, 0)
