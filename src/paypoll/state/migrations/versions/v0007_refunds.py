"""Refunds that a person asked for: each is written down before SumUp is asked."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime
from paypoll.state.tables import Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MONEY = sa.Numeric(12, 3)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "refund",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("order_number", sa.Text, nullable=False),
        sa.Column("checkout_id", sa.Text, nullable=False),
        sa.Column("transaction_id", sa.Text, nullable=False),
        sa.Column("merchant_code", sa.Text, nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("tickets", Json, nullable=False),
        sa.Column("beside", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("refunded_before", _MONEY, nullable=False),
        sa.Column("charged_back_before", _MONEY, nullable=False),
        sa.Column("returning_before", _MONEY, nullable=False),
        sa.Column("failed_before", _MONEY, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("next_look_at", UtcDateTime),
        sa.Column("told", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("note", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.CheckConstraint("amount > 0", name="refund_amount"),
        sa.CheckConstraint(
            "state IN ('intended', 'asked', 'done', 'withdrawn', 'refused', 'failed', 'unseen')", name="refund_state"
        ),
        sa.CheckConstraint(
            "(state IN ('intended', 'asked')) = (next_look_at IS NOT NULL)", name="refund_is_followed_while_open"
        ),
        schema=SCHEMA,
    )
    op.create_index("refund_order", "refund", ["order_id"], schema=SCHEMA)
    op.create_index("refund_next_look", "refund", ["next_look_at"], schema=SCHEMA)
    open_ = sa.text("state IN ('intended', 'asked')")
    op.create_index(
        "refund_open", "refund", ["transaction_id"], schema=SCHEMA, unique=True,
        postgresql_where=open_, sqlite_where=open_,
    )  # fmt: skip


def downgrade() -> None:
    """Refuse: the table says which refunds may have been sent."""
    raise NotImplementedError("this migration cannot be undone: restore the dump from before it")
