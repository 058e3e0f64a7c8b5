"""Which way a credential is judged: told apart by what it looks like, before anything in it is believed."""

from gateway.auth import Authenticator
from gateway.auth.api_key_record import KEY_PREFIX
from gateway.domain.call import Caller, Credentials

SIGNED_TOKEN_DOTS = 2


class ByCredentialKind:
    """`gw_…` goes to `api_keys`, a certificate without a token to `certificates`, the rest to `tokens`.

    Where issuers of opaque tokens are trusted, a token that is not made of three parts goes to `opaque`.
    """

    def __init__(
        self,
        api_keys: Authenticator,
        tokens: Authenticator,
        *,
        opaque: Authenticator | None = None,
        certificates: Authenticator | None = None,
    ) -> None:
        self._api_keys = api_keys
        self._tokens = tokens
        self._opaque = opaque or tokens
        self._certificates = certificates or tokens

    async def authenticate(self, credentials: Credentials) -> Caller:
        bearer = credentials.bearer
        if bearer is None:
            chosen = self._certificates
        elif bearer.startswith(KEY_PREFIX):
            chosen = self._api_keys
        else:
            chosen = self._tokens if bearer.count(".") == SIGNED_TOKEN_DOTS else self._opaque
        return await chosen.authenticate(credentials)
