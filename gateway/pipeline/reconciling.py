"""What dead workers left open is settled: by their last checkpoint, by whoever sees it first, once.

The limiter is told first: it books a reservation once, however often it is told, so that a reconciler which dies
between the two does no harm. The books then have one winner.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gateway.domain.errors import OperatorError
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.ledger import WORKER_LOST, Ledger
from gateway.limits import Hold, Limiter, Reservation
from gateway.telemetry import BooksObserver

EVERY_S = 5.0
AT_ONCE = 100


class Reconciler:
    """Settles orphans of the books. `now` in seconds since the epoch."""

    def __init__(
        self, ledger: Ledger, limiter: Limiter, observer: BooksObserver, now: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._limiter = limiter
        self._observer = observer
        self._now = now

    async def once(self) -> int:
        """Settles what there is; how many it were. Raises OperatorError when the books cannot be used."""
        settled = 0
        while True:
            found = await self._ledger.unsettled(AT_ONCE)
            won = sum([await self._settle(receipt) for receipt in found.orphans])
            settled += won
            self._observer.unsettled(found.open_receipts - won)
            if len(found.orphans) < AT_ONCE:
                return settled

    async def follow(self, every_s: float = EVERY_S) -> None:
        """Does so every few seconds, until it is cancelled. While the books are away there is nothing to do."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.once()
            except OperatorError:
                continue

    async def _settle(self, receipt: Receipt) -> bool:
        held, used = receipt.reserved, receipt.settled
        reservation = Reservation(
            receipt.reservation_id or receipt.receipt_id,
            receipt.tenant,
            Hold(held.prompt_tokens + held.completion_tokens, held.cost_nano_usd),
        )
        await self._limiter.settle(
            reservation, Hold(used.prompt_tokens + used.completion_tokens, used.cost_nano_usd)
        )
        lost = replace(
            receipt, finish=Finish.ERROR, reason=WORKER_LOST, settled_at=self._now(), broken_stream_policy=""
        )
        won = await self._ledger.close(lost)
        if won:
            self._observer.reconciled(lost)
        return won
