"""Which payments have completed an order in the shop's own rows, whoever completed it.

A page of the shop may have completed an order, with its tickets, before paypoll came. No `fulfilment` says so, and the
same payment must not buy a second order's tickets.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.shop.capacity import ADMITTING
from paypoll.shop.tables import checkouts, orders, tickets
from paypoll.state.tables import fulfilment

LOOKED_BACK = timedelta(days=60)
"""A payment that is new now has completed no order before that."""

_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_SINCE = sa.bindparam("since", type_=orders.c.created_at.type)
_IS_PAID = sa.bindparam("is_paid", type_=sa.Boolean)


def _halved() -> sa.Select[int]:
    """Return the query for an id that all orders made since `since` are beyond.

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
    return sa.select(search.c.low).where(search.c.low == search.c.high)


# Where old orders were brought into the shop since, ids do not grow with time: then the checkouts' orders begin before.
_FIRST = sa.select(
    _halved().scalar_subquery().label("halved"),
    sa.select(sa.func.min(checkouts.c.order_id)).where(checkouts.c.created_at > _SINCE).scalar_subquery().label("paid"),
)


class LookBack:
    """Which orders of the shop's are looked through for what a payment has bought: those of the last sixty days.

    Their first id is found once for a whole run.
    """

    def __init__(self) -> None:
        self._beyond: int | None = None

    def beyond(self, connection: sa.Connection, asked_at: datetime | None) -> int:
        """Return an id that all those orders are beyond. Without a time, all orders are meant."""
        if asked_at is None:
            return 0
        if self._beyond is None:
            # Some evidence of the run may be older than this: it was asked for side by side.
            since = asked_at - LOOKED_BACK - timedelta(days=1)
            halved, paid = connection.execute(_FIRST, {"since": since}).one()
            self._beyond = min((one for one in (halved, paid and paid - 1) if one is not None), default=0)
        return self._beyond


def _bought(found: sa.FromClause) -> sa.ColumnElement[bool]:
    """Say whether an order that was found has been bought: by the shop's own column, or by tickets that still admit.

    What paid for an order of our own is on record, whatever its rows say.
    """
    admits = sa.exists(tickets.c.id).where(tickets.c.order_id == found.c.id, tickets.c.status.in_(ADMITTING))
    is_ours = sa.exists(fulfilment.c.order_id).where(fulfilment.c.order_id == found.c.id)
    return sa.and_(found.c.id != sa.bindparam("order_id"), sa.or_(found.c.is_paid, admits), sa.not_(is_ours))


# OFFSET 0: PostgreSQL finds the few rows with these ids first. It would look for the tickets of each order before that.
_named = (
    sa.select(orders.c.id, orders.c.is_paid, orders.c.transaction_id)
    .where(_IS_PAID, orders.c.id > sa.bindparam("beyond"), orders.c.transaction_id.in_(_IDS))
    .offset(sa.literal_column("0"))
    .subquery()
)
_BY_ORDER = sa.select(_named.c.transaction_id, sa.literal("").label("checkout_id")).where(_bought(_named))
# A checkout may be stored for two orders: found by the index on the checkouts' own time.
_shown = (
    sa.select(checkouts.c.order_id, checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
    .where(_IS_PAID, checkouts.c.created_at > _SINCE)
    .where(sa.or_(checkouts.c.sumup_checkout_id.in_(_IDS), checkouts.c.checkout_id.in_(_IDS)))
    .offset(sa.literal_column("0"))
    .subquery()
)
_STORED = (
    sa.select(_shown.c.sumup_checkout_id, _shown.c.checkout_id)
    .join(orders, orders.c.id == _shown.c.order_id)
    .where(_bought(orders))
)
SPENT_IN_SHOP = (_BY_ORDER, _STORED)
"""What has completed another order than `order_id`, of the SumUp ids `sumup_ids`, in the shop's rows.

In orders whose id is `beyond` (see `LookBack`) and checkouts from `since` on. The ids are those of checkouts, of
transactions, and their codes. Unless `is_paid`, nothing is looked for.
"""
