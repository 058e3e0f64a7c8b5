"""Opens everything that searches and reads pages, by the settings; it decides nothing."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_network

from gateway import plugins
from gateway.search import ProviderOptions, SearchProvider, Shared
from gateway.search.deepseek_fetch import DeepSeekFetch
from gateway.search.egress import Egress
from gateway.search.enrich import Enricher
from gateway.search.fetch import GuardedFetcher
from gateway.search.pages import DirectPages, Pages, PageSource
from gateway.search.reader import DocumentReader
from gateway.search.vendor_http import VendorHttp
from gateway.sections import SearchEndpoint
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Searching:
    """The enrichment step, and the reading of pages that it and `Search.Extract` share."""

    searcher: Enricher
    extractor: Pages


async def opened(settings: Settings, stack: AsyncExitStack) -> Searching:
    """Both, open; `stack` closes them. Raises OperatorError, and LookupError for a provider that is not there."""
    shared = Shared(settings.data_dir, await stack.enter_async_context(VendorHttp()))
    providers = await search_providers(settings, shared, stack)
    reader = await stack.enter_async_context(DocumentReader())
    if any(name != "embedded" for name in providers):
        reader.warm()
    fetcher, ttl_s = GuardedFetcher(egress(settings)), settings.search.cache_s
    sources = page_sources(settings, fetcher, reader, shared)
    pages = Pages(fetcher, reader, sources, ttl_s=ttl_s)
    return Searching(Enricher(providers, settings.search.timeout_s, pages=pages, ttl_s=ttl_s), pages)


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


def egress(settings: Settings) -> Egress:
    """Which pages may be fetched."""
    pages = settings.pages
    return Egress(
        ports=frozenset(map(int, pages.ports)),
        denied=tuple(map(ip_network, pages.deny_networks)),
        permitted=tuple(map(ip_network, pages.allow_networks)),
    )
