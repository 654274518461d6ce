"""Listing fees: what paypoll remembers about each, and the payment that it has taken for it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from paypoll.database import SCHEMA, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "listing_fee",
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'open'")),
        sa.Column("status", sa.Text),
        sa.Column("named_checkout", sa.Text),
        sa.Column("first_seen_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime),
        sa.Column("next_check_at", UtcDateTime),
        sa.Column("last_checked_at", UtcDateTime),
        sa.Column("last_run", sa.Text),
        sa.Column("last_answer", sa.Text),
        sa.Column("checks", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("lease_run", sa.Text),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("seen", sa.JSON().with_variant(JSONB, "postgresql")),
        sa.Column("checkout_id", sa.Text, unique=True),
        sa.Column("transaction_id", sa.Text, unique=True),
        sa.Column("transaction_code", sa.Text),
        sa.Column("paid_at", UtcDateTime),
        sa.Column("taken_at", UtcDateTime),
        sa.Column("amount", sa.Numeric(12, 3)),
        sa.Column("currency", sa.Text),
        sa.Column("merchant_code", sa.Text),
        sa.CheckConstraint("state IN ('open', 'failed', 'expired', 'review', 'paid')", name="listing_fee_state"),
        schema=SCHEMA,
    )
    op.create_index("listing_fee_next_check", "listing_fee", ["next_check_at"], schema=SCHEMA)


def downgrade() -> None:
    """Refuse: the table says which fees were paid, and by what."""
    raise NotImplementedError("this migration cannot be undone: restore the dump from before it")
