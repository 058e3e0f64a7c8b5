"""The ledger in one SQLite file, for the workers of one gateway.

Each worker has a thread that owns its connection. Whatever waits for it goes into one transaction, in the order in
which it was asked for, and the event loop is woken once for all of it; the loop's own thread never touches the disk.

What survives: the file is in WAL mode. With `synchronous` NORMAL (default) a receipt that was written survives
the death of the process, `kill -9` included; after a power cut the newest ones may be missing, and the file is
whole. With FULL every group is synced to the disk before anybody is told that it is written, and survives a power
cut too.
"""

import asyncio
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from gateway.domain.errors import OperatorError, Reason
from gateway.domain.receipt import Receipt
from gateway.inbox import Inbox
from gateway.ledger.directory import DirectoryLock, lock
from gateway.ledger.files import NAME, RETRY_AFTER_S, advice, connect, unavailable
from gateway.ledger.rows import BEAT, CLOSE, CLOSE_LOST, DELETE, INSERT, SELECT, closing, opening, receipt_of

WORKER_LOST = "worker_lost"
_GROUP = 512
BEAT_EVERY_S = 10.0
LEASE_S = 30.0
_REPORT_EVERY_S = 10.0
_UNDONE = (sqlite3.Error, OverflowError, ValueError)
"""The disk's errors, and those of values that SQLite cannot hold: integers over 64 bits, broken Unicode."""

_log = logging.getLogger(__name__)

Answer = Receipt | Sequence[Receipt] | dict[str, int] | None
Work = Callable[[sqlite3.Connection], Answer]
Waiter = asyncio.Future[Answer]
Outcome = tuple[Waiter, Answer | OperatorError]
_Item = tuple[Waiter, Work, Receipt | None]


async def open_ledger(
    directory: Path,
    *,
    gateway: str = "",
    worker: str = "",
    now: Callable[[], float] = time.time,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    max_waiting: int = 10_000,
    max_pages: int = 0,
) -> "SqliteLedger":
    """Opens the ledger in this directory for writing; the first to come closes what dead workers left open.

    `gateway` is an id that all workers of one gateway have in common ("" = it has no others): they share the
    directory, any other gateway is refused. `worker` is this process's own (a new one by default); it stands on
    the receipts that it opens. `max_waiting` bounds what waits for the thread, `max_pages` the file (in pages of
    4 KiB; 0 = no bound).
    Raises OperatorError(AUDIT_UNAVAILABLE) that names the file and what to do.
    """
    ledger = SqliteLedger(directory, asyncio.get_running_loop(), worker or secrets.token_hex(8), now, max_waiting)
    await asyncio.to_thread(ledger.start, gateway, synchronous, max_pages)
    return ledger


class SqliteLedger:
    """Keeps the promise of `Ledger`; made by `open_ledger`."""

    def __init__(
        self,
        directory: Path,
        loop: asyncio.AbstractEventLoop,
        worker: str,
        now: Callable[[], float],
        max_waiting: int,
    ) -> None:
        self._directory = directory
        self._loop = loop
        self._now = now
        self._max_waiting = max_waiting
        self._inbox: Inbox[_Item | None] = Inbox(loop)
        self._waiting = 0
        self._closed = False
        self._unwritten: dict[str, Receipt] = {}
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._connection: sqlite3.Connection
        self._lock: DirectoryLock
        self._worker = worker
        self._silent_until = 0.0
        self.lost = 0

    async def open(self, receipt: Receipt) -> Receipt | None:
        """Writes an open receipt; the standing one of its turn, if there is one."""
        found = await self._ask(lambda connection: _open(connection, receipt, self._worker))
        assert found is None or isinstance(found, Receipt)  # noqa: S101 - what `_open` returns
        return found

    async def close(self, receipt: Receipt) -> None:
        """Writes the settled receipt. One that cannot be written is tried again with everything that follows."""
        await self._ask(lambda connection: _close(connection, receipt), must_write=receipt)

    async def get(self, tenant: str, receipt_id: str) -> Receipt | None:
        """A receipt of this tenant's."""
        return await self._one("WHERE tenant = ? AND receipt_id = ?", tenant, receipt_id)

    async def find(self, tenant: str, session_id: str, turn_id: str) -> Receipt | None:
        """The receipt of this turn."""
        return await self._one("WHERE tenant = ? AND session_id = ? AND turn_id = ?", tenant, session_id, turn_id)

    async def recent(self, tenant: str | None, limit: int) -> Sequence[Receipt]:
        """The newest receipts first, by the order in which they were opened."""
        found = await self._ask(lambda connection: newest(connection, tenant, limit))
        assert isinstance(found, list)  # noqa: S101 - what `newest` returns
        return found

    async def spent_since(self, moment: float) -> dict[str, int]:
        """Nano-USD charged to each tenant since this moment, to restore budgets after a restart."""
        found = await self._ask(lambda connection: _spent_since(connection, moment))
        assert isinstance(found, dict)  # noqa: S101 - what `_spent_since` returns
        return found

    async def bury(self, worker: str) -> None:
        """Closes what this worker left open now, and not when its lease ends: it is known to be dead."""
        await self._ask(lambda connection: _bury(connection, worker, self._now()))

    async def aclose(self) -> None:
        """Writes what is waiting, then closes the file and lets another process have the directory."""
        if self._closed:
            return
        self._closed = True
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def start(self, gateway: str, synchronous: str, max_pages: int) -> None:
        """Opens the files and starts the thread; blocks, so not on the event loop."""
        self._lock = lock(self._directory, gateway)
        try:
            # The connection moves to the thread below and is used nowhere else from then on.
            self._connection = connect(self._directory, synchronous)
            if max_pages:
                self._connection.execute(f"PRAGMA max_page_count = {max_pages}")
            if self._lock.first:
                self.lost = self._connection.execute(CLOSE_LOST, (WORKER_LOST, self._now())).rowcount
                self._connection.execute("DELETE FROM workers")
            self._lock.share()
            self._connection.execute(BEAT, (self._worker, self._now()))
        except sqlite3.Error as error:
            self._connection.close()
            self._lock.release()
            raise unavailable(self._directory / NAME, error) from error
        except OperatorError:
            self._lock.release()
            raise
        self._thread.start()

    async def _one(self, where: str, *values: str) -> Receipt | None:
        found = await self._ask(lambda connection: _select_one(connection, where, values))
        assert found is None or isinstance(found, Receipt)  # noqa: S101 - what `_select_one` returns
        return found

    def _ask(self, work: Work, must_write: Receipt | None = None) -> Waiter:
        if self._closed:
            raise _refusal("the ledger is closed")
        # Turns are refused at `max_waiting`: the other half is for those that run and must be closed.
        if self._waiting >= (self._max_waiting if must_write is None else 2 * self._max_waiting):
            raise _refusal(f"{self._waiting} operations wait for the disk already")
        waiter: Waiter = self._loop.create_future()
        self._inbox.put((waiter, work, must_write))
        self._waiting += 1
        return waiter

    def _deliver(self, outcomes: list[Outcome]) -> None:
        self._waiting -= len(outcomes)
        for waiter, answer in outcomes:
            if waiter.done():
                continue
            if isinstance(answer, OperatorError):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)

    # --- on the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        last, beat_at = False, time.monotonic() + BEAT_EVERY_S
        while not last:
            group, last = self._next_group(beat_at - time.monotonic())
            if group:
                outcomes = self._write(group)
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(self._deliver, outcomes)
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + BEAT_EVERY_S
                self._beat()
        with suppress(sqlite3.Error):
            self._connection.execute("DELETE FROM workers WHERE worker = ?", (self._worker,))
        self._connection.close()
        self._lock.release()

    def _next_group(self, within_s: float) -> tuple[list[_Item], bool]:
        """What is to be written together, and whether it is the last: nothing follows None."""
        taken = self._inbox.take(_GROUP, max(within_s, 0.0))
        return [item for item in taken if item is not None], None in taken[-1:]

    def _beat(self) -> None:
        """Renews this worker's lease: other workers take one that they have not seen renewed in time for dead."""
        try:
            self._connection.execute(BEAT, (self._worker, self._now()))
        except sqlite3.Error as error:
            self._report(advice(self._directory / NAME, error))

    def _write(self, group: list[_Item]) -> list[Outcome]:
        """All in one transaction; if that fails each in its own, so that one that can be done is done."""
        try:
            late = list(self._unwritten.values())
            answers = self._transact([work for _, work, _ in group], late)
        except _UNDONE:
            return [self._write_alone(item) for item in group]
        self._unwritten.clear()
        return [(waiter, answer) for (waiter, _, _), answer in zip(group, answers, strict=True)]

    def _write_alone(self, item: _Item) -> Outcome:
        waiter, work, must_write = item
        try:
            return waiter, self._transact([work], ())[0]
        except _UNDONE as error:
            if must_write is not None and isinstance(error, sqlite3.OperationalError):
                self._unwritten.setdefault(must_write.receipt_id, must_write)
            detail = advice(self._directory / NAME, error)
            self._report(detail)
            refusal = _refusal(detail)
            refusal.__cause__ = error
            return waiter, refusal

    def _report(self, detail: str) -> None:
        """Not once per turn: a disk that is full refuses many."""
        moment = time.monotonic()
        if moment >= self._silent_until:
            self._silent_until = moment + _REPORT_EVERY_S
            _log.error("the receipts cannot be read or written: %s", detail)

    def _transact(self, works: Sequence[Work], late: Sequence[Receipt]) -> list[Answer]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for receipt in late:
                _close(connection, receipt)
            answers = [work(connection) for work in works]
            connection.execute("COMMIT")
        except _UNDONE:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                connection.execute("ROLLBACK")
            raise
        return answers


def newest(connection: sqlite3.Connection, tenant: str | None, limit: int) -> list[Receipt]:
    """The newest receipts of one tenant or of all."""
    where, values = ("", ()) if tenant is None else ("WHERE tenant = ?", (tenant,))
    rows = connection.execute(f"{SELECT} {where} ORDER BY seq DESC LIMIT ?", (*values, max(limit, 0)))
    return [receipt_of(row) for row in rows]


def _open(connection: sqlite3.Connection, receipt: Receipt, worker: str) -> Receipt | None:
    if connection.execute(INSERT, opening(receipt, worker)).rowcount:
        return None
    of_turn = (receipt.tenant, receipt.session_id, receipt.turn_id)
    standing = _select_one(connection, "WHERE tenant = ? AND session_id = ? AND turn_id = ?", of_turn)
    if standing is None:
        raise ValueError(f"the receipt id {receipt.receipt_id} belongs to another turn")
    if standing.receipt_id != receipt.receipt_id or not standing.may_run_again:
        return standing
    connection.execute(DELETE, (receipt.receipt_id, receipt.tenant))
    connection.execute(INSERT, opening(receipt, worker))
    return None


def _close(connection: sqlite3.Connection, receipt: Receipt) -> None:
    connection.execute(CLOSE, closing(receipt))


def _bury(connection: sqlite3.Connection, worker: str, now: float) -> None:
    connection.execute(f"{CLOSE_LOST} AND worker = ?", (WORKER_LOST, now, worker))
    connection.execute("DELETE FROM workers WHERE worker = ?", (worker,))


def _select_one(connection: sqlite3.Connection, where: str, values: Sequence[str]) -> Receipt | None:
    row = connection.execute(f"{SELECT} {where}", values).fetchone()
    return None if row is None else receipt_of(row)


def _spent_since(connection: sqlite3.Connection, moment: float) -> dict[str, int]:
    sums = (
        "SELECT tenant, SUM(settled_cost_nano_usd) FROM receipts"
        " WHERE settled_at > 0 AND settled_at >= ? GROUP BY tenant"
    )
    return dict(connection.execute(sums, (moment,)).fetchall())


def _refusal(detail: str) -> OperatorError:
    """What a caller may read; the note tells the operator which file it is and what to do."""
    error = OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        "The gateway cannot write receipts at present, so it starts no turn: retry later.",
        retry_after_s=RETRY_AFTER_S,
    )
    error.add_note(detail)
    return error
