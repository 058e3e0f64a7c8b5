"""A search service of the operator's own: `POST {"query", "count"}`, a JSON list of link, title and snippet back.

Other programs use the same shape for their external search, so existing adapters fit. It is read tolerantly: an
object with `results`, `url` for `link`, `content` or `description` for `snippet`; anything else is a failure.
"""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import moment
from gateway.search.exchange import (
    MalformedReplyError,
    Page,
    VendorReply,
    VendorRequest,
    bearer,
    json_of,
    member,
    post_json,
    text,
)
from gateway.search.query_text import cut
from gateway.search.vendor import Vendor, check_key, need_url

MAX_ITEMS = 200


class ExternalShape:
    """Requests and replies of the generic contract."""

    name = "external"
    max_terms = 500
    page_size = 50
    pages = False
    filters: frozenset[str] = frozenset()

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = bearer(key)

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call."""
        return post_json(
            self._url, {"query": cut(query.terms, self.max_terms), "count": page.count}, self._headers
        )

    def read(self, reply: VendorReply) -> list[Hit]:
        """The list, or the list under `results`; at most 200 items are looked at."""
        answer = json_of(reply)
        found = answer if isinstance(answer, list) else member(answer, "results")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise MalformedReplyError("no list")
        return [
            Hit(
                url=text(item, "link", "url"),
                title=text(item, "title"),
                snippet=text(item, "snippet", "content", "description"),
                passage=text(item, "content", "snippet", "description"),
                published=moment(item.get("published")),
            )
            for item in found[:MAX_ITEMS]
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without an address."""
    check_key(options, ExternalShape.name)
    return Vendor(ExternalShape(need_url(options, ExternalShape.name), options.key), options, shared)
