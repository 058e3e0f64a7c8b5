"""What may be asked of the books: mostly one statement, which may be sent together with others'."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, NoReturn, TypeVar

from gateway.domain.errors import Reason
from gateway.domain.events import Finish
from gateway.domain.receipt import Receipt
from gateway.ledger.rows import Malformed, closing, opening, receipt_of
from gateway.ledger.statements import Statements
from gateway.ledger.store import Cursor, Row, Session

T_co = TypeVar("T_co", covariant=True)
LONG_S = 60.0


class Unusual(Exception):  # noqa: N818 - no error: the long way has to be gone
    """One statement was not enough."""


class Work(NamedTuple, Generic[T_co]):
    """`read` makes the answer of what `sql` gave, or raises Unusual; then, or without any `sql`, `whole` does.

    `late` makes what is to be written when the books can be written again. It may take `within_s` seconds.
    """

    sql: str
    values: Row
    read: Callable[[Cursor], T_co]
    whole: Callable[[Session], T_co]
    late: Callable[[], Receipt] | None = None
    within_s: float = 0.0
    only_late_if_gone: bool = False

    def run(self, session: Session) -> T_co:
        """All of it, one statement after another."""
        if not self.sql:
            return self.whole(session)
        cursor = session.connection.execute(self.sql, self.values)
        try:
            return self.read(cursor)
        except Unusual:
            return self.whole(session)


def open_work(say: Statements, receipt: Receipt, worker: str, now: float) -> Work[Receipt | None]:
    """Writes an open receipt; the standing one, if there is one.

    When the connection is lost on the way nobody knows whether it stands. Its turn will not start: it is closed.
    """
    values = opening(receipt, worker)

    def never() -> Receipt:
        return replace(receipt, finish=Finish.ERROR, settled_at=now, reason=Reason.AUDIT_UNAVAILABLE)

    def take_over(session: Session) -> Receipt | None:
        standing = _one(session, say.by_turn, (receipt.tenant, receipt.session_id, receipt.turn_id))
        if standing is None:
            raise Malformed(f"the receipt id {receipt.receipt_id} belongs to another turn")
        if standing.receipt_id != receipt.receipt_id or not standing.may_run_again:
            return standing
        again = session.connection.execute(say.reopen, (receipt.receipt_id, receipt.tenant)).rowcount
        if again and session.connection.execute(say.insert, values).rowcount:
            return None
        # Another replica was faster.
        return _one(session, say.by_turn, (receipt.tenant, receipt.session_id, receipt.turn_id)) or standing

    return Work(say.insert, values, _inserted, take_over, late=never, only_late_if_gone=True)


def close_work(say: Statements, receipt: Receipt) -> Work[bool]:
    """Writes a settled receipt over the open one; whether it did."""
    values = (*closing(receipt), receipt.receipt_id, receipt.tenant)
    return Work(say.close, values, _wrote, _never, late=lambda: receipt)


def checkpoint_work(say: Statements, receipt: Receipt) -> Work[bool]:
    """Writes what an open receipt has used so far."""
    return Work(say.close, (*closing(receipt), receipt.receipt_id, receipt.tenant), _wrote, _never)


def disown_work(say: Statements, tenant: str, receipt_id: str) -> Work[bool]:
    """Leaves an open receipt to whoever settles those of dead workers."""
    return Work(say.disown, (receipt_id, tenant), _wrote, _never)


def leave_work(say: Statements, worker: str) -> Work[None]:
    """Ends the lease of a worker."""
    return Work(say.leave, (worker,), lambda _: None, _never)


def one_work(sql: str, *values: object) -> Work[Receipt | None]:
    """A receipt, or None."""
    return Work(sql, values, _first, _never)


def list_work(sql: str, *values: object) -> Work[list[Receipt]]:
    """Receipts."""
    return Work(sql, values, _receipts, _never, within_s=LONG_S)


def spent_work(say: Statements, moment: float) -> Work[dict[str, int]]:
    """Nano-USD of each tenant."""
    return Work(say.spent_since, (moment,), _sums, _never, within_s=LONG_S)


def forget_work(say: Statements, tenant: str, before: float, most: int) -> Work[int]:
    """Deletes at most so many closed receipts of before a moment (seconds since the epoch); how many it were."""

    def forget(session: Session) -> int:
        found = session.connection.execute(say.oldest, (tenant, before, most)).fetchall()
        return sum(session.connection.execute(say.forget, tuple(row)).rowcount for row in found)

    return Work("", (), lambda _: 0, forget, within_s=LONG_S)


def tenants_work(say: Statements) -> Work[list[str]]:
    """Every tenant that has receipts; as many look-ups as there are tenants, however many receipts."""

    def tenants(session: Session) -> list[str]:
        found: list[str] = []
        while True:
            ((name,),) = session.connection.execute(say.next_tenant, (found[-1] if found else "",)).fetchall()
            if name is None:
                return found
            found.append(str(name))

    return Work("", (), lambda _: [], tenants, within_s=LONG_S)


def _inserted(cursor: Cursor) -> None:
    if not cursor.rowcount:
        raise Unusual


def _wrote(cursor: Cursor) -> bool:
    return cursor.rowcount > 0


def _first(cursor: Cursor) -> Receipt | None:
    return next(iter(_receipts(cursor)), None)


def _receipts(cursor: Cursor) -> list[Receipt]:
    return [receipt_of(row) for row in cursor.fetchall()]


def _sums(cursor: Cursor) -> dict[str, int]:
    return {str(tenant): int(str(nano_usd)) for tenant, nano_usd in cursor.fetchall()}


def _one(session: Session, sql: str, values: Sequence[object]) -> Receipt | None:
    return _first(session.connection.execute(sql, values))


def _never(_: Session) -> NoReturn:
    raise Unusual
