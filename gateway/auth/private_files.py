"""Files that hold secrets: readable by their owner only, never seen half written, made once by many processes."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason

OWNER_ONLY_FILE = 0o600
OWNER_ONLY_DIRECTORY = 0o700


def unusable(path: Path, what: str, advice: str) -> OperatorError:
    """The error for a file the operator has to look at."""
    return OperatorError(Reason.INTERNAL, f"{path}: {what}; {advice}")


def read(path: Path) -> bytes:
    """The whole file. Raises FileNotFoundError when it is missing, OperatorError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        advice = "make it readable for the user that runs the gateway"
        raise unusable(path, f"cannot be read ({error.strerror})", advice) from error


def write(path: Path, content: bytes) -> None:
    """Replaces the file as a whole, or leaves it as it was. Raises OperatorError."""
    try:
        _replace(path, content)
    except OSError as error:
        raise _not_writable(path, error) from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One process at a time in `directory`, which is made when it is missing. Raises OperatorError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(OWNER_ONLY_DIRECTORY)
        handle = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY_FILE)
    except OSError as error:
        raise _not_writable(directory, error) from error
    try:
        _wait_for_lock(handle, directory)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int, directory: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        advice = "choose a data directory on a file system with locks"
        raise unusable(directory, f"cannot be locked ({error.strerror})", advice) from error


def _replace(path: Path, content: bytes) -> None:
    # mkstemp makes files that only their owner can read, whatever the umask.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _not_writable(path: Path, error: OSError) -> OperatorError:
    advice = "make it writable for the user that runs the gateway, or choose another data directory"
    return unusable(path, f"cannot be written ({error.strerror})", advice)
