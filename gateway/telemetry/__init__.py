"""What an operator sees: one line of log and one set of observations per turn, nothing per token."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.domain.receipt import Receipt
from gateway.domain.record import TurnRecord


class TurnObserver(Protocol):
    """Is told of every turn: that it began, and what became of it. Must not wait and must not raise."""

    def began(self) -> None:
        """A turn was let in."""
        ...

    def ended(self, record: TurnRecord) -> None:
        """That turn is settled."""
        ...


class SlotLoad(NamedTuple):
    """One model's slots: in use and waited for in this worker, the limit of all workers, and how full that is."""

    upstream: str
    model: str
    used: int
    limit: int
    waiting: int
    fullness: float


class BooksObserver(Protocol):
    """Is told of what stands open in the books. Must not wait and must not raise."""

    def unsettled(self, receipts: int) -> None:
        """So many receipts are open, of all workers that share the books."""
        ...

    def reconciled(self, receipt: Receipt) -> None:
        """This one of a dead worker was settled by its last checkpoint."""
        ...


class Load(NamedTuple):
    """What one worker carries: how late its event loop is (seconds), calls that are open, memory in bytes."""

    lag_s: float
    calls: int
    memory_bytes: int
    slots: Sequence[SlotLoad] = ()


class LoadObserver(Protocol):
    """Is told of the load and of what is done about it. Must not wait and must not raise."""

    def sampled(self, load: Load) -> None:
        """What was seen, some times a second."""
        ...

    def climbed(self, level: int) -> None:
        """The worker is at this level of the overload ladder now, 0 to 3."""
        ...

    def acted(self, action: str) -> None:
        """One turn or call was shortened, kept from searching, shed or refused."""
        ...
