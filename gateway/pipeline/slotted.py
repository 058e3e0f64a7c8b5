"""A stream of a model that holds a slot of its upstream until it is closed, and tells what came of it."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, Self

from gateway.domain.errors import Reason, UpstreamError
from gateway.domain.events import ModelEvent, TextDelta, ToolCallDelta
from gateway.limits import Slot, Slots
from gateway.models import Prompt
from gateway.pipeline.intent import written_down
from gateway.pipeline.job import Job

_TOO_MUCH = frozenset({"http_429", "http_503", "http_529"})


class Batches(Protocol):
    """What a model says, batch by batch; close it with `aclose`."""

    def __aiter__(self) -> AsyncIterator[Sequence[ModelEvent]]: ...

    async def __anext__(self) -> Sequence[ModelEvent]: ...

    async def aclose(self) -> None:
        """Ends the stream."""
        ...


class Admission:
    """Opens streams of models, as many at once as their upstreams take."""

    def __init__(self, slots: Slots, within_s: Callable[[], float]) -> None:
        """`within_s` says how long a turn may wait for a slot now, in seconds."""
        self._slots = slots
        self._within_s = within_s

    async def stream(self, job: Job, prompt: Prompt) -> "Slotted":
        """The stream of the job's route, once there is a slot for it, and the turn's intent is written down.

        Raises as `Slots.take` does, and OperatorError(AUDIT_UNAVAILABLE).
        """
        route, tenant = job.route, job.visitor.tenant.name
        slot = await self._slots.take(route.upstream, route.card.name, tenant, self._within_s())
        try:
            await written_down(job)
        except BaseException:
            slot.release()
            raise
        return Slotted(route.provider.stream(prompt), slot)


class Slotted:
    """Passes a stream through. The slot is given back when the stream is closed, or without it by `release`."""

    def __init__(self, batches: Batches, slot: Slot) -> None:
        self._batches = batches
        self._slot = slot
        self._asked: float | None = None
        self._worked = 0.0
        self._spoke = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ModelEvent]:
        if self._spoke:
            return await anext(self._batches)
        if self._asked is None:
            self._asked, self._worked = time.perf_counter(), time.process_time()
        try:
            batch = await anext(self._batches)
        except UpstreamError as error:
            cause = error.facts.get("upstream_cause", "")
            if cause in _TOO_MUCH or error.reason is Reason.UPSTREAM_RATE_LIMITED:
                self._slot.refused(error.named_limit)
            self._spoke = True
            raise
        if any(isinstance(event, TextDelta | ToolCallDelta) for event in batch):
            self._spoke = True
            self._slot.first_output(*self._since(self._asked))
        return batch

    async def aclose(self) -> None:
        """Closes the stream, and gives the slot back whatever comes of it."""
        try:
            await self._batches.aclose()
        finally:
            self.release()

    def release(self) -> None:
        """Gives the slot back; a repeat changes nothing."""
        if self._asked is not None and not self._spoke:
            self._spoke = True
            self._slot.gave_up(*self._since(self._asked))
        self._slot.release()

    def _since(self, asked: float) -> tuple[float, float]:
        """Seconds since it was asked, and in how many of them this process worked: it may be what is slow."""
        return time.perf_counter() - asked, time.process_time() - self._worked
