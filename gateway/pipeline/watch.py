"""One watch for everything that may end a turn early: a timer on events, a caller's cancel, a drain.

A turn has one task. The watch interrupts it where it waits, by cancelling it once, and turns that cancellation
into the error that caused it; a cancellation from elsewhere passes through untouched. Moving the due moment costs
one comparison, so it can be done for every batch of events: the timer is set again only when it fires too early
or the new moment lies before it.
"""

import asyncio
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Self

from gateway.domain.errors import GatewayError, internal


class Watch:
    """Use as `async with watch:` around the waiting part of a turn, once, in the task to be interrupted."""

    def __init__(self, total_due: float = inf, overdue: Callable[[], GatewayError] = internal) -> None:
        """`total_due` is a moment on the event loop's clock; `overdue` makes what ends the turn then."""
        self._loop = asyncio.get_running_loop()
        self._total_due = total_due
        self._overdue = overdue
        self._due = total_due
        self._error = overdue
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cause: GatewayError | None = None
        self._cancelling = 0

    def expect(self, within_s: float, otherwise: Callable[[], GatewayError]) -> float:
        """Something must happen within this time, or `otherwise` ends the turn; returns the time now."""
        now = self._loop.time()
        due = now + within_s
        if due < self._total_due:
            self._due, self._error = due, otherwise
            if self._task is not None and (self._timer is None or due < self._timer.when()):
                self._arm()
        else:
            self.pause()
        return now

    def pause(self) -> None:
        """Nothing is expected but the end of the total time."""
        self._due, self._error = self._total_due, self._overdue

    def shorten(self, total_s: float) -> None:
        """The total time from now is at most this."""
        due = self._loop.time() + total_s
        if due < self._total_due:
            self._total_due = due
            if self._due > due:
                self.pause()
                if self._task is not None:
                    self._arm()

    def stop(self, cause: GatewayError) -> None:
        """Ends the turn with `cause`, now or as soon as it waits; the first cause wins."""
        if self._cause is None:
            self._cause = cause
            if self._task is not None:
                self._task.cancel()

    @property
    def stopped(self) -> GatewayError | None:
        """What ended the turn early, if anything did."""
        return self._cause

    async def __aenter__(self) -> Self:
        if self._cause is not None:
            raise self._cause
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("a watch needs a task to interrupt")
        self._cancelling = self._task.cancelling()
        self._arm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._task = self._task, None
        if self._cause is None or task is None:
            return
        # Ours was the only cancellation: it becomes the error that caused it, whatever the clean-up on the way
        # out made of it. With another one on top the caller has left as well, and that stands.
        if task.uncancel() <= self._cancelling and kind is not None:
            raise self._cause from None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._fire) if self._due < inf else None

    def _fire(self) -> None:
        self._timer = None
        if self._loop.time() < self._due:
            self._arm()
        else:
            self.stop(self._error())
