"""DeepSeek Search (`POST /v1/tools/search`): the key is that of the chat API.

The vendor's page of October 2026 gives the fields. Operators in the query (`site:`, `after:`, `lang:` …) are known
from public clients only; a domain and a date are checked again here, whatever became of them.
"""

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import iso_day, moment
from gateway.search.exchange import Page, VendorReply, VendorRequest, bearer, items, json_of, post_json, text
from gateway.search.query_text import site_operators, with_operators
from gateway.search.vendor import Vendor, need_key

BASE = "https://api.deepseek.com"
MAX_COUNT = 50


class DeepSeekShape:
    """Requests and replies of DeepSeek Search."""

    name = "deepseek"
    max_terms = 128
    page_size = MAX_COUNT
    pages = False
    filters = frozenset({"dates", "domains", "locale"})

    def __init__(self, options: ProviderOptions) -> None:
        base = (options.url or BASE).rstrip("/").removesuffix("/v1")
        self._url = f"{base}/v1/tools/search"
        self._headers = bearer(options.key)

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One call; the terms come first, operators follow as far as 128 characters reach."""
        operators = site_operators(query.only_domains, query.skip_domains)
        if query.not_before is not None:
            operators.append(f"after:{iso_day(query.not_before)}")
        if query.not_after is not None:
            operators.append(f"before:{iso_day(query.not_after, later=True)}")
        if query.locale:
            operators.append(f"lang:{query.locale.replace('_', '-').split('-')[0].lower()}")
        terms = with_operators(query.terms, operators, self.max_terms)
        return post_json(self._url, {"query": terms, "count": page.count, "need_content": True}, self._headers)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`results[]`, best first."""
        return [
            Hit(
                url=text(item, "url"),
                title=text(item, "title"),
                snippet=text(item, "snippet", "summary"),
                passage=text(item, "content", "summary", "snippet"),
                published=moment(item.get("date")),
            )
            for item in items(json_of(reply), "results")
        ]


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, DeepSeekShape.name)
    return Vendor(DeepSeekShape(options), options, shared)
