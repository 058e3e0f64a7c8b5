"""Fuses the hit lists of several providers into one numbered list of sources; pure.

Scores of different providers are not comparable, so lists are merged by rank: reciprocal rank fusion (Cormack,
Clarke and Büttcher, SIGIR 2009), score = sum of 1 / (60 + rank) over the lists that hold the page.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.domain.events import Source
from gateway.domain.text import terms
from gateway.search import Hit
from gateway.search.cleaning import clean, clean_line, clean_url
from gateway.search.injection import flags
from gateway.search.urls import canonical_url, host_of, in_domains

RANK_CONSTANT = 60
SAME_TEXT = 0.85
MAX_SNIPPET_CHARS = 600
UNDATED = "undated"


@dataclass(frozen=True, slots=True)
class ProviderHits:
    """What one provider found, best first."""

    provider: str
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which hits may stay; empty and None mean no such wish. Times are seconds since the epoch."""

    only_domains: tuple[str, ...] = ()
    skip_domains: tuple[str, ...] = ()
    not_before: float | None = None
    not_after: float | None = None

    def admits(self, hit: Hit, url: str) -> bool:
        """Whether the hit fulfils the wishes; one without a date stays (`fuse` flags it), for none is known."""
        if self.only_domains and not in_domains(url, self.only_domains):
            return False
        if in_domains(url, self.skip_domains):
            return False
        late = self.not_after is not None and hit.published is not None and hit.published > self.not_after
        early = self.not_before is not None and hit.published is not None and hit.published < self.not_before
        return not (late or early)

    @property
    def dated(self) -> bool:
        """Whether a time span was asked for."""
        return self.not_before is not None or self.not_after is not None


@dataclass(frozen=True, slots=True)
class _Page:
    """One page as the providers found it together."""

    url: str
    providers: tuple[str, ...]
    hit: Hit
    score: float


def fuse(lists: Iterable[ProviderHits], max_results: int, wanted: Wanted | None = None) -> tuple[Source, ...]:
    """At most `max_results` sources S1, S2… best first, cleaned, each page and each text once.

    `provider` names every provider that found the page, with commas; `content_sha256` is the digest of the
    cleaned passage. Hits with an unusable address are dropped.
    """
    wanted = wanted or Wanted()
    pages = sorted(_by_address(lists, wanted).values(), key=lambda page: -page.score)
    unique = sorted(_by_text(pages, max_results), key=lambda page: -page.score)
    return tuple(_source(f"S{n}", page, wanted) for n, page in enumerate(unique, start=1))


def with_passage(source: Source, passage: str) -> Source:
    """The source with another (cleaned) passage, for example the fetched page, and its digest."""
    return replace(source, passage=passage, content_sha256=hashlib.sha256(passage.encode()).digest())


def _by_address(lists: Iterable[ProviderHits], wanted: Wanted) -> dict[str, _Page]:
    pages: dict[str, _Page] = {}
    for found in lists:
        for rank, hit in enumerate(found.hits, start=1):
            url = clean_url(hit.url)
            if not url or not wanted.admits(hit, url):
                continue
            page = _Page(url, (found.provider,), hit, 1 / (RANK_CONSTANT + rank))
            key = canonical_url(url)
            pages[key] = _merged(pages[key], page) if key in pages else page
    return pages


def _by_text(pages: Iterable[_Page], max_results: int) -> list[_Page]:
    kept: list[tuple[_Page, frozenset[str]]] = []
    for page in pages:
        words = frozenset(terms((page.hit.passage or page.hit.snippet)[:1_500]))
        twin = next((n for n, (_, known) in enumerate(kept) if _same(known, words)), None)
        if twin is not None:
            kept[twin] = (_merged(kept[twin][0], page), kept[twin][1])
        elif len(kept) == max_results:
            break
        else:
            kept.append((page, words))
    return [page for page, _ in kept]


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts hold nearly the same words (Jaccard); texts of a few words never count as the same."""
    return min(len(one), len(other)) >= 8 and len(one & other) >= SAME_TEXT * len(one | other)


def _merged(first: _Page, second: _Page) -> _Page:
    """Two findings of a page as one: the address and title that ranked better, the longer texts of the two.

    A list that holds the same page twice is counted once.
    """
    again = set(second.providers) <= set(first.providers)
    hit = replace(
        first.hit,
        title=first.hit.title or second.hit.title,
        snippet=_better(first.hit.snippet, second.hit.snippet),
        passage=_better(first.hit.passage, second.hit.passage),
        published=first.hit.published if first.hit.published is not None else second.hit.published,
    )
    providers = tuple(dict.fromkeys(first.providers + second.providers))
    return _Page(first.url, providers, hit, first.score + (0 if again else second.score))


def _better(first: str, second: str) -> str:
    """The more telling of two texts: the one with more different words; the first when they are about equal."""
    return second if len(set(terms(second[:4_000]))) > 1.2 * len(set(terms(first[:4_000]))) else first


def _source(source_id: str, page: _Page, wanted: Wanted) -> Source:
    hit = page.hit
    passage = clean(hit.passage or hit.snippet)
    title = clean_line(hit.title) or host_of(page.url) or clean_line(page.url.rsplit("/", 1)[-1])
    raw = "\n".join((hit.title, hit.snippet, hit.passage))
    undated = (UNDATED,) if wanted.dated and hit.published is None else ()
    source = Source(
        source_id=source_id,
        url=page.url,
        title=title,
        snippet=clean_line(hit.snippet or hit.passage, MAX_SNIPPET_CHARS),
        provider=",".join(page.providers),
        published=hit.published,
        score=page.score,
        flags=flags(raw, clean(raw)) + undated,
    )
    return with_passage(source, passage)
