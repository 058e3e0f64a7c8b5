"""The data directory belongs to one gateway: its workers share it, a second gateway is refused.

`receipts.lock` is locked by every worker, shared, and names their gateway. Whoever finds it free locks it alone
for as long as it clears up what dead workers left.
"""

import fcntl
import os
import secrets
import time
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger.store import unusable

LOCK = "receipts.lock"
_STRANGER_S = 1.0
_COLLEAGUE_S = 60.0
_LOOK_AGAIN_S = 0.01
_PID_WIDTH = 20


class DirectoryLock:
    """This worker's part in the directory, until `release`. `first`: no other worker of the gateway has one."""

    def __init__(self, path: Path, descriptor: int, gateway: str, *, first: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self._gateway = gateway
        self.first = first

    def share(self) -> None:
        """Lets the other workers of this gateway in. Raises OperatorError when another gateway was faster."""
        # The kernel lets go of one lock before it gives the other, so somebody may come between.
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        pid, gateway = _owner(self._descriptor)
        if gateway != self._gateway:
            raise _taken(self._path.parent, pid)

    def release(self) -> None:
        """Gives it up; again, does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock(directory: Path, gateway: str = "") -> DirectoryLock:
    """Takes the directory for a worker of `gateway`, an id that its workers have in common; "" = it has no others.

    Blocks while another worker of this gateway clears up. Raises OperatorError when the directory cannot be used
    or another gateway uses it.
    """
    path, gateway = directory / LOCK, gateway or secrets.token_hex(8)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = "give the gateway's user the right to read and write it and its folder"
        raise unusable(f"{path}: it cannot be opened or written ({error.strerror}): {advice}") from error
    begun = time.monotonic()
    while True:
        if _try(descriptor, fcntl.LOCK_EX):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid():<{_PID_WIDTH}}\n{gateway}\n".encode(), 0)
            return DirectoryLock(path, descriptor, gateway, first=True)
        alone = not _try(descriptor, fcntl.LOCK_SH)
        pid, owner = _owner(descriptor)
        if not alone and owner == gateway:
            return DirectoryLock(path, descriptor, gateway, first=False)
        if not alone or time.monotonic() - begun > (_COLLEAGUE_S if owner == gateway else _STRANGER_S):
            os.close(descriptor)
            raise _taken(directory, pid)
        time.sleep(_LOOK_AGAIN_S)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _owner(descriptor: int) -> tuple[str, str]:
    """The process that wrote the file, and its gateway."""
    said = os.pread(descriptor, 200, 0).decode("ascii", "replace").split()
    return said[0] if said else "unknown", said[1] if len(said) > 1 else ""


def _taken(directory: Path, pid: str) -> OperatorError:
    return OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        f"Another gateway (process {pid}) keeps its receipts in {directory}: stop it, or give this one a data "
        "directory of its own.",
    )
