"""A vendor's HTTP API as a search provider: what all of them have in common, beside the shape of each.

It turns pages until there is enough, keeps the vendor's standing and translates every failure. A hit is passed on
only with a web address: nothing a vendor says can pose as a file or a document of the embedded index.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from gateway.domain.errors import OperatorError, Reason, UpstreamError
from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.exchange import MalformedReplyError, Page, VendorReply, VendorRequest
from gateway.search.standing import Outcome, Standing, outcome_of, retry_after_s
from gateway.search.urls import is_web

MAX_PAGES = 5
MAX_TEXT = 60_000
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_log = logging.getLogger("gateway.search")


class VendorUnavailableError(Exception):
    """A reply that is well formed and says that the vendor failed; the message is for people and has no secret."""


class Shape(Protocol):
    """One vendor's requests and replies; nothing in it waits or keeps state."""

    name: str
    max_terms: int
    page_size: int
    pages: bool
    filters: frozenset[str]

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """The request for one page of hits."""
        ...

    def read(self, reply: VendorReply) -> list[Hit]:
        """The hits of a reply with status 200. Raises MalformedReplyError, VendorUnavailableError."""
        ...


class Vendor:
    """Keeps the promise of `SearchProvider` over one shape."""

    def __init__(
        self, shape: Shape, options: ProviderOptions, shared: Shared, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shape = shape
        self._timeout_s = options.timeout_s
        self._exchange = shared.exchange
        self._clock = clock
        self._standing = Standing()
        self._closed = False

    @property
    def name(self) -> str:
        """The file's own."""
        return self._shape.name

    def unsupported(self, query: SearchQuery) -> tuple[str, ...]:
        """Which wishes of the query the vendor cannot be told."""
        wishes = {
            "dates": query.not_before is not None or query.not_after is not None,
            "domains": bool(query.only_domains or query.skip_domains),
            "locale": bool(query.locale),
        }
        return tuple(name for name, wished in wishes.items() if wished and name not in self._shape.filters)

    def calls_for(self, results: int) -> int:
        """One for each page that is turned."""
        pages = -(-results // self._shape.page_size) if self._shape.pages else 1
        return min(max(pages, 1), MAX_PAGES)

    async def search(self, query: SearchQuery) -> list[Hit]:
        """At most `max_results` hits, best first. Raises UpstreamError(ENRICHMENT_FAILED)."""
        if self._closed:
            raise _failed(f"{self.name} is closed; the gateway is stopping")
        if query.max_results < 1 or not re.search(r"\w", query.terms):
            return []
        hits: dict[str, Hit] = {}
        for page in range(self.calls_for(query.max_results)):
            wanted = min(self._shape.page_size, query.max_results - len(hits))
            found = await self._call(query, self._shape.page_size if page else wanted, page)
            before = len(hits)
            for hit in found:
                hits.setdefault(hit.url, hit)
            if len(found) < wanted or len(hits) == before or len(hits) >= query.max_results:
                break
        best = list(hits.values())[: query.max_results]
        return [replace(hit, score=1 / place) for place, hit in enumerate(best, start=1)]

    async def aclose(self) -> None:
        """No more calls; the connections belong to all vendors together."""
        self._closed = True

    async def _call(self, query: SearchQuery, count: int, page: int) -> list[Hit]:
        refusal = self._standing.refusal(self._clock())
        if refusal:
            raise _failed(refusal)
        try:
            reply = await self._exchange.send(
                self._shape.request(query, Page(page, count, time.time())), self._timeout_s
            )
            return self._read(reply)
        except asyncio.CancelledError:
            self._standing.forget()
            raise
        except UpstreamError as error:
            if error.facts.get("search") != "noted":
                self._standing.note(
                    Outcome.FAILED, self._clock(), why=f"{self.name} keeps failing; it is left out"
                )
            raise

    def _read(self, reply: VendorReply) -> list[Hit]:
        outcome = outcome_of(reply.status)
        if outcome is Outcome.OK:
            hits = self._hits(reply)
            self._standing.note(Outcome.OK, self._clock())
            return hits
        why = {
            Outcome.REFUSED: f"{self.name} refuses the key (HTTP {reply.status}); check its key and balance",
            Outcome.TOO_MANY: f"{self.name} has had too many requests",
            Outcome.OUR_FAULT: f"{self.name} did not understand the request (HTTP {reply.status})",
        }.get(outcome, f"{self.name} failed (HTTP {reply.status})")
        wait = retry_after_s(reply.retry_after)
        self._standing.note(outcome, self._clock(), why=why, retry_after_s=wait)
        if outcome is Outcome.REFUSED:
            _log.error("search provider switched off until the configuration changes: %s", why)
        raise _failed(why, noted=True)

    def _hits(self, reply: VendorReply) -> list[Hit]:
        try:
            return [_bounded(hit) for hit in self._shape.read(reply) if is_web(hit.url)]
        except MalformedReplyError:
            raise _failed(f"{self.name} sent a reply of another shape than documented") from None
        except VendorUnavailableError as error:
            raise _failed(f"{self.name}: {error}") from None


def need_key(options: ProviderOptions, name: str) -> None:
    """Raises OperatorError where there is no key, or one that no header may carry."""
    variable = f"GATEWAY_SEARCH_{name.upper()}_KEY"
    if not options.key:
        raise OperatorError(Reason.ENRICHMENT_FAILED, f"the search provider {name} needs a key: set {variable}")
    check_key(options, name)


def check_key(options: ProviderOptions, name: str) -> None:
    """Raises OperatorError for a key that no header may carry."""
    if not (options.key.isascii() and options.key.isprintable()):
        variable = f"GATEWAY_SEARCH_{name.upper()}_KEY"
        raise OperatorError(Reason.ENRICHMENT_FAILED, f"{variable} holds characters that no HTTP header may carry")


def need_url(options: ProviderOptions, name: str) -> str:
    """The configured address. Raises OperatorError where there is none."""
    if not options.url:
        variable = f"GATEWAY_SEARCH_{name.upper()}_URL"
        raise OperatorError(
            Reason.ENRICHMENT_FAILED, f"the search provider {name} needs an address: set {variable}"
        )
    return options.url.rstrip("/")


def _bounded(hit: Hit) -> Hit:
    """A page may call itself anything; what is kept of it has a size, a title and something to read."""
    snippet, passage = hit.snippet[:MAX_TEXT].strip(), hit.passage[:MAX_TEXT].strip()
    title = hit.title[:1_000].strip() or (urlsplit(hit.url).hostname or "")
    return replace(
        hit, title=title, snippet=snippet or passage[:600] or title, passage=passage or snippet or title
    )


def _failed(message: str, *, noted: bool = False) -> UpstreamError:
    facts = {"search": "noted"} if noted else None
    return UpstreamError(Reason.ENRICHMENT_FAILED, message, facts=facts, retry_after_s=1.0)
