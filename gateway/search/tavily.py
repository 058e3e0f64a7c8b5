"""Tavily's search, at its basic depth unless `engine` says `advanced`."""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import iso_day, moment
from gateway.search.exchange import Page, VendorReply, VendorRequest, bearer, items, json_of, post_json, text
from gateway.search.query_text import bare_domain, cut
from gateway.search.vendor import Vendor, need_key

BASE = "https://api.tavily.com"
DEPTH = "basic"


class TavilyShape:
    """Requests and replies of `POST /search`."""

    name = "tavily"
    max_terms = 400
    page_size = 20
    pages = False
    filters = frozenset({"dates", "domains"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/search"
        self._headers = bearer(options.key)
        self._depth = options.engine or DEPTH

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call; dates are whole days, both included."""
        fields = {
            "query": cut(query.terms, self.max_terms),
            "search_depth": self._depth,
            "max_results": page.count,
            "start_date": None if query.not_before is None else iso_day(query.not_before),
            "end_date": None if query.not_after is None else iso_day(query.not_after),
            "include_domains": [bare_domain(name) for name in query.only_domains] or None,
            "exclude_domains": [bare_domain(name) for name in query.skip_domains] or None,
        }
        return post_json(self._url, fields, self._headers)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`results[]`, best first."""
        return [
            Hit(
                url=text(item, "url"),
                title=text(item, "title"),
                snippet=text(item, "content"),
                passage=text(item, "raw_content", "content"),
                published=moment(item.get("published_date")),
            )
            for item in items(json_of(reply), "results")
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, TavilyShape.name)
    return Vendor(TavilyShape(options), options, shared)
