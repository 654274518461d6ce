"""Whether restored records are of this shop: another one's would count for orders of which it has never heard."""

import sqlalchemy as sa

from paypoll.shop.tables import orders
from paypoll.state.same_order import IS_ANOTHER
from paypoll.state.tables import fulfilment, watch

_ENOUGH = 50

_SHARED = (
    sa.select(orders.c.order_number, watch.c.order_number.label("recorded"), IS_ANOTHER.label("is_other"))
    .join(watch, watch.c.order_id == orders.c.id)
    .outerjoin(fulfilment, fulfilment.c.order_id == orders.c.id)
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
    if others[0].order_number == others[0].recorded:
        example = f"{others[0].recorded} was made later here"
    return f"of the newest {len(shared)} ids that both give an order, {len(others)} are other orders ({example})"
