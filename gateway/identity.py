"""Builds who is believed, from the settings: issuers, API keys, the own issuer; and what tenants may do."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web

from gateway import plugins, trust
from gateway import settings as configuration
from gateway.auth import Authenticator, issuer_http
from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.auth.certificate import CertificateAuthenticator, Holder, read_file_identity
from gateway.auth.clients import ClientFile, KnownClients
from gateway.auth.dev_issuer import DevIssuer
from gateway.auth.development import AllowMissing, development_caller
from gateway.auth.dispatch import ByCredentialKind
from gateway.auth.endpoint import DiscoveredJwks, Jwks
from gateway.auth.introspection import Endpoint, OpaqueAuthenticator, OpaqueIssuer
from gateway.auth.jwks import RemoteKeys
from gateway.auth.jwks_file import FileKeys
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.key_source import KeySource
from gateway.auth.revocations import RevocationFile, Revocations
from gateway.auth.snapshot import FileSnapshot
from gateway.auth.withheld import WithheldScopes
from gateway.domain.call import Caller
from gateway.domain.errors import OperatorError, Reason
from gateway.domain.tenant import Tenants
from gateway.settings import Settings
from gateway.trust import TrustedIssuer

IsRevoked = Callable[[Caller], bool]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling, and what their tenant may do at this moment."""

    authenticator: Authenticator
    tokens: JwtAuthenticator
    tenants: Callable[[], Tenants]

    @property
    def ready(self) -> bool:
        """Whether the tokens of every issuer can be verified."""
        return self.tokens.ready


@asynccontextmanager
async def opened(
    settings: Settings, own: DevIssuer | None, *, dev: bool, revoked: Callable[[IsRevoked], None]
) -> AsyncIterator[Identity]:
    """Keeps keys and revocations fresh until it is left; `revoked` is told of every change of the latter.

    `dev` lets callers in without a credential, as the tenant `dev`. Raises OperatorError for a file that cannot be
    used.
    """
    async with AsyncExitStack() as stack:
        revocations = Revocations(RevocationFile(settings.data_dir), changed=revoked)
        stack.enter_context(_running(revocations.follow_file()))
        if settings.redis.url:
            await _share(revocations, settings.redis.url, stack)
        issuers = [Issuer(one.policy, _keys(one)) for one in settings.issuers if one.signed]
        if own is not None:
            issuers.append(own.trusted)
        tokens = JwtAuthenticator(issuers, revoked=revocations)
        stack.push_async_callback(tokens.aclose)
        opaque = _opaque(settings, revocations)
        stack.push_async_callback(opaque.aclose)
        kinds = ByCredentialKind(
            ApiKeyAuthenticator(ApiKeyFile(settings.data_dir), revoked=revocations),
            tokens,
            opaque=opaque,
            certificates=_certificates(settings, revocations),
        )
        chosen: Authenticator = WithheldScopes(kinds, lambda: revocations.current)
        if dev:
            chosen = AllowMissing(chosen, lambda: development_caller(time.time()))
        tokens.start()
        yield Identity(chosen, tokens, _tenants(settings))


class OwnTokens:
    """The tokens that the HTTP port issues, where the gateway has an issuer of its own.

    The port's URL is their `iss`, so that whoever finds the issuer by discovery finds the one that was asked.
    """

    def __init__(self, settings: Settings, known: Identity, issuer: DevIssuer | None) -> None:
        self._settings = settings
        self._known = known
        self._issuer = issuer

    def routes(self) -> list[web.RouteDef]:
        """What the HTTP port answers for them. Raises OperatorError."""
        if self._issuer is None:
            return []
        clients = KnownClients(ClientFile(self._settings.data_dir))
        return issuer_http.routes(self._current, clients, self._settings.issuer.token_ttl_s)

    def serve_at(self, url: str) -> None:
        """The port listens at `url`. Raises OperatorError."""
        if self._issuer is not None and not self._settings.issuer.enabled:
            # The development issuer has a name of its own, for tokens that are minted without a port.
            self._issuer = DevIssuer(self._settings.data_dir, issuer=url)
            self._known.tokens.trust(self._issuer.trusted)

    def _current(self) -> DevIssuer:
        if self._issuer is None:
            raise OperatorError(Reason.INTERNAL, "there is no issuer")
        return self._issuer


def own_issuer(settings: Settings, *, dev: bool) -> DevIssuer | None:
    """The gateway's own issuer, where it is wanted. Raises OperatorError."""
    own = settings.issuer
    if own.enabled:
        return DevIssuer(settings.data_dir, issuer=own.url, audience=own.audience)
    return DevIssuer(settings.data_dir) if dev else None


def warnings(settings: Settings) -> list[str]:
    """What the operator should know of the identity settings although they are allowed."""
    return trust.warnings(settings.issuers)


class _SharedRevocations(Protocol):
    """The list in Redis; the library for it is loaded where Redis is set."""

    async def follow(self, heard: Revocations) -> None: ...

    async def aclose(self) -> None: ...


async def _share(revocations: Revocations, url: str, stack: AsyncExitStack) -> None:
    shared: _SharedRevocations = plugins.load("gateway.auth", "shared_revocations").create(url)
    stack.push_async_callback(shared.aclose)
    revocations.expect_shared()
    stack.enter_context(_running(shared.follow(revocations)))


@contextmanager
def _running(work: Coroutine[None, None, None]) -> Iterator[None]:
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()


def _keys(issuer: TrustedIssuer) -> KeySource:
    if issuer.jwks_file:
        return FileKeys(Path(issuer.jwks_file), issuer.policy)
    plain, tls = issuer.allow_plaintext, _authorities(issuer)
    if issuer.jwks_url:
        return RemoteKeys(issuer.policy, Jwks(issuer.jwks_url, plain, tls).load)
    return RemoteKeys(issuer.policy, DiscoveredJwks(issuer.policy.issuer, allow_plaintext=plain, tls=tls).load)


def _authorities(issuer: TrustedIssuer) -> ssl.SSLContext | None:
    """Who vouches for the issuer's servers. Raises OperatorError for a file that holds no certificate."""
    if not issuer.ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=issuer.ca_file)
    except OSError as error:
        reason = error.strerror or "no certificate in it"
        raise OperatorError(
            Reason.INTERNAL, f"issuers.{issuer.name}.ca_file: {issuer.ca_file} cannot be used ({reason})"
        ) from error


def _opaque(settings: Settings, revoked: IsRevoked) -> OpaqueAuthenticator:
    return OpaqueAuthenticator(
        [
            OpaqueIssuer(
                one.policy,
                Endpoint(
                    one.introspection.url,
                    one.introspection.client_id,
                    one.introspection.client_secret,
                    one.allow_plaintext,
                    _authorities(one),
                ).ask,
                one.introspection.prefix,
                one.introspection.audience_optional,
            )
            for one in settings.issuers
            if one.introspection is not None
        ],
        revoked=revoked,
    )


def _certificates(settings: Settings, revoked: IsRevoked) -> CertificateAuthenticator:
    """Raises OperatorError for the bridge's own certificate: who shows the bridge nothing would be its holder."""
    own = settings.http.gateway_certificate
    if own and settings.certificates:
        identity = read_file_identity(Path(own))
        if any(one.identity == identity for one in settings.certificates):
            raise OperatorError(
                Reason.INTERNAL,
                f"[certificates] lists {identity}, the HTTP bridge's own certificate; remove it: it passes "
                "on the credentials of its callers and has none itself",
            )
    holders = {one.identity: Holder(one.name, one.tenant, frozenset(one.scopes)) for one in settings.certificates}
    return CertificateAuthenticator(holders, revoked=revoked)


def _tenants(settings: Settings) -> Callable[[], Tenants]:
    """Follows the configuration file; a bad new one keeps the tenants of the last good one."""
    if not settings.path:
        return lambda: settings.tenants
    return FileSnapshot(Path(settings.path), configuration.parse_tenants).current
