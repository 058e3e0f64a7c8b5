"""Builds the books, and keeps them in order while the gateway runs: settles lost turns, deletes old receipts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from gateway.domain.errors import OperatorError
from gateway.domain.tenant import Tenants
from gateway.ledger import Ledger
from gateway.ledger.stored import StoredLedger, open_ledger
from gateway.limits import Limiter
from gateway.pipeline.reconciling import Reconciler
from gateway.settings import Settings
from gateway.telemetry import BooksObserver
from gateway.workers.seat import Seat

LOOK_EVERY_S = 3_600.0
PAUSE_S = 0.05
DAY_S = 86_400.0


@asynccontextmanager
async def opened(settings: Settings, *, gateway: str = "", worker: str = "") -> AsyncIterator[StoredLedger]:
    """The books of this process, which is a `worker` of a `gateway`. Raises OperatorError."""
    ledger = await open_ledger(settings.data_dir, url=settings.database.url, gateway=gateway, worker=worker)
    try:
        yield ledger
    finally:
        await ledger.aclose()


async def settle_lost(ledger: Ledger, observer: BooksObserver, limiter: Limiter) -> None:
    """Settles what dead workers left open, before anything is told what was spent."""
    await Reconciler(ledger, limiter, observer, time.time).once()


async def _bury(ledger: StoredLedger, limiter: Limiter, observer: BooksObserver, worker: str) -> None:
    """Settles what a worker left open that is known to be dead; what cannot be done now, `tended` does."""
    with suppress(OperatorError):
        await ledger.bury(worker)
        await settle_lost(ledger, observer, limiter)


@asynccontextmanager
async def tended(
    ledger: StoredLedger, limiter: Limiter, observer: BooksObserver, settings: Settings, seat: Seat | None = None
) -> AsyncIterator[None]:
    """Inside, lost turns are settled, and receipts that are older than their tenant keeps them are deleted.

    With a `seat`, those of a worker beside this one as soon as it is dead.
    """
    if seat is not None:
        seat.lost = partial(_bury, ledger, limiter, observer)
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(Reconciler(ledger, limiter, observer, time.time).follow()),
        loop.create_task(_forget_old(ledger, settings.tenants, settings.data.receipts_days)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def forget_old(ledger: StoredLedger, tenants: Tenants, default_days: int, now: float) -> int:
    """Deletes what its tenant keeps no longer; how many receipts. Small batches: others write in between."""
    forgotten = 0
    for name in await ledger.tenants():
        tenant = tenants.named.get(name, tenants.defaults)
        days = tenant.receipts_days or default_days
        while days and (gone := await ledger.forget(name, now - days * DAY_S)):
            forgotten += gone
            await asyncio.sleep(PAUSE_S)
    return forgotten


async def _forget_old(ledger: StoredLedger, tenants: Tenants, default_days: int) -> None:
    if not default_days and not any(one.receipts_days for one in (tenants.defaults, *tenants.named.values())):
        return
    while True:
        # Books that are away have reported it themselves; there is another hour.
        with suppress(OperatorError):
            await forget_old(ledger, tenants, default_days, time.time())
        await asyncio.sleep(LOOK_EVERY_S)
