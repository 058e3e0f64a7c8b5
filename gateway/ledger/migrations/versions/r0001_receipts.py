"""The receipts, as version 0.1 wrote them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

WHOLE: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS: TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
USAGE = (
    *("prompt_tokens", "cached_prompt_tokens", "completion_tokens", "reasoning_tokens"),
    *("search_calls", "tool_runs", "cost_nano_usd", "basis"),
)


def upgrade() -> None:
    """Makes the table and its indexes."""
    op.create_table(
        "receipts",
        sa.Column("seq", WHOLE, primary_key=True, autoincrement=True),
        sa.Column("receipt_id", sa.Text, nullable=False, unique=True),
        *_words("tenant", "subject", "session_id", "turn_id"),
        sa.Column("body_sha256", sa.LargeBinary, nullable=False),
        *_words("request_id", "model"),
        sa.Column("created", SECONDS, nullable=False),
        *_amounts("reserved"),
        sa.Column("settled_at", SECONDS, nullable=False),
        sa.Column("finish", WHOLE),
        *_words("reason", "price_entry"),
        sa.Column("peak_price", WHOLE, nullable=False),
        *_words("served_by", "route_reason", "broken_stream_policy"),
        sa.Column("degraded", WHOLE, nullable=False),
        *_words("cache_level", "labels", "attempts"),
        *_amounts("settled"),
        sa.UniqueConstraint("tenant", "session_id", "turn_id"),
        sqlite_autoincrement=True,
    )
    _index("receipts_open", "finish", "finish IS NULL")
    _index("receipts_settled_at", "settled_at", "settled_at > 0")


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _amounts(prefix: str) -> list[sa.Column[int]]:
    return [sa.Column(f"{prefix}_{name}", WHOLE, nullable=False) for name in USAGE]


def _index(name: str, column: str, where: str) -> None:
    op.create_index(name, "receipts", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
