"""Several workers and replicas: whose an open receipt is, what is held for it; and an index for its age."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"

WHOLE: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECONDS: TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Adds the columns; open receipts of before belong to nobody, and are settled as lost."""
    op.add_column("receipts", sa.Column("reservation_id", sa.Text, nullable=False, server_default=""))
    op.add_column("receipts", sa.Column("worker", sa.Text, nullable=False, server_default=""))
    op.drop_index("receipts_open", "receipts")
    is_open = sa.text("finish IS NULL")
    op.create_index("receipts_open", "receipts", ["worker"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("receipts_age", "receipts", ["tenant", "created"])
    op.create_table(
        "workers",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("beat", WHOLE, nullable=False),
        sa.Column("started", SECONDS, nullable=False),
    )
