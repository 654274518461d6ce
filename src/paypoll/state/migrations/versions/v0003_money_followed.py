"""Following the money: the checkouts seen of each order, and what tells one order from another of the same id."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table and the columns; look at once at what is still open, and not back at what was over."""
    op.create_table(
        "checkout_seen",
        sa.Column("order_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("checkout_id", sa.Text, primary_key=True),
        sa.Column("merchant_code", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("first_seen_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("failed_since", UtcDateTime),
        sa.Column("accounted", sa.Boolean, nullable=False, server_default=sa.false()),
        schema=SCHEMA,
    )
    op.add_column("watch", sa.Column("seen_void", sa.Boolean, nullable=False, server_default=sa.false()), schema=SCHEMA)
    op.add_column("watch", sa.Column("order_number", sa.Text), schema=SCHEMA)
    op.add_column("watch", sa.Column("order_created_at", UtcDateTime), schema=SCHEMA)
    # A look that is dated in the future was made under a wrong clock, and is made again.
    op.create_index("watch_last_checked", "watch", ["last_checked_at"], schema=SCHEMA)
    op.add_column(
        "fulfilment", sa.Column("by_person", sa.Boolean, nullable=False, server_default=sa.false()), schema=SCHEMA
    )
    op.add_column("fulfilment", sa.Column("order_number", sa.Text), schema=SCHEMA)
    watch = sa.table(
        "watch",
        *(sa.column(name) for name in ("order_id", "status", "seen_void", "last_checked_at")),
        *(sa.column(name, UtcDateTime) for name in ("next_check_at", "settled_at", "first_seen_at")),
        schema=SCHEMA,
    )
    _name_orders()
    op.execute(sa.update(watch).where(watch.c.status.in_(("cancelled", "refunded"))).values(seen_void=sa.true()))
    # Version 0.1.0 left the next look of orders whose window was over where it was: they would all be due at once.
    # Its window counted from when paypoll moved the order, and was 72 hours unless set otherwise.
    if op.get_bind().dialect.name == "postgresql":
        over = sa.func.coalesce(watch.c.settled_at, watch.c.first_seen_at) < sa.text("now() - interval '72 hours'")
        followed = watch.c.status.is_distinct_from("pending_verification")
        op.execute(sa.update(watch).where(over, followed).values(next_check_at=None))
        still_open = watch.c.status.in_(("pending", "failed", "expired", "cancelled", "refunded"))
        op.execute(sa.update(watch).where(sa.not_(over), still_open).values(next_check_at=sa.func.now()))


def _name_orders() -> None:
    """Write to which order the records belong, as the audit trail has it: a restored shop gives ids out again."""
    audit = sa.table("audit", *(sa.column(name) for name in ("id", "order_id", "order_number")), schema=SCHEMA)
    for name in ("watch", "fulfilment"):
        table = sa.table(name, sa.column("order_id"), sa.column("order_number"), schema=SCHEMA)
        newest = (
            sa.select(audit.c.order_number)
            .where(audit.c.order_id == table.c.order_id, audit.c.order_number.is_not(None))
            .order_by(audit.c.id.desc())
            .limit(1)
            .correlate(table)
            .scalar_subquery()
        )
        op.execute(sa.update(table).values(order_number=newest))


def downgrade() -> None:
    """Refuse: the table says which payments an admin was told of."""
    raise NotImplementedError("this migration cannot be undone: restore the dump from before it")
