"""Whether restored records are of this shop: another one's would count for orders of which it has never heard."""

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.shop.tables import orders
from paypoll.state.tables import watch

_ENOUGH = 50

# As for each order: one that was made in the same microsecond is the same, whose number somebody has changed (39a).
_is_other = sa.and_(
    orders.c.order_number != watch.c.order_number,
    readable(orders.c.created_at, or_null=True).is_distinct_from(watch.c.order_created_at),
)
_SHARED = (
    sa.select(orders.c.order_number, watch.c.order_number.label("recorded"), _is_other.label("is_other"))
    .join(watch, watch.c.order_id == orders.c.id)
    .where(watch.c.order_number.is_not(None))
    .order_by(orders.c.id.desc())
    .limit(_ENOUGH)
)


def why_of_another_shop(connection: sa.Connection) -> str:
    """Return why the records are another shop's: most of the ids that both know are other orders. Empty when not."""
    shared = connection.execute(_SHARED).all()
    others = [row for row in shared if row.is_other]
    if len(others) * 2 <= len(shared):
        return ""
    example = f"{others[0].order_number} here is {others[0].recorded} there"
    return f"of the newest {len(shared)} ids that both give an order, {len(others)} are other orders ({example})"
