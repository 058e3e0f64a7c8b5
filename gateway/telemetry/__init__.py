"""What an operator sees: one line of log and one set of observations per turn, nothing per token."""

from typing import Protocol

from gateway.domain.record import TurnRecord


class TurnObserver(Protocol):
    """Is told of every turn: that it began, and what became of it. Must not wait and must not raise."""

    def began(self) -> None:
        """A turn was let in."""
        ...

    def ended(self, record: TurnRecord) -> None:
        """That turn is settled."""
        ...
