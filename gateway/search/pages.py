"""Pages read whole: the best ones of a search, and the one document of `Search.Extract`."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.domain.errors import Reason, UpstreamError, invalid
from gateway.domain.events import Source
from gateway.domain.extraction import Extraction
from gateway.search.asking import together
from gateway.search.best_passages import best_passages
from gateway.search.cleaning import clean
from gateway.search.egress import DeniedUrlError
from gateway.search.fetch import FetchFailedError, FetchLimits, GuardedFetcher
from gateway.search.fresh import FreshCache
from gateway.search.fuse import with_passage
from gateway.search.injection import flags
from gateway.search.outcomes import PagesRead
from gateway.search.outline import UnreadableFileError
from gateway.search.reader import READ_S, DocumentReader
from gateway.search.reader_frames import KINDS

MAX_PAGES = 5
PAGES_S = 3.0
EXTRACT = FetchLimits(max_bytes=4 * 1024 * 1024, time_s=10.0)
EXTRACT_READ_S = 8.0
NOT_READ = "the document could not be read; check its address, or send its bytes as content"
UNREAD = (DeniedUrlError, FetchFailedError, UnreadableFileError)


class PageSource(Protocol):
    """One way to a page of the web."""

    @property
    def paid_as(self) -> str:
        """The name under which a page is paid for; empty for one that costs nothing."""
        ...

    async def page(self, url: str) -> Extraction:
        """The page, read. Raises DeniedUrlError, FetchFailedError, UnreadableFileError, and nothing else."""
        ...


class DirectPages:
    """Pages fetched by the gateway itself, behind its guard."""

    paid_as = ""

    def __init__(self, fetcher: GuardedFetcher, reader: DocumentReader) -> None:
        self._fetcher = fetcher
        self._reader = reader

    async def page(self, url: str) -> Extraction:
        """See `PageSource`."""
        found = await self._fetcher.fetch(url)
        return await self._reader.read(found.content, found.mime_type, found.charset, READ_S)


@dataclass(frozen=True, slots=True)
class Read:
    """A page, and under which name it was paid for, if it was."""

    page: Extraction
    paid_as: str = ""


@dataclass(frozen=True, slots=True)
class _Deep:
    """One source after its page was tried."""

    source: Source
    read: bool = False
    paid_as: str = ""


class Pages:
    """Keeps the promise of `Extractor`, and gives the sources of a search their pages.

    `sources` are tried in their order for each page of a search; `kept` remembers pages for `ttl_s` seconds.
    """

    def __init__(
        self,
        fetcher: GuardedFetcher,
        reader: DocumentReader,
        sources: Sequence[PageSource] = (),
        kept: FreshCache[Read] | None = None,
        ttl_s: float = 300.0,
    ) -> None:
        """Without `sources` pages are fetched from here alone."""
        self._fetcher = fetcher
        self._reader = reader
        self._sources = tuple(sources) or (DirectPages(fetcher, reader),)
        self._kept = kept or FreshCache(weight_of_page)
        self._ttl_s = ttl_s

    async def extract_url(self, url: str) -> Extraction:
        """The document at an address. Raises CallerError for the address, UpstreamError for all the rest."""
        try:
            async with asyncio.timeout(EXTRACT.time_s):
                found = await self._fetcher.fetch(url, EXTRACT)
                return await self._reader.read(found.content, found.mime_type, found.charset, EXTRACT_READ_S)
        except DeniedUrlError as error:
            raise invalid("url", str(error)) from None
        except (FetchFailedError, UnreadableFileError, TimeoutError):
            pass
        raise UpstreamError(Reason.ENRICHMENT_FAILED, NOT_READ)

    async def extract_content(self, content: bytes, mime_type: str) -> Extraction:
        """The document in these bytes. Raises CallerError for what gives no text."""
        if mime_type and mime_type not in KINDS:
            raise invalid("mime_type", f"is none of {', '.join(KINDS)}; leave it empty to have it recognised")
        try:
            return await self._reader.read(content, mime_type, "", EXTRACT_READ_S)
        except UnreadableFileError as error:
            raise invalid("content", str(error)) from None

    @property
    def most_calls(self) -> Mapping[str, int]:
        """The most pages that one search pays for, by the name they are paid under."""
        return {source.paid_as: MAX_PAGES for source in self._sources if source.paid_as}

    async def deepen(
        self, sources: Sequence[Source], question: str, within_s: float, tenant: str, max_paid: int = MAX_PAGES
    ) -> PagesRead:
        """The sources, the first five of the web with what their pages say of the question.

        A page that cannot be read, or not in time, leaves its source as the search found it. At most `max_paid`
        pages are read at a price.
        """
        places = [place for place, source in enumerate(sources) if re.match("https?:", source.url)][:MAX_PAGES]
        due = asyncio.get_running_loop().time() + max(0.0, min(PAGES_S, within_s))
        async with together() as group:
            reading = [
                group.create_task(self._deepened(sources[place], question, tenant, due, paying=number < max_paid))
                for number, place in enumerate(places)
            ]
        deep, found = list(sources), [task.result() for task in reading]
        for place, one in zip(places, found, strict=True):
            deep[place] = one.source
        return PagesRead(
            tuple(deep),
            tried=len(places),
            unread=sum(not one.read for one in found),
            paid=Counter(one.paid_as for one in found if one.paid_as),
        )

    async def _deepened(self, source: Source, question: str, tenant: str, due: float, *, paying: bool) -> _Deep:
        """What goes wrong is one and the same, whatever it was: nobody learns what is open inside."""
        try:
            async with asyncio.timeout_at(due):
                key = (tenant, source.url, paying)
                read, known = await self._kept.get(key, self._ttl_s, lambda: self._page(source.url, paying=paying))
        except (*UNREAD, TimeoutError):
            return _Deep(source)
        raw = best_passages(read.page.text, question)
        passage = clean(raw)
        if not passage:
            return _Deep(source)
        flagged = dict.fromkeys((*source.flags, *flags(raw, passage)))
        published = source.published if source.published is not None else read.page.published
        deep = with_passage(replace(source, flags=tuple(flagged), published=published), passage)
        return _Deep(deep, read=True, paid_as="" if known else read.paid_as)

    async def _page(self, url: str, *, paying: bool) -> Read:
        for source in self._sources:
            if source.paid_as and not paying:
                continue
            try:
                return Read(await source.page(url), source.paid_as)
            except UNREAD:
                continue
        raise FetchFailedError


def weight_of_page(read: Read) -> int:
    """How much of a memory a page takes, in characters."""
    return 2_000 + len(read.page.text)
