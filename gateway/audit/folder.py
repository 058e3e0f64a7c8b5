"""Where chains lie: `audit/CHAIN/FIRST.audit`, one folder for each chain and one process at a time in each of
them.

A process takes a chain that nobody writes, or begins one. The lock is the kernel's, on the folder itself, and
goes with its process however that ends.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.errors import OperatorError, Reason

NAME = "audit"
SUFFIX = ".audit"
SPOOL_SUFFIX = ".spool"
DIGITS = 15


class ChainFolder:
    """One chain's folder, held for writing until `release`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock

    @property
    def chain(self) -> str:
        """The name of the chain."""
        return self.path.name

    def segments(self) -> list[Path]:
        """Its segments, in order."""
        return segments(self.path)

    def segment(self, first: int) -> Path:
        """Where the segment lies whose first record is `first`."""
        return self.path / f"{first:0{DIGITS}}{SUFFIX}"

    def release(self) -> None:
        """Lets another process have it."""
        os.close(self.lock)


def segments(chain: Path) -> list[Path]:
    """The segments of a chain, in order."""
    return sorted(path for path in chain.iterdir() if path.suffix == SUFFIX)


def first_of(segment: Path) -> int:
    """The number of a segment's first record, by its name; 0 for a name that is none."""
    return int(segment.stem) if segment.stem.isdecimal() else 0


def chains(audit: Path) -> list[Path]:
    """The chains in the audit's folder, by name."""
    if not audit.is_dir():
        return []
    return sorted(path for path in audit.iterdir() if path.is_dir() and not path.name.startswith("."))


def spool_of(spool: Path, chain: str) -> Path:
    """Where a chain's records wait while its own folder cannot be written."""
    return spool / f"{chain}{SPOOL_SUFFIX}"


def claim(path: Path) -> ChainFolder | None:
    """The chain's folder for this process, or None where another one has it. Raises OSError."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return ChainFolder(path, lock)


def unclaimed(audit: Path) -> Iterator[ChainFolder]:
    """Every chain that no process writes, held; whoever does not want one releases it. Raises OSError."""
    for path in chains(audit):
        found = claim(path)
        if found is not None:
            yield found


def begin(audit: Path, chain: str) -> ChainFolder:
    """A new chain's folder, held. Raises OSError."""
    hidden = audit / f".{chain}"
    hidden.mkdir(mode=0o700, parents=True)
    found = claim(hidden)
    if found is None:
        raise FileExistsError(f"{hidden} is in use")
    # Nobody else looks at it before it has its name, and the lock goes along.
    return ChainFolder(hidden.rename(audit / chain), found.lock)


def unusable(path: Path, error: OSError) -> OperatorError:
    """The error for the operator at the start."""
    return OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        f"The audit cannot be kept in {path}: {error.strerror or error}. Free some space, or give the gateway's "
        "user the right to read and write there.",
    )
