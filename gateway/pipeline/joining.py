"""Identical questions in flight share one stream of one model: the flight. Each listener has a pace of its own.

The flight belongs to nobody who listens: a task of its own reads the model, and ends when the last listener has
left. One of them pays for it; when that one leaves, the next pays for what is said from then on.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Self

from gateway.domain.errors import CallerError, Reason, internal
from gateway.domain.events import ModelEvent
from gateway.pipeline.said import FOLD_EVERY, Said
from gateway.pipeline.sharing import EVERYTHING, JOINED, Sharing
from gateway.pipeline.slotted import Slotted

MOST_AHEAD = 256
"""The model is read at most so many events ahead of the fastest listener."""
MOST_BEHIND = 1024 * 1024
"""A listener who is so many characters behind is too slow."""
MOST_SHARED = 1024 * 1024
"""An answer of more characters takes no new listeners."""
KNOWN_FOR_S = 1.0
"""For so long a turn that began while the flight was in the air may still find it."""


class Flights:
    """Every flight that may be joined, by a name that says everything about its question."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is the one that turns begin by, in seconds."""
        self._clock = clock
        self._known: dict[object, Flight] = {}

    def join(self, name: object, sharing: Sharing, begun: float) -> "Listener | None":
        """A listener to the flight of this name, if there is one that was in the air when the turn began."""
        flight = self._known.get(name)
        if flight is None or flight.ended_at <= begun or flight.said.size > MOST_SHARED:
            return None
        if flight.said is sharing.said:
            # The turn was on this one already, and it did not bring it home.
            return None
        sharing.level, sharing.paid_by_others = JOINED, EVERYTHING
        return flight.listener(sharing)

    def begin(self, name: object, batches: Slotted, canary: str, sharing: Sharing) -> "Listener":
        """A new flight, and its first listener, who pays for it."""
        flight = self._known[name] = Flight(batches, canary, lambda over: self._over(name, over))
        sharing.level, sharing.paid_by_others = "", None
        return flight.listener(sharing)

    def _over(self, name: object, flight: "Flight") -> None:
        """It takes no more listeners, but for those who come late to one that ended well."""
        flight.ended_at = self._clock()
        if flight.failed:
            self._drop(name, flight)
        else:
            asyncio.get_running_loop().call_later(KNOWN_FOR_S, self._drop, name, flight)

    def _drop(self, name: object, flight: "Flight") -> None:
        if self._known.get(name) is flight:
            del self._known[name]


class Flight:
    """One stream of a model and those who listen to it."""

    def __init__(self, batches: Slotted, canary: str, over: Callable[["Flight"], None]) -> None:
        self.said = Said()
        self.canary = canary
        self.ended_at = float("inf")
        self.failed = False
        self._over = over
        self._batches = batches
        self._listeners: list[Listener] = []
        self._heard = 0
        self._paid = 0
        self._fold_at = FOLD_EVERY
        self._room: asyncio.Future[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._read(batches))
        self._task.add_done_callback(self._ended)

    @property
    def over(self) -> bool:
        """Whether everything has been said."""
        return self._task.done()

    def listener(self, sharing: Sharing) -> "Listener":
        """One listener more, from the beginning."""
        listener = Listener(self, sharing)
        self._listeners.append(listener)
        sharing.said = self.said
        return listener

    def check(self) -> None:
        """Raises what ended the stream, if it did not end well."""
        if self._task.cancelled():
            raise internal()
        error = self._task.exception()
        if error is not None:
            raise error

    def heard(self, listener: "Listener") -> None:
        """A listener has heard everything up to now."""
        self._heard = self.said.events
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if listener.place >= self._fold_at:
            self._fold_at = listener.place + FOLD_EVERY
            self.said.forget_places(min(other.place for other in self._listeners))

    async def leave(self, listener: "Listener") -> None:
        """A listener goes; with the last one, the stream."""
        if listener not in self._listeners:
            return
        pays_all = listener.billed or (self.over and listener.place >= self.said.end)
        paid_in_part = listener is self._listeners[0] and not pays_all
        self._listeners.remove(listener)
        if self._listeners:
            if paid_in_part:
                self._paid = max(self._paid, listener.events)
                self._listeners[0].sharing.paid_by_others = self._paid
            self._heard = max(other.events for other in self._listeners)
        elif not self._task.done():
            # Nobody may board a flight that is being called back.
            self.failed = True
            self._over(self)
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _read(self, batches: Slotted) -> None:
        said = self.said
        async with aclosing(batches):
            async for batch in batches:
                if not batch:
                    continue
                said.add(batch)
                for listener in self._listeners:
                    listener.wake()
                if said.events - self._heard > MOST_AHEAD:
                    await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        while self.said.events - self._heard > MOST_AHEAD:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A task that is cancelled before its first step closes nothing.
        self._batches.release()
        broke = task.cancelled() or task.exception() is not None
        if not self.failed:
            self.failed = broke
            self._over(self)
        for listener in self._listeners:
            listener.wake()


class Listener:
    """What one turn hears of a flight: like the model's own stream, from its beginning. Close it with `aclose`."""

    def __init__(self, flight: Flight, sharing: Sharing) -> None:
        self.place = 0
        self.events = 0
        self.billed = False
        self._flight = flight
        self.sharing = sharing
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None

    @property
    def canary(self) -> str:
        """What the model was shown and must not be repeated."""
        return self._flight.canary

    @property
    def said_before(self) -> int:
        """How many events had been said when the listener came."""
        return self._flight.said.events

    def wake(self) -> None:
        """There is something to hear."""
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            if not waiting.done():
                waiting.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ModelEvent]:
        flight = self._flight
        said = flight.said
        while self.place >= said.end:
            if flight.over:
                flight.check()
                raise StopAsyncIteration
            waiting = self._waiting = self._loop.create_future()
            await waiting
        if said.size - self._size > MOST_BEHIND:
            raise CallerError(Reason.CLIENT_TOO_SLOW, "the answer was not read as fast as it was given")
        events = said.since(self.place)
        self.place, self.events, self._size, self.billed = said.end, said.events, said.size, said.billed
        flight.heard(self)
        return events

    async def aclose(self) -> None:
        """Leaves the flight; the last one closes the model's stream."""
        await self._flight.leave(self)
