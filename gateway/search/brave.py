"""Brave's web search: pages of twenty, dates as a span, domains as operators."""

import html
import re

from gateway.search import Hit, ProviderOptions, SearchQuery, Shared
from gateway.search.dates import iso_day, moment
from gateway.search.exchange import Page, VendorReply, VendorRequest, items, json_of, text
from gateway.search.query_text import site_operators, with_operators
from gateway.search.vendor import Vendor, need_key

BASE = "https://api.search.brave.com"
_MARKUP = re.compile(r"</?(?:strong|b|em|i)>")
_CHINESE = {
    "cn": "zh-hans",
    "sg": "zh-hans",
    "hans": "zh-hans",
    "tw": "zh-hant",
    "hk": "zh-hant",
    "hant": "zh-hant",
}


class BraveShape:
    """Requests and replies of `GET /res/v1/web/search`."""

    name = "brave"
    max_terms = 400
    page_size = 20
    pages = True
    filters = frozenset({"dates", "domains", "locale"})

    def __init__(self, options: ProviderOptions) -> None:
        self._url = f"{(options.url or BASE).rstrip('/')}/res/v1/web/search"
        self._headers = {"X-Subscription-Token": options.key, "Accept": "application/json"}

    def request(self, query: SearchQuery, page: Page) -> VendorRequest:
        """One page; `offset` counts pages."""
        operators = site_operators(query.only_domains, query.skip_domains)
        params = {
            "q": with_operators(query.terms, operators, self.max_terms),
            "count": str(page.count),
            "offset": str(page.number),
            "text_decorations": "false",
            "extra_snippets": "true",
            **_language(query.locale),
        }
        if query.not_before is not None or query.not_after is not None:
            last = page.now if query.not_after is None else query.not_after
            params["freshness"] = f"{iso_day(query.not_before or 0.0)}to{iso_day(last)}"
        return VendorRequest("GET", self._url, self._headers, params)

    def read(self, reply: VendorReply) -> list[Hit]:
        """`web.results[]`, best first; descriptions come with HTML entities."""
        return [_hit(item) for item in items(json_of(reply), "web", "results")]


def _hit(item: dict[str, object]) -> Hit:
    snippet = _plain(text(item, "description"))
    extra = item.get("extra_snippets")
    more = [_plain(part) for part in extra if isinstance(part, str)] if isinstance(extra, list) else []
    return Hit(
        url=text(item, "url"),
        title=_plain(text(item, "title")),
        snippet=snippet,
        passage="\n".join(part for part in [snippet, *more] if part),
        published=moment(item.get("page_age")),
    )


def _plain(written: str) -> str:
    return html.unescape(_MARKUP.sub("", written))


def _language(locale: str) -> dict[str, str]:
    """`zh-CN` as Brave takes it: a language of its own list, and a country of two letters."""
    language, *rest = re.split(r"[-_]", locale.lower()) if locale else [""]
    country = next((part for part in rest if len(part) == 2), "")
    if language == "zh":
        language = next((_CHINESE[part] for part in rest if part in _CHINESE), "zh-hans")
    found = {"search_lang": language, "country": country.upper()}
    return {name: value for name, value in found.items() if value}


async def create(options: ProviderOptions, shared: Shared) -> Vendor:
    """The provider. Raises OperatorError without a key."""
    need_key(options, BraveShape.name)
    return Vendor(BraveShape(options), options, shared)
