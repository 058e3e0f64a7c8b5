"""Zhipu's web search; `engine` is search_std (default), search_pro, search_pro_sogou or search_pro_quark."""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import moment, recency
from gateway.search.exchange import Page, VendorReply, VendorRequest, bearer, items, json_of, post_json, text
from gateway.search.query_text import bare_domain, cut
from gateway.search.vendor import Vendor, need_key

BASE = "https://open.bigmodel.cn/api/paas/v4"
ENGINE = "search_std"
_SPANS = {1: "oneDay", 7: "oneWeek", 30: "oneMonth", 365: "oneYear"}


class ZhipuShape:
    """Requests and replies of `POST /web_search`."""

    name = "zhipu"
    max_terms = 70
    page_size = 50
    pages = False
    filters = frozenset({"dates", "domains"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/web_search"
        self._headers = bearer(options.key)
        self._engine = options.engine or ENGINE

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call. The vendor filters by one domain; several are left to the fusion."""
        only = [bare_domain(name) for name in query.only_domains]
        fields = {
            "search_query": cut(query.terms, self.max_terms),
            "search_engine": self._engine,
            "search_intent": False,
            "count": page.count,
            "search_recency_filter": recency(query.not_before, page.now, _SPANS) or "noLimit",
            "search_domain_filter": only[0] if len(only) == 1 else None,
            "content_size": "high",
        }
        return post_json(self._url, fields, self._headers)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`search_result[]`, best first."""
        return [
            Hit(
                url=text(item, "link"),
                title=text(item, "title", "media"),
                snippet=text(item, "content")[:600],
                passage=text(item, "content"),
                published=moment(item.get("publish_date")),
            )
            for item in items(json_of(reply), "search_result")
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, ZhipuShape.name)
    return Vendor(ZhipuShape(options), options, shared)
