"""Salts as files in the data directory, one for each tenant, readable by their owner only."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason


class SaltFiles:
    """Keeps the promise of `SaltBox`; the disk is never touched on the event loop's thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, name: str) -> bytes | None:
        """The salt, or None."""
        return await asyncio.to_thread(self._read, name)

    async def make(self, name: str, salt: bytes) -> bytes:
        """Lays it down unless another process was first."""
        return await asyncio.to_thread(self._make, name, salt)

    async def destroy(self, name: str) -> None:
        """Deletes it."""
        await asyncio.to_thread(self.remove, name)

    def remove(self, name: str) -> None:
        """The same for a command, which has no event loop."""
        path = self._directory / name
        try:
            with suppress(FileNotFoundError):
                with path.open("r+b") as file:
                    # Some file systems keep what is only unlinked for long.
                    file.write(b"\0" * path.stat().st_size)
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
        except OSError as error:
            raise _unusable(path, error) from error

    def _read(self, name: str) -> bytes | None:
        path = self._directory / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(path, error) from error

    def _make(self, name: str, salt: bytes) -> bytes:
        path = self._directory / name
        new = path.with_name(f".new-{os.getpid()}-{name}")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, salt)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            with suppress(FileExistsError):
                # A link, unlike a rename, never replaces what another process laid down first.
                os.link(new, path)
            return path.read_bytes()
        except OSError as error:
            raise _unusable(path, error) from error
        finally:
            with suppress(OSError):
                new.unlink()


def _unusable(path: Path, error: OSError) -> OperatorError:
    return OperatorError(
        Reason.INTERNAL,
        f"{path.parent}: a tenant's salt cannot be read or written ({error.strerror}); make the folder the "
        "gateway user's own, and see that its disk has room",
    )
