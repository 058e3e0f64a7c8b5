"""Who is calling: a credential in, a verified `Caller` out.

An authenticator never lets anything a token says choose where the gateway connects, never touches Redis, and
never says more than `invalid_token` about why it refused.
"""

from typing import Protocol

from gateway.domain.call import Caller, Credentials


class Authenticator(Protocol):
    """Verifies one credential."""

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credential.

        Raises CallerError(TOKEN_INVALID) for every kind of bad token, with the same text;
        OperatorError(IDP_UNAVAILABLE) when no key could be fetched yet.
        """
        ...
