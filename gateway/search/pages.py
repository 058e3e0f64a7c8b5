"""Pages read whole: the best ones of a search, and the one document of `Search.Extract`."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.errors import Reason, UpstreamError, invalid
from gateway.domain.events import Source
from gateway.domain.extraction import Extraction
from gateway.search.best_passages import best_passages
from gateway.search.cleaning import clean
from gateway.search.egress import DeniedUrlError
from gateway.search.fetch import FetchFailedError, FetchLimits, GuardedFetcher
from gateway.search.fresh import FreshCache
from gateway.search.fuse import with_passage
from gateway.search.injection import flags
from gateway.search.outline import UnreadableFileError
from gateway.search.reader import READ_S, DocumentReader
from gateway.search.reader_frames import KINDS

MAX_PAGES = 5
PAGES_S = 3.0
TTL_S = 300.0
EXTRACT = FetchLimits(max_bytes=4 * 1024 * 1024, time_s=10.0)
EXTRACT_READ_S = 8.0
NOT_READ = "the document could not be read; check its address, or send its bytes as content"


class Pages:
    """Keeps the promise of `Extractor`, and gives the sources of a search their pages."""

    def __init__(self, fetcher: GuardedFetcher, reader: DocumentReader) -> None:
        self._fetcher = fetcher
        self._reader = reader
        self._read_lately: FreshCache[Extraction] = FreshCache(lambda page: 2_000 + len(page.text))

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

    async def deepen(
        self, sources: Sequence[Source], question: str, within_s: float, tenant: str
    ) -> tuple[Source, ...]:
        """The sources, the first five of the web with what their pages say of the question.

        A page that cannot be read, or not in time, leaves its source as the search found it.
        """
        chosen = [place for place, source in enumerate(sources) if re.match("https?:", source.url)][:MAX_PAGES]
        reading = [asyncio.ensure_future(self._read(sources[place], question, tenant)) for place in chosen]
        try:
            if reading:
                await asyncio.wait(reading, timeout=max(0.0, min(PAGES_S, within_s)))
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        deep = list(sources)
        for place, task in zip(chosen, reading, strict=True):
            if not task.cancelled():
                deep[place] = task.result()
        return tuple(deep)

    async def _page(self, url: str) -> Extraction:
        found = await self._fetcher.fetch(url)
        return await self._reader.read(found.content, found.mime_type, found.charset, READ_S)

    async def _read(self, source: Source, question: str, tenant: str) -> Source:
        try:
            page, _ = await self._read_lately.get((tenant, source.url), TTL_S, lambda: self._page(source.url))
        except (DeniedUrlError, FetchFailedError, UnreadableFileError):
            return source
        raw = best_passages(page.text, question)
        passage = clean(raw)
        if not passage:
            return source
        known = dict.fromkeys((*source.flags, *flags(raw, passage)))
        published = source.published if source.published is not None else page.published
        return with_passage(replace(source, flags=tuple(known), published=published), passage)
