"""Which payments have completed an order in the shop's own rows, whoever completed it.

A page of the shop may have completed an order, with its tickets, before paypoll came. No `fulfilment` says so, and the
same payment must not buy a second order's tickets.
"""

from datetime import timedelta

import sqlalchemy as sa

from paypoll.shop.capacity import ADMITTING
from paypoll.shop.tables import checkouts, orders, tickets
from paypoll.state.tables import fulfilment

LOOKED_BACK = timedelta(days=60)
"""A payment that is new now has completed no order before that."""

_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_SINCE = sa.bindparam("since", type_=orders.c.created_at.type)
_IS_PAID = sa.bindparam("is_paid", type_=sa.Boolean)
# What paid for an order of our own is on record, whatever its rows say.
_OTHER = sa.and_(
    orders.c.id != sa.bindparam("order_id"),
    sa.not_(sa.exists(fulfilment.c.order_id).where(fulfilment.c.order_id == orders.c.id)),
)
# Bought: by the shop's own column, or by tickets that still admit.
_BOUGHT = sa.or_(
    orders.c.is_paid,
    sa.exists(tickets.c.id).where(tickets.c.order_id == orders.c.id, tickets.c.status.in_(ADMITTING)),
)


def _halved() -> sa.ScalarSelect[int]:
    """Return an id of which the orders of the last sixty days are beyond.

    The shop has no index on an order's time nor on its transaction_id. Ids grow with time, so its primary key finds
    where those days begin, by halving, in some twenty look-ups; from there on it is read.
    """
    ends = sa.select(sa.cast(0, orders.c.id.type).label("low"), sa.func.max(orders.c.id).label("high"))
    search = ends.cte("search", recursive=True)
    middle = search.c.low + (search.c.high - search.c.low + 1) // 2
    first = orders.alias("first")
    made = sa.select(first.c.created_at).where(first.c.id >= middle).order_by(first.c.id).limit(1)
    is_before = made.correlate(search).scalar_subquery() < _SINCE
    search = search.union_all(
        sa.select(
            sa.case((is_before, middle), else_=search.c.low), sa.case((is_before, search.c.high), else_=middle - 1)
        ).where(search.c.low < search.c.high)
    )
    return sa.select(search.c.low).where(search.c.low == search.c.high).scalar_subquery()


_BY_ORDER = sa.select(orders.c.transaction_id, sa.literal("").label("checkout_id")).where(
    _IS_PAID, orders.c.id > sa.func.coalesce(_halved(), 0), _OTHER, orders.c.transaction_id.in_(_IDS), _BOUGHT
)
# A checkout may be stored for two orders: found by the index on the checkouts' own time.
_STORED = (
    sa.select(checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
    .join(orders, orders.c.id == checkouts.c.order_id)
    .where(_IS_PAID, checkouts.c.created_at > _SINCE, _OTHER, _BOUGHT)
    .where(sa.or_(checkouts.c.sumup_checkout_id.in_(_IDS), checkouts.c.checkout_id.in_(_IDS)))
)
SPENT_IN_SHOP = (_BY_ORDER, _STORED)
"""What has completed another order than `order_id`, of the SumUp ids `sumup_ids`, in the shop's rows from `since` on.

The ids are those of checkouts, of transactions, and their codes. Unless `is_paid`, nothing is looked for.
"""
