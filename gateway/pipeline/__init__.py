"""The order of the stations: plan, reserve, open the books, search, ask the model, settle.

One coroutine per turn, to be read aloud. It pushes events to `emit`, and whatever way a turn ends (answered,
failed, cancelled, abandoned), its upstream is closed first and its books after it, exactly once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.domain.call import Visitor
from gateway.domain.errors import (
    CallerError,
    CallerLeft,
    GatewayError,
    OperatorError,
    Reason,
    internal,
    invalid,
)
from gateway.domain.events import Accepted, Finish, TurnEnd
from gateway.domain.failure import TurnFailed
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import AuditMode, Tenant
from gateway.domain.turn import SearchMode, SearchOptions, Turn
from gateway.domain.usage import Usage
from gateway.limits import Hold
from gateway.limits.pricing import card_prices, search_cost
from gateway.pipeline.answering import Answering, Models
from gateway.pipeline.auditing import audited, digests, search_parameters, turn_intent
from gateway.pipeline.checkpoints import Checkpoints
from gateway.pipeline.intent import written_down
from gateway.pipeline.job import Job, as_turn_failure, repeated
from gateway.pipeline.kept_reasoning import KeptReasoning
from gateway.pipeline.listening import Listening
from gateway.pipeline.outlet import Emit
from gateway.pipeline.plan import Offer, check_providers, held, plan_turn
from gateway.pipeline.recall import Recall
from gateway.pipeline.scopes import scopes_of
from gateway.pipeline.searching import TurnSearch, search_options
from gateway.pipeline.settling import Books, Settling
from gateway.pipeline.sharing import thinks
from gateway.pipeline.slotted import Admission
from gateway.pipeline.stations import Stations
from gateway.pipeline.watch import Watch
from gateway.search import Findings, Question
from gateway.search.evidence import DEFAULT_TOKEN_BUDGET


class Pipeline:
    """Answers turns."""

    def __init__(self, stations: Stations, now: Callable[[], float] = time.time) -> None:
        self._stations = stations
        self._now = now
        memory = stations.memory
        self._recall = Recall(memory, now)
        self._reasoning = KeptReasoning(memory.cache, memory.lifetimes.reasoning_s)
        self._answering = Answering(
            Models(
                stations.catalogue,
                stations.health,
                stations.prices,
                stations.patience,
                stations.user_id,
                self._recall,
                Listening(Admission(stations.slots, lambda: stations.overload.slot_wait_s), join=memory.join),
                self._reasoning,
            )
        )
        self._checkpoints = Checkpoints(stations.ledger, stations.prices)
        self._search = TurnSearch(stations, now)
        self._settling = Settling(
            Books(
                stations.limiter,
                stations.ledger,
                stations.observer,
                stations.prices,
                stations.broken_stream,
                now,
                stations.audit,
                stations.code_of,
            )
        )

    @property
    def client_stall_s(self) -> float:
        """How long a caller may leave what it is told untaken."""
        return self._stations.patience.client_stall_s

    async def run(self, visitor: Visitor, turn: Turn, emit: Emit, watch: Watch) -> TurnEnd:
        """The end of the answered turn, which the caller is still to be told.

        Raises GatewayError when the turn was refused (nothing held, no receipt), TurnFailed when it failed after
        that; CancelledError and CallerLeft pass through, once the turn is settled.
        """
        if self._may_think(turn):
            turn = await self._reasoning.restored(turn, visitor.tenant.name)
        overload = self._stations.overload
        turn, notices = overload.eased(turn)
        job = self._prepare(visitor, turn)
        job.plan = replace(job.plan, notices=(*notices, *job.plan.notices)) if notices else job.plan
        end = await self._repeat(job, emit, watch) if turn.named else None
        if end is not None:
            return end
        remaining_s = visitor.call.deadline - asyncio.get_running_loop().time()
        with overload.turn(visitor.tenant.name, remaining_s):
            return await self._run(job, emit, watch)

    async def _run(self, job: Job, emit: Emit, watch: Watch) -> TurnEnd:
        """The same for a turn that is taken on."""
        await self._reserve(job)
        failure: GatewayError | None = internal()
        try:
            await self._open(job)
            async with watch:
                await self._answer(job, emit, watch)
            failure = None
        except GatewayError as error:
            failure = as_turn_failure(error, job.received)
        except (asyncio.CancelledError, CallerLeft):
            failure = CallerError(Reason.CANCELLED, "the caller left")
            raise
        finally:
            self._checkpoints.remove(job)
            end = await self._settling.settle(job, failure)
            if failure is not None and failure.reason is Reason.INTERNAL and job.opened:
                # A bug is on its way out; its turn has a receipt, and the caller is told of that one as well.
                raise TurnFailed(failure, end)
        if failure is None:
            return end
        if not job.opened:
            raise failure
        raise TurnFailed(failure, end)

    async def search(self, visitor: Visitor, query: str, options: SearchOptions, body_sha256: bytes) -> Findings:
        """The enrichment step alone: it counts as a request, and what it found is paid for.

        `body_sha256` is the digest of the request.
        """
        if not query.strip():
            raise invalid("query", "is empty; say what to look for")
        stations, tenant = self._stations, visitor.tenant
        check_providers(options, tenant, stations.searcher.names, "options.providers")
        most = stations.searcher.most_calls(options, tenant)
        hold = Hold(0, search_cost(most, self._now(), stations.prices))
        reservation = await stations.limiter.reserve(
            stations.new_id(), tenant.name, tenant.limits, hold, scopes_of(visitor)
        )
        used = Hold(0, 0)
        try:
            parameters = search_parameters(options)
            async with audited(stations.audit, visitor, body_sha256, parameters, stations.code_of) as told:
                within_s = visitor.call.deadline - asyncio.get_running_loop().time()
                cached_only = stations.overload.cached_search_only
                mode = options.mode or SearchMode.ALWAYS
                question = Question(query, (), mode, options, within_s, cached_only=cached_only)
                findings = await stations.searcher.enrich(question, tenant)
                used = Hold(0, search_cost(findings.paid, self._now(), stations.prices))
                calls = sum(findings.paid.values())
                told.usage = Usage(search_calls=calls, cost_nano_usd=used.cost_nano_usd)
                told.sources = digests(findings.sources)
        finally:
            await stations.limiter.settle(reservation, used)
        return findings

    def offered(self, tenant: Tenant) -> Sequence[Offer]:
        """The models this tenant may use, with the prices of this moment."""
        stations, now = self._stations, self._now()
        cards = stations.catalogue.offered(tenant)
        return [Offer(card, card_prices(card.name, now, stations.prices)) for card in cards]

    async def aclose(self) -> None:
        """Waits for turns that are being settled."""
        await self._settling.aclose()

    # --- before the answer ------------------------------------------------------------------------------

    def _may_think(self, turn: Turn) -> bool:
        if turn.generation.thinking is not None:
            return thinks(turn.generation)
        return any(turn.model in served.card.thinking_aliases for served in self._stations.catalogue.models)

    def _prepare(self, visitor: Visitor, turn: Turn) -> Job:
        stations, now = self._stations, self._now()
        loop_now = asyncio.get_running_loop().time()
        plan = plan_turn(
            turn,
            visitor.tenant,
            stations.router,
            stations.count_text,
            lambda model: card_prices(model, now, stations.prices).peak,
        )
        check_providers(turn.search, visitor.tenant, stations.searcher.names, "search.providers")
        mode = turn.search.mode or visitor.tenant.search_mode
        never = mode is SearchMode.NEVER
        searches = {} if never else stations.searcher.most_calls(search_options(turn), visitor.tenant)
        evidence = 0 if never else turn.search.evidence_token_budget or DEFAULT_TOKEN_BUDGET
        until = now + max(0.0, visitor.call.deadline - loop_now)
        plan, reserved = held(
            plan, turn, evidence_tokens=evidence, span=(now, until), prices=stations.prices, searches=searches
        )
        receipt = Receipt(
            receipt_id=stations.new_id(),
            tenant=visitor.tenant.name,
            subject=visitor.caller.subject,
            session_id=visitor.call.session_id,
            turn_id=turn.turn_id,
            body_sha256=turn.body_sha256,
            request_id=visitor.call.request_id,
            model=plan.route.card.name,
            reserved=reserved.plus(self._search.held(turn, visitor, mode, (now, until))),
            created=now,
            labels={**visitor.tenant.labels, **turn.labels},
            broken_stream_policy=stations.broken_stream.value,
        )
        return Job(visitor, turn, plan, receipt, begun=time.perf_counter(), route=plan.route, search_mode=mode)

    async def _repeat(self, job: Job, emit: Emit, watch: Watch) -> TurnEnd | None:
        """The end of a turn that was answered before and is told once more; None for one that is to run.

        Raises CallerError for a repeat that is neither.
        """
        receipt = job.receipt
        standing = await self._stations.ledger.find(receipt.tenant, receipt.session_id, receipt.turn_id)
        if standing is None:
            return None
        is_same = standing.body_sha256 == job.turn.body_sha256
        if is_same and standing.may_run_again:
            # It failed before it said or cost anything: the same turn, the same receipt, another try.
            # The reservation of the first try is settled for good, so another try needs one of its own.
            job.receipt = replace(
                receipt,
                receipt_id=standing.receipt_id,
                attempts=standing.attempts,
                reservation_id=self._stations.new_id(),
            )
            job.again = True
            return None
        if is_same and standing.finish is Finish.STOP:
            async with watch:
                end = await self._recall.retold(job, standing, emit)
            if end is not None:
                return end
        raise repeated(standing, job.turn)

    async def _reserve(self, job: Job) -> None:
        reserved, tenant = job.receipt.reserved, job.visitor.tenant
        hold = Hold(reserved.prompt_tokens + reserved.completion_tokens, reserved.cost_nano_usd)
        job.reservation = await self._stations.limiter.reserve(
            job.receipt.reservation_id or job.receipt.receipt_id,
            tenant.name,
            tenant.limits,
            hold,
            scopes_of(job.visitor, job.receipt.model),
        )
        self._stations.observer.began()

    async def _open(self, job: Job) -> None:
        # From here on the receipt may stand: a caller who leaves during the next line has it closed all the same.
        job.opened = True
        # Books and audit are written side by side: one wait for both.
        job.entry = self._stations.audit.intend(turn_intent(job))
        try:
            standing = await self._enter(job)
        except OperatorError:
            job.opened = False
            raise
        if standing is not None:
            job.opened = False
            raise repeated(standing, job.turn)
        self._checkpoints.add(job)

    async def _enter(self, job: Job) -> Receipt | None:
        """Opens the receipt; the standing one of its turn, if there is one."""
        opening = self._stations.ledger.open(job.receipt)
        if not job.again:
            return await opening
        # Others may try the same turn again, under the same id: who leaves must not close theirs.
        task = job.opening = asyncio.ensure_future(opening)
        return await asyncio.shield(task)

    # --- the answer -------------------------------------------------------------------------------------

    async def _answer(self, job: Job, emit: Emit, watch: Watch) -> None:
        if job.turn.timeout_s is not None:
            watch.shorten(job.turn.timeout_s)
        slots, route = self._stations.slots, job.route
        await emit(
            Accepted(job.receipt.receipt_id, *slots.outlook(route.upstream, route.card.name, job.receipt.tenant))
        )
        for notice in job.plan.notices:
            await emit(notice)
        if job.search_mode is not SearchMode.NEVER or job.visitor.tenant.audit is AuditMode.STRICT:
            await written_down(job)
        await self._search.search(job, emit)
        # The intent is on its way to the disk while the prompt is made; no model is called before it is there.
        await self._answering.answer(job, emit)
        await written_down(job)
