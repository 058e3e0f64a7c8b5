"""Long-lived API keys, for callers that cannot fetch tokens: one file of keyed digests in the data directory."""

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.auth import private_files, refusal
from gateway.auth.api_key_record import (
    KEY_PREFIX,
    NEVER,
    ApiKeyRecord,
    assemble,
    digest_of,
    prefix_of,
    read_records,
    revoke,
    write_records,
)
from gateway.auth.claims import MAX_NAME_LENGTH, SCOPE
from gateway.auth.policy import TENANT
from gateway.auth.record_file import RecordFile
from gateway.auth.snapshot import FileSnapshot
from gateway.domain.call import Caller, Credentials
from gateway.domain.errors import invalid

DIRECTORY = "keys"
SECRET_BYTES = 32
MAX_KEY_LENGTH = 128
_EMPTY = b'{"keys": []}'


class ApiKeyFile:
    """The keys of one data directory, for the commands that manage them. Every method raises OperatorError."""

    def __init__(self, data_dir: Path) -> None:
        self.directory = data_dir / DIRECTORY
        self.path = self.directory / "keys.json"
        self._file = RecordFile(self.path, read_records, write_records)

    def secret(self) -> bytes:
        """The secret that keys are digested under; made at the first use."""
        path = self.directory / "hmac.key"
        try:
            found = private_files.read(path)
        except FileNotFoundError:
            found = self._make_secret(path)
        if len(found) != SECRET_BYTES:
            advice = "restore it from a backup, or delete it and issue every key anew"
            raise private_files.unusable(path, f"not {SECRET_BYTES} bytes long", advice)
        return found

    def create(
        self, tenant: str, scope: str, now: float, *, subject: str = "", ttl_s: int | None = None
    ) -> tuple[str, ApiKeyRecord]:
        """A new key, to be shown once, and its record. Without `subject` the key is its own; None = no expiry.

        Raises CallerError(INVALID_REQUEST) for a bad value.
        """
        _check(tenant, scope, subject, ttl_s)
        name = base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()
        key = assemble(name, secrets.token_urlsafe(SECRET_BYTES))
        prefix = prefix_of(key)
        record = ApiKeyRecord(
            prefix=prefix,
            digest=digest_of(key, self.secret()),
            tenant=tenant,
            subject=subject or prefix,
            scopes=tuple(sorted(set(scope.split()))),
            created_at=int(now),
            expires_at=NEVER if ttl_s is None else int(now) + ttl_s,
        )
        self._file.change(lambda records: [*records, record])
        return key, record

    def records(self) -> Sequence[ApiKeyRecord]:
        """Every record, the revoked ones too, oldest first."""
        return self._file.records()

    def revoke(self, prefix: str, now: float) -> None:
        """Ends a key for good. Raises CallerError(INVALID_REQUEST) where there is none of that prefix."""
        try:
            self._file.change(lambda records: revoke(records, prefix, now))
        except KeyError as error:
            raise invalid("prefix", f"there is no key {prefix}; `gateway key list` shows them") from error

    def _make_secret(self, path: Path) -> bytes:
        with private_files.locked(self.directory):
            if not path.exists():
                private_files.write(path, secrets.token_bytes(SECRET_BYTES))
            return private_files.read(path)


class ApiKeyAuthenticator:
    """Looks a key up by the keyed digest of all of it, in a snapshot that follows the file within a second.

    `now` is in seconds since the epoch, `clock` monotonic. `revoked` is asked on every call, like for tokens.
    """

    def __init__(
        self,
        keys: ApiKeyFile,
        *,
        revoked: Callable[[Caller], bool] = lambda _caller: False,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OperatorError when the files are there and cannot be used."""
        self._secret = keys.secret()
        self._revoked = revoked
        self._now = now
        self._file = FileSnapshot(keys.path, _by_digest, missing=_EMPTY, clock=clock)

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind an API key; see `Authenticator`. Raises CallerError(REVOKED) for a revoked one."""
        key = credentials.bearer
        if key is None or len(key) > MAX_KEY_LENGTH or not key.startswith(KEY_PREFIX) or not key.isascii():
            raise refusal.invalid_token()
        record = self._file.current().get(digest_of(key, self._secret))
        if record is None or self._now() >= record.expires_at:
            raise refusal.invalid_token()
        caller = record.caller
        if record.revoked_at or self._revoked(caller):
            raise refusal.revoked()
        return caller


def _by_digest(content: bytes) -> dict[str, ApiKeyRecord]:
    return {record.digest: record for record in read_records(content)}


def _check(tenant: str, scope: str, subject: str, ttl_s: int | None) -> None:
    if TENANT.fullmatch(tenant) is None:
        raise invalid("tenant", "use lower-case letters, digits and hyphens, at most 63, like acme")
    if SCOPE.fullmatch(scope) is None or not scope.split():
        raise invalid("scope", 'use words separated by spaces, like "model.read model.stream search"')
    if len(subject) > MAX_NAME_LENGTH or not subject.isprintable():
        raise invalid("subject", f"use at most {MAX_NAME_LENGTH} printable characters")
    if ttl_s is not None and ttl_s < 1:
        raise invalid("ttl", "use at least one second")
