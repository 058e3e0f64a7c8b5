"""The books: one receipt for every turn, however it ends, kept across restarts.

A store is never waited for on the event loop's own thread, writes in groups, and never forgets an open receipt:
what a dead process left open is told by `unsettled`, to be closed as WORKER_LOST.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.receipt import Receipt

WORKER_LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """How many receipts are open, of all workers, and the first of those that nobody will close any more."""

    open_receipts: int
    orphans: tuple[Receipt, ...] = ()


class Ledger(Protocol):
    """Stores receipts. `(tenant, session_id, turn_id)` and `receipt_id` are unique."""

    @property
    def away(self) -> bool:
        """Whether the books have been out of reach for some seconds, so that no turn can start. Asks nobody."""
        ...

    async def open(self, receipt: Receipt) -> Receipt | None:
        """Writes an open receipt durably; the one that already stands under its turn, if any, and writes nothing.

        A receipt that `may_run_again` gives way to an open one of its own id, which carries its attempts on.
        Raises OperatorError(AUDIT_UNAVAILABLE) when nothing can be written: the turn must not start.
        """
        ...

    async def close(self, receipt: Receipt) -> bool:
        """Writes the settled receipt over the open one; whether it did: one that is closed stays as it is.

        Raises OperatorError when that is not possible now; it is kept then, and written as soon as it is.
        """
        ...

    def checkpoint(self, receipt: Receipt) -> None:
        """Notes what an open receipt has used so far: what it is settled with, should this worker be lost.

        Never waits and never raises; it may be forgotten.
        """
        ...

    async def unsettled(self, most: int = 100) -> Unsettled:
        """The open receipts; at most so many orphans: those of workers that are dead, and of turns out of time."""
        ...

    async def get(self, tenant: str, receipt_id: str) -> Receipt | None:
        """A receipt of this tenant's, or None; sees every `open` and `close` that was called before."""
        ...

    async def find(self, tenant: str, session_id: str, turn_id: str) -> Receipt | None:
        """The receipt of this turn, or None; sees every `open` and `close` that was called before."""
        ...

    async def recent(self, tenant: str | None, limit: int) -> Sequence[Receipt]:
        """The newest receipts first, of one tenant or (for the operator) of all."""
        ...

    async def aclose(self) -> None:
        """Writes what is waiting, then closes the store."""
        ...
