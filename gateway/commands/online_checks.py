"""Tries what a configuration names: ports, keys and servers, each once, all at the same time."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import redis.asyncio
from redis.exceptions import RedisError

from gateway import plugins, searching
from gateway.auth.endpoint import DiscoveredJwks, FetchError, Jwks
from gateway.auth.key_source import read_verifying_keys
from gateway.auth.keys import KeySetError
from gateway.domain.errors import OperatorError, UpstreamError
from gateway.ledger.postgres import PostgresStore
from gateway.models import embedded
from gateway.models.profiles import PROFILES
from gateway.search import SearchProvider, SearchQuery, Shared
from gateway.search.vendor_http import VendorHttp
from gateway.server.port import obstacle
from gateway.settings import Settings
from gateway.trust import TrustedIssuer
from gateway.upstream_sections import Upstream

TIMEOUT_S = 10.0
QUERY = SearchQuery("inference gateway", max_results=1)
KEY_ADVICE = {
    401: "the key is not valid; give another one",
    402: "the account has no balance; top it up",
    403: "the key may not list models; give another one",
    404: "there is no API here; check base_url",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial showed, for people."""

    good: bool
    text: str


async def try_everything(settings: Settings) -> list[Finding]:
    """One finding for each port, key and server, in the order of the configuration."""
    async with AsyncExitStack() as stack:
        trials = [*_trials(settings), *await _search_trials(settings, stack)]
        return [*_ports(settings), *await asyncio.gather(*trials)]


def _ports(settings: Settings) -> Iterator[Finding]:
    for name in ("grpc", "http", "metrics"):
        address = getattr(settings, name).address
        if address:
            reason = obstacle(address)
            yield Finding(not reason, f"{name}.address: {address} {reason or 'is free'}")


def _trials(settings: Settings) -> Iterator[Awaitable[Finding]]:
    if settings.database.url:
        yield _database(settings.database.url)
    if settings.redis.url:
        yield _redis(settings.redis.url)
    for upstream in settings.serving.upstreams.values():
        for number, key in enumerate(upstream.keys or ("",), start=1):
            yield _upstream(upstream, number, key)
    for issuer in settings.issuers:
        if issuer.signed and not issuer.jwks_file:
            yield _issuer(issuer)


async def _search_trials(settings: Settings, stack: AsyncExitStack) -> list[Awaitable[Finding]]:
    """The embedded index is a file of the gateway's own, with no server behind it."""
    shared = Shared(settings.data_dir, await stack.enter_async_context(VendorHttp()))
    trials: list[Awaitable[Finding]] = []
    for name in settings.search.providers:
        if name != embedded.NAME:
            create = plugins.load("gateway.search", name).create
            provider: SearchProvider = await create(searching.provider_options(settings, name), shared)
            stack.push_async_callback(provider.aclose)
            trials.append(_search(name, provider))
    return trials


async def _upstream(upstream: Upstream, number: int, key: str) -> Finding:
    """The list of models costs nothing and needs the key."""
    url = f"{upstream.base_url.rstrip('/')}/models"
    header = PROFILES[upstream.kind].key_header
    headers = {header: f"Bearer {key}" if header == "Authorization" else key} if key else {}
    who = f"{upstream.name} (key {number} of {len(upstream.keys)})" if len(upstream.keys) > 1 else upstream.name
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(False, f"{who}: no answer from {url} ({type(error).__name__}); check the network")
    if status == 200:
        return Finding(True, f"{who}: {url} takes the key" if key else f"{who}: {url} answers")
    return Finding(False, f"{who}: {url} answered {status}: {KEY_ADVICE.get(status, 'try again later')}")


async def _issuer(issuer: TrustedIssuer) -> Finding:
    name, plain = issuer.policy.issuer, issuer.allow_plaintext
    try:
        place = Jwks(issuer.jwks_url, plain) if issuer.jwks_url else DiscoveredJwks(name, allow_plaintext=plain)
        keys, skipped = read_verifying_keys(await place.load(), issuer.policy)
    except (FetchError, KeySetError, ValueError) as error:
        return Finding(False, f"issuer {name}: {error}")
    left_out = f", {len(skipped)} left out: {'; '.join(skipped)}" if skipped else ""
    return Finding(bool(keys), f"issuer {name}: {len(keys)} usable key{'' if len(keys) == 1 else 's'}{left_out}")


async def _search(name: str, provider: SearchProvider) -> Finding:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            hits = await provider.search(QUERY)
    except TimeoutError:
        return Finding(False, f"search.{name}: no answer within {TIMEOUT_S:.0f} s")
    except (UpstreamError, OperatorError) as error:
        return Finding(False, f"search.{name}: {error.message}")
    return Finding(True, f"search.{name}: answered with {len(hits)} result{'' if len(hits) == 1 else 's'}")


async def _database(url: str) -> Finding:
    store = PostgresStore(url)
    try:
        store.disconnect(await asyncio.to_thread(store.connect))
    except store.errors as error:
        return Finding(False, f"database.url: {store.advice(error)}")
    return Finding(True, "database.url: PostgreSQL answers")


async def _redis(url: str) -> Finding:
    """The URL may hold a password, so that it is not repeated."""
    client = redis.asyncio.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        async with client:
            await client.ping()
    except (RedisError, OSError, ValueError) as error:
        return Finding(False, f"redis.url: no answer ({type(error).__name__}); check the URL and the server")
    return Finding(True, "redis.url: answers")
