"""Bocha's web search. Its documentation names two hosts; `url` chooses the other one."""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import iso_day, moment
from gateway.search.exchange import (
    Page,
    VendorReply,
    VendorRequest,
    bearer,
    items,
    json_of,
    member,
    post_json,
    text,
)
from gateway.search.query_text import bare_domain, cut
from gateway.search.vendor import Vendor, VendorUnavailableError, need_key

BASE = "https://api.bochaai.com"


class BochaShape:
    """Requests and replies of `POST /v1/web-search`."""

    name = "bocha"
    max_terms = 500
    page_size = 50
    pages = False
    filters = frozenset({"dates", "domains"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/v1/web-search"
        self._headers = bearer(options.key)

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call; a time span is written as `2026-01-01..2026-02-01`."""
        freshness = "noLimit"
        if query.not_before is not None or query.not_after is not None:
            last = page.now if query.not_after is None else query.not_after
            freshness = f"{iso_day(query.not_before or 0.0)}..{iso_day(last)}"
        fields = {
            "query": cut(query.terms, self.max_terms),
            "summary": True,
            "freshness": freshness,
            "count": page.count,
            "include": "|".join(map(bare_domain, query.only_domains)) or None,
            "exclude": "|".join(map(bare_domain, query.skip_domains)) or None,
        }
        return post_json(self._url, fields, self._headers)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`data.webPages.value[]`, best first; the body has a code of its own."""
        answer = json_of(reply)
        code = member(answer, "code")
        if code not in (None, 200, "200"):
            raise VendorUnavailableError("answered with an error of its own")
        return [
            Hit(
                url=text(item, "url"),
                title=text(item, "name"),
                snippet=text(item, "snippet", "summary"),
                passage=text(item, "summary", "snippet"),
                published=moment(item.get("datePublished") or item.get("dateLastCrawled")),
            )
            for item in items(answer, "data", "webPages", "value")
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, BochaShape.name)
    return Vendor(BochaShape(options), options, shared)
