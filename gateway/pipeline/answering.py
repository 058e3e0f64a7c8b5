"""From the question and its evidence to an answer: who is asked, in which order, and what happens if none can."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.domain.errors import Reason, UpstreamError
from gateway.domain.events import Finish
from gateway.domain.turn import Place
from gateway.limits.pricing import PriceBook
from gateway.models import Prompt
from gateway.models.catalogue import Catalogue, Route
from gateway.pipeline.attempt import Patience, Supervision, ask
from gateway.pipeline.bill import so_far
from gateway.pipeline.job import Job, degraded
from gateway.pipeline.meter import Meter
from gateway.pipeline.outlet import Emit, Outlet
from gateway.search.evidence import with_evidence


@dataclass(frozen=True, slots=True)
class Models:
    """What answering rests on."""

    catalogue: Catalogue
    prices: PriceBook
    patience: Patience
    user_id: Callable[[str], str]


class Answering:
    """Has a planned turn answered."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def answer(self, job: Job, emit: Emit) -> None:
        """Streams the answer of the turn. Raises UpstreamError when no model that may answer can."""
        outlet = Outlet(emit, job.findings, job.turn.question, job.plan.generation.include_reasoning)
        over = Supervision(self._models.patience, self._meter(job))
        try:
            await ask(job, self._prompt(job), outlet, over)
        except UpstreamError as error:
            route = self._degraded_route(job, error)
            if route is None:
                raise
            job.route, job.degraded = route, True
            await emit(degraded(error, route.card.name))
            await ask(job, self._prompt(job), outlet, over)
        if job.received.finish is Finish.LENGTH and job.plan.cost_capped:
            job.received.finish = Finish.LIMIT

    def _meter(self, job: Job) -> Meter:
        plan, prices = job.plan, self._models.prices
        most = plan.generation.max_tokens if plan.cost_capped else 0
        return Meter(partial(so_far, job, prices), time.perf_counter(), near=plan.near_tokens, most=most)

    def _prompt(self, job: Job) -> Prompt:
        turn, messages = job.turn, job.turn.messages
        if job.findings.prompt_text:
            messages = with_evidence(messages, job.findings.prompt_text)
        return Prompt(
            model=job.route.card.name,
            messages=messages,
            generation=job.plan.generation,
            tools=turn.tools,
            question=turn.question,
            sources=tuple(job.sources),
            user_id=self._models.user_id(job.visitor.tenant.name),
            deadline=job.visitor.call.deadline,
        )

    def _degraded_route(self, job: Job, error: UpstreamError) -> Route | None:
        """Who may answer instead: only before any output, where allowed, and with evidence to answer from."""
        turn, tenant = job.turn, job.visitor.tenant
        wished = turn.routing.allow_degraded
        allowed = tenant.allow_degraded if wished is None else wished
        special = turn.tools or turn.generation.json_object or turn.routing.place is Place.CLOUD_ONLY
        if job.received.output_events or not allowed or special or not job.sources:
            return None
        if error.reason is Reason.UPSTREAM_REJECTED or job.route.card.local:
            return None
        return self._models.catalogue.degraded(tenant)
