"""Opens everything that searches and reads pages, by the settings; it decides nothing."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TypeVar

from gateway import plugins
from gateway.cache import Cache, Key, Kind, Miss
from gateway.cache.keys import key_of
from gateway.search import Hit, ProviderOptions, SearchProvider, Shared
from gateway.search.codec import decode_hits, decode_page, encode_hits, encode_page
from gateway.search.deepseek_fetch import DeepSeekFetch
from gateway.search.egress import Egress
from gateway.search.enrich import Enricher, weight_of_hits
from gateway.search.fetch import GuardedFetcher
from gateway.search.fresh import FreshCache
from gateway.search.outer import Outer
from gateway.search.pages import DirectPages, Pages, PageSource, Read, weight_of_page
from gateway.search.reader import DocumentReader
from gateway.search.vendor_http import VendorHttp
from gateway.sections import SearchEndpoint
from gateway.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Searching:
    """The enrichment step, and the reading of pages that it and `Search.Extract` share."""

    searcher: Enricher
    extractor: Pages


async def opened(settings: Settings, stack: AsyncExitStack, cache: Cache | None = None) -> Searching:
    """Both, open; `stack` closes them. `cache` is where what was found is kept outside of this process.

    Raises OperatorError, and LookupError for a provider that is not there.
    """
    shared = Shared(settings.data_dir, await stack.enter_async_context(VendorHttp()))
    providers = await search_providers(settings, shared, stack)
    reader = await stack.enter_async_context(DocumentReader())
    if any(name != "embedded" for name in providers):
        reader.warm()
    fetcher, ttl_s = GuardedFetcher(egress(settings)), settings.search.cache_s
    sources = page_sources(settings, fetcher, reader, shared)
    outer_pages: Outer[Read] | None = None
    outer_hits: Outer[Sequence[Hit]] | None = None
    if cache is not None and settings.redis.url and settings.cache.redis and settings.seal.key:
        shelf = SealedShelf(cache)
        outer_pages = Outer(shelf, Kind.PAGE, encode_read, decode_read)
        outer_hits = Outer(shelf, Kind.HITS, encode_hits, decode_hits)
    pages = Pages(fetcher, reader, sources, FreshCache(weight_of_page, outer=outer_pages), ttl_s)
    found = FreshCache(weight_of_hits, outer=outer_hits)
    search = settings.search
    searcher = Enricher(
        providers,
        search.timeout_s,
        pages=pages,
        found=found,
        ttl_s=ttl_s,
        decide_model=search.decide_model,
    )
    return Searching(searcher, pages)


class SealedShelf:
    """Keeps the promise of `Shelf` in the cache of answers, under kinds of its own."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def find(self, tenant: str, kind: str, parts: object, read: Callable[[bytes], T]) -> T | None:
        """See `Shelf`."""

        def accepted(value: bytes) -> T:
            try:
                return read(value)
            except ValueError:
                raise Miss("garbled") from None

        key = await self._key(tenant, kind, parts)
        found = await self._cache.find(key, accepted) if key is not None else None
        return found.value if found is not None else None

    async def keep(self, tenant: str, kind: str, parts: object, value: bytes, ttl_s: float) -> None:
        """See `Shelf`."""
        key = await self._key(tenant, kind, parts)
        if key is not None:
            self._cache.keep(key, value, ttl_s)

    async def _key(self, tenant: str, kind: str, parts: object) -> Key | None:
        naming_key = await self._cache.naming_key(tenant)
        return key_of(naming_key, tenant, Kind(kind), parts) if naming_key is not None else None


def page_sources(
    settings: Settings, fetcher: GuardedFetcher, reader: DocumentReader, shared: Shared
) -> list[PageSource]:
    """Who reads pages, in the order of the settings. Raises OperatorError where a key is missing."""
    options, allowed = provider_options(settings, "deepseek"), egress(settings)
    ways: dict[str, Callable[[], PageSource]] = {
        "direct": lambda: DirectPages(fetcher, reader),
        "deepseek": lambda: DeepSeekFetch(options, shared.exchange, allowed, reader),
    }
    return [ways[name]() for name in settings.pages.via]


async def search_providers(settings: Settings, shared: Shared, stack: AsyncExitStack) -> dict[str, SearchProvider]:
    """The search providers of the settings, in order of preference."""
    providers: dict[str, SearchProvider] = {}
    for name in settings.search.providers:
        options = provider_options(settings, name)
        provider: SearchProvider = await plugins.load("gateway.search", name).create(options, shared)
        stack.push_async_callback(provider.aclose)
        providers[name] = provider
    return providers


def provider_options(settings: Settings, name: str) -> ProviderOptions:
    """What the operator said about one search provider; DeepSeek's own is called with the key of its chat."""
    endpoint, chat = settings.search_endpoints.get(name, SearchEndpoint()), settings.deepseek
    own = name == "deepseek" and not endpoint.key and not endpoint.url
    return ProviderOptions(
        key=chat.api_key if own else endpoint.key,
        url=chat.base_url if own else endpoint.url,
        timeout_s=endpoint.timeout_s,
        engine=endpoint.engine,
    )


def encode_read(read: Read) -> bytes:
    """A page that was read, as bytes."""
    return encode_page(read.page, read.paid_as)


def decode_read(value: bytes) -> Read:
    """The page in these bytes. Raises ValueError."""
    return Read(*decode_page(value))


def egress(settings: Settings) -> Egress:
    """Which pages may be fetched."""
    pages = settings.pages
    return Egress(
        ports=frozenset(map(int, pages.ports)),
        denied=tuple(map(ip_network, pages.deny_networks)),
        permitted=tuple(map(ip_network, pages.allow_networks)),
    )
