"""The enrichment step: decide, ask every provider at once under one clock, fuse, fence.

A provider that fails or is late is cut and named; the answer goes on without it, unless the caller required it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from gateway.domain.errors import CallerError, FieldViolation, Reason, UpstreamError
from gateway.domain.events import SearchEvent, SearchStatus, Source
from gateway.domain.tenant import Tenant
from gateway.domain.text import terms
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search import Findings, Hit, Question, SearchProvider, SearchQuery
from gateway.search.decide import decide
from gateway.search.evidence import DEFAULT_TOKEN_BUDGET, fence, within_budget
from gateway.search.fresh import FreshCache
from gateway.search.fuse import ProviderHits, Wanted, fuse

DEFAULT_MAX_RESULTS = 5
TTL_S, FRESH_TTL_S = 300.0, 60.0
"""How long a list of hits is found again; a question about what is new wants a newer one."""
UNCACHED = frozenset({"embedded"})
"""The index is faster than any cache, and changes when its operator says so."""
RELEVANT_SHARE = 0.34
"""A source that holds less than a third of the question's words is no evidence when nobody asked for a search."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    provider: str
    status: SearchStatus
    hits: Sequence[Hit] = ()
    took_s: float = 0.0
    detail: str = ""
    from_cache: bool = False


class PageReading(Protocol):
    """Puts what pages say in the place of what a search engine says of them."""

    async def deepen(
        self, sources: Sequence[Source], question: str, within_s: float, tenant: str
    ) -> tuple[Source, ...]:
        """The sources, in the same order; one whose page cannot be read stays as it was."""
        ...


class Enricher:
    """Searches; between turns it keeps what was found on the web for some minutes, per tenant."""

    def __init__(
        self,
        providers: Mapping[str, SearchProvider],
        timeout_s: float,
        marker: Callable[[], str] = lambda: secrets.token_hex(8),
        now: Callable[[], float] = time.time,
        pages: PageReading | None = None,
    ) -> None:
        """`providers` in order of preference, by name; `timeout_s` is the default slice of a turn."""
        self._pages = pages
        self._found: FreshCache[Sequence[Hit]] = FreshCache(_weight)
        self._providers = dict(providers)
        self._timeout_s = timeout_s
        self._marker = marker
        self._now = now

    @property
    def one_call_each(self) -> Mapping[str, int]:
        """The most calls that one search makes, by provider."""
        return dict.fromkeys(self._providers, 1)

    async def enrich(self, question: Question, tenant: Tenant) -> Findings:
        """The evidence for one question.

        Raises CallerError for an unknown provider, UpstreamError(ENRICHMENT_FAILED) when a required search failed.
        """
        options = question.options
        names = self._chosen(options)
        decision = decide(question.text, question.mode, question.previous)
        if not decision.search:
            return Findings()
        begun = time.perf_counter()
        allowed = [name for name in names if tenant.may_search_with(name)][: options.max_calls or None]
        query = self._query(decision.query, options, tenant)
        ttl_s = FRESH_TTL_S if decision.reason == "fresh" else TTL_S
        within_s = min(options.timeout_s or self._timeout_s, question.within_s)
        outcomes = await asyncio.gather(*(self._ask(name, query, within_s, ttl_s) for name in allowed))
        denied = [
            _Outcome(name, SearchStatus.SKIPPED, detail="not allowed for this tenant")
            for name in options.providers
            if name not in allowed
        ]
        if options.required and not any(outcome.status is SearchStatus.OK for outcome in outcomes):
            raise UpstreamError(
                Reason.ENRICHMENT_FAILED,
                "no search provider answered, and this turn requires a search",
                retry_after_s=1.0,
            )
        sources = self._fused(question, query, outcomes)
        if options.pages and self._pages is not None and sources:
            left = question.within_s - (time.perf_counter() - begun)
            sources = await self._pages.deepen(sources, decision.query, left, tenant.name)
        return self._findings(question, query, sources, [*outcomes, *denied])

    def _chosen(self, options: SearchOptions) -> list[str]:
        unknown = [name for name in options.providers if name not in self._providers]
        if unknown:
            raise CallerError(
                Reason.INVALID_REQUEST,
                f"search.providers: {unknown[0][:64]!r} is none of {', '.join(self._providers)}",
                fields=(FieldViolation("search.providers", f"use some of {', '.join(self._providers)}"),),
            )
        return list(dict.fromkeys(options.providers or self._providers))

    def _query(self, wanted: str, options: SearchOptions, tenant: Tenant) -> SearchQuery:
        return SearchQuery(
            terms=wanted,
            max_results=options.max_results or DEFAULT_MAX_RESULTS,
            tenant=tenant.name,
            only_domains=options.only_domains,
            skip_domains=options.skip_domains,
            not_before=options.not_before,
            not_after=options.not_after,
            locale=options.locale,
        )

    async def _ask(self, name: str, query: SearchQuery, within_s: float, ttl_s: float) -> _Outcome:
        begun = time.perf_counter()
        provider, from_cache = self._providers[name], False
        try:
            async with asyncio.timeout(within_s):
                if name in UNCACHED:
                    hits: Sequence[Hit] = await provider.search(query)
                else:
                    hits, from_cache = await self._found.get((name, query), ttl_s, lambda: provider.search(query))
        except TimeoutError:
            return _Outcome(name, SearchStatus.FAILED, (), within_s, "timeout")
        except UpstreamError as error:
            return _Outcome(name, SearchStatus.FAILED, (), time.perf_counter() - begun, error.message)
        dropped = ", ".join(provider.unsupported(query))
        detail = f"not filtered by the provider, only here: {dropped}" if dropped else ""
        return _Outcome(name, SearchStatus.OK, hits, time.perf_counter() - begun, detail, from_cache)

    def _fused(self, question: Question, query: SearchQuery, outcomes: Sequence[_Outcome]) -> tuple[Source, ...]:
        options = question.options
        wanted = Wanted(options.only_domains, options.skip_domains, options.not_before, options.not_after)
        lists = [ProviderHits(outcome.provider, outcome.hits) for outcome in outcomes if outcome.hits]
        fused = fuse(lists, query.max_results, wanted)
        return relevant(query.terms, fused) if question.mode is SearchMode.AUTO else fused

    def _findings(
        self, question: Question, query: SearchQuery, fused: Sequence[Source], outcomes: Sequence[_Outcome]
    ) -> Findings:
        budget = question.options.evidence_token_budget or DEFAULT_TOKEN_BUDGET
        sources = within_budget(fused, budget, question.text)
        events = tuple(
            SearchEvent(
                provider=outcome.provider,
                query=query.terms,
                status=outcome.status,
                # A page that several providers found is listed once, with the first of them.
                sources=tuple(s for s in sources if s.provider.split(",")[0].strip() == outcome.provider),
                took_s=outcome.took_s,
                from_cache=outcome.from_cache,
                detail=outcome.detail,
            )
            for outcome in outcomes
        )
        paid = {outcome.provider: 1 for outcome in outcomes if outcome.hits and not outcome.from_cache}
        if not sources:
            return Findings(events, paid=paid)
        today = datetime.fromtimestamp(self._now(), UTC).date().isoformat()
        marker = self._marker()
        return Findings(events, sources, fence(question.text, sources, marker, today), marker, paid)


def relevant(question: str, sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources that hold at least a third of the question's words, in their title or passage."""
    asked = set(terms(question))
    if not asked:
        return tuple(sources)
    return tuple(
        source
        for source in sources
        if len(asked & set(terms(f"{source.title}\n{source.passage}"))) >= RELEVANT_SHARE * len(asked)
    )


def _weight(hits: Sequence[Hit]) -> int:
    """Characters, and something for each object."""
    return 500 + sum(500 + len(hit.url) + len(hit.title) + len(hit.snippet) + len(hit.passage) for hit in hits)
