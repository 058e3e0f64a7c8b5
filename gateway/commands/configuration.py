"""What is wrong with a configuration, and what is odd about it, beyond what its text alone can tell.

`serve` and `check-config` say the same, because both ask here.
"""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

from gateway import identity, plugins, schema, searching, settings, upstreams
from gateway.auth.api_key import ApiKeyFile
from gateway.auth.jwks_file import FileKeys
from gateway.domain.errors import OperatorError
from gateway.limits.price_book import BookError
from gateway.limits.price_file import read_book
from gateway.models import ModelCard, embedded
from gateway.search import Shared
from gateway.search.vendor_http import VendorHttp
from gateway.server.tls import ServerCertificate
from gateway.settings import ConfigurationError, Settings

NOBODY = (
    "nobody could call this gateway: no token issuer is configured and there is no API key; set jwt.issuer and "
    "jwt.audience, or make a key with `gateway key create`. On your own machine `serve --dev` needs neither"
)


def load(path: str | None, *, dev: bool) -> Settings:
    """The settings, fit to serve with. Raises ConfigurationError with every fault."""
    loaded = settings.load(path)
    found = faults(loaded)
    if dev:
        found += dev_faults(loaded)
    elif not has_callers(loaded):
        found.append(NOBODY)
    if found:
        raise ConfigurationError(found)
    return loaded


def faults(loaded: Settings) -> list[str]:
    """What does not fit together, or names a file or provider that cannot be used."""
    return [
        *_address_faults(loaded),
        *_file_faults(loaded),
        *asyncio.run(_search_faults(loaded)),
        *_price_faults(loaded),
    ]


def dev_faults(loaded: Settings) -> list[str]:
    """Under --dev a caller without a credential is let in, so nobody else's machine may reach it."""
    addresses = {"grpc.address": loaded.grpc.address, "http.address": loaded.http.address}
    return [
        f"{name}: --dev lets callers in without a credential, so it serves on loopback, not on {host_of(address)}"
        for name, address in addresses.items()
        if address and host_of(address) not in schema.LOOPBACK
    ]


def has_callers(loaded: Settings) -> bool:
    """Whether anybody at all could show a credential that is accepted. An unreadable key file counts as keys."""
    if loaded.issuers or loaded.certificates or loaded.issuer.enabled:
        return True
    now = time.time()
    try:
        records = ApiKeyFile(loaded.data_dir).records()
    except OperatorError:
        return True
    return any(not record.revoked_at and now < record.expires_at for record in records)


def warnings(loaded: Settings) -> list[str]:
    """What an operator should know although it is allowed."""
    found = [*identity.warnings(loaded), *_plaintext_warnings(loaded)]
    if loaded.redis.url and loaded.cache.redis and not loaded.seal.key:
        found.append(
            "seal.key: missing, so answers are kept in memory alone and not shared through Redis; "
            "`openssl rand -hex 32` makes one"
        )
    if not has_callers(loaded):
        found.append(NOBODY)
    served = [card.name for card in cards(loaded)]
    for name, tenant in loaded.tenants.named.items():
        if not any(tenant.may_use_model(model) for model in served):
            found.append(f"tenants.{name}.models: allows none of the models that are served ({', '.join(served)})")
    return found


def cards(loaded: Settings) -> list[ModelCard]:
    """The models that would be served, the default one first."""
    return upstreams.cards(loaded)


def host_of(address: str) -> str:
    """The host of `host:port`."""
    return address.rpartition(":")[0].strip("[]")


def _address_faults(loaded: Settings) -> list[str]:
    by_address = defaultdict(list)
    for name in ("grpc", "http", "metrics"):
        address = getattr(loaded, name).address
        if address and not address.endswith(":0"):
            by_address[address].append(f"{name}.address")
    return [
        f"{' and '.join(names)}: both are {address}; give each a port of its own"
        for address, names in by_address.items()
        if len(names) > 1
    ]


def _file_faults(loaded: Settings) -> list[str]:
    found = []
    try:
        if loaded.grpc.certificate:
            ServerCertificate(loaded.grpc)
        for issuer in loaded.issuers:
            if issuer.jwks_file:
                FileKeys(Path(issuer.jwks_file), issuer.policy)
    except OperatorError as error:
        found.append(error.message)
    return found


async def _search_faults(loaded: Settings) -> list[str]:
    """Makes every provider but the embedded one, which would write its index; nothing is asked of any."""
    found: list[str] = []
    async with AsyncExitStack() as stack:
        shared = Shared(loaded.data_dir, await stack.enter_async_context(VendorHttp()))
        for name in loaded.search.providers:
            try:
                module = plugins.load("gateway.search", name)
                if name != embedded.NAME:
                    provider = await module.create(searching.provider_options(loaded, name), shared)
                    stack.push_async_callback(provider.aclose)
            except LookupError:
                known = ", ".join(plugins.names("gateway.search"))
                found.append(f"search.providers: there is no provider {name!r}; there are {known}")
            except OperatorError as error:
                found.append(f"search.providers: {error.message}")
    return found


def _price_faults(loaded: Settings) -> list[str]:
    path = loaded.billing.price_book
    try:
        book = upstreams.with_free(read_book(Path(path) if path else None), loaded)
    except BookError as error:
        return [f"billing.price_book: {fault}" for fault in error.faults]
    return [
        f"billing.price_book: {path or 'the shipped prices'}: no price for the model {card.name}; add a "
        "[[models]] entry, or set free = true where it runs on your own machines"
        for card in cards(loaded)
        if not book.knows(card.name)
    ]


def _plaintext_warnings(loaded: Settings) -> list[str]:
    sent = {f"upstreams.{one.name}.base_url": one.base_url for one in loaded.serving.upstreams.values()}
    sent |= {f"search.{name}.url": endpoint.url for name, endpoint in loaded.search_endpoints.items()}
    found = [
        f"{name}: {address} is plain HTTP to another machine (allow_plaintext): keys and questions can be read on "
        "the way"
        for name, address in sent.items()
        if schema.is_plaintext(address)
    ]
    if host_of(loaded.grpc.address) not in schema.LOOPBACK and not loaded.grpc.certificate:
        found.append(
            f"grpc.address: {loaded.grpc.address} is reached from other machines without TLS, and tokens can be "
            "read on the way; set grpc.certificate and grpc.private_key, or end TLS in a proxy in front"
        )
    return found
