"""The thread's part of the books: groups of work over one connection, a lease, and what is still to be written."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from gateway.domain.errors import OperatorError, Reason
from gateway.domain.receipt import Receipt
from gateway.ledger import Unsettled
from gateway.ledger.rows import Malformed
from gateway.ledger.sightings import Sightings
from gateway.ledger.statements import Statements
from gateway.ledger.store import Session, Store
from gateway.ledger.works import LONG_S, Unusual, Work, close_work, disown_work, list_work

BEAT_EVERY_S = 10.0
TRY_AGAIN_S = 1.0
PATIENCE_S = 5.0
RETRY_AFTER_S = 5.0
MOST_LATE = 10_000
_LATE_AT_ONCE = 500
_REPORT_EVERY_S = 10.0
_OF_VALUES = (Malformed, ValueError, TypeError, LookupError, ArithmeticError)
"""What values raise that no column holds (over 64 bits, broken Unicode), and rows that are no receipts."""

_log = logging.getLogger(__name__)
# Any answer: each work knows its own type, and so does who asked for it.
Outcome = object


@dataclass(frozen=True, slots=True)
class Terms:
    """Who writes, by which clocks. `now`: seconds since the epoch; `ticks`: of a clock that does not go back.

    At most `max_late` receipts wait in memory to be closed; older ones are left to whoever settles orphans. A
    server that does not answer in `patience_s` seconds is given up.
    """

    worker: str
    now: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic
    max_late: int = MOST_LATE
    patience_s: float = PATIENCE_S


class Writer:
    """Belongs to one thread from `start` on, but for two moments that others may read.

    `overdue_at` is when what it waits for has taken too long, `gone_at` when the connection was lost.
    """

    def __init__(self, store: Store, terms: Terms) -> None:
        self._store = store
        self._terms = terms
        self._session: Session | None = None
        self._sightings = Sightings()
        self._late: dict[str, Receipt] = {}
        self._given_up: dict[str, str] = {}
        self._undone: tuple[type[Exception], ...] = (*store.errors, *_OF_VALUES)
        self._try_at = self._beat_at = self._silent_until = float("-inf")
        self.overdue_at = float("inf")
        self.gone_at = float("inf")
        self._failing = False

    def start(self, *, first: bool) -> None:
        """Begins the lease; `first` says that every other lease is a dead worker's. Raises the store's errors."""
        session = Session(self._store.connect(), self._store.say)
        if first:
            session.connection.execute(session.say.bury_all)
        self._begin(session)

    def write(self, group: Sequence[Work[object]]) -> list[Outcome]:
        """The answer to each, or an OperatorError: all in one transaction, or, if that fails, each in its own."""
        self.overdue_at = self._terms.ticks() + max(self._terms.patience_s, *(work.within_s for work in group))
        try:
            self._write_late()
            session = self._connected()
            if session is None:
                return [self._refused(work, None, gone=False) for work in group]
            try:
                return self._transact(session, group)
            except self._undone as error:
                if self._lost(session, error):
                    return [self._refused(work, error, gone=True) for work in group]
            return [self._alone(work) for work in group]
        finally:
            self.overdue_at = float("inf")

    def tend(self) -> float:
        """Renews the lease and catches up on what is late; in how many seconds it wants to be called again."""
        self.overdue_at = self._terms.ticks() + self._terms.patience_s
        try:
            self._write_late()
            session = self._connected()
            if session is not None and self._terms.ticks() >= self._beat_at:
                self._beat(session)
        except self._store.errors as error:
            self._report(self._store.advice(error))
            if self._session is not None:
                self._lost(self._session, error)
        finally:
            self.overdue_at = float("inf")
        if self._session is None or self._late or self._given_up:
            return TRY_AGAIN_S
        return max(0.0, self._beat_at - self._terms.ticks())

    def end(self) -> None:
        """Ends the lease and the connection; what is left open is nobody's from then on."""
        self.tend()
        if self._late:
            _log.error("%d receipts could not be closed; another gateway does it, or the next", len(self._late))
        if self._session is not None:
            with suppress(*self._store.errors):
                self._session.connection.execute(self._store.say.leave, (self._terms.worker,))
            self._close(self._session)

    def unsettled(self, most: int) -> Work[Unsettled]:
        """How many receipts are open, and some of those that nobody will close any more."""

        def look(session: Session) -> Unsettled:
            say, execute = session.say, session.connection.execute
            self._beat(session)
            beats = ((str(worker), int(str(beat))) for worker, beat in execute(say.beats).fetchall())
            for worker, beat in self._sightings.look(beats, self._terms.ticks()):
                if worker != self._terms.worker:
                    execute(say.bury, (worker, beat))
            ((count,),) = execute(say.count_open).fetchall()
            return Unsettled(int(str(count)), tuple(list_work(say.orphans, most).run(session)))

        return Work("", (), lambda _: Unsettled(0), look, within_s=LONG_S)

    # --- one group --------------------------------------------------------------------------------------

    def _transact(self, session: Session, works: Sequence[Work[object]]) -> list[Outcome]:
        connection, (first, *others) = session.connection, works
        if first.sql and not others:
            with suppress(Unusual):
                return [first.read(connection.execute(first.sql, first.values))]
        try:
            connection.execute(self._store.begin)
            answers = self._together(session, works)
            if answers is None:
                answers = [work.run(session) for work in works]
            connection.execute("COMMIT")
        except self._undone:
            with suppress(*self._store.errors):  # a full disk has rolled back already
                connection.execute("ROLLBACK")
            raise
        return answers

    def _together(self, session: Session, works: Sequence[Work[object]]) -> list[Outcome] | None:
        """The answers to what can be sent as it is; None where one statement was not enough for one of them."""
        if not self._store.remote or not all(work.sql for work in works):
            return None
        try:
            cursors = self._store.many(session.connection, [(work.sql, work.values) for work in works])
            return [work.read(cursor) for work, cursor in zip(works, cursors, strict=True)]
        except Unusual:
            session.connection.execute("ROLLBACK")
            session.connection.execute(self._store.begin)
            return None

    def _alone(self, work: Work[object]) -> Outcome:
        session = self._connected()
        if session is None:
            return self._refused(work, None, gone=False)
        try:
            return self._transact(session, [work])[0]
        except self._undone as error:
            return self._refused(work, error, gone=self._lost(session, error))

    def _refused(self, work: Work[object], error: Exception | None, *, gone: bool) -> OperatorError:
        """What cannot be repeated by who asked for it is kept, to be written later."""
        passing = error is None or gone or self._store.is_passing(error)
        if work.late is not None and passing and (gone or not work.only_late_if_gone):
            self._keep(work.late())
        detail = "the database is away" if error is None else self._store.advice(error)
        self._report(detail)
        refusal = refused(detail)
        refusal.__cause__ = error
        return refusal

    # --- late ones --------------------------------------------------------------------------------------

    def _keep(self, receipt: Receipt) -> None:
        self._late.setdefault(receipt.receipt_id, receipt)
        if len(self._late) > self._terms.max_late:
            oldest = self._late.pop(next(iter(self._late)))
            self._given_up[oldest.receipt_id] = oldest.tenant
            _log.error("receipt %s is left to be settled by its last checkpoint", oldest.receipt_id)

    def _write_late(self) -> None:
        while self._late or self._given_up:
            session = self._connected()
            if session is None or not self._written(session, self._some_late(session.say)):
                return

    def _some_late(self, say: Statements) -> dict[str, Work[bool]]:
        some = {name: disown_work(say, tenant, name) for name, tenant in self._given_up.items()}
        some |= {name: close_work(say, receipt) for name, receipt in self._late.items()}
        return dict(islice(some.items(), _LATE_AT_ONCE))

    def _written(self, session: Session, some: Mapping[str, Work[bool]]) -> bool:
        """Whether all of these are off the list."""
        try:
            self._transact(session, list(some.values()))
        except self._undone as error:
            if self._lost(session, error):
                return False
            if len(some) > 1:
                done = [self._written(session, {name: work}) for name, work in some.items()]
                return all(done)
            if self._store.is_passing(error):
                return False
            _log.error("a receipt cannot be closed: %s", self._store.advice(error))
        for name in some:
            self._given_up.pop(name, None)
            self._late.pop(name, None)
        return True

    # --- the connection ---------------------------------------------------------------------------------

    def _connected(self) -> Session | None:
        """The session; a new one where it was lost, tried at most once a second."""
        if self._session is None and self._terms.ticks() >= self._try_at:
            try:
                self._begin(Session(self._store.connect(), self._store.say))
            except self._store.errors as error:
                self._try_at = self._terms.ticks() + TRY_AGAIN_S
                self._report(self._store.advice(error))
        return self._session

    def _begin(self, session: Session) -> None:
        try:
            self._beat(session)
        except self._store.errors:
            self._close(session)
            raise
        # Whoever could not be seen meanwhile has the whole time of a lease to be seen again.
        self._sightings.forget()
        self._session = session
        self.gone_at = float("inf")

    def _beat(self, session: Session) -> None:
        session.connection.execute(session.say.beat, (self._terms.worker, 1, self._terms.now()))
        self._beat_at = self._terms.ticks() + BEAT_EVERY_S
        if self._failing:
            self._failing = False
            _log.warning("the receipts are written again")

    def _lost(self, session: Session, error: Exception) -> bool:
        """Whether the connection is of no more use; then it is closed."""
        if self._session is None or not self._store.is_gone(session.connection, error):
            return self._session is None
        self._session = None
        self.gone_at = self._terms.ticks()
        self._close(session)
        return True

    def _close(self, session: Session) -> None:
        with suppress(*self._store.errors):
            self._store.disconnect(session.connection)

    def _report(self, detail: str) -> None:
        """Not once per turn: a disk that is full refuses many."""
        moment = self._terms.ticks()
        if moment >= self._silent_until:
            self._silent_until = moment + _REPORT_EVERY_S
            self._failing = True
            _log.error("the receipts cannot be read or written: %s", detail)


def refused(detail: str) -> OperatorError:
    """What a caller may read; the note tells the operator which database it is and what to do."""
    error = OperatorError(
        Reason.AUDIT_UNAVAILABLE,
        "The gateway cannot write receipts at present, so it starts no turn: retry later.",
        retry_after_s=RETRY_AFTER_S,
    )
    error.add_note(detail)
    return error
