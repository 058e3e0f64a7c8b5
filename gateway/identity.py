"""Builds who is believed, from the settings: the issuer of the operator, API keys, and the development issuer."""

import time
from pathlib import Path

from gateway.auth import Authenticator
from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.auth.dev_issuer import DevIssuer
from gateway.auth.development import AllowMissing, development_caller
from gateway.auth.dispatch import ByCredentialKind
from gateway.auth.endpoint import DiscoveredJwks, Jwks
from gateway.auth.jwks import RemoteKeys
from gateway.auth.jwt import Issuer, JwtAuthenticator
from gateway.auth.policy import IssuerPolicy
from gateway.settings import Settings


def remote_keys(settings: Settings) -> tuple[IssuerPolicy, RemoteKeys] | None:
    """The operator's issuer and its keys, if one is configured."""
    jwt, jwks = settings.jwt, settings.jwks
    if not jwt.issuer:
        return None
    policy = IssuerPolicy(
        jwt.issuer, (jwt.audience,), algorithms=frozenset(jwt.algorithms), tenant_claim=jwt.tenant_claim
    )
    plain = jwks.allow_plaintext
    place = Jwks(jwks.url, plain) if jwks.url else DiscoveredJwks(jwt.issuer, allow_plaintext=plain)
    return policy, RemoteKeys(policy, place.load)


def authenticator(
    data_dir: Path, remote: tuple[IssuerPolicy, RemoteKeys] | None, development: DevIssuer | None
) -> Authenticator:
    """Tokens of every issuer and API keys; under development a missing credential is the tenant `dev`."""
    issuers = [Issuer(*remote)] if remote else []
    if development is not None:
        issuers.append(development.trusted)
    chosen: Authenticator = ByCredentialKind(ApiKeyAuthenticator(ApiKeyFile(data_dir)), JwtAuthenticator(issuers))
    if development is None:
        return chosen
    return AllowMissing(chosen, lambda: development_caller(time.time()))
