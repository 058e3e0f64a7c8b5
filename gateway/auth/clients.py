"""The clients of the gateway's own token issuer: one file of keyed digests in the data directory."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.auth.api_key import ApiKeyFile
from gateway.auth.claims import SCOPE
from gateway.auth.client_record import (
    CLIENT_ID,
    ClientRecord,
    digest_of,
    read_records,
    revoke,
    write_records,
)
from gateway.auth.policy import TENANT
from gateway.auth.record_file import RecordFile
from gateway.auth.snapshot import FileSnapshot
from gateway.domain.errors import invalid

SECRET_BYTES = 32
MAX_SECRET_LENGTH = 256
_EMPTY = b'{"clients": []}'


class ClientFile:
    """The clients of one data directory, for the commands that manage them. Every method raises OperatorError."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "clients" / "clients.json"
        self._file = RecordFile(self.path, read_records, write_records)
        self._keys = ApiKeyFile(data_dir)

    def secret(self) -> bytes:
        """The secret that client secrets are digested under; the same as for API keys."""
        return self._keys.secret()

    def create(self, client_id: str, tenant: str, scope: str, now: float) -> tuple[str, ClientRecord]:
        """A new client: its secret, to be shown once, and its record.

        Raises CallerError(INVALID_REQUEST) for a bad value, and for a name that is taken, by a revoked one too.
        """
        _check(client_id, tenant, scope)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        digest = digest_of(client_id, secret, self.secret())
        record = ClientRecord(client_id, digest, tenant, tuple(sorted(set(scope.split()))), int(now))

        def add(records: list[ClientRecord]) -> list[ClientRecord]:
            if any(one.client_id == client_id for one in records):
                raise invalid("client_id", f"there is a client {client_id} already; choose another name")
            return [*records, record]

        self._file.change(add)
        return secret, record

    def records(self) -> Sequence[ClientRecord]:
        """Every record, the revoked ones too, oldest first."""
        return self._file.records()

    def revoke(self, client_id: str, now: float) -> None:
        """Ends a client for good. Raises CallerError(INVALID_REQUEST) where there is none of that name."""
        try:
            self._file.change(lambda records: revoke(records, client_id, now))
        except KeyError as error:
            hint = f"there is no client {client_id}; `gateway client list` shows them"
            raise invalid("client_id", hint) from error


class KnownClients:
    """Checks a client's secret, in a snapshot that follows the file within a second."""

    def __init__(self, clients: ClientFile) -> None:
        """Raises OperatorError when the files are there and cannot be used."""
        self._secret = clients.secret()
        self._current: Callable[[], Mapping[str, ClientRecord]]
        self._current = FileSnapshot(clients.path, _by_name, missing=_EMPTY).current

    def find(self, client_id: str, secret: str) -> ClientRecord | None:
        """The client of this name and secret, unless it was revoked."""
        record = self._current().get(client_id)
        if record is None or record.revoked_at or len(secret) > MAX_SECRET_LENGTH:
            return None
        return record if record.has_secret(secret, self._secret) else None


def _by_name(content: bytes) -> Mapping[str, ClientRecord]:
    return {record.client_id: record for record in read_records(content)}


def _check(client_id: str, tenant: str, scope: str) -> None:
    if CLIENT_ID.fullmatch(client_id) is None:
        raise invalid(
            "client_id", "use letters, digits, dots, hyphens and underscores, at most 64, like billing-app"
        )
    if TENANT.fullmatch(tenant) is None:
        raise invalid("tenant", "use lower-case letters, digits and hyphens, at most 63, like acme")
    if SCOPE.fullmatch(scope) is None or not scope.split():
        raise invalid("scope", 'use words separated by spaces, like "model.read model.stream search"')
