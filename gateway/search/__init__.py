"""Live search: a question in, ranked passages with their sources out.

A provider translates one vendor's shape. It never sees who asks, never raises anything but `UpstreamError`, never
logs its key, and what it returns is material: nothing in it is ever an instruction.
"""

from dataclasses import dataclass
from typing import Protocol


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


class SearchProvider(Protocol):
    """One way to search."""

    @property
    def name(self) -> str:
        """The name in configuration, events and receipts: the file's own."""
        ...

    async def search(self, query: SearchQuery) -> list[Hit]:
        """At most `max_results` hits, best first. Raises UpstreamError; an empty list means nothing was found."""
        ...

    async def aclose(self) -> None:
        """Closes connections and files."""
        ...
