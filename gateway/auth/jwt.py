"""Signed access tokens of any number of issuers, side by side (RFC 7519, RFC 8725, RFC 9068)."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.auth import refusal
from gateway.auth.claims import read_caller, read_header
from gateway.auth.compact import CompactToken, TokenError, has_sane_size, parse
from gateway.auth.key_source import KeySource
from gateway.auth.policy import IssuerPolicy
from gateway.auth.verified import VerifiedTokens
from gateway.domain.call import Caller, Credentials

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One trusted issuer: what its tokens must look like, and where its keys come from."""

    policy: IssuerPolicy
    keys: KeySource


def nobody(_caller: Caller) -> bool:
    """Without a revocation list nobody is revoked."""
    return False


class JwtAuthenticator:
    """Verifies tokens of the issuers it is given.

    `revoked` is asked on every call, so it must answer from memory. `now` is in seconds since the epoch;
    `remembered` is how many verified tokens are kept.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        *,
        revoked: Callable[[Caller], bool] = nobody,
        now: Callable[[], float] = time.time,
        remembered: int = 10_000,
    ) -> None:
        self._issuers = {issuer.policy.issuer: issuer for issuer in issuers}
        if len(self._issuers) != len(issuers):
            raise ValueError("an issuer is configured twice; give each one section")
        self._revoked = revoked
        self._now = now
        self._verified = VerifiedTokens(remembered)

    def trust(self, issuer: Issuer) -> None:
        """One more issuer from now on, in place of one of the same name."""
        self._issuers[issuer.policy.issuer] = issuer

    @property
    def ready(self) -> bool:
        """Whether tokens of every issuer can be verified."""
        return all(issuer.keys.ready for issuer in self._issuers.values())

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind a bearer token; see `Authenticator`. Raises CallerError(REVOKED) for a revoked one."""
        token = credentials.bearer
        if token is None or not has_sane_size(token):
            raise refusal.invalid_token()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        caller = self._verified.find(digest, self._now())
        if caller is None:
            caller = await self._verify(token, digest)
        if self._revoked(caller):
            raise refusal.revoked()
        return caller

    def start(self) -> None:
        """Begins to fetch and refresh keys; needs a running event loop."""
        for issuer in self._issuers.values():
            issuer.keys.start()

    async def purge(self) -> None:
        """Forgets every verified token and every fetched key, and fetches the keys anew."""
        self._verified.clear()
        await asyncio.gather(*(issuer.keys.purge() for issuer in self._issuers.values()))

    async def aclose(self) -> None:
        """Ends every background task."""
        for issuer in self._issuers.values():
            await issuer.keys.aclose()

    async def _verify(self, text: str, digest: bytes) -> Caller:
        """Everything that needs no key comes first: a token that breaks a rule never causes a fetch."""
        try:
            token = parse(text)
            issuer = self._issuer_of(token)
            header = read_header(token.header, issuer.policy)
            caller = read_caller(token.payload, issuer.policy, header.key_id, self._now())
            key = await issuer.keys.find(header.key_id)
            if key is None or key.algorithm != header.algorithm:
                raise TokenError("no key of that name and algorithm")
            if not key.verify(token.signing_input, token.signature):
                raise TokenError("the signature is wrong")
        except TokenError as error:
            _log.debug("token refused: %s", error)
            raise refusal.invalid_token() from error
        self._verified.add(digest, caller, issuer.keys)
        return caller

    def _issuer_of(self, token: CompactToken) -> Issuer:
        name = token.payload.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenError("iss is not a configured issuer")
        return issuer
