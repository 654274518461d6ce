"""Which payments have completed an order in the shop's own rows, whoever completed it.

A page of the shop may have completed an order, with its tickets, before paypoll came. No `fulfilment` says so, and the
same payment must not buy a second order's tickets.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.shop.capacity import ADMITTING
from paypoll.shop.tables import checkouts, orders, tickets
from paypoll.state.tables import fulfilment

LOOKED_BACK = timedelta(days=60)
"""A payment that is new now has completed no order before that."""

_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_SINCE = sa.bindparam("since", type_=orders.c.created_at.type)
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
# The shop has no index on an order's time nor on its transaction_id. Ids grow with time, so its primary key, read from
# the newest order back, finds where the last sixty days begin; from there on it is read once more.
_BEGINS = (
    sa.select(orders.c.id).where(orders.c.created_at < _SINCE).order_by(orders.c.id.desc()).limit(1).scalar_subquery()
)
_BY_ORDER = sa.select(orders.c.transaction_id).where(
    orders.c.id > sa.func.coalesce(_BEGINS, 0), _OTHER, orders.c.transaction_id.in_(_IDS), _BOUGHT
)
# A checkout may be stored for two orders: found by the index on the checkouts' own time.
_STORED = tuple(
    sa.select(column)
    .join(orders, orders.c.id == checkouts.c.order_id)
    .where(checkouts.c.created_at > _SINCE, column.in_(_IDS), _OTHER, _BOUGHT)
    for column in (checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
)
_SPENT = sa.union_all(_BY_ORDER, *_STORED)


def spent_in_shop(connection: sa.Connection, order_id: int, sumup_ids: Iterable[str], now: datetime) -> frozenset[str]:
    """Return which of these SumUp ids (checkouts, transactions, their codes) have completed another order."""
    wanted = sorted(sumup_ids)
    if not wanted:
        return frozenset()
    values = {"order_id": order_id, "sumup_ids": wanted, "since": now - LOOKED_BACK}
    return frozenset(connection.scalars(_SPENT, values))
