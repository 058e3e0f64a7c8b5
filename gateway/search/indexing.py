"""Keeps the embedded index in step with files: adds, updates in place by content, and forgets what is gone."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gateway.domain.errors import invalid
from gateway.search.chunks import passages
from gateway.search.documents import MAX_PDF_BYTES, kind_of, read_document
from gateway.search.files import Found, Refused, walk
from gateway.search.index_report import FileOutcome, IndexReport, Outcome
from gateway.search.index_roots import SHIPPED_LABEL, Scope, scope_of, shipped_scope
from gateway.search.index_store import IndexStore, NewDocument, Root, StoredDocument
from gateway.search.outline import UnreadableFileError

SHIPPED_FOLDER = Path(__file__).resolve().parent / "corpus"
BATCH_DOCUMENTS = 64
TIDY_AFTER_CHANGES = 100

_TENANT = re.compile(r"(?:[a-z0-9][a-z0-9-]{0,62})?")


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be done about one path of a root; `new` is None when only `old` has to go."""

    outcome: FileOutcome
    old: StoredDocument | None = None
    new: NewDocument | None = None
    mtime: float | None = None


def index_paths(
    database: Path, paths: Sequence[Path], tenant: str = "", clock: Callable[[], float] = time.time
) -> IndexReport:
    """Brings files and whole folders up to date in the index of `tenant` ('' = shared by all).

    Servers may go on reading meanwhile. Raises CallerError for a path that does not exist or a bad tenant name,
    before anything is written; OperatorError when the index cannot be written.
    """
    _check(paths, tenant)
    with closing(IndexStore(database)) as store:
        report = IndexReport()
        for path in paths:
            refresh = _Refresh(store, tenant, scope_of(store, path.resolve(), tenant), str(path))
            report += refresh.run(clock)
        if report.changed >= TIDY_AFTER_CHANGES:
            store.tidy()
        return report


def ensure_shipped(database: Path, clock: Callable[[], float] = time.time) -> IndexReport:
    """Brings the documents that come with the gateway up to date, shared by all; quick when nothing changed.

    Blocks while it reads and writes: call it in a thread. Raises OperatorError.
    """
    with closing(IndexStore(database)) as store:
        # The time of an installed file is when it was installed, which says nothing about its text.
        refresh = _Refresh(store, "", shipped_scope(store, SHIPPED_FOLDER), SHIPPED_LABEL, dated=False)
        return refresh.run(clock)


def _check(paths: Sequence[Path], tenant: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise invalid("tenant", f"{tenant!r} is no tenant name; use a-z, 0-9 and -, at most 63 characters")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise invalid("", f"no such file or folder: {', '.join(missing)}")


class _Refresh:
    """One run over one scope: compares what is there with what is known, and writes the difference in batches.

    `shown` is the scope's start as the operator wrote it; `dated` says whether the time of a file means anything.
    """

    def __init__(self, store: IndexStore, tenant: str, scope: Scope, shown: str, *, dated: bool = True) -> None:
        self._store = store
        self._tenant = tenant
        self._scope = scope
        self._shown = shown
        self._dated = dated

    def run(self, clock: Callable[[], float]) -> IndexReport:
        changes = self._changes()
        outcomes: list[FileOutcome] = []
        while batch := list(islice(changes, BATCH_DOCUMENTS)):
            with self._store.transaction():
                for change in batch:
                    self._apply(self._scope.root, change, clock())
            outcomes += [change.outcome for change in batch]
        return IndexReport(tuple(outcomes))

    def _changes(self) -> Iterator[_Change]:
        known = self._store.documents(self._scope.root)
        gone = {path: document for path, document in known.items() if self._scope.covers(path)}
        for found in walk(self._scope.start):
            path = self._scope.path_of(found.path)
            yield self._change(found, path, self._name(found.path), gone.pop(path, None))
        for path, document in gone.items():
            name = self._name(self._scope.below(path))
            yield _Change(FileOutcome(name, document.kind, Outcome.REMOVED), old=document)

    def _name(self, below: str) -> str:
        return f"{self._shown.rstrip('/')}/{below}" if below else self._shown

    def _change(self, found: Found | Refused, path: str, name: str, old: StoredDocument | None) -> _Change:
        kind = kind_of(name)
        if isinstance(found, Refused):
            return _Change(FileOutcome(name, kind, Outcome.SKIPPED, found.reason), old=old)
        try:
            content, modified = _read(found.file)
            mtime = modified if self._dated else None
            sha256 = hashlib.sha256(content).digest()
            if old is not None and old.sha256 == sha256:
                return _Change(FileOutcome(name, old.kind, Outcome.UNCHANGED), old=old, mtime=mtime)
            document = read_document(found.file.name, content)
        except UnreadableFileError as error:
            return _Change(FileOutcome(name, kind, Outcome.SKIPPED, str(error)), old=old)
        new = NewDocument(path, kind, document.title, mtime, sha256, passages(document))
        return _Change(FileOutcome(name, kind, Outcome.UPDATED if old else Outcome.ADDED), old, new)

    def _apply(self, root: Root, change: _Change, now: float) -> None:
        if change.old is not None and change.outcome.outcome is Outcome.UNCHANGED:
            if change.old.mtime != change.mtime:
                self._store.touch(change.old, change.mtime)
            return
        if change.old is not None:
            self._store.drop(change.old)
        if change.new is not None:
            self._store.put(root, self._tenant, change.new, now)


def _read(file: Path) -> tuple[bytes, float]:
    """The bytes of a file, one more than allowed at most, and its time. Raises UnreadableFileError."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_PDF_BYTES + 1), file.stat().st_mtime
    except OSError as error:
        raise UnreadableFileError(f"cannot be read ({error.strerror})") from error
