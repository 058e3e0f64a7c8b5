"""A file that only grows, by whole groups that are on the disk before anybody is told so.

What a failed write left behind is cut off again before anything else is written: after an error nobody knows
which of the pages are on the disk, so they are written once more (https://lwn.net/Articles/752063/).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o600
Sync = Callable[[int], None]


def sync_folder(folder: Path) -> None:
    """A new or removed name in this folder survives a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendFile:
    """One file, up to `size` known to be whole; `sync` waits for the disk. All but `close` raises OSError."""

    def __init__(self, path: Path, size: int = 0, sync: Sync = os.fdatasync) -> None:
        self.path = path
        self.size = size
        self._sync = sync
        self._descriptor = -1

    def append(self, data: bytes) -> None:
        """All of `data`, durable; or nothing of it, as far as the disk still obeys."""
        try:
            self._open()
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            self._sync(self._descriptor)
        except OSError:
            self._cut()
            raise
        self.size += len(data)

    def empty(self) -> None:
        """Nothing stands in it any more, durably."""
        self._open()
        os.ftruncate(self._descriptor, 0)
        self.size = 0
        self._sync(self._descriptor)

    def close(self) -> None:
        """Lets go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor >= 0:
            return
        made = not self.path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, OWNER_ONLY)
        os.ftruncate(self._descriptor, self.size)
        if made:
            sync_folder(self.path.parent)

    def _cut(self) -> None:
        """The next append opens the file anew, and cuts again what cannot be cut now."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
        self.close()
