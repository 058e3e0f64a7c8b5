"""Opens the audit of a process on a chain of its own, and puts in order what other processes left behind."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.audit import AuditObserver
from gateway.audit.append import Sync
from gateway.audit.files import FileAudit
from gateway.audit.folder import ChainFolder, begin, segments, spool_of, unclaimed, unusable
from gateway.audit.recovery import Damaged, Recovered, recover
from gateway.audit.request_hash import request_hashes
from gateway.audit.writer import Places, Writer

LOOK_EVERY_S = 15.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an audit is kept: in `folder`, and in `spool` (None = nowhere) while that cannot be written.

    `now` is in seconds since the epoch.
    """

    folder: Path
    spool: Path | None = None
    spool_records: int = 10_000
    sync: Sync = os.fdatasync
    now: Callable[[], float] = time.time

    def recover(self, folder: ChainFolder) -> Recovered:
        """Brings one chain in order; see `recovery.recover`."""
        return recover(folder, self.spool, lambda: round(self.now() * 1_000_000), self.sync)


@asynccontextmanager
async def open_audit(
    keeping: Keeping, secret: bytes, observer: AuditObserver, new_id: Callable[[], str]
) -> AsyncIterator[FileAudit]:
    """The audit of this process, until it is left. `secret` keys the digests of requests.

    Raises OperatorError(AUDIT_UNAVAILABLE) when the folders cannot be used.
    """
    folder, writer, lost = await asyncio.to_thread(_start, keeping, secret, new_id)
    if lost:
        observer.audit_lost_workers(lost)
    audit = FileAudit(writer, asyncio.get_running_loop(), observer)
    reconciling = asyncio.get_running_loop().create_task(_reconcile(Reconciler(keeping), observer))
    try:
        yield audit
    finally:
        reconciling.cancel()
        await asyncio.wait([reconciling])
        await audit.aclose()
        folder.release()


class Reconciler:
    """Looks after chains that nobody writes. A chain that was in order is not read again until it changes."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._seen: dict[str, tuple[str, int, bool]] = {}

    def look(self) -> int:
        """How many intents got their outcome because their process died. Raises OSError."""
        lost = 0
        for folder in unclaimed(self._keeping.folder):
            try:
                if self._seen.get(folder.chain) != self._state(folder):
                    lost += _in_order(self._keeping, folder)
                    self._seen[folder.chain] = self._state(folder)
            finally:
                folder.release()
        return lost

    def _state(self, folder: ChainFolder) -> tuple[str, int, bool]:
        found, spool = segments(folder.path), self._keeping.spool
        waits = spool is not None and spool_of(spool, folder.chain).exists()
        return (found[-1].name, found[-1].stat().st_size, waits) if found else ("", 0, waits)


def _in_order(keeping: Keeping, folder: ChainFolder) -> int:
    try:
        return keeping.recover(folder).lost
    except Damaged as error:
        _log.error("the audit is damaged and stays as it is: %s", error)
        return 0


async def _reconcile(reconciler: Reconciler, observer: AuditObserver) -> None:
    while True:
        try:
            lost = await asyncio.to_thread(reconciler.look)
            if lost:
                observer.audit_lost_workers(lost)
        except OSError as error:
            _log.warning("chains of the audit that nobody writes cannot be looked after: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)


def _start(keeping: Keeping, secret: bytes, new_id: Callable[[], str]) -> tuple[ChainFolder, Writer, int]:
    """The chain of this process with its start written; blocks. Raises OperatorError."""
    try:
        for path in (keeping.folder, keeping.spool):
            if path is not None:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder, found = _take(keeping, new_id)
    except OSError as error:
        raise unusable(keeping.folder, error) from error
    name = f"{os.uname().nodename}:{os.getpid()}"
    places = Places(folder, name, keeping.spool, keeping.spool_records, keeping.sync)
    writer = Writer(places, found.head, request_hashes(secret), now=keeping.now)
    writer.write(())
    if writer.failure is not None:
        writer.close()
        folder.release()
        raise unusable(keeping.folder, writer.failure)
    return folder, writer, found.lost


def _take(keeping: Keeping, new_id: Callable[[], str]) -> tuple[ChainFolder, Recovered]:
    """A chain that nobody writes, in order, or a new one."""
    for folder in unclaimed(keeping.folder):
        try:
            return folder, keeping.recover(folder)
        except Damaged as error:
            _log.error("the audit is damaged and stays as it is: %s", error)
            folder.release()
        except OSError:
            folder.release()
            raise
    folder = begin(keeping.folder, new_id()[:16])
    return folder, keeping.recover(folder)
