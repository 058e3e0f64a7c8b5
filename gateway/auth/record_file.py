"""A list of records in one private file: read whole, replaced whole, changed by one process at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from gateway.auth import private_files

R = TypeVar("R")


class RecordFile(Generic[R]):
    """`read` raises ValueError for content that is no such list. A file that is not there holds no records."""

    def __init__(
        self, path: Path, read: Callable[[bytes], list[R]], write: Callable[[Sequence[R]], bytes]
    ) -> None:
        self.path = path
        self._read = read
        self._write = write

    def records(self) -> list[R]:
        """Every record, in the order of the file. Raises OperatorError."""
        try:
            return self._read(private_files.read(self.path))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise private_files.unusable(self.path, str(error), "restore it from a backup") from error

    def change(self, edit: Callable[[list[R]], Sequence[R]]) -> None:
        """Replaces the records by what `edit` makes of them; what it raises leaves them as they were."""
        with private_files.locked(self.path.parent):
            private_files.write(self.path, self._write(edit(self.records())))
