"""Tries at paying are dated by SumUp: the shop has no row of some checkouts, and reuses the rows of others."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. It is filled at the next look at each order that is followed still."""
    op.add_column("checkout_seen", sa.Column("made_at", UtcDateTime), schema=SCHEMA)


def downgrade() -> None:
    """Take the column away: without it an order is followed for less long."""
    op.drop_column("checkout_seen", "made_at", schema=SCHEMA)
