"""The enrichment step: decide, ask every provider at once under one clock, fuse, read pages, fence.

A provider that fails or is late is cut and named; the answer goes on without it, unless the caller required it.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from gateway.domain.errors import CallerError, FieldViolation, Reason, UpstreamError
from gateway.domain.events import SearchStatus, Source
from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search import Findings, Hit, Question, SearchProvider, SearchQuery, Tell, nobody
from gateway.search.asking import Asking, Clock
from gateway.search.calls import MAX_QUERIES, Asked, CallsFor, most_calls, planned
from gateway.search.decide import Decision, decide
from gateway.search.evidence import DEFAULT_TOKEN_BUDGET, fence, within_budget
from gateway.search.fresh import FreshCache
from gateway.search.outcomes import NO_CALL_LEFT, NOT_ALLOWED, PAGES, Outcome, PagesRead, events, fused, paid_calls

DEFAULT_MAX_RESULTS = 5
FRESH_SHARE = 0.2
"""Of the time for which hits are found again, what a question about something new gives them."""


class PageReading(Protocol):
    """Puts what pages say in the place of what a search engine says of them."""

    @property
    def most_calls(self) -> Mapping[str, int]:
        """The most pages that one search pays for, by the name they are paid under."""
        ...

    async def deepen(
        self, sources: Sequence[Source], question: str, within_s: float, tenant: str, max_paid: int
    ) -> PagesRead:
        """The sources, in the same order; one whose page cannot be read stays as it was."""
        ...


@dataclass(frozen=True, slots=True)
class Search:
    """One search, decided: its queries, what is asked of whom, and what is not."""

    queries: Sequence[str]
    reason: str
    asked: Sequence[Asked]
    skipped: Sequence[Outcome]


class Enricher:
    """Searches; between turns it keeps what was found on the web for some minutes, per tenant."""

    def __init__(
        self,
        providers: Mapping[str, SearchProvider],
        timeout_s: float,
        marker: Callable[[], str] = lambda: secrets.token_hex(8),
        now: Callable[[], float] = time.time,
        pages: PageReading | None = None,
        *,
        found: FreshCache[Sequence[Hit]] | None = None,
        ttl_s: float = 300.0,
        decide_model: str = "",
    ) -> None:
        """`providers` in order of preference, by name; `timeout_s` is the default slice of a turn.

        `found` keeps hits between turns, for `ttl_s` seconds.
        """
        self._pages = pages
        self._providers = dict(providers)
        self._asking = Asking(self._providers, found or FreshCache(weight_of_hits))
        self._timeout_s = timeout_s
        self._ttl_s = ttl_s
        self._decide_model = decide_model
        self._marker = marker
        self._now = now

    @property
    def names(self) -> Collection[str]:
        """The providers there are, in order of preference."""
        return self._providers.keys()

    @property
    def decide_model(self) -> str:
        """The model that the operator chose to decide about searches; empty for the default model."""
        return self._decide_model

    def most_calls(self, options: SearchOptions, tenant: Tenant) -> Mapping[str, int]:
        """The most paid calls that one search with these options makes, by provider."""
        queries = MAX_QUERIES if tenant.search_by_model else 1
        results = options.max_results or DEFAULT_MAX_RESULTS
        most = most_calls(self._allowed(self._chosen(options), tenant), queries, results, options.max_calls)
        if options.pages and self._pages is not None:
            left = _left(options, sum(most.values()))
            most.update({name: min(pages, left) for name, pages in self._pages.most_calls.items()})
        return most

    def slice_s(self, options: SearchOptions, within_s: float) -> float:
        """The caller's own time for the search, or the gateway's, and never more than the turn has left."""
        return max(0.0, min(options.timeout_s or self._timeout_s, within_s))

    async def enrich(self, question: Question, tenant: Tenant, tell: Tell = nobody) -> Findings:
        """The evidence for one question; `tell` hears what begins and what fails, the findings hold how all ended.

        Raises CallerError for an unknown provider, UpstreamError(ENRICHMENT_FAILED) when a required search failed.
        """
        search = self._decided(question, tenant)
        if search is None:
            return Findings()
        begun, options = asyncio.get_running_loop().time(), question.options
        for skipped in search.skipped:
            await tell(skipped.event())
        ttl_s = self._ttl_s * (FRESH_SHARE if search.reason == "fresh" else 1.0)
        clock = Clock(begun + self.slice_s(options, question.within_s), ttl_s, question.cached_only)
        outcomes = await self._asking.ask(search.asked, self._query(options, tenant), clock, tell)
        if options.required and not any(outcome.status is SearchStatus.OK for outcome in outcomes):
            raise UpstreamError(
                Reason.ENRICHMENT_FAILED,
                "no search provider answered, and this turn requires a search",
                retry_after_s=1.0,
            )
        left_s = begun + question.within_s - asyncio.get_running_loop().time()
        read = await self._read(question, search, outcomes, left_s, tenant)
        findings = self._findings(question, search, outcomes, read)
        for event in findings.events:
            if event.status is SearchStatus.OK or event.provider == PAGES:
                await tell(event)
        return findings

    def _decided(self, question: Question, tenant: Tenant) -> Search | None:
        options, wording = question.options, question.wording
        names = self._chosen(options)
        decision = decide(question.text, question.mode, question.previous)
        queries: Sequence[str] = (decision.query,)
        if wording is not None and question.mode is SearchMode.AUTO:
            decision, queries = Decision(wording.search, "", decision.reason), wording.queries
        if not decision.search:
            return None
        allowed, results = self._allowed(names, tenant), options.max_results or DEFAULT_MAX_RESULTS
        asked, without = planned(allowed, queries, results, options.max_calls)
        denied = [name for name in options.providers if name not in allowed]
        skipped = [Outcome(name, queries[0], SearchStatus.SKIPPED, detail=NOT_ALLOWED) for name in denied]
        skipped += [Outcome(name, queries[0], SearchStatus.SKIPPED, detail=NO_CALL_LEFT) for name in without]
        return Search(queries, decision.reason, asked, skipped)

    def _allowed(self, names: Sequence[str], tenant: Tenant) -> dict[str, CallsFor]:
        return {name: self._providers[name].calls_for for name in names if tenant.may_search_with(name)}

    def _chosen(self, options: SearchOptions) -> list[str]:
        unknown = [name for name in options.providers if name not in self._providers]
        if unknown:
            raise CallerError(
                Reason.INVALID_REQUEST,
                f"search.providers: {unknown[0][:64]!r} is none of {', '.join(self._providers)}",
                fields=(FieldViolation("search.providers", f"use some of {', '.join(self._providers)}"),),
            )
        return list(dict.fromkeys(options.providers or self._providers))

    def _query(self, options: SearchOptions, tenant: Tenant) -> SearchQuery:
        """What every call has in common; its words and how many results it wants come with the call."""
        return SearchQuery(
            terms="",
            max_results=0,
            tenant=tenant.name,
            only_domains=options.only_domains,
            skip_domains=options.skip_domains,
            not_before=options.not_before,
            not_after=options.not_after,
            locale=options.locale,
        )

    async def _read(
        self, question: Question, search: Search, outcomes: Sequence[Outcome], left_s: float, tenant: Tenant
    ) -> PagesRead:
        options, auto = question.options, question.mode is SearchMode.AUTO
        results = options.max_results or DEFAULT_MAX_RESULTS
        sources = fused(outcomes, options, results, only_relevant_to=search.queries if auto else ())
        if question.cached_only or not (options.pages and self._pages and sources):
            return PagesRead(sources)
        begun = time.perf_counter()
        left = _left(options, sum(one.calls for one in search.asked))
        read = await self._pages.deepen(sources, search.queries[0], left_s, tenant.name, left)
        return replace(read, took_s=time.perf_counter() - begun)

    def _findings(
        self, question: Question, search: Search, outcomes: Sequence[Outcome], read: PagesRead
    ) -> Findings:
        budget = question.options.evidence_token_budget or DEFAULT_TOKEN_BUDGET
        sources = within_budget(read.sources, budget, question.text)
        told = (
            *events(outcomes, sources),
            *read.events(search.queries[0]),
            *(skipped.event() for skipped in search.skipped),
        )
        paid = paid_calls(outcomes, read.paid)
        if not sources:
            return Findings(told, paid=paid)
        today = datetime.fromtimestamp(self._now(), UTC).date().isoformat()
        marker = self._marker()
        return Findings(told, sources, fence(question.text, sources, marker, today), marker, paid)


def _left(options: SearchOptions, calls: int) -> int:
    """How many paid calls a turn may still make after `calls` of them."""
    return max(0, options.max_calls - calls) if options.max_calls else sys.maxsize


def weight_of_hits(hits: Sequence[Hit]) -> int:
    """How much of a memory a list of hits takes: characters, and something for each object."""
    return 500 + sum(500 + len(hit.url) + len(hit.title) + len(hit.snippet) + len(hit.passage) for hit in hits)
