"""`gateway.v1.Search`: the enrichment step alone."""

from gateway.domain.call import Visitor
from gateway.domain.errors import CallerError, Reason
from gateway.pipeline import Pipeline
from gateway.server import frames
from gateway.server.checks import Checks
from gateway.server.door import Context
from gateway.server.requests import read_search
from gateway.v1 import search_pb2


class Search:
    """Searches without a model."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def query(
        self, visitor: Visitor, request: search_pb2.SearchRequest, _context: Context
    ) -> search_pb2.SearchReply:
        """What was asked of which provider, the sources, and exactly what a model would be shown."""
        checks = Checks()
        options = read_search(request.options, checks)
        checks.raise_if_any()
        found = await self._pipeline.search(visitor, request.query, options)
        return search_pb2.SearchReply(
            events=[frames.search_event(event) for event in found.events],
            sources=[frames.source(item) for item in found.sources],
            prompt_text=found.prompt_text,
        )

    async def extract(
        self, _visitor: Visitor, _request: search_pb2.ExtractRequest, _context: Context
    ) -> search_pb2.ExtractReply:
        """Pages and documents are not read yet."""
        raise CallerError(Reason.UNIMPLEMENTED, "this version does not extract pages; use Search.Query")
