"""A file's content as a value that follows the file: read again when it changes, kept when the new one is bad."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from gateway.auth import private_files
from gateway.domain.errors import OperatorError

T = TypeVar("T")
LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class FileSnapshot(Generic[T]):
    """The file is looked at once a second at most, and only when somebody asks.

    `parse` raises ValueError for bad content. `missing` stands in for the content of a file that is not there;
    None makes a missing file an error. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        missing: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OperatorError when there is nothing good to begin with."""
        self._path = path
        self._parse = parse
        self._missing = missing
        self._clock = clock
        self._looked_at = clock()
        self._stamp = self._stat()
        self._value = self._read()

    def current(self) -> T:
        """The value of the last good content."""
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._follow()
        return self._value

    def _follow(self) -> None:
        stamp = self._stat()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._value = self._read()
        except OperatorError as error:
            _log.warning("the last good content stays in use: %s", error.message)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> T:
        try:
            content = private_files.read(self._path)
        except FileNotFoundError as error:
            if self._missing is None:
                raise private_files.unusable(self._path, "not there", "check the path") from error
            content = self._missing
        try:
            return self._parse(content)
        except ValueError as error:
            raise private_files.unusable(self._path, str(error), "correct it or restore a good copy") from error
