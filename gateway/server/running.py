"""Which turns and conversations are open in this process, so that a drain reaches every one of them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.domain.call import Visitor
from gateway.domain.errors import CallerError, GatewayError, Reason
from gateway.pipeline.watch import Watch


class Running:
    """Every open turn by its watch; `end_margin_s` is what a turn keeps of its deadline for its own end."""

    def __init__(self, end_margin_s: float) -> None:
        self._end_margin_s = end_margin_s
        self._watches: set[Watch] = set()
        self._conversations: set[Callable[[], None]] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._watches)

    def watch(self, visitor: Visitor) -> Watch:
        """A watch over one turn of this call, which ends it in time for the caller to hear of it."""
        left = visitor.call.deadline - asyncio.get_running_loop().time()
        return Watch(visitor.call.deadline - min(self._end_margin_s, left / 2), overdue)

    @contextmanager
    def keep(self, watch: Watch) -> Iterator[None]:
        """Counts a turn as open, within a drain's reach."""
        self._watches.add(watch)
        try:
            yield
        finally:
            self._watches.discard(watch)

    @contextmanager
    def conversation(self, on_drain: Callable[[], None]) -> Iterator[None]:
        """Keeps a conversation that wants to hear of a drain."""
        self._conversations.add(on_drain)
        try:
            yield
        finally:
            self._conversations.discard(on_drain)

    def drain(self) -> None:
        """Tells every conversation to take no more turns."""
        self.draining = True
        for on_drain in tuple(self._conversations):
            on_drain()

    def stop(self) -> None:
        """Ends what is still running: with output as interrupted, without as draining."""
        for watch in tuple(self._watches):
            watch.stop(draining())


def overdue() -> CallerError:
    """The caller's deadline, or the longest a turn may take."""
    return CallerError(Reason.DEADLINE, "the turn took longer than its deadline")


def draining() -> GatewayError:
    """This server is shutting down."""
    return GatewayError(Reason.DRAINING, "this server is shutting down; call again", retry_after_s=0.0)
