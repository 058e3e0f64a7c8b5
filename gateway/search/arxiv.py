"""arXiv's own search: an Atom feed, no key, one request at a time and at most one every three seconds."""

import asyncio
import re
import time
from xml.parsers import expat

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import moment
from gateway.search.exchange import MalformedReplyError, Page, VendorReply, VendorRequest
from gateway.search.query_text import cut
from gateway.search.vendor import Vendor

BASE = "https://export.arxiv.org"
INTERVAL_S = 3.0
MAX_WORDS = 12
_DAY = "%Y%m%d%H%M"
_KEPT = ("id", "title", "summary", "published")


class ArxivShape:
    """Requests and replies of `GET /api/query`."""

    name = "arxiv"
    max_terms = 300
    page_size = 50
    pages = False
    filters = frozenset({"dates"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/api/query"

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call, best match first. Words are joined by OR, for a question is seldom a phrase of an abstract."""
        words = re.findall(r"\w[\w.-]*", cut(query.terms, self.max_terms))[:MAX_WORDS]
        wanted = " OR ".join(f"all:{word}" for word in words if word not in ("AND", "OR", "ANDNOT"))
        if query.not_before is not None or query.not_after is not None:
            first = time.strftime(_DAY, time.gmtime(max(0.0, query.not_before or 0.0)))
            last = time.strftime(
                _DAY, time.gmtime(page.now if query.not_after is None else min(query.not_after, page.now))
            )
            wanted = f"({wanted}) AND submittedDate:[{first} TO {last}]"
        params = {"search_query": wanted, "start": str(page.number * page.count), "max_results": str(page.count)}
        return VendorRequest("GET", self._url, {"Accept": "application/atom+xml"}, params)

    def read(self, reply: VendorReply) -> list[Hit]:
        """The entries of the feed; an abstract is both snippet and passage."""
        return [
            Hit(
                url=re.sub(r"^http:", "https:", entry.get("id", "")),
                title=" ".join(entry.get("title", "").split()),
                snippet=" ".join(entry.get("summary", "").split())[:600],
                passage=" ".join(entry.get("summary", "").split()),
                published=moment(entry.get("published")),
            )
            for entry in _Feed(reply.body).entries
        ]


class _Feed:
    """Reads an Atom feed with expat alone: no document type, so no entity of its own can be declared."""

    def __init__(self, body: bytes) -> None:
        self.entries: list[dict[str, str]] = []
        self._inside: list[str] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise MalformedReplyError("not XML") from error
        if not body.strip():
            raise MalformedReplyError("empty")

    def _refuse(self, *_declared: object) -> None:
        raise MalformedReplyError("a document type")

    def _start(self, name: str, _attributes: object) -> None:
        self._inside.append(name.rpartition(" ")[2])
        if self._inside[-1] == "entry":
            self.entries.append({})

    def _end(self, _name: str) -> None:
        self._inside.pop()

    def _data(self, data: str) -> None:
        if len(self._inside) > 1 and self._inside[-2] == "entry" and self._inside[-1] in _KEPT:
            entry = self.entries[-1]
            entry[self._inside[-1]] = entry.get(self._inside[-1], "") + data


class Arxiv(Vendor):
    """The vendor with its own pace; a turn that would wait longer than its time is cut by its own clock."""

    def __init__(self, options: ProviderOptions, shared: Shared, interval_s: float = INTERVAL_S) -> None:
        super().__init__(ArxivShape(options), options, shared)
        self._interval_s = interval_s
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def _call(self, query: SearchQuery, count: int, page: int) -> list[Hit]:
        async with self._turn:
            wait = self._next - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                return await super()._call(query, count, page)
            finally:
                self._next = time.monotonic() + self._interval_s


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. An address of the operator's own is a mirror or a test and keeps its own pace."""
    return Arxiv(options, shared, 0.0 if options.url else INTERVAL_S)
