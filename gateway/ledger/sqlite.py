"""The books in one SQLite file, for the workers of one gateway.

`receipts.db` (with `-wal` and `-shm` while in use) holds the receipts. What survives: the file is in WAL mode.
With `synchronous` NORMAL (default) a receipt that was written survives the death of the process, `kill -9`
included; after a power cut the newest ones may be missing, and the file is whole. With FULL every group is synced
to the disk before anybody is told that it is written, and survives a power cut too.
"""

import errno
import os
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Literal

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger import migrate
from gateway.ledger.statements import texts
from gateway.ledger.store import Connection, Cursor, Row, unusable

NAME = "receipts.db"
BUSY_S = 5.0
"""How long one worker waits for another's group to be written."""
OLDER_PROGRAMS = 2
"""`user_version` keeps programs away that know versions below; the revision itself is in `alembic_version`."""

_COUNT_TABLES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
_FULL = "the disk is full: free some space"
_UNWRITABLE = (
    "it cannot be opened or written: give the gateway's user the right to read and write it and its folder"
)
_CORRUPT = "it is damaged: move it away, or put a backup in its place, and start again"
_ADVICE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _UNWRITABLE,
    "SQLITE_CANTOPEN": _UNWRITABLE,
    "SQLITE_PERM": _UNWRITABLE,
    "SQLITE_AUTH": _UNWRITABLE,
    "SQLITE_CORRUPT": _CORRUPT,
    "SQLITE_NOTADB": _CORRUPT,
    "SQLITE_BUSY": "another program has it locked: let that finish",
    "SQLITE_LOCKED": "another program has it locked: let that finish",
    "SQLITE_IOERR": "reading or writing it failed: check the disk",
}


class SqliteStore:
    """Keeps the promise of `Store` in `directory`; `max_pages` (of 4 KiB) bounds the file, 0 = nothing does."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    begin = "BEGIN IMMEDIATE"
    remote = False

    def __init__(
        self, directory: Path, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", max_pages: int = 0
    ) -> None:
        self._directory = directory
        self._path = directory / NAME
        self._synchronous = synchronous
        self._max_pages = max_pages
        said = texts("sqlite")
        self.say = said.say
        self._place = migrate.Place(str(self._path), said.steps, _COUNT_TABLES)

    def prepare(self) -> None:
        """See `Store`."""
        try:
            self._make()
            with closing(self._open()) as connection:
                mark = f"PRAGMA user_version = {OLDER_PROGRAMS}"
                migrate.migrate(connection, self._place, (self.begin, mark))
        except self.errors as error:
            raise unusable(self.advice(error)) from error

    def connect(self) -> Connection:
        """See `Store`."""
        connection = self._open()
        if self._max_pages:
            connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        return connection

    def disconnect(self, connection: Connection) -> None:
        """See `Store`."""
        connection.close()

    def read_only(self) -> Connection:
        """See `Store`."""
        if not self._path.is_file():
            raise OperatorError(
                Reason.AUDIT_UNAVAILABLE,
                f"There are no receipts in {self._directory}: no {NAME}. Was the gateway started there?",
            )
        try:
            with ExitStack() as stack:
                connection = stack.enter_context(closing(self._open_read_only()))
                migrate.check(connection, self._place)
                stack.pop_all()
        except self.errors as error:
            raise unusable(self.advice(error)) from error
        return connection

    def many(self, connection: Connection, statements: Sequence[tuple[str, Row]]) -> list[Cursor]:
        """See `Store`."""
        return [connection.execute(sql, values) for sql, values in statements]

    def is_gone(self, connection: Connection, error: Exception) -> bool:  # noqa: ARG002 - the promise
        """See `Store`. A file stays."""
        return False

    def is_passing(self, error: Exception) -> bool:
        """See `Store`."""
        return isinstance(error, sqlite3.OperationalError | OSError)

    def interrupt(self) -> None:
        """See `Store`. A disk that does not answer cannot be interrupted."""

    def advice(self, error: Exception) -> str:
        """See `Store`."""
        name = getattr(error, "sqlite_errorname", "")
        known = next((text for code, text in _ADVICE.items() if name.startswith(code)), "")
        if isinstance(error, OSError):
            known = _FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else _UNWRITABLE
        return f"{self._path}: {known or 'it cannot be used'} ({error})"

    def _make(self) -> None:
        """Makes the file, for its owner alone.

        One that exists is not touched: to close any copy of it would drop the locks that this process has on it
        (https://www.sqlite.org/howtocorrupt.html, section 2.2).
        """
        if not self._path.exists():
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _open_read_only(self) -> sqlite3.Connection:
        place = f"{self._path.resolve().as_uri()}?mode=ro"
        return sqlite3.connect(place, uri=True, isolation_level=None, timeout=BUSY_S)
