"""What an event loop hands to one thread: in order, with one waking for all that came in one turn of the loop.

Waking a thread costs more than most of the work it is woken for. The bound on what waits is the sender's.
"""

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """`put` and `flush` belong to the loop, `take` to the thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[T] = deque()
        self._flushing = False
        # Open while something may lie here that the thread has not seen. Only the loop opens it, only the thread
        # closes it, so neither needs to ask the other.
        self._gate = threading.Lock()
        self._gate.acquire()

    def put(self, item: T) -> None:
        """Adds an item; the thread is woken at the end of this turn of the loop."""
        self._items.append(item)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Wakes the thread now."""
        self._flushing = False
        if self._gate.locked():
            self._gate.release()

    def take(self, most: int, within_s: float = -1) -> list[T]:
        """The oldest items, at most so many; waits until there is one, or (from 0 on) for so long."""
        while not self._items:
            if not self._gate.acquire(timeout=within_s):
                return []
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]
