"""What is said to a database, once in SQLAlchemy's words, and spelled in each dialect for `sql/`.

The order of the values is the order of names beside each statement. Only `generate` loads this.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    Select,
    Table,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from gateway.ledger.rows import CLOSING, COLUMNS, OPENING
from gateway.ledger.statements import Statements
from gateway.ledger.tables import receipts, workers

# The dialects say ON CONFLICT with the same words, in classes of their own.
_Insert = Callable[[Table], sqlite.Insert]
_Say = Callable[..., str]
_INSERT: dict[str, _Insert] = {
    "sqlite": sqlite.insert,
    "postgresql": cast("_Insert", postgresql.insert),
}


def statements(dialect: Dialect) -> Statements:
    """All of them for this dialect."""
    say = partial(_said, dialect)
    insert = _INSERT[dialect.name]
    return Statements(**_of_receipts(say, insert), **_of_lists(say), **_of_workers(say, insert))


def _of_receipts(say: _Say, insert: _Insert) -> dict[str, str]:
    """One receipt."""
    row, is_open = [receipts.c[name] for name in COLUMNS], receipts.c.finish.is_(None)
    tenant, turn = receipts.c.tenant == _bind("tenant"), (receipts.c.session_id, receipts.c.turn_id)
    receipt = (receipts.c.receipt_id == _bind("id"), tenant)
    return {
        "insert": say(insert(receipts).on_conflict_do_nothing().inline(), *OPENING, columns=OPENING),
        "close": say(update(receipts).where(*receipt, is_open), *CLOSING, "of_id", "of_tenant", columns=CLOSING),
        "reopen": say(delete(receipts).where(*receipt, ~is_open), "of_id", "of_tenant"),
        "disown": say(
            update(receipts).where(*receipt, is_open).values(worker=literal_column("''")), "of_id", "of_tenant"
        ),
        "forget": say(delete(receipts).where(receipts.c.seq == _bind("seq"), ~is_open), "of_seq"),
        "by_id": say(select(*row).where(*receipt[::-1]), "of_tenant", "of_id"),
        "by_turn": say(
            select(*row).where(tenant, turn[0] == _bind("session"), turn[1] == _bind("turn")),
            *("of_tenant", "of_session", "of_turn"),
        ),
    }


def _of_lists(say: _Say) -> dict[str, str]:
    """Many receipts, and sums."""
    row, is_open = [receipts.c[name] for name in COLUMNS], receipts.c.finish.is_(None)
    tenant, totals = receipts.c.tenant == _bind("tenant"), _totals()
    most = _bind("most")
    none: ColumnElement[int] = literal_column("0")
    newest = select(*row).order_by(receipts.c.seq.desc()).limit(most).offset(none)
    spent = select(receipts.c.tenant, func.sum(receipts.c.settled_cost_nano_usd)).group_by(receipts.c.tenant)
    lives = select(workers.c.worker).where(workers.c.worker == receipts.c.worker).exists()
    orphans = select(*row).where(is_open, ~lives).order_by(receipts.c.seq)
    old = select(receipts.c.seq).where(tenant, receipts.c.created < _bind("created"), ~is_open)
    after = select(func.min(receipts.c.tenant)).where(receipts.c.tenant > _bind("tenant"))
    return {
        "newest": say(newest, "of_most"),
        "newest_of_tenant": say(newest.where(tenant), "of_tenant", "of_most"),
        "spent_since": say(
            spent.where(text("settled_at > 0"), receipts.c.settled_at >= _bind("moment")), "of_moment"
        ),
        "count_open": say(select(func.count()).select_from(receipts).where(is_open)),
        "orphans": say(orphans.limit(most).offset(none), "of_most"),
        "next_tenant": say(after, "of_tenant"),
        "oldest": say(
            old.order_by(receipts.c.created).limit(most).offset(none), "of_tenant", "of_created", "of_most"
        ),
        "totals": say(totals),
        "totals_of_tenant": say(totals.where(tenant), "of_tenant"),
    }


def _of_workers(say: _Say, insert: _Insert) -> dict[str, str]:
    """Leases."""
    names, worker = ("worker", "beat", "started"), workers.c.worker == _bind("worker")
    again = {"beat": workers.c.beat + literal_column("1")}
    beat = insert(workers).inline().on_conflict_do_update(index_elements=[workers.c.worker], set_=again)
    return {
        "beat": say(beat, *names, columns=names),
        "beats": say(select(workers.c.worker, workers.c.beat)),
        "leave": say(delete(workers).where(worker), "of_worker"),
        "bury": say(delete(workers).where(worker, workers.c.beat == _bind("beat")), "of_worker", "of_beat"),
        "bury_all": say(delete(workers)),
    }


def _totals() -> Select[Any]:
    """Any: a row of sums."""
    kinds = (receipts.c.tenant, receipts.c.model, receipts.c.labels)
    used = ("prompt_tokens", "cached_prompt_tokens", "completion_tokens", "search_calls", "cost_nano_usd")
    sums = [func.sum(receipts.c[f"settled_{name}"]) for name in used]
    return select(*kinds, func.count(), func.count() - func.count(receipts.c.finish), *sums).group_by(*kinds)


def _bind(name: str) -> BindParameter[object]:
    """A value; its name is no column's, which SQLAlchemy keeps for what is written into that."""
    return bindparam(f"of_{name}")


def _said(dialect: Dialect, statement: ClauseElement, *names: str, columns: Sequence[str] | None = None) -> str:
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    order = tuple(getattr(compiled, "positiontup", None) or ())
    if order != names:
        raise RuntimeError(f"the values of {compiled} go in the order {order}, not {names}")
    return str(compiled)
