"""What version 0.1.0 told of payments that bought nothing is accounted for, so that nothing tells of them again.

And the orders that it completed just now are followed as this release does it.
"""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA, UtcDateTime
from paypoll.state.told_before import take_over

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take over from the trail what was told; have the first quiet look at orders come when their page has ended."""
    connection = op.get_bind()
    take_over(connection)
    if connection.dialect.name == "postgresql":
        watch = sa.table("watch", sa.column("order_id"), sa.column("next_check_at", UtcDateTime), schema=SCHEMA)
        done = sa.table("fulfilment", sa.column("order_id"), sa.column("fulfilled_at", UtcDateTime), schema=SCHEMA)
        # Else the next run would look at all of them at once: their checkouts are new, and nobody has seen them.
        quiet = sa.text("interval '45 minutes'")
        just_now = sa.and_(watch.c.order_id == done.c.order_id, done.c.fulfilled_at > sa.func.now() - quiet)
        op.execute(
            sa.update(watch)
            .where(just_now, watch.c.next_check_at.is_(None))
            .values(next_check_at=done.c.fulfilled_at + quiet)
        )


def downgrade() -> None:
    """Leave it: it stays true."""
