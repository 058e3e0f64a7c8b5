"""Where the bearer token of a call comes from."""

import asyncio
from pathlib import Path
from typing import Protocol

from gateway_client.errors import TokenUnavailable


class TokenSource(Protocol):
    """Gives the token for the next call.

    It is asked before every call and may be asked by many tasks at once, so it must be cheap while the token
    is good. It must never log or print a token.
    """

    async def token(self, refresh: bool) -> str | None:
        """The token to send, or None to send none.

        `refresh` is true when the gateway refused the one given before. Raises TokenUnavailable.
        """
        ...


class StaticToken:
    """One fixed token, such as a gateway API key; None sends no credential."""

    def __init__(self, token: str | None) -> None:
        self._token = sendable(token, "the given token") if token else None

    async def token(self, refresh: bool) -> str | None:  # noqa: ARG002 - a fixed token has no fresher one
        """The fixed token."""
        return self._token


class FileToken:
    """A token that another program keeps fresh in a file; read again for every call."""

    def __init__(self, path: Path, *, missing_ok: bool = False) -> None:
        self._path = path
        self._missing_ok = missing_ok

    async def token(self, refresh: bool) -> str | None:  # noqa: ARG002 - every reading is fresh
        """What the file holds now; None when it is missing and may be.

        Raises TokenUnavailable when it cannot be read.
        """
        return await asyncio.to_thread(self._read)

    def _read(self) -> str | None:
        try:
            text = self._path.read_text("utf-8").strip()
        except FileNotFoundError as error:
            if self._missing_ok:
                return None
            raise TokenUnavailable(f"the token file {self._path} does not exist") from error
        except (OSError, UnicodeDecodeError) as error:
            raise TokenUnavailable(f"the token file {self._path} cannot be read: {error}") from error
        return sendable(text, f"the token file {self._path}") if text else None


def sendable(token: str, origin: str) -> str:
    """The token without surrounding blanks, if it can stand in an HTTP/2 header.

    Raises TokenUnavailable, naming `origin` and never the token.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise TokenUnavailable(f"{origin} holds characters that no token has: check what was pasted")
    return token
