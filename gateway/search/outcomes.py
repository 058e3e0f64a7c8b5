"""What became of each call of a search, and what the search found altogether; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from gateway.domain.events import SearchEvent, SearchStatus, Source
from gateway.domain.text import terms
from gateway.domain.turn import SearchOptions
from gateway.search import Hit
from gateway.search.cleaning import clean_url
from gateway.search.fuse import ProviderHits, Wanted, fuse
from gateway.search.urls import canonical_url

RELEVANT_SHARE = 0.34
"""A source that holds less than a third of the question's words is no evidence when nobody asked for a search."""
NOT_ALLOWED = "not allowed for this tenant"
NO_CALL_LEFT = "the calls that this turn allows went to other providers"
PAGES = "pages"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call to one provider, however it ended; `paid` counts the vendor's calls that brought something."""

    provider: str
    query: str
    status: SearchStatus
    hits: Sequence[Hit] = ()
    took_s: float = 0.0
    detail: str = ""
    from_cache: bool = False
    paid: int = 0

    def event(self, sources: Sequence[Source] = ()) -> SearchEvent:
        """What a caller is told of it."""
        return SearchEvent(
            provider=self.provider,
            query=self.query,
            status=self.status,
            sources=tuple(sources),
            took_s=self.took_s,
            from_cache=self.from_cache,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True)
class PagesRead:
    """The sources with what their pages say; `unread` of the `tried` pages could not be read, `paid` by vendor."""

    sources: tuple[Source, ...]
    tried: int = 0
    unread: int = 0
    paid: Mapping[str, int] | None = None
    took_s: float = 0.0

    def events(self, query: str) -> tuple[SearchEvent, ...]:
        """What a caller is told of the reading, if any was tried. It never says why a page could not be read."""
        if not self.tried:
            return ()
        status = SearchStatus.FAILED if self.unread == self.tried else SearchStatus.OK
        detail = f"{self.unread} of {self.tried} pages could not be read; their search results stand"
        return (SearchEvent(PAGES, query, status, (), self.took_s, detail=detail if self.unread else ""),)


def fused(
    outcomes: Sequence[Outcome], options: SearchOptions, max_results: int, *, only_relevant_to: Sequence[str] = ()
) -> tuple[Source, ...]:
    """The sources of all calls, best first; those that have little to do with any of the queries are left out."""
    wanted = Wanted(options.only_domains, options.skip_domains, options.not_before, options.not_after)
    by_provider: dict[str, list[Sequence[Hit]]] = {}
    for outcome in outcomes:
        by_provider.setdefault(outcome.provider, []).append(outcome.hits)
    lists = [ProviderHits(name, _interleaved(found)) for name, found in by_provider.items()]
    found = fuse(lists, max_results, wanted)
    return relevant(only_relevant_to, found) if only_relevant_to else found


def events(outcomes: Sequence[Outcome], sources: Sequence[Source]) -> list[SearchEvent]:
    """One event for each call. A page that several calls found is listed once, with the first of them."""
    kept: list[list[Source]] = [[] for _ in outcomes]
    addresses = [{canonical_url(clean_url(hit.url)) for hit in outcome.hits} for outcome in outcomes]
    for source in sources:
        name = source.provider.split(",")[0].strip()
        own = [place for place, outcome in enumerate(outcomes) if outcome.provider == name]
        holding = [place for place in own if canonical_url(source.url) in addresses[place]]
        kept[(holding or own)[0]].append(source)
    return [outcome.event(found) for outcome, found in zip(outcomes, kept, strict=True)]


def paid_calls(outcomes: Iterable[Outcome], pages: Mapping[str, int] | None) -> dict[str, int]:
    """How many calls are paid for, by provider."""
    paid = dict(pages or {})
    for outcome in outcomes:
        if outcome.paid:
            paid[outcome.provider] = paid.get(outcome.provider, 0) + outcome.paid
    return paid


def relevant(queries: Sequence[str], sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources that hold at least a third of the words of one of the queries, in their title or passage."""
    asked = [words for query in queries if (words := set(terms(query)))]
    if not asked:
        return tuple(sources)
    return tuple(source for source in sources if any(_has_to_do_with(source, words) for words in asked))


def _has_to_do_with(source: Source, asked: set[str]) -> bool:
    return len(asked & set(terms(f"{source.title}\n{source.passage}"))) >= RELEVANT_SHARE * len(asked)


def _interleaved(lists: Sequence[Sequence[Hit]]) -> list[Hit]:
    """What one provider found for several queries, as one list: the first of each, then the second of each …"""
    return [hit for turn in zip_longest(*lists) for hit in turn if hit is not None]
