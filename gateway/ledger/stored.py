"""The ledger in a database: SQLite beside the gateway by default, PostgreSQL by URL.

One thread owns the connection. Whatever waits for it goes into one transaction, in the order in which it was asked
for, and the event loop is woken once for all of it; the loop's own thread never touches the database.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar, cast

from gateway.domain.errors import OperatorError
from gateway.domain.receipt import Receipt
from gateway.inbox import Inbox
from gateway.ledger import Unsettled, stores
from gateway.ledger.directory import DirectoryLock, lock
from gateway.ledger.store import Store, unusable
from gateway.ledger.works import (
    Work,
    checkpoint_work,
    close_work,
    forget_work,
    leave_work,
    list_work,
    one_work,
    open_work,
    spent_work,
    tenants_work,
)
from gateway.ledger.writer import MOST_LATE, PATIENCE_S, Outcome, Terms, Writer, refused

T = TypeVar("T")
_GROUP = 512
_WATCH_EVERY_S = 1.0
AWAY_S = 5.0
_Item = tuple[asyncio.Future[object] | None, Work[object]]


async def open_ledger(
    directory: Path,
    *,
    url: str = "",
    gateway: str = "",
    worker: str = "",
    now: Callable[[], float] = time.time,
    ticks: Callable[[], float] = time.monotonic,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    max_waiting: int = 10_000,
    max_pages: int = 0,
    max_late: int = MOST_LATE,
    patience_s: float = PATIENCE_S,
) -> "StoredLedger":
    """Opens the books for writing: those in this directory, or those in the PostgreSQL database at `url`.

    `gateway` is an id that all workers of one gateway have in common ("" = it has no others): they share the
    directory, any other gateway is refused. `worker` is this process's own (a new one by default); it stands on
    the receipts that it opens. `max_waiting` bounds what waits for the thread,
    `max_pages` a file (in pages of 4 KiB; 0 = no bound); `max_late` and `patience_s` are those of `Terms`.
    Raises OperatorError(AUDIT_UNAVAILABLE) that names the database and what to do.
    """
    store: Store = stores.store(directory, url, synchronous, max_pages)
    terms = Terms(worker or secrets.token_hex(8), now, ticks, max_late, patience_s)
    place = await asyncio.to_thread(lock, directory, gateway)
    try:
        writer = Writer(store, terms)
        await asyncio.to_thread(_start, store, writer, place)
    except OperatorError:
        place.release()
        raise
    return StoredLedger(store, writer, terms, place, max_waiting)


def _start(store: Store, writer: Writer, place: DirectoryLock) -> None:
    try:
        store.prepare()
        # A file in the directory is this gateway's alone; a server has other gateways as well.
        writer.start(first=place.first and not store.remote)
        place.share()
    except store.errors as error:
        raise unusable(store.advice(error)) from error


class StoredLedger:
    """Keeps the promise of `Ledger`; made by `open_ledger`."""

    def __init__(self, store: Store, writer: Writer, terms: Terms, place: DirectoryLock, max_waiting: int) -> None:
        self._store = store
        self._writer = writer
        self._terms = terms
        self._place = place
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._inbox: Inbox[_Item | None] = Inbox(self._loop)
        self._waiting = 0
        self._closed = False
        self._tend_at = terms.ticks()
        self._watching: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def away(self) -> bool:
        """See `Ledger`. A server that only starts anew is back sooner."""
        return self._terms.ticks() - self._writer.gone_at >= AWAY_S

    async def open(self, receipt: Receipt) -> Receipt | None:
        """Writes an open receipt; the standing one of its turn, if there is one."""
        return await self._ask(open_work(self._store.say, receipt, self._terms.worker, self._terms.now()))

    async def close(self, receipt: Receipt) -> bool:
        """Writes the settled receipt. One that cannot be written is kept and tried again, once a second."""
        return await self._ask(close_work(self._store.say, receipt), running=True)

    def checkpoint(self, receipt: Receipt) -> None:
        """Notes what an open receipt has used; forgotten when the books are busy."""
        if not self._closed and self._waiting < self._max_waiting:
            self._put(None, checkpoint_work(self._store.say, receipt))

    async def get(self, tenant: str, receipt_id: str) -> Receipt | None:
        """A receipt of this tenant's."""
        return await self._ask(one_work(self._store.say.by_id, tenant, receipt_id))

    async def find(self, tenant: str, session_id: str, turn_id: str) -> Receipt | None:
        """The receipt of this turn."""
        return await self._ask(one_work(self._store.say.by_turn, tenant, session_id, turn_id))

    async def recent(self, tenant: str | None, limit: int) -> Sequence[Receipt]:
        """The newest receipts first, by the order in which they were opened."""
        say, most = self._store.say, max(limit, 0)
        if tenant is None:
            return await self._ask(list_work(say.newest, most))
        return await self._ask(list_work(say.newest_of_tenant, tenant, most))

    async def unsettled(self, most: int = 100) -> Unsettled:
        """See `Ledger`."""
        return await self._ask(self._writer.unsettled(most), running=True)

    async def spent_since(self, moment: float) -> dict[str, int]:
        """Nano-USD charged to each tenant since this moment, to restore budgets after a restart."""
        return await self._ask(spent_work(self._store.say, moment))

    async def bury(self, worker: str) -> None:
        """Ends the lease of a worker that is known to be dead: what it left open is nobody's at once."""
        await self._ask(leave_work(self._store.say, worker), running=True)

    async def tenants(self) -> Sequence[str]:
        """Every tenant that has receipts."""
        return await self._ask(tenants_work(self._store.say))

    async def forget(self, tenant: str, before: float, most: int = 200) -> int:
        """Deletes at most so many closed receipts of before a moment; how many it were."""
        return await self._ask(forget_work(self._store.say, tenant, before, most))

    async def aclose(self) -> None:
        """Writes what is waiting, then closes the database and lets another process have the directory."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
            self._watch()
        await asyncio.to_thread(self._thread.join)
        if self._watching is not None:
            self._watching.cancel()

    def _ask(self, work: Work[T], *, running: bool = False) -> "asyncio.Future[T]":
        if self._closed:
            raise refused("the ledger is closed")
        # Turns are refused at `max_waiting`: the other half is for those that run and must be closed.
        if self._waiting >= (2 * self._max_waiting if running else self._max_waiting):
            raise refused(f"{self._waiting} operations wait for the database already")
        waiter: asyncio.Future[T] = self._loop.create_future()
        self._put(cast("asyncio.Future[object]", waiter), work)
        return waiter

    def _put(self, waiter: asyncio.Future[object] | None, work: Work[T]) -> None:
        self._inbox.put((waiter, cast(Work[object], work)))
        self._waiting += 1
        if self._watching is None:
            self._watching = self._loop.call_later(_WATCH_EVERY_S, self._watch)

    def _watch(self) -> None:
        """Ends what has taken too long: whoever waits for a server that does not answer is told so."""
        self._watching = None
        if self._terms.ticks() >= self._writer.overdue_at:
            self._store.interrupt()
        if self._waiting or (self._thread.is_alive() and self._closed):
            self._watching = self._loop.call_later(_WATCH_EVERY_S, self._watch)

    def _deliver(self, group: Sequence[_Item], outcomes: Sequence[Outcome]) -> None:
        self._waiting -= len(outcomes)
        for (waiter, _), outcome in zip(group, outcomes, strict=True):
            if waiter is None or waiter.done():
                continue
            if isinstance(outcome, OperatorError):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)

    # --- on the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        """Until None is taken: nothing follows it. A bug ends the thread, and nobody waits for it any more."""
        taken: list[_Item | None] = []
        try:
            while None not in taken[-1:]:
                taken = self._inbox.take(_GROUP, self._tended())
                group = [item for item in taken if item is not None]
                if group:
                    self._answer(group, self._writer.write([work for _, work in group]))
                    taken = taken[-1:] if taken[-1] is None else []
            self._writer.end()
        finally:
            self._closed = True
            self._place.release()
            rest = [item for item in (*taken, *self._inbox.take(2 * self._max_waiting, 0)) if item is not None]
            self._answer(rest, [refused("the ledger's thread has ended") for _ in rest])

    def _tended(self) -> float:
        """Does what is due besides; for how many seconds nothing is."""
        if self._terms.ticks() >= self._tend_at:
            self._tend_at = self._terms.ticks() + self._writer.tend()
        return max(0.0, self._tend_at - self._terms.ticks())

    def _answer(self, group: Sequence[_Item], outcomes: Sequence[Outcome]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, group, outcomes)
