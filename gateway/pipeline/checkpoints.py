"""Now and then it is noted in the books what running turns have used: what they cost, should this worker be lost.

One look at all of them twice a second; nothing is done per token, and nothing at all while no turn runs.
"""

import asyncio
import time

from gateway.ledger import Ledger
from gateway.limits.pricing import PriceBook
from gateway.pipeline.bill import checkpoint
from gateway.pipeline.job import Job

EVERY_TOKENS = 256
EVERY_S = 5.0
LOOK_EVERY_S = 0.5


class Checkpoints:
    """Notes a turn every `EVERY_TOKENS` tokens or `every_s` seconds, whichever is first, while it uses more."""

    def __init__(
        self, ledger: Ledger, prices: PriceBook, *, every_s: float = EVERY_S, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._ledger = ledger
        self._prices = prices
        self._every_s = every_s
        self._look_every_s = look_every_s
        self._running: dict[str, _Noted] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, job: Job) -> None:
        """A turn has an open receipt."""
        self._running[job.receipt.receipt_id] = _Noted(job, time.monotonic())
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def remove(self, job: Job) -> None:
        """It has ended."""
        self._running.pop(job.receipt.receipt_id, None)

    def _look(self) -> None:
        now = time.monotonic()
        for noted in self._running.values():
            if noted.is_due(now, self._every_s):
                self._ledger.checkpoint(checkpoint(noted.job, self._prices))
        self._timer = None
        if self._running:
            self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)


class _Noted:
    """A turn, and what of it was noted when."""

    __slots__ = ("_at", "_used", "job")

    def __init__(self, job: Job, now: float) -> None:
        self.job = job
        self._used = (0, 0)
        self._at = now

    def is_due(self, now: float, every_s: float) -> bool:
        """Whether it is to be noted now; then it counts as noted."""
        used = (self.job.received.output_events, len(self.job.attempts) + sum(self.job.findings.paid.values()))
        if used == self._used or not (used[0] - self._used[0] >= EVERY_TOKENS or now - self._at >= every_s):
            return False
        self._used, self._at = used, now
        return True
