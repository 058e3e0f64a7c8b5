"""Writes documents into the embedded index and takes them out again; every change is part of a transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.search.chunks import Passage
from gateway.search.index_schema import index_error, open_for_writing
from gateway.search.tokens import analyse

HEADING_GLUE = " › "


@dataclass(frozen=True, slots=True)
class Root:
    """A file or folder that was indexed. `place` is known to the operator only; callers see `label`."""

    id: int
    place: str
    label: str


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the index knows of a document without reading it. `mtime` in seconds since the epoch."""

    id: int
    sha256: bytes
    kind: str
    mtime: float | None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document as it goes into the index; `path` is relative to its root, empty when the root is the file."""

    path: str
    kind: str
    title: str
    mtime: float | None
    sha256: bytes
    passages: tuple[Passage, ...]


class IndexStore:
    """One writing connection. Every method raises OperatorError when SQLite cannot do it."""

    def __init__(self, database: Path) -> None:
        self._connection = open_for_writing(database)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what happens inside, or nothing of it."""
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def roots(self, tenant: str) -> list[Root]:
        """The roots of a tenant ('' = shared by all)."""
        with _translated():
            rows = self._connection.execute(
                "SELECT id, place, label FROM roots WHERE tenant = ? ORDER BY place", (tenant,)
            )
            return [Root(*row) for row in rows]

    def add_root(self, tenant: str, place: str, label: str) -> Root:
        """A new root; call inside a transaction."""
        cursor = self._connection.execute(
            "INSERT INTO roots (tenant, place, label) VALUES (?, ?, ?)", (tenant, place, label)
        )
        return Root(cursor.lastrowid or 0, place, label)

    def drop_root(self, root: Root) -> None:
        """Takes a root out with all its documents; call inside a transaction."""
        for document in self.documents(root).values():
            self.drop(document)
        self._connection.execute("DELETE FROM roots WHERE id = ?", (root.id,))

    def documents(self, root: Root) -> dict[str, StoredDocument]:
        """The documents of a root by their relative path."""
        with _translated():
            rows = self._connection.execute(
                "SELECT path, id, sha256, kind, mtime FROM documents WHERE root = ?", (root.id,)
            )
            return {path: StoredDocument(*rest) for path, *rest in rows}

    def put(self, root: Root, tenant: str, document: NewDocument, indexed_at: float) -> None:
        """Adds a document that is not there yet; call inside a transaction."""
        cursor = self._connection.execute(
            "INSERT INTO documents (root, path, tenant, kind, title, mtime, sha256, indexed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(root.id, document.path, tenant, document.kind, document.title),
                *(document.mtime, document.sha256, indexed_at),
            ),
        )
        title = " ".join(analyse(document.title))
        for passage in document.passages:
            self._put_passage(cursor.lastrowid or 0, title, passage)

    def touch(self, document: StoredDocument, mtime: float | None) -> None:
        """Notes that the same content has a new time; call inside a transaction."""
        self._connection.execute("UPDATE documents SET mtime = ? WHERE id = ?", (mtime, document.id))

    def drop(self, document: StoredDocument) -> None:
        """Takes a document and its passages out; call inside a transaction."""
        key = (document.id,)
        self._connection.execute(
            "DELETE FROM terms WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", key
        )
        self._connection.execute("DELETE FROM passages WHERE document = ?", key)
        self._connection.execute("DELETE FROM documents WHERE id = ?", key)

    def tidy(self) -> None:
        """Merges the index into one piece, which makes searching faster; worth it after many changes."""
        with _translated():
            self._connection.execute("INSERT INTO terms (terms) VALUES ('optimize')")

    def close(self) -> None:
        """Gives the file back."""
        self._connection.close()

    def _put_passage(self, document: int, title: str, passage: Passage) -> None:
        heading = HEADING_GLUE.join(passage.path)
        cursor = self._connection.execute(
            "INSERT INTO passages (document, heading, anchor, body) VALUES (?, ?, ?, ?)",
            (document, heading, passage.anchor, passage.text),
        )
        self._connection.execute(
            "INSERT INTO terms (rowid, title, heading, body) VALUES (?, ?, ?, ?)",
            (cursor.lastrowid, title, " ".join(analyse(heading)), " ".join(analyse(passage.text))),
        )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise index_error(error) from error
