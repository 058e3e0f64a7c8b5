"""The files of the ledger: which they are, how they are opened, and what an operator does when they cannot be.

`receipts.db` (with `-wal` and `-shm` while in use) holds the receipts. `receipts.lock` is locked by the process
that writes them: one at a time. Readers need no lock.
"""

import errno
import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger.rows import MIGRATIONS

NAME = "receipts.db"
LOCK = "receipts.lock"
RETRY_AFTER_S = 5.0

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


def lock(directory: Path) -> int:
    """Takes the directory for this process; a descriptor to close when done.

    Raises OperatorError when the directory cannot be used, or another gateway uses it.
    """
    path = directory / LOCK
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unavailable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise OperatorError(
            Reason.AUDIT_UNAVAILABLE,
            f"Another gateway (process {owner or 'unknown'}) keeps its receipts in {directory}: stop it, or give "
            "this one a data directory of its own.",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def connect(directory: Path, synchronous: str) -> sqlite3.Connection:
    """The database, made or brought to this version. Raises OperatorError."""
    path = directory / NAME
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
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
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2.0)
        version = _version(connection)
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    if version != len(MIGRATIONS):
        connection.close()
        raise _wrong_version(path, version)
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise _wrong_version(path, version)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
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
