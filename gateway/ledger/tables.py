"""How receipts lie in a database: the tables as they are now. `migrations/` tells how they came to be.

Amounts and words that are summed or searched are columns of their own; labels and attempts are JSON. `seq` gives
the order of the books: it grows with every receipt, whatever the clock does. `settled_` amounts of an open one are
those of its last checkpoint. An open receipt belongs to its `worker`, for as long as that has a row of its own.
"""

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from gateway.ledger.rows import USAGE

WHOLE: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
SECONDS: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")

metadata = MetaData()


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _amounts(prefix: str) -> list[Column[int]]:
    return [Column(f"{prefix}_{name}", WHOLE, nullable=False) for name in USAGE]


receipts = Table(
    "receipts",
    metadata,
    Column("seq", WHOLE, primary_key=True, autoincrement=True),
    Column("receipt_id", Text, nullable=False, unique=True),
    *_words("tenant", "subject", "session_id", "turn_id"),
    Column("body_sha256", LargeBinary, nullable=False),
    *_words("request_id", "model"),
    Column("created", SECONDS, nullable=False),
    *_amounts("reserved"),
    Column("settled_at", SECONDS, nullable=False),
    Column("finish", WHOLE),
    *_words("reason", "price_entry"),
    Column("peak_price", WHOLE, nullable=False),
    *_words("served_by", "route_reason", "broken_stream_policy"),
    Column("degraded", WHOLE, nullable=False),
    *_words("cache_level", "labels", "attempts"),
    *_amounts("settled"),
    Column("reservation_id", Text, nullable=False, server_default=""),
    Column("worker", Text, nullable=False, server_default=""),
    UniqueConstraint("tenant", "session_id", "turn_id"),
    sqlite_autoincrement=True,
)
Index(
    "receipts_open",
    receipts.c.worker,
    sqlite_where=receipts.c.finish.is_(None),
    postgresql_where=receipts.c.finish.is_(None),
)
Index(
    "receipts_settled_at",
    receipts.c.settled_at,
    sqlite_where=receipts.c.settled_at > 0,
    postgresql_where=receipts.c.settled_at > 0,
)
Index("receipts_age", receipts.c.tenant, receipts.c.created)

workers = Table(
    "workers",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("beat", WHOLE, nullable=False),
    Column("started", SECONDS, nullable=False),
)
