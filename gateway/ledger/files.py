"""The files of the ledger: which they are, how they are opened, and what an operator does when they cannot be.

`receipts.db` (with `-wal` and `-shm` while in use) holds the receipts. Readers need no lock.
"""

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger.rows import MIGRATIONS

NAME = "receipts.db"
RETRY_AFTER_S = 5.0
BUSY_S = 5.0
"""How long one worker waits for another's group to be written."""

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


def advice(path: Path, error: Exception) -> str:
    """Which file it is about and what to do, for the operator."""
    name = getattr(error, "sqlite_errorname", "")
    known = next((text for code, text in _ADVICE.items() if name.startswith(code)), "")
    if isinstance(error, OSError):
        known = _FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else _UNWRITABLE
    return f"{path}: {known or 'it cannot be used'} ({error})"


def unavailable(path: Path, error: sqlite3.Error | OSError) -> OperatorError:
    """The error for the operator at the start, where nobody else reads it."""
    return OperatorError(Reason.AUDIT_UNAVAILABLE, f"The receipts cannot be kept. {advice(path, error)}")


def connect(directory: Path, synchronous: str) -> sqlite3.Connection:
    """The database, made or brought to this version. Raises OperatorError."""
    path = directory / NAME
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise unavailable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise unavailable(path, error) from error
    except OperatorError:
        connection.close()
        raise
    return connection


def connect_read_only(directory: Path) -> sqlite3.Connection:
    """The database for reading, beside a gateway that writes it. Raises OperatorError."""
    path = directory / NAME
    if not path.is_file():
        raise OperatorError(
            Reason.AUDIT_UNAVAILABLE,
            f"There are no receipts in {directory}: no {NAME}. Was the gateway started there?",
        )
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        version = _version(connection)
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    if version != len(MIGRATIONS):
        connection.close()
        raise _wrong_version(path, version)
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the file up to date, while other workers wait for it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise _wrong_version(path, version)
        for statement in ";".join(MIGRATIONS[version:]).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except (sqlite3.Error, OperatorError):
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        return int(cursor.fetchone()[0])


def _wrong_version(path: Path, version: int) -> OperatorError:
    word = "newer" if version > len(MIGRATIONS) else "older"
    what = "install that version" if word == "newer" else "start the gateway once, which brings it up to date"
    return OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        f"{path} was written by a {word} gateway (version {version} of the file): {what}.",
    )
