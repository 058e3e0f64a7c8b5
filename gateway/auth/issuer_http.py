"""The gateway's own token issuer over HTTP: discovery, its keys, and tokens for client credentials."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.auth.clients import KnownClients
from gateway.auth.dev_issuer import DevIssuer
from gateway.auth.token_request import (
    MAX_BODY_BYTES,
    TokenRequestError,
    granted,
    invalid_client,
    read_token_request,
)
from gateway.domain.errors import OperatorError

DISCOVERY = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
JWKS = "/oauth/jwks.json"
TOKEN = "/oauth/token"  # noqa: S105 - a path
JWKS_MAX_AGE_S = 60
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_log = logging.getLogger(__name__)


def routes(
    issuer: Callable[[], DevIssuer], clients: KnownClients, token_ttl_s: int, now: Callable[[], float] = time.time
) -> list[web.RouteDef]:
    """What the HTTP port answers for an issuer whose `iss` is that port's URL; asked for on every request."""
    pages = _Pages(issuer, clients, token_ttl_s, now)
    return [
        *(web.get(path, pages.configuration) for path in DISCOVERY),
        web.get(JWKS, pages.jwks),
        web.post(TOKEN, pages.token),
    ]


@dataclass(frozen=True, slots=True)
class _Pages:
    issuer: Callable[[], DevIssuer]
    clients: KnownClients
    token_ttl_s: int
    now: Callable[[], float]

    async def configuration(self, _request: web.Request) -> web.Response:
        """OpenID Connect Discovery 1.0 section 3 and RFC 8414, as far as client credentials go."""
        issuer = self.issuer().issuer
        place = issuer.rstrip("/")
        return web.json_response(
            {
                "issuer": issuer,
                "jwks_uri": place + JWKS,
                "token_endpoint": place + TOKEN,
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "response_types_supported": ["none"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def jwks(self, _request: web.Request) -> web.Response:
        """The keys, to be kept for a minute: after a rotation the new one is there before long."""
        age = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_S}"}
        return web.json_response(self.issuer().jwks(), headers=age, content_type="application/jwk-set+json")

    async def token(self, request: web.Request) -> web.Response:
        """RFC 6749 section 4.4; the token is that of RFC 9068."""
        try:
            # One byte more than allowed is enough to know.
            body = await _read_capped(request, MAX_BODY_BYTES + 1)
            return web.json_response(self._grant(request, body), headers=NO_STORE)
        except TokenRequestError as refused:
            return _refusal(refused)
        except OperatorError as error:
            _log.error("no token can be issued: %s", error.message)
            return _refusal(TokenRequestError("temporarily_unavailable", "try again later", 503))

    def _grant(self, request: web.Request, body: bytes) -> dict[str, object]:
        issuer = self.issuer()
        wanted = read_token_request(
            request.headers.get("Content-Type", ""),
            request.headers.get("Authorization", ""),
            body,
            issuer.audience,
        )
        client = self.clients.find(wanted.client_id, wanted.client_secret)
        if client is None:
            raise invalid_client()
        scope = granted(wanted.scopes, client.scopes)
        token = issuer.mint(
            client.tenant, scope, client.client_id, self.token_ttl_s, self.now(), client_id=client.client_id
        )
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.token_ttl_s, "scope": scope}


async def _read_capped(request: web.Request, size: int) -> bytes:
    body = bytearray()
    while len(body) < size:
        piece = await request.content.read(size - len(body))
        if not piece:
            break
        body += piece
    return bytes(body)


def _refusal(error: TokenRequestError) -> web.Response:
    challenge = (
        {"WWW-Authenticate": 'Basic realm="token endpoint", charset="UTF-8"'} if error.status == 401 else {}
    )
    content = {"error": error.code, "error_description": str(error)}
    return web.json_response(content, status=error.status, headers={**NO_STORE, **challenge})
