"""The tables of the embedded index: one SQLite file, whose `user_version` counts the steps taken."""

import sqlite3
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason

BUSY_S = 10.0
CACHE_KIB = 32 * 1024

# `terms` holds what tokens.py made of each passage, under the same rowid. Its tokenizer only splits at spaces.
# bm25() weighs a term in the title five times and in a heading three times as much as one in the text.
STEPS = (
    """
    CREATE TABLE roots (
        id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, place TEXT NOT NULL, label TEXT NOT NULL,
        UNIQUE (tenant, place), UNIQUE (tenant, label)
    ) STRICT;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, root INTEGER NOT NULL REFERENCES roots (id), path TEXT NOT NULL,
        tenant TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, mtime REAL, sha256 BLOB NOT NULL,
        indexed_at REAL NOT NULL, UNIQUE (root, path)
    ) STRICT;
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents (id), heading TEXT NOT NULL,
        anchor TEXT NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX passages_of_document ON passages (document);
    CREATE VIRTUAL TABLE terms USING fts5 (title, heading, body, tokenize = "ascii tokenchars '_./-'");
    INSERT INTO terms (terms, rank) VALUES ('rank', 'bm25(5.0, 3.0, 1.0)');
    """,
)

DAMAGED = (
    "the embedded search index is damaged or not an index; delete index.db* in the data directory and index again"
)
NEWER = "the embedded search index is from a newer gateway; delete index.db* in the data directory and index again"
UNWRITABLE = "the embedded search index cannot be written; make the data directory writable, with space left on it"
BUSY = "another process is writing the embedded search index; try again when it is done"


def open_for_writing(database: Path) -> sqlite3.Connection:
    """A connection that begins and commits only when told to, on the newest schema. Raises OperatorError."""
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(database, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(Reason.ENRICHMENT_FAILED, UNWRITABLE) from error
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise index_error(error) from error
    except OperatorError:
        connection.close()
        raise
    return connection


def open_for_reading(database: Path) -> sqlite3.Connection:
    """A connection that cannot write, for the one thread that makes it. Raises sqlite3.Error, OperatorError.

    Its table `frequencies` says in how many passages (`doc`) a term stands.
    """
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        version = schema_version(connection)
        if version != len(STEPS):
            raise OperatorError(Reason.ENRICHMENT_FAILED, NEWER if version > len(STEPS) else DAMAGED)
        # Not mapped: a file that somebody writes over in place would take the whole process with it.
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("CREATE VIRTUAL TABLE temp.frequencies USING fts5vocab (main, terms, row)")
    except (sqlite3.Error, OperatorError):
        connection.close()
        raise
    return connection


def schema_version(connection: sqlite3.Connection) -> int:
    """How many steps the file has taken; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def index_error(error: sqlite3.Error) -> OperatorError:
    """What the operator does about an error of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            text = BUSY
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            text = UNWRITABLE
        case _:
            text = DAMAGED
    return OperatorError(Reason.ENRICHMENT_FAILED, text)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if schema_version(connection) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    version = schema_version(connection)
    if version > len(STEPS):
        raise OperatorError(Reason.ENRICHMENT_FAILED, NEWER)
    for step in STEPS[version:]:
        for statement in step.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")
    connection.execute("COMMIT")
