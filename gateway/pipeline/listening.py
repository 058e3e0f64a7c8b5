"""What a model says to a turn: its own stream, one that others listen to as well, or one that is overheard."""

import time
from collections.abc import Sequence
from typing import Self

from gateway.domain.events import ModelEvent
from gateway.models import Prompt
from gateway.pipeline.job import Job
from gateway.pipeline.joining import Flights, Listener
from gateway.pipeline.outlet import Outlet
from gateway.pipeline.said import Said
from gateway.pipeline.sharing import as_asked, joined, may_share, question_of, thinks
from gateway.pipeline.slotted import Admission, Batches, Slotted


class Listening:
    """Opens streams of models."""

    def __init__(self, admission: Admission, *, join: bool = True) -> None:
        """`join` is the operator's own word on whether questions in flight are joined."""
        self._admission = admission
        self._join = join
        self._flights = Flights(time.perf_counter)

    async def open(self, job: Job, prompt: Prompt, outlet: Outlet) -> "Slotted | Listener | Overheard":
        """The batches of the answer to this prompt; close it with `aclose`. Nothing is read of it yet.

        Whoever asks the model itself waits here for a slot of its upstream, and raises UpstreamError without one.
        """
        tenant, provider, sharing = job.visitor.tenant, job.route.provider, job.sharing
        if not (self._join and tenant.join_in_flight and job.turn.cache.join_in_flight):
            return await self._alone(job, prompt)
        if not may_share(job.turn, job.route.card):
            return await self._alone(job, prompt)
        sharing.canary = job.findings.canary
        sharing.question = sharing.question or question_of(job.turn, job.findings)
        name = (tenant.name, id(provider), prompt.model, as_asked(prompt.generation), sharing.question)
        listener = self._flights.join(name, sharing, job.begun)
        if listener is None:
            batches = await self._admission.stream(job, prompt)
            # Somebody with the same question may have begun while this one waited for its slot.
            listener = self._flights.join(name, sharing, job.begun)
            if listener is None:
                return self._flights.begin(name, batches, job.findings.canary, sharing)
            batches.release()
        sharing.canary = listener.canary
        job.heard = None  # how soon the model spoke is measured by whoever asked it
        outlet.hide(listener.canary)
        try:
            await outlet.tell(joined(listener.said_before))
        except BaseException:
            await listener.aclose()
            raise
        return listener

    async def _alone(self, job: Job, prompt: Prompt) -> "Slotted | Overheard":
        sharing = job.sharing
        # A call before this one may have been somebody else's.
        sharing.level, sharing.paid_by_others, sharing.canary = "", None, job.findings.canary
        batches = await self._admission.stream(job, prompt)
        is_kept = sharing.key is not None or (prompt.tools and thinks(prompt.generation))
        return Overheard(batches, job) if is_kept else batches


class Overheard:
    """A stream of one's own, of which it is remembered what was said."""

    def __init__(self, batches: Batches, job: Job) -> None:
        self._batches = batches
        self._said = job.sharing.said = Said()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ModelEvent]:
        batch = await anext(self._batches)
        self._said.add(batch)
        self._said.forget_places(self._said.end)
        return batch

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._batches.aclose()
