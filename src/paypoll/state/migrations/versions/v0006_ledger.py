"""SumUp's ledger held against the orders: how far it was read, the payments seen in it, and what does not agree."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from paypoll.database import SCHEMA, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_JSON = sa.JSON().with_variant(JSONB, "postgresql")
_MONEY = sa.Numeric(12, 3)


def upgrade() -> None:
    """Make the tables, and a column that says which payment a checkout holds."""
    op.create_table(
        "ledger_cursor",
        sa.Column("merchant_code", sa.Text, primary_key=True),
        sa.Column("read_until", UtcDateTime),
        sa.Column("swept_at", UtcDateTime),
        sa.Column("asked_at", UtcDateTime),
        sa.Column("looked_back_at", UtcDateTime),
        sa.Column("sweep_since", UtcDateTime),
        sa.Column("sweep_began_at", UtcDateTime),
        sa.Column("next_page", sa.Text),
        sa.Column("refused", sa.Text),
        schema=SCHEMA,
    )
    op.create_table(
        "ledger_entry",
        sa.Column("transaction_id", sa.Text, primary_key=True),
        sa.Column("merchant_code", sa.Text, nullable=False),
        sa.Column("transaction_code", sa.Text),
        sa.Column("order_id", _ID),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("returned", _MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("paid_at", UtcDateTime),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ledger_entry_order", "ledger_entry", ["order_id"], schema=SCHEMA)
    op.create_table(
        "finding",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("merchant_code", sa.Text, nullable=False),
        sa.Column("transaction_id", sa.Text),
        sa.Column("transaction_code", sa.Text),
        sa.Column("order_id", _ID),
        sa.Column("order_number", sa.Text),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("first_seen_at", UtcDateTime, nullable=False),
        sa.Column("told_at", UtcDateTime),
        sa.Column("closed_at", UtcDateTime),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_why", sa.Text),
        sa.Column("detail", _JSON, nullable=False),
        schema=SCHEMA,
    )
    op.create_index(
        "finding_open", "finding", ["first_seen_at"], schema=SCHEMA, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_index("finding_order", "finding", ["order_id"], schema=SCHEMA)
    op.create_index("finding_transaction", "finding", ["transaction_id"], schema=SCHEMA)
    op.add_column("checkout_seen", sa.Column("transaction_id", sa.Text), schema=SCHEMA)
    op.create_index("checkout_seen_transaction", "checkout_seen", ["transaction_id"], schema=SCHEMA)


def downgrade() -> None:
    """Refuse: the tables say what an admin was told, and what a person closed."""
    raise NotImplementedError("this migration cannot be undone: restore the dump from before it")
