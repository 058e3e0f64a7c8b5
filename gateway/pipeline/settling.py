"""The end of a turn's books: what it used is settled, its receipt closed, its observers told, once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.audit import Audit
from gateway.domain.errors import GatewayError, OperatorError
from gateway.domain.events import TurnEnd
from gateway.domain.receipt import Receipt
from gateway.ledger import Ledger
from gateway.limits import Hold, Limiter
from gateway.limits.billing import BrokenStream, Ending
from gateway.limits.pricing import PriceBook
from gateway.pipeline.auditing import CodeOf, turn_outcome
from gateway.pipeline.bill import closed_receipt
from gateway.pipeline.job import Job, ending_of
from gateway.pipeline.sharing import own_part
from gateway.telemetry import TurnObserver


@dataclass(frozen=True, slots=True)
class Books:
    """Who is told of a settled turn, and by which prices."""

    limiter: Limiter
    ledger: Ledger
    observer: TurnObserver
    prices: PriceBook
    broken_stream: BrokenStream
    now: Callable[[], float]
    audit: Audit
    code_of: CodeOf


class Settling:
    """Settles turns in tasks of their own, so that a caller who leaves, or leaves twice, interrupts none."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._tasks: set[asyncio.Task[TurnEnd]] = set()

    async def settle(self, job: Job, failure: GatewayError | None) -> TurnEnd:
        """What the caller is told of the turn, now over by `failure` or well."""
        task = asyncio.get_running_loop().create_task(self._settle(job, failure))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Waits for turns that are being settled."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _settle(self, job: Job, failure: GatewayError | None) -> TurnEnd:
        books = self._books
        if job.opening is not None:
            job.opened = await _is_own(job.opening)
        receipt = closed_receipt(job, failure, books.prices, books.broken_stream, books.now())
        used = receipt.settled
        if ending_of(failure, job.received) is Ending.FAILED_BEFORE_OUTPUT:
            job.own_cost_nano_usd += job.deciding.cost_nano_usd  # nobody is charged for it
        concluded = self._conclude(job, receipt, failure)
        try:
            if job.reservation is not None:
                own = own_part(used, job.sharing.paid_by_others)
                hold = Hold(own.prompt_tokens + own.completion_tokens, used.cost_nano_usd)
                await books.limiter.settle(job.reservation, hold)
        finally:
            if job.opened:
                await self._close(job, receipt, concluded)
            books.observer.ended(job.record(receipt, time.perf_counter()))
        return job.end(receipt)

    def _conclude(self, job: Job, receipt: Receipt, failure: GatewayError | None) -> "asyncio.Future[None] | None":
        """The audit's outcome is on its way while the books are closed."""
        if job.entry is None:
            return None
        return self._books.audit.conclude(job.entry, turn_outcome(job, receipt, failure, self._books.code_of))

    async def _close(self, job: Job, receipt: Receipt, concluded: "asyncio.Future[None] | None") -> None:
        try:
            await self._books.ledger.close(receipt)
            if concluded is not None:
                await concluded
        except OperatorError as error:
            # The answer is with the caller already. An open receipt is closed at the next start; an outcome that
            # cannot be written is kept, and written when that is possible.
            job.failures.append(error.reason)


async def _is_own(opening: Awaitable[Receipt | None]) -> bool:
    """Whether the receipt that was being opened is the turn's own, and not that of another with the same id."""
    try:
        return await opening is None
    except OperatorError:
        return False
