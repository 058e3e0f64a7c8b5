"""Pure: what one run of indexing did, file by file."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a file, in the words of the report."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """One file: its path as the operator named it, its class (`Markdown`, `PDF` …), and why it was skipped."""

    path: str
    kind: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Every file of one run, in the order it was read."""

    files: tuple[FileOutcome, ...] = ()

    def count(self, outcome: Outcome, kind: str | None = None) -> int:
        """How many files ended so, of one class or of all."""
        return sum(1 for file in self.files if file.outcome is outcome and kind in (None, file.kind))

    def by_kind(self) -> dict[str, Counter[Outcome]]:
        """The counts of each class of files, by its name."""
        table: dict[str, Counter[Outcome]] = {}
        for file in sorted(self.files, key=lambda file: file.kind):
            table.setdefault(file.kind, Counter())[file.outcome] += 1
        return table

    def with_outcome(self, outcome: Outcome) -> tuple[FileOutcome, ...]:
        """The files that ended so."""
        return tuple(file for file in self.files if file.outcome is outcome)

    @property
    def indexed(self) -> int:
        """How many of the files are in the index now."""
        return sum(map(self.count, (Outcome.ADDED, Outcome.UPDATED, Outcome.UNCHANGED)))

    @property
    def changed(self) -> int:
        """How many documents of the index were written or taken out."""
        return sum(map(self.count, (Outcome.ADDED, Outcome.UPDATED, Outcome.REMOVED)))

    def __add__(self, other: "IndexReport") -> "IndexReport":
        return IndexReport(self.files + other.files)
