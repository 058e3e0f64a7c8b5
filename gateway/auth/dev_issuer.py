"""The gateway's own issuer: mints the same strict tokens another one would, with keys in the data directory."""

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import jwt

from gateway.auth.claims import MAX_LIFETIME_S, MAX_NAME_LENGTH, SCOPE
from gateway.auth.jwt import Issuer
from gateway.auth.key_source import StaticKeys, read_verifying_keys
from gateway.auth.policy import TENANT, IssuerPolicy
from gateway.auth.signatures import VerifyingKey
from gateway.auth.signing_keys import SigningKeys
from gateway.auth.snapshot import LOOK_EVERY_S
from gateway.domain.errors import invalid

ISSUER = "https://gateway.localhost/dev"
AUDIENCE = "https://gateway.localhost"
CLIENT_ID = "gateway-token"
KEY_DIRECTORY = "issuer"


class OwnKeys(StaticKeys):
    """The keys of an issuer in this process; asks `follow` to look for new ones once a second at most."""

    def __init__(self, follow: Callable[[], None], clock: Callable[[], float]) -> None:
        super().__init__({})
        self._follow = follow
        self._clock = clock
        self._looked_at = clock()

    def holds(self, generation: int) -> bool:
        self.look()
        return super().holds(generation)

    async def find(self, key_id: str) -> VerifyingKey | None:
        self.look()
        return await super().find(key_id)

    def look(self) -> None:
        """Looks for new keys, unless that was done a moment ago."""
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._follow()


class DevIssuer:
    """Keeps its keys in `<data_dir>/issuer/`. Whoever can read that directory can be anybody.

    Follows the directory, so that a key made by another process (`gateway client rotate-key`) is used within a
    second. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes the key where there is none. Raises OperatorError with the file and what to do about it."""
        self._keys = SigningKeys(data_dir / KEY_DIRECTORY)
        self._policy = IssuerPolicy(issuer, (audience,), algorithms=frozenset({"ES256"}))
        self._audience = audience
        self._source = OwnKeys(self.follow, clock)
        self._publish()

    @property
    def trusted(self) -> Issuer:
        """The issuer as `JwtAuthenticator` wants it; follows `rotate`, and needs no HTTP."""
        return Issuer(self._policy, self._source)

    def jwks(self) -> dict[str, object]:
        """The JWK set to publish: the public half of every key, the older ones too."""
        self._source.look()
        return {"keys": [key.jwk for key in self._keys.all]}

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""
        return self._policy.issuer

    @property
    def audience(self) -> str:
        """The `aud` of its tokens."""
        return self._audience

    def follow(self) -> None:
        """Uses the keys as they are in the directory now."""
        if self._keys.follow():
            self._publish()

    def rotate(self) -> None:
        """Signs with a new key from now on; tokens of the older ones stay good."""
        self._keys.rotate()
        self._publish()

    def mint(
        self, tenant: str, scope: str, subject: str, ttl_s: int, now: float, *, client_id: str = CLIENT_ID
    ) -> str:
        """A signed token with every claim of RFC 9068. `ttl_s` in seconds, at most a day; `now` since the epoch.

        Raises CallerError(INVALID_REQUEST) for a value that no gateway would accept.
        """
        _check(tenant, scope, subject, client_id, ttl_s)
        payload = {
            "iss": self._policy.issuer,
            "aud": self._audience,
            "sub": subject,
            "client_id": client_id,
            "jti": secrets.token_urlsafe(16),
            "tenant": tenant,
            "scope": scope,
            "iat": int(now),
            "exp": int(now) + ttl_s,
        }
        self._source.look()
        key = self._keys.current
        return jwt.encode(payload, key.private, "ES256", {"typ": "at+jwt", "kid": key.key_id})

    def _publish(self) -> None:
        document = {"keys": [key.jwk for key in self._keys.all]}
        keys, _ = read_verifying_keys(json.dumps(document).encode("ascii"), self._policy)
        self._source.replace(keys)


def _check(tenant: str, scope: str, subject: str, client_id: str, ttl_s: int) -> None:
    if TENANT.fullmatch(tenant) is None:
        raise invalid("tenant", "use lower-case letters, digits and hyphens, at most 63, like acme")
    if SCOPE.fullmatch(scope) is None:
        raise invalid("scope", 'use words separated by spaces, like "model.read model.stream search"')
    for name, value in (("subject", subject), ("client_id", client_id)):
        if not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable():
            raise invalid(name, f"use 1 to {MAX_NAME_LENGTH} printable characters")
    if not 1 <= ttl_s <= MAX_LIFETIME_S:
        raise invalid("ttl", "use at least one second and at most a day (24h)")
