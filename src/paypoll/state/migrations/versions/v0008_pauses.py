"""Pauses: orders, events or everything that runs leave alone until a person says otherwise."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table. The last release does not know it, and pauses nothing."""
    op.create_table(
        "pause",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("everything", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("event_id", _Id),
        sa.Column("order_id", _Id),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("by_whom", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop the table: nothing is paused any more."""
    op.drop_table("pause", schema=SCHEMA)
