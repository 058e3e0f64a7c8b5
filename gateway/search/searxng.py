"""A SearXNG of the operator's own, over HTTP; JSON must be listed in `search.formats` of its settings.

All its engines failing is still HTTP 200 with no results, so the list of unresponsive engines decides whether an
empty reply is a failure. Its time filter empties the list silently where an engine has none, so it is not used:
dates are checked here.
"""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import moment
from gateway.search.exchange import (
    MalformedReplyError,
    Page,
    VendorReply,
    VendorRequest,
    bearer,
    items,
    json_of,
    member,
    text,
)
from gateway.search.query_text import site_operators, with_operators
from gateway.search.vendor import Vendor, VendorUnavailableError, check_key, need_url


class SearxngShape:
    """Requests and replies of `GET /search?format=json`."""

    name = "searxng"
    max_terms = 400
    page_size = 10
    pages = True
    filters = frozenset({"domains", "locale"})

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url.removesuffix('/search')}/search"
        self._headers = {"Accept": "application/json", **bearer(key)}

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One page, however many results the engines put on it."""
        operators = site_operators(query.only_domains, query.skip_domains)
        params = {
            "q": with_operators(query.terms, operators, self.max_terms),
            "format": "json",
            "pageno": str(page.number + 1),
        }
        if query.locale:
            params["language"] = query.locale.replace("_", "-")
        return VendorRequest("GET", self._url, self._headers, params)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`results[]`; those of the key-value kind have no address and are left out."""
        answer = json_of(reply)
        if not isinstance(member(answer, "results"), list):
            raise MalformedReplyError("no results")
        hits = [
            Hit(
                url=text(item, "url"),
                title=text(item, "title"),
                snippet=text(item, "content"),
                passage=text(item, "content"),
                published=moment(item.get("publishedDate")),
            )
            for item in items(answer, "results")
            if text(item, "url")
        ]
        dead = member(answer, "unresponsive_engines")
        if not hits and dead:
            raise VendorUnavailableError(
                f"no engine answered ({len(dead) if isinstance(dead, list) else 1} failed)"
            )
        return hits


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without an address."""
    check_key(options, SearxngShape.name)
    return Vendor(SearxngShape(need_url(options, SearxngShape.name), options.key), options, shared)
