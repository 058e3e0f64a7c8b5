"""Makes the tables, or brings them up to date, in one transaction that keeps others out."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import OperatorError, Reason
from gateway.ledger.statements import Steps
from gateway.ledger.store import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """A database to look after: its name for people, and how its tables came to be."""

    name: str
    steps: Steps
    count_tables: str
    """A table's name: 1 where there is one, else 0."""


def migrate(connection: Connection, place: Place, begin: Sequence[str]) -> None:
    """Brings it to the newest revision; `begin` starts a transaction that keeps others from doing so meanwhile.

    The connection is to be closed after an error, which undoes what was begun. Raises OperatorError for a database
    that is newer than this program, and what the driver raises.
    """
    for sql in begin:
        connection.execute(sql)
    known, found = [step.revision for step in place.steps.all], _revision(connection, place)
    if found is None and _has(connection, place, "receipts"):
        # The first version of the gateway made these tables, and kept no revision.
        found = known[0]
        for sql in place.steps.stamp:
            connection.execute(sql)
    for step in place.steps.all[0 if found is None else known.index(found) + 1 :]:
        for sql in step.sql:
            connection.execute(sql)
    connection.execute("COMMIT")


def check(connection: Connection, place: Place) -> None:
    """Raises OperatorError for a database that this program cannot read as it is."""
    if _revision(connection, place) != place.steps.all[-1].revision:
        raise _wrong_version(place, "older", "start the gateway once, which brings it up to date")


def _revision(connection: Connection, place: Place) -> str | None:
    """The revision of a database, None for one that has none. Raises OperatorError for one of the future."""
    if not _has(connection, place, "alembic_version"):
        return None
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    found = str(rows[0][0]) if rows else None
    if found is not None and found not in [step.revision for step in place.steps.all]:
        raise _wrong_version(place, "newer", "install that version")
    return found


def _has(connection: Connection, place: Place, table: str) -> bool:
    return connection.execute(place.count_tables, (table,)).fetchall() != [(0,)]


def _wrong_version(place: Place, word: str, what: str) -> OperatorError:
    return OperatorError(Reason.AUDIT_UNAVAILABLE, f"{place.name} was written by a {word} gateway: {what}.")
