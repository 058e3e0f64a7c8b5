"""API key or token: told apart by the prefix, which no signed token can begin with."""

from gateway.auth import Authenticator
from gateway.auth.api_key_record import KEY_PREFIX
from gateway.domain.call import Caller, Credentials


class ByCredentialKind:
    """Sends `gw_…` to `api_keys` and everything else, a missing credential too, to `tokens`."""

    def __init__(self, api_keys: Authenticator, tokens: Authenticator) -> None:
        self._api_keys = api_keys
        self._tokens = tokens

    async def authenticate(self, credentials: Credentials) -> Caller:
        bearer = credentials.bearer
        chosen = self._api_keys if bearer is not None and bearer.startswith(KEY_PREFIX) else self._tokens
        return await chosen.authenticate(credentials)
