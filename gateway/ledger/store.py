"""What the books ask of a database: one connection, used by one thread at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger.statements import Statements

Row = tuple[object, ...]


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        ...

    def fetchall(self) -> Sequence[Row]:
        """The rows it found."""
        ...


class Connection(Protocol):
    """A connection of either driver; every statement stands for itself unless a transaction was begun."""

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Cursor:
        """Runs one statement."""
        ...

    def close(self) -> None:
        """Closes it; what was begun is undone."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """A connection, and what can be said over it."""

    connection: Connection
    say: Statements


class Store(Protocol):
    """A database for receipts. Its methods block; `errors` is what its driver raises."""

    errors: tuple[type[Exception], ...]
    begin: str
    say: Statements
    remote: bool
    """Whether it is a server, which may go away and come back, and to which statements are best sent together."""

    def prepare(self) -> None:
        """Makes the tables or brings them up to date. Raises OperatorError that says what to do."""
        ...

    def connect(self) -> Connection:
        """A connection for writing. Raises one of `errors`, or OSError."""
        ...

    def disconnect(self, connection: Connection) -> None:
        """Closes one of `connect`."""
        ...

    def read_only(self) -> Connection:
        """A connection for reading, also beside gateways that run. Raises OperatorError."""
        ...

    def many(self, connection: Connection, statements: Sequence[tuple[str, Row]]) -> list[Cursor]:
        """Runs them in order, and reads nothing before all of them have run."""
        ...

    def is_gone(self, connection: Connection, error: Exception) -> bool:
        """Whether a connection is of no more use, and nobody knows whether its last transaction was written."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Whether the same may succeed later."""
        ...

    def interrupt(self) -> None:
        """Ends, from another thread, what the connection waits for, where that can be done."""
        ...

    def advice(self, error: Exception) -> str:
        """Which database it is about and what to do, for the operator; no secrets."""
        ...


def unusable(detail: str) -> OperatorError:
    """The error for the operator at the start, where nobody else reads it."""
    return OperatorError(Reason.AUDIT_UNAVAILABLE, f"The receipts cannot be kept. {detail}")
