"""What could do the most harm is withheld while nobody can say who has been revoked."""

from collections.abc import Callable
from dataclasses import replace

from gateway.auth import Authenticator
from gateway.domain.call import Caller, Credentials

HIGH_RISK = frozenset({"admin"})


class WithheldScopes:
    """Callers of `inner`, without the scopes of high risk unless `allowed`; asked on every call."""

    def __init__(self, inner: Authenticator, allowed: Callable[[], bool]) -> None:
        self._inner = inner
        self._allowed = allowed

    async def authenticate(self, credentials: Credentials) -> Caller:
        caller = await self._inner.authenticate(credentials)
        if caller.scopes.isdisjoint(HIGH_RISK) or self._allowed():
            return caller
        return replace(caller, scopes=caller.scopes - HIGH_RISK)
