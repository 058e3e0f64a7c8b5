"""What is said to a database, in its own dialect: read from `sql/`, where `generate` has written it.

The texts go to the driver as they are: building a statement anew for every receipt costs many times what the
database needs for it, and the library that builds them many times the memory of everything else here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SQL = Path(__file__).with_name("sql")
Dialect = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Statements:
    """The texts for one dialect; each with its values, in order."""

    insert: str
    """A row of OPENING, unless its turn or id is there."""
    close: str
    """A row of CLOSING, receipt_id, tenant: of an open receipt."""
    reopen: str
    """receipt_id, tenant: takes away a closed receipt."""
    by_id: str
    """tenant, receipt_id."""
    by_turn: str
    """tenant, session_id, turn_id."""
    newest: str
    """limit."""
    newest_of_tenant: str
    """tenant, limit."""
    spent_since: str
    """moment: tenant and nano-USD."""
    beat: str
    """worker, 1, started: begins a lease, or renews it."""
    beats: str
    """Every lease."""
    leave: str
    """worker: ends its lease."""
    bury: str
    """worker, beat: ends a lease that was not renewed meanwhile."""
    bury_all: str
    """Ends every lease."""
    count_open: str
    """How many receipts are open."""
    orphans: str
    """limit: open receipts of nobody."""
    disown: str
    """receipt_id, tenant: an open receipt is nobody's from now on."""
    next_tenant: str
    """tenant: the one after it."""
    oldest: str
    """tenant, created, limit: the `seq` of closed receipts of before that moment."""
    forget: str
    """seq: a closed receipt."""
    totals: str
    """tenant, model, labels; turns, open ones, and what they used."""
    totals_of_tenant: str
    """tenant: the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """What brings the tables from the revision before to this one."""

    revision: str
    sql: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """How the tables came to be: every step, the oldest first."""

    all: tuple[Step, ...]
    stamp: tuple[str, ...]
    """Writes the first revision into a database that has its tables already."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Everything that is said in one dialect."""

    say: Statements
    steps: Steps


def texts(dialect: Dialect) -> Texts:
    """All of it for this dialect."""
    read = json.loads((SQL / f"{dialect}.json").read_text(encoding="utf-8"))
    steps = tuple(Step(step["revision"], tuple(step["sql"])) for step in read["steps"])
    return Texts(Statements(**read["statements"]), Steps(steps, tuple(read["stamp"])))
