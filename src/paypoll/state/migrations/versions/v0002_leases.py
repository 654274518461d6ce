"""Leases: what one run on all hosts may do at a time, in a row instead of a session's lock."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop the table: nobody's lease outlives half a minute."""
    op.drop_table("lease", schema=SCHEMA)
