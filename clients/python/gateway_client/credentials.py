"""Which token source the settings ask for."""

from gateway_client.oauth import ClientCredentials
from gateway_client.settings import ClientSettings
from gateway_client.targets import is_loopback
from gateway_client.tokens import FileToken, StaticToken, TokenSource


def token_source(settings: ClientSettings, target: str) -> TokenSource:
    """The source for calls to `target`: a token, a token file, client credentials, the development token.

    The development token of the data directory is sent to loopback only, and its file may be missing: a
    development gateway takes calls without a credential as well.
    """
    if settings.token:
        return StaticToken(settings.token)
    if settings.token_file is not None:
        return FileToken(settings.token_file)
    if settings.client_id:
        return ClientCredentials(
            settings.token_url, settings.client_id, settings.client_secret, scopes=settings.scopes
        )
    if is_loopback(target):
        return FileToken(settings.dev_token_file, missing_ok=True)
    return StaticToken(None)
