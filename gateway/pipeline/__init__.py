"""The order of the stations: plan, reserve, open the books, search, ask the model, settle.

One coroutine per turn, to be read aloud. It pushes events to `emit`, and whatever way a turn ends (answered,
failed, cancelled, abandoned), its upstream is closed first and its books after it, exactly once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.audit import Audit
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
from gateway.domain.events import Accepted, TurnEnd
from gateway.domain.failure import TurnFailed
from gateway.domain.receipt import Receipt
from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions, Turn
from gateway.domain.usage import Usage
from gateway.ledger import Ledger
from gateway.limits import Hold, Limiter
from gateway.limits.billing import BrokenStream
from gateway.limits.estimate import CountText, count_text
from gateway.limits.pricing import PriceBook, card_prices, search_cost
from gateway.models.catalogue import Catalogue
from gateway.pipeline.answering import Answering, Models
from gateway.pipeline.attempt import Patience
from gateway.pipeline.auditing import CodeOf, audited, digests, search_parameters, turn_intent
from gateway.pipeline.job import Job, as_turn_failure, repeated
from gateway.pipeline.outlet import Emit
from gateway.pipeline.plan import Offer, check_providers, held, plan_turn
from gateway.pipeline.scopes import scopes_of
from gateway.pipeline.searching import TurnSearch, search_options
from gateway.pipeline.settling import Books, Settling
from gateway.pipeline.watch import Watch
from gateway.search import Extractor, Findings, Question, Searcher
from gateway.search.evidence import DEFAULT_TOKEN_BUDGET
from gateway.telemetry import TurnObserver


@dataclass(frozen=True, slots=True)
class Stations:
    """Everything a turn passes, by the promise of each station."""

    catalogue: Catalogue
    limiter: Limiter
    ledger: Ledger
    audit: Audit
    code_of: CodeOf
    searcher: Searcher
    extractor: Extractor
    prices: PriceBook
    observer: TurnObserver
    patience: Patience
    broken_stream: BrokenStream
    user_id: Callable[[str], str]
    new_id: Callable[[], str]
    count_text: CountText = count_text


class Pipeline:
    """Answers turns."""

    def __init__(self, stations: Stations, now: Callable[[], float] = time.time) -> None:
        self._stations = stations
        self._now = now
        self._answering = Answering(
            Models(stations.catalogue, stations.prices, stations.patience, stations.user_id)
        )
        self._search = TurnSearch(stations.searcher, stations.count_text)
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
        job = self._prepare(visitor, turn)
        if turn.named:
            await self._refuse_repeat(job)
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
                question = Question(query, (), options.mode or SearchMode.ALWAYS, options, within_s)
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

    def _prepare(self, visitor: Visitor, turn: Turn) -> Job:
        stations, now = self._stations, self._now()
        loop_now = asyncio.get_running_loop().time()
        plan = plan_turn(turn, visitor.tenant, stations.catalogue, stations.count_text)
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
            reserved=reserved,
            created=now,
            labels={**visitor.tenant.labels, **turn.labels},
            broken_stream_policy=stations.broken_stream.value,
        )
        return Job(visitor, turn, plan, receipt, begun=time.perf_counter(), route=plan.route, search_mode=mode)

    async def _refuse_repeat(self, job: Job) -> None:
        receipt = job.receipt
        standing = await self._stations.ledger.find(receipt.tenant, receipt.session_id, receipt.turn_id)
        if standing is None:
            return
        if standing.body_sha256 != job.turn.body_sha256 or not standing.may_run_again:
            raise repeated(standing, job.turn)
        # It failed before it said or cost anything: the same turn, the same receipt, another try.
        job.receipt = replace(receipt, receipt_id=standing.receipt_id, attempts=standing.attempts)
        job.again = True

    async def _reserve(self, job: Job) -> None:
        reserved, tenant = job.receipt.reserved, job.visitor.tenant
        hold = Hold(reserved.prompt_tokens + reserved.completion_tokens, reserved.cost_nano_usd)
        job.reservation = await self._stations.limiter.reserve(
            # The reservation of the first try is settled for good, so another try needs one of its own.
            self._stations.new_id() if job.again else job.receipt.receipt_id,
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
            standing = await self._stations.ledger.open(job.receipt)
        except OperatorError:
            job.opened = False
            raise
        if standing is not None:
            job.opened = False
            raise repeated(standing, job.turn)
        await job.entry.written

    # --- the answer -------------------------------------------------------------------------------------

    async def _answer(self, job: Job, emit: Emit, watch: Watch) -> None:
        if job.turn.timeout_s is not None:
            watch.shorten(job.turn.timeout_s)
        await emit(Accepted(job.receipt.receipt_id))
        for notice in job.plan.notices:
            await emit(notice)
        await self._search.search(job, emit)
        await self._answering.answer(job, emit)
