"""What is gone from the shop and due: orders and listing fees whose money is to be looked at (`paypoll.state.gone`).

Apart from it, because every run asks, and hardly one needs the rest.
"""

from datetime import datetime

import sqlalchemy as sa

from paypoll.shop.tables import listing_fees, orders
from paypoll.state.due_since import is_of_the_future
from paypoll.state.pauses import EVERYTHING
from paypoll.state.same_order import has_its_id_and_number
from paypoll.state.tables import listing_fee, watch

_THERE = orders.alias("there")
# Under its number the shop may have the order again, with another id: then that one is followed.
NUMBER_IS_GONE = sa.and_(
    ~sa.exists(_THERE.c.id).where(_THERE.c.order_number == watch.c.order_number, ~has_its_id_and_number(_THERE)),
    watch.c.order_number.is_not(None),
    watch.c.order_number != "",
)
ORDER_IS_GONE = sa.and_(~sa.exists(orders.c.id).where(orders.c.id == watch.c.order_id), NUMBER_IS_GONE)
FEE_IS_GONE = ~sa.exists(listing_fees.c.id).where(listing_fees.c.payment_reference == listing_fee.c.reference)


def are_due(table: sa.Table, is_gone: sa.ColumnElement[bool], now: datetime) -> sa.ColumnElement[bool]:
    """Say of which rows that remember what `is_gone` the money is to be looked at.

    Also of what was looked at last under a clock that was ahead; of none while everything is paused, as when the shop
    is restored.
    """
    is_due = sa.or_(table.c.next_check_at <= now, is_of_the_future(table, now))
    return sa.and_(is_due, is_gone, sa.not_(EVERYTHING.exists()))


def any_gone_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say whether there is an order or a listing fee that is gone and whose money is to be looked at."""
    return sa.or_(
        sa.exists(watch.c.order_id).where(are_due(watch, ORDER_IS_GONE, now)),
        sa.exists(listing_fee.c.reference).where(are_due(listing_fee, FEE_IS_GONE, now)),
    )
