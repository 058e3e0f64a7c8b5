"""From the question and its evidence to an answer: the models of the plan, and what stands in if none of them
can."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gateway.domain.answer import Received
from gateway.domain.errors import Reason, UpstreamError
from gateway.domain.events import Finish, Notice, NoticeKind, TextDelta, ToolCallDelta, TurnEvent
from gateway.domain.turn import Place
from gateway.limits.pricing import PriceBook
from gateway.models import Prompt
from gateway.models.catalogue import Catalogue, Route
from gateway.models.health import Health
from gateway.models.retry import BLANK_JSON, cause_of
from gateway.pipeline.attempt import Patience, Supervision, ask
from gateway.pipeline.bill import so_far, unbilled
from gateway.pipeline.job import Job, degraded
from gateway.pipeline.kept_reasoning import KeptReasoning
from gateway.pipeline.listening import Listening
from gateway.pipeline.meter import Meter
from gateway.pipeline.outlet import Emit, Outlet
from gateway.pipeline.plan import may_stand_in
from gateway.pipeline.recall import Recall
from gateway.pipeline.trying import Trying
from gateway.search.evidence import with_evidence


@dataclass(frozen=True, slots=True)
class Models:
    """What answering rests on."""

    catalogue: Catalogue
    health: Health
    prices: PriceBook
    patience: Patience
    user_id: Callable[[str], str]
    recall: Recall
    listening: Listening
    reasoning: KeptReasoning


class Answering:
    """Has a planned turn answered."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._trying = Trying(models.health, random.random)

    async def answer(self, job: Job, emit: Emit) -> None:
        """Streams the answer of the turn. Raises UpstreamError when nobody who may answer can."""
        told = _Spoken(emit) if _wants_json(job) else None
        outlet = Outlet(told or emit, job.findings, job.turn.question, job.plan.generation.include_reasoning)
        if await self._models.recall.answered(job, outlet):
            return
        over = Supervision(self._models.patience, self._meter(job), self._models.listening)
        once = partial(self._ask, outlet=outlet, over=over)
        try:
            await self._trying.answer(job, once, partial(self._may_serve, job), emit)
        except UpstreamError as error:
            await self._answer_degraded(job, error, outlet, over)
        if told is not None and not told.spoke and job.received.finish is Finish.STOP:
            job.degraded = True
            await emit(Notice(NoticeKind.DEGRADED, "the model gave no JSON", {"reason": BLANK_JSON}))
        if job.received.finish is Finish.LENGTH and job.plan.cost_capped:
            job.received.finish = Finish.LIMIT
        await self._models.recall.keep(job)
        await self._models.reasoning.keep(job)

    async def _ask(self, job: Job, outlet: Outlet, over: Supervision) -> None:
        """One call; what it cost is the gateway's own where it failed before any output."""
        try:
            await ask(job, self._prompt(job), outlet, over)
            if _wants_json(job) and job.received.finish is Finish.STOP and not job.received.output_events:
                # https://api-docs.deepseek.com: JSON mode may give nothing at all.
                job.attempts[-1] = replace(job.attempts[-1], outcome=BLANK_JSON)
                job.failures.append(Reason.UPSTREAM_PROTOCOL)
                raise _no_json()
        except UpstreamError as error:
            if not job.received.output_events:
                used = unbilled(job, job.attempts[-1], cause_of(error), self._models.prices)
                job.attempts[-1] = replace(job.attempts[-1], usage=used)
                job.own_cost_nano_usd += used.cost_nano_usd
                # Nothing of it is the caller's, who may leave before the next call.
                job.received, job.asked = Received(), False
            raise

    async def _answer_degraded(self, job: Job, error: UpstreamError, outlet: Outlet, over: Supervision) -> None:
        """A kept answer though it is old, or the stand-in over the evidence; otherwise the error stands."""
        if not self._may_degrade(job, error):
            raise error
        if await self._models.recall.stale(job, outlet):
            job.degraded = True
            return
        route = self._stand_in(job)
        if route is None:
            raise error
        job.route, job.degraded = route, True
        await outlet.tell(degraded(error, route.card.name))
        await ask(job, self._prompt(job), outlet, over)

    def _may_serve(self, job: Job, route: Route) -> bool:
        return may_stand_in(job.plan, route, job.receipt, self._models.prices)

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

    def _may_degrade(self, job: Job, error: UpstreamError) -> bool:
        """Only before any output, where it is allowed, and for a fault that is not our own."""
        wished = job.turn.routing.allow_degraded
        allowed = job.visitor.tenant.allow_degraded if wished is None else wished
        return allowed and not job.received.output_events and error.reason is not Reason.UPSTREAM_REJECTED

    def _stand_in(self, job: Job) -> Route | None:
        """The stand-in quotes evidence: it needs some, and it can neither call tools nor write JSON."""
        turn, tenant = job.turn, job.visitor.tenant
        cloud_only = Place.CLOUD_ONLY in (turn.routing.place, tenant.place)
        if turn.tools or _wants_json(job) or cloud_only or not job.sources or job.plan.route.card.stand_in:
            return None
        return self._models.catalogue.degraded(tenant)


class _Spoken:
    """Passes everything on, and knows whether any of it was more than blank."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.spoke = False

    async def __call__(self, event: TurnEvent) -> None:
        if not self.spoke:
            said = event.text.strip() if isinstance(event, TextDelta) else isinstance(event, ToolCallDelta)
            self.spoke = bool(said)
        await self._emit(event)


def _wants_json(job: Job) -> bool:
    wish = job.turn.generation
    return wish.json_object or bool(wish.json_schema)


def _no_json() -> UpstreamError:
    return UpstreamError(
        Reason.UPSTREAM_PROTOCOL,
        "the model gave an empty answer where JSON was asked for",
        facts={"upstream_cause": BLANK_JSON},
    )
