"""Failing well before the first output: who is asked, who next, and when nobody is.

Whoever is asked first is the first of the plan whose circuit lets a call through. A call that fails before any
output may be made again, at the same place or at another, as `gateway.models.retry` decides. Calls of one turn
come one after the other, never two at once, and each leaves its outcome on the receipt.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.errors import GatewayError, Reason, UpstreamError
from gateway.domain.events import Notice, NoticeKind
from gateway.models.catalogue import Route
from gateway.models.health import Call, Health
from gateway.models.openai_errors import upstream_failure
from gateway.models.retry import (
    CIRCUIT_OPEN,
    cause_of,
    fact_of,
    fits,
    in_order,
    is_dead_key,
    move_after,
    pause_s,
    tells_nothing,
)
from gateway.models.routing import by_load
from gateway.pipeline.job import Job
from gateway.pipeline.outlet import Emit
from gateway.pipeline.sharing import JOINED

FAIL_FAST_RETRY_S = 1.0


class Ask(Protocol):
    """One call to the route of the job. Raises what went wrong, after it is closed."""

    async def __call__(self, job: Job) -> None: ...


@dataclass(slots=True)
class _Trial:
    """What was tried for one turn."""

    tried: list[Route] = field(default_factory=list)
    errors: list[UpstreamError] = field(default_factory=list)
    spent: bool = False  # whether the call under way was taken from its upstream's budget for retries


class Trying:
    """Asks until somebody answers, or nobody may be asked any more."""

    def __init__(self, health: Health, chance: Callable[[], float]) -> None:
        """`chance` is a random number from 0 to 1, for the jitter of pauses."""
        self._health = health
        self._chance = chance

    async def answer(self, job: Job, ask: Ask, may_serve: Callable[[Route], bool], emit: Emit) -> None:
        """Has the job answered by one of its plan's routes.

        `may_serve` is asked of every route but the first: whether it has room for this turn, and what is held pays
        for it. Raises the UpstreamError of the last call, or one that says that nobody could be asked.
        """
        trial = _Trial()
        routes = by_load(job.plan.routes, job.visitor.tenant.name, self._health.load)
        first = [route for route in routes if route.card is job.plan.route.card]
        begun = self._health.begin(first, time.perf_counter(), alone=False) or self._begin_elsewhere(
            routes, may_serve
        )
        if begun is None:
            raise _nobody(self._health.dead(first))
        if _is_elsewhere(begun[0], job.plan.route):
            await self._tell_of(begun, emit)
        while True:
            route, call = begun
            error = await self._call(job, route, call, ask)
            if trial.spent and job.sharing.level == JOINED:
                self._health.budget_of(route.upstream).refund()
            if error is None:
                return
            trial.tried.append(route)
            trial.errors.append(error)
            begun = await self._next(job, trial, [r for r in routes if r is route or may_serve(r)], emit)
            if begun is None:
                raise error

    async def _tell_of(self, begun: tuple[Route, Call], emit: Emit) -> None:
        """Says that somebody else is asked. Who leaves now gives back what the circuit let through."""
        try:
            why = "the upstream that comes first is not used at the moment"
            await emit(_rerouted(begun[0], why, CIRCUIT_OPEN))
        except BaseException:
            begun[1].released()
            raise

    def _begin_elsewhere(
        self, routes: Sequence[Route], may_serve: Callable[[Route], bool]
    ) -> tuple[Route, Call] | None:
        return self._health.begin([route for route in routes if may_serve(route)], time.perf_counter())

    async def _call(self, job: Job, route: Route, call: Call, ask: Ask) -> UpstreamError | None:
        """The failure of one call that may be made again; what may not is raised."""
        health = self._health
        job.route, job.heard = route, call.first_output
        try:
            await ask(job)
        except UpstreamError as error:
            if is_dead_key(error):
                health.condemn(route, error.reason, time.perf_counter())
            # One fault counts once, whoever listened.
            if tells_nothing(error) or job.sharing.level == JOINED:
                call.released()
            else:
                call.failed(time.perf_counter())
            if job.received.output_events:
                raise
            return error
        except GatewayError as error:
            # A caller's mistake, or a caller too slow, says nothing about the upstream.
            own = job.sharing.level != JOINED
            if own and "upstream_cause" in error.facts and job.received.output_events:
                call.failed(time.perf_counter())
            else:
                call.released()
            raise
        except BaseException:
            call.released()
            raise
        finally:
            job.heard = None
        if job.sharing.level == JOINED:  # whoever asked the model tells of it
            call.released()
        else:
            call.succeeded(time.perf_counter())
        return None

    async def _next(
        self, job: Job, trial: _Trial, known: Sequence[Route], emit: Emit
    ) -> tuple[Route, Call] | None:
        """Who is asked next, already let through and waited for; None where nobody is."""
        health, rules = self._health, self._health.retry_rules
        error, failed, retries = trial.errors[-1], trial.tried[-1], len(trial.tried) - 1
        if len(trial.tried) >= rules.attempts:
            return None
        for route in in_order(move_after(trial.errors), failed, trial.tried, known):
            chance = self._chance()
            pause = pause_s(error, failed, route, retries=retries, rules=rules, chance=chance)
            budget = health.budget_of(route.upstream)
            if not budget.allows or not fits(pause, _remaining_s(job), health.usual_first_output_s(route)):
                continue
            if not health.usable(route, time.perf_counter()):
                continue
            await emit(_again(failed, route, error))
            if pause:
                await asyncio.sleep(pause)
            # Others may have opened the circuit in the meantime.
            begun = health.begin([route], time.perf_counter(), alone=False)
            if begun is not None:
                # A listener who tries again mostly joins another's call.
                trial.spent = job.sharing.level != JOINED
                if trial.spent:
                    budget.spend()
                return begun
        return None


def _remaining_s(job: Job) -> float:
    remaining = job.visitor.call.deadline - asyncio.get_running_loop().time()
    if job.turn.timeout_s is not None:
        remaining = min(remaining, job.begun + job.turn.timeout_s - time.perf_counter())
    return remaining


def _is_elsewhere(route: Route, planned: Route) -> bool:
    return route.upstream != planned.upstream or route.card is not planned.card


def _again(failed: Route, route: Route, error: UpstreamError) -> Notice:
    if _is_elsewhere(route, failed):
        return _rerouted(route, fact_of(error), cause_of(error))
    return Notice(
        NoticeKind.RETRIED,
        f"a call to the model failed before any output ({fact_of(error)}); it is made again",
        {"upstream": route.upstream, "model": route.card.name, "reason": error.reason, "cause": cause_of(error)},
    )


def _rerouted(route: Route, why: str, cause: str) -> Notice:
    return Notice(
        NoticeKind.REROUTED,
        f"{why}: the turn goes to {route.card.name} at {route.upstream}",
        {"upstream": route.upstream, "model": route.card.name, "reason": route.reason, "cause": cause},
    )


def _nobody(dead: Reason | None) -> UpstreamError:
    """Every circuit is open: refused at once, without a call. No caller mends `dead` keys by waiting."""
    if dead is not None:
        return upstream_failure(dead, CIRCUIT_OPEN)
    return UpstreamError(
        Reason.UPSTREAM_UNAVAILABLE,
        "no upstream of this model answers at the moment; try again shortly",
        facts={"upstream_cause": CIRCUIT_OPEN},
        retry_after_s=FAIL_FAST_RETRY_S,
    )
