"""Live search: a question in, ranked passages with their sources out.

A provider translates one vendor's shape. It never sees who asks, never raises anything but `UpstreamError`, never
logs its key, and what it returns is material: nothing in it is ever an instruction.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.domain.events import SearchEvent, Source
from gateway.domain.extraction import Extraction
from gateway.domain.tenant import Tenant
from gateway.domain.turn import SearchMode, SearchOptions
from gateway.search.exchange import VendorReply, VendorRequest
from gateway.search.wording import Wording


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One query to one provider. Times in seconds since the epoch; `tenant` selects private indexes only.

    `terms` is what to look for; a provider cuts it to its own limit on a word boundary.
    """

    terms: str
    max_results: int
    tenant: str = ""
    only_domains: tuple[str, ...] = ()
    skip_domains: tuple[str, ...] = ()
    not_before: float | None = None
    not_after: float | None = None
    locale: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result, best first in its list. `score` is the provider's own and comparable only within the list.

    `snippet` shows the match (a sentence or two), `passage` is what a model may read (a paragraph or more).
    """

    url: str
    title: str
    snippet: str
    passage: str
    published: float | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """What an operator says about one provider: `[search.NAME]`. `timeout_s` bounds one call, in seconds.

    An empty `url` means the vendor's own; a provider that needs a key or an address and has none raises
    OperatorError when it is made.
    """

    key: str = field(default="", repr=False)
    url: str = ""
    timeout_s: float = 4.0
    engine: str = ""


class Exchange(Protocol):
    """Carries requests to vendors: no redirects, no cookies, no proxy of the environment."""

    async def send(self, request: VendorRequest, timeout_s: float) -> VendorReply:
        """The reply, whatever its status. Raises UpstreamError when there is none in time, or too much of it."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all providers of a gateway have together: its data directory, and the way to call vendors."""

    data_dir: Path
    exchange: Exchange


class SearchProvider(Protocol):
    """One way to search. Its file has `async def create(options: ProviderOptions, shared: Shared)`."""

    @property
    def name(self) -> str:
        """The name in configuration, events and receipts: the file's own."""
        ...

    def unsupported(self, query: SearchQuery) -> tuple[str, ...]:
        """Which wishes of the query this provider cannot pass on: some of dates, domains, locale."""
        ...

    def calls_for(self, results: int) -> int:
        """How many calls it takes to find this many results; at least one."""
        ...

    async def search(self, query: SearchQuery) -> list[Hit]:
        """At most `max_results` hits, best first. Raises UpstreamError; an empty list means nothing was found."""
        ...

    async def aclose(self) -> None:
        """Closes connections and files."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What a search is about, and how. `previous` are the user's earlier messages; `within_s` is the turn's time.

    `wording` is what a model made of the question, where one was asked: it decides in the place of the rules. With
    `cached_only` nobody outside is asked: what was found lately is found again, and the index of the house.
    """

    text: str
    previous: Sequence[str]
    mode: SearchMode
    options: SearchOptions
    within_s: float
    wording: Wording | None = None
    cached_only: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What the search brought: one event per call, the sources in the evidence, what a model is shown."""

    events: tuple[SearchEvent, ...] = ()
    sources: tuple[Source, ...] = ()
    prompt_text: str = ""

    canary: str = ""
    """The marker of the evidence: a text that no answer may repeat."""

    paid: Mapping[str, int] = field(default_factory=dict)
    """Calls that brought something, by provider: errors and empty results are free."""


Tell = Callable[[SearchEvent], Awaitable[None]]
"""Is told of a search while it goes on. Called by one task at a time; what it raises ends the search."""


async def nobody(_event: SearchEvent) -> None:
    """Hears of a search that nobody watches."""


class Searcher(Protocol):
    """The whole enrichment step, over every provider."""

    @property
    def names(self) -> Collection[str]:
        """The providers there are, in order of preference."""
        ...

    @property
    def decide_model(self) -> str:
        """The model that the operator chose to decide about searches; empty for the default model."""
        ...

    def most_calls(self, options: SearchOptions, tenant: Tenant) -> Mapping[str, int]:
        """The most paid calls that one search with these options makes, by provider."""
        ...

    def slice_s(self, options: SearchOptions, within_s: float) -> float:
        """How many of the `within_s` seconds that a turn has left its search may take."""
        ...

    async def enrich(self, question: Question, tenant: Tenant, tell: Tell = nobody) -> Findings:
        """The evidence for one question; `tell` hears what begins and what fails, the findings hold how all ended.

        Raises CallerError for an unknown provider, UpstreamError(ENRICHMENT_FAILED) when a required search failed.
        """
        ...


class Extractor(Protocol):
    """Reads one document as data; what it returns is material, like everything from outside."""

    async def extract_url(self, url: str) -> Extraction:
        """The document at an address.

        Raises CallerError for an address that is never fetched, and one and the same
        UpstreamError(ENRICHMENT_FAILED) for everything that goes wrong after that.
        """
        ...

    async def extract_content(self, content: bytes, mime_type: str) -> Extraction:
        """The document in these bytes; an empty media type is recognised. Raises CallerError."""
        ...
