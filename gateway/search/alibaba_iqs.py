"""Alibaba Cloud IQS (the search of Quark), its unified call; the engine is `engine`, by default Generic."""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import moment, recency
from gateway.search.exchange import Page, VendorReply, VendorRequest, items, json_of, post_json, text
from gateway.search.query_text import cut
from gateway.search.vendor import Vendor, need_key

BASE = "https://cloud-iqs.aliyuncs.com"
ENGINE = "Generic"
_SPANS = {1: "OneDay", 7: "OneWeek", 30: "OneMonth", 365: "OneYear"}
_LEAST = 10


class IqsShape:
    """Requests and replies of `POST /search/unified`."""

    name = "alibaba_iqs"
    max_terms = 500
    page_size = 50
    pages = False
    filters = frozenset({"dates"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/search/unified"
        self._headers = {"X-API-Key": options.key}
        self._engine = options.engine or ENGINE

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call; the vendor gives at least ten."""
        fields = {
            "query": cut(query.terms, self.max_terms),
            "engineType": self._engine,
            "timeRange": recency(query.not_before, page.now, _SPANS) or "NoLimit",
            "contents": {"mainText": True, "summary": False, "rerankScore": True},
            "advancedParams": {"numResults": str(max(_LEAST, page.count))},
        }
        return post_json(self._url, fields, self._headers)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`pageItems[]`, best first."""
        return [
            Hit(
                url=text(item, "link"),
                title=text(item, "title"),
                snippet=text(item, "snippet", "summary"),
                passage=text(item, "mainText", "markdownText", "summary", "snippet"),
                published=moment(item.get("publishedTime")),
            )
            for item in items(json_of(reply), "pageItems")
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, IqsShape.name)
    return Vendor(IqsShape(options), options, shared)
