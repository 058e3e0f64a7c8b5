"""The end of a turn's books: what it used is settled, its receipt closed, its observers told, once."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.errors import GatewayError, OperatorError
from gateway.domain.events import TurnEnd
from gateway.domain.receipt import Receipt
from gateway.ledger import Ledger
from gateway.limits import Hold, Limiter
from gateway.limits.billing import BrokenStream
from gateway.limits.pricing import PriceBook
from gateway.pipeline.bill import closed_receipt
from gateway.pipeline.job import Job
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
        receipt = closed_receipt(job, failure, books.prices, books.broken_stream, books.now())
        used = receipt.settled
        try:
            if job.reservation is not None:
                hold = Hold(used.prompt_tokens + used.completion_tokens, used.cost_nano_usd)
                await books.limiter.settle(job.reservation, hold)
        finally:
            if job.opened:
                await self._close(job, receipt)
            books.observer.ended(job.record(receipt, time.perf_counter()))
        return job.end(receipt)

    async def _close(self, job: Job, receipt: Receipt) -> None:
        try:
            await self._books.ledger.close(receipt)
        except OperatorError as error:
            # The answer is with the caller already; the open receipt is closed at the next start.
            job.failures.append(error.reason)
