"""One document read for a caller: it counts as a request of the tenant's, and costs nothing else."""

from collections.abc import Callable

from gateway.domain.call import Visitor
from gateway.domain.extraction import Extraction
from gateway.limits import Hold, Limiter
from gateway.pipeline.scopes import scopes_of
from gateway.search import Extractor

FREE = Hold(0, 0)


class Extracting:
    """Reads documents within the limits of whoever asks."""

    def __init__(self, extractor: Extractor, limiter: Limiter, new_id: Callable[[], str]) -> None:
        self._extractor = extractor
        self._limiter = limiter
        self._new_id = new_id

    async def extract(self, visitor: Visitor, url: str, content: bytes, mime_type: str) -> Extraction:
        """The document at `url`, or else in `content`. Raises CallerError, LimitError, UpstreamError."""
        tenant = visitor.tenant
        reservation = await self._limiter.reserve(
            self._new_id(), tenant.name, tenant.limits, FREE, scopes_of(visitor)
        )
        try:
            if url:
                return await self._extractor.extract_url(url)
            return await self._extractor.extract_content(content, mime_type)
        finally:
            await self._limiter.settle(reservation, FREE)
