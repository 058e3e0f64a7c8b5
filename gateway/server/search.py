"""`gateway.v1.Search`: the enrichment step alone, and one document as data."""

import hashlib

from gateway.domain.call import Visitor
from gateway.domain.extraction import Extraction, Table
from gateway.pipeline import Pipeline
from gateway.pipeline.extracting import Extracting
from gateway.server import frames
from gateway.server.checks import Checks
from gateway.server.door import Context
from gateway.server.requests import read_search
from gateway.v1 import search_pb2

PARTS = ("title", "text", "tables", "key_points")


class Search:
    """Searches without a model."""

    def __init__(self, pipeline: Pipeline, extracting: Extracting) -> None:
        self._pipeline = pipeline
        self._extracting = extracting

    async def query(
        self, visitor: Visitor, request: search_pb2.SearchRequest, _context: Context
    ) -> search_pb2.SearchReply:
        """What was asked of which provider, the sources, and exactly what a model would be shown."""
        checks = Checks()
        options = read_search(request.options, checks)
        checks.raise_if_any()
        found = await self._pipeline.search(visitor, request.query, options, _digest(request))
        return search_pb2.SearchReply(
            events=[frames.search_event(event) for event in found.events],
            sources=[frames.source(item) for item in found.sources],
            prompt_text=found.prompt_text,
        )

    async def extract(
        self, visitor: Visitor, request: search_pb2.ExtractRequest, _context: Context
    ) -> search_pb2.ExtractReply:
        """What is in one page, PDF or text: the parts that were asked for."""
        checks = Checks()
        url = request.url.strip()
        checks.require(bool(url) != bool(request.content), "url", "give either this or content")
        for place, name in enumerate(request.fields):
            checks.require(name in PARTS, f"fields[{place}]", f"{name[:32]!r} is none of {', '.join(PARTS)}")
        checks.raise_if_any()
        mime_type = request.mime_type.strip().lower()
        found = await self._extracting.extract(visitor, url, request.content, mime_type, _digest(request))
        return _reply(found, frozenset(request.fields or PARTS))


def _digest(request: search_pb2.SearchRequest | search_pb2.ExtractRequest) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _reply(found: Extraction, wanted: frozenset[str]) -> search_pb2.ExtractReply:
    return search_pb2.ExtractReply(
        title=found.title if "title" in wanted else "",
        text=found.text if "text" in wanted else "",
        tables=[_table(table) for table in found.tables] if "tables" in wanted else (),
        key_points=found.key_points if "key_points" in wanted else (),
        mime_type=found.mime_type,
        content_sha256=found.content_sha256,
        pages=found.pages,
    )


def _table(table: Table) -> search_pb2.Table:
    return search_pb2.Table(
        caption=table.caption,
        header=table.header,
        rows=[search_pb2.Row(cells=row) for row in table.rows],
    )
