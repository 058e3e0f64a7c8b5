"""DeepSeek Fetch (`POST /v1/tools/fetch`): a page read by the vendor, for those that cannot be fetched from here.

The vendor's page of October 2026 gives the fields: an address in, title and content (Markdown) out; failures are
free. An address goes there only when it would be fetched from here as well, so no internal name leaves the house,
and what comes back is read like any other page.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from gateway.domain.errors import UpstreamError
from gateway.domain.extraction import Extraction
from gateway.search import Exchange, ProviderOptions
from gateway.search.cleaning import clean_line
from gateway.search.egress import Egress
from gateway.search.exchange import MalformedReplyError, VendorReply, bearer, json_of, post_json, text
from gateway.search.fetch import FetchFailedError
from gateway.search.reader import READ_S, DocumentReader
from gateway.search.reader_frames import MARKDOWN
from gateway.search.standing import Outcome, Standing, outcome_of, retry_after_s
from gateway.search.vendor import need_key

NAME = "deepseek_fetch"
BASE = "https://api.deepseek.com"
MAX_CONTENT_CHARS = 1_000_000
_log = logging.getLogger("gateway.search")


class DeepSeekFetch:
    """Keeps the promise of `PageSource`."""

    paid_as = NAME

    def __init__(
        self,
        options: ProviderOptions,
        exchange: Exchange,
        egress: Egress,
        reader: DocumentReader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OperatorError without a key."""
        need_key(options, "deepseek")
        base = (options.url or BASE).rstrip("/").removesuffix("/v1")
        self._url = f"{base}/v1/tools/fetch"
        self._headers = bearer(options.key)
        self._timeout_s = options.timeout_s
        self._exchange = exchange
        self._egress = egress
        self._reader = reader
        self._clock = clock
        self._standing = Standing()

    async def page(self, url: str) -> Extraction:
        """The page. Raises DeniedUrlError for an address that is never fetched, else FetchFailedError."""
        address = self._egress.target(url).url
        if self._standing.refusal(self._clock()):
            raise FetchFailedError
        try:
            reply = await self._exchange.send(
                post_json(self._url, {"url": address}, self._headers), self._timeout_s
            )
        except asyncio.CancelledError:
            self._standing.forget()
            raise
        except UpstreamError:
            self._standing.note(Outcome.FAILED, self._clock(), why=NAME)
            raise FetchFailedError from None
        title, content = self._read(reply)
        page = await self._reader.read(content.encode("utf-8", "replace"), MARKDOWN, "utf-8", READ_S)
        return replace(page, title=clean_line(title)) if title else page

    def _read(self, reply: VendorReply) -> tuple[str, str]:
        outcome = outcome_of(reply.status)
        self._standing.note(outcome, self._clock(), why=NAME, retry_after_s=retry_after_s(reply.retry_after))
        if outcome is Outcome.REFUSED:
            _log.error("DeepSeek Fetch refuses the key (HTTP %d); switched off until it changes", reply.status)
        if outcome is not Outcome.OK:
            raise FetchFailedError
        try:
            found = json_of(reply)
        except MalformedReplyError:
            raise FetchFailedError from None
        content = text(found, "content") if isinstance(found, dict) else ""
        if not content or not isinstance(found, dict):
            raise FetchFailedError
        return text(found, "title"), content[:MAX_CONTENT_CHARS]
