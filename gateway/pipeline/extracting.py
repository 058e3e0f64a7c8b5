"""One document read for a caller: it counts as a request of the tenant's, and costs nothing else."""

from collections.abc import Callable

from gateway.audit import Audit
from gateway.domain.call import Visitor
from gateway.domain.extraction import Extraction
from gateway.limits import Hold, Limiter
from gateway.pipeline.auditing import CodeOf, audited
from gateway.pipeline.scopes import scopes_of
from gateway.search import Extractor

FREE = Hold(0, 0)


class Extracting:
    """Reads documents within the limits of whoever asks."""

    def __init__(
        self, extractor: Extractor, limiter: Limiter, audit: Audit, code_of: CodeOf, new_id: Callable[[], str]
    ) -> None:
        self._extractor = extractor
        self._limiter = limiter
        self._audit = audit
        self._code_of = code_of
        self._new_id = new_id

    async def extract(
        self, visitor: Visitor, url: str, content: bytes, mime_type: str, body_sha256: bytes
    ) -> Extraction:
        """The document at `url`, or else in `content`; `body_sha256` is the digest of the request.

        Raises CallerError, LimitError, UpstreamError, OperatorError.
        """
        tenant = visitor.tenant
        reservation = await self._limiter.reserve(
            self._new_id(), tenant.name, tenant.limits, FREE, scopes_of(visitor)
        )
        try:
            async with audited(self._audit, visitor, body_sha256, (), self._code_of) as told:
                if url:
                    found = await self._extractor.extract_url(url)
                else:
                    found = await self._extractor.extract_content(content, mime_type)
                told.sources = ((url, found.content_sha256),)
            return found
        finally:
            await self._limiter.settle(reservation, FREE)
