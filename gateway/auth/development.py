"""Who a caller without any credential is, where that is allowed at all: on a developer's own machine."""

from collections.abc import Callable

from gateway.auth import Authenticator
from gateway.domain.call import Caller, Credentials

TENANT = "dev"
SCOPES = frozenset({"model.read", "model.stream", "search"})
LIFETIME_S = 86_400


class AllowMissing:
    """A missing credential means the caller that `caller_factory` makes; one that is shown must be good."""

    def __init__(self, inner: Authenticator, caller_factory: Callable[[], Caller]) -> None:
        self._inner = inner
        self._caller_factory = caller_factory

    async def authenticate(self, credentials: Credentials) -> Caller:
        if credentials.bearer is None and credentials.certificate is None:
            return self._caller_factory()
        return await self._inner.authenticate(credentials)


def development_caller(now: float) -> Caller:
    """Tenant `dev` with every scope but `admin`, for a day from `now` (seconds since the epoch)."""
    return Caller(
        tenant=TENANT,
        subject="developer",
        client_id="development",
        scopes=SCOPES,
        expires_at=now + LIFETIME_S,
        credential_id="none",
    )
