"""Orders that the shop has deleted, or lost when it was restored, while their money was still being followed.

A restored shop gives the ids of what it has lost out again, often before the next run. What was noted under such an id
is then set aside under the negative of it, an id that no order has, so that the money of both orders is followed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import checkouts, orders
from paypoll.state.seen_checkouts import SEEN, seen_in
from paypoll.state.tables import checkout_seen, watch
from paypoll.state.watches import Held, is_free

_THERE = orders.alias("there")
# Under its number the shop may have the order again, with another id: then that one is followed.
_NUMBER_IS_GONE = sa.and_(
    ~sa.exists(_THERE.c.id).where(_THERE.c.order_number == watch.c.order_number),
    watch.c.order_number.is_not(None),
    watch.c.order_number != "",
)
_IS_GONE = sa.and_(~sa.exists(orders.c.id).where(orders.c.id == watch.c.order_id), _NUMBER_IS_GONE)
_ASIDE = watch.alias("aside")
IS_SET_ASIDE = sa.exists(_ASIDE.c.order_id).where(_ASIDE.c.order_id == -watch.c.order_id)
"""Whether what was noted of another order under this id is kept elsewhere: the rest is of the order that is there."""
_KEPT = ("status", "first_seen_at", "settled_at", "last_checked_at", "order_number", "order_created_at")
# As at the first look; but its number says whose tickets and payment are on record under the id.
_AS_NEW = {
    "status": None,
    "settled_at": None,
    "missing_checks": 0,
    "stuck_told_at": None,
    "seen_void": False,
}


def any_gone_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say whether there is an order that is gone from the shop and whose money is to be looked at."""
    return sa.exists(watch.c.order_id).where(watch.c.next_check_at <= now, _IS_GONE)


def set_aside(connection: sa.Connection, order_ids: Sequence[int], now: datetime) -> list[int]:
    """Keep what is known of lost orders whose ids these have now, and return the ids that it is kept under.

    From then on they are orders that are gone, due at once if their money was followed. The watch rows must be locked.
    """
    lost = sa.and_(watch.c.order_id.in_(list(order_ids)), _NUMBER_IS_GONE, ~IS_SET_ASIDE)
    if not (taken := list(connection.scalars(sa.select(watch.c.order_id).where(lost)))):
        return []
    following = sa.case((watch.c.next_check_at.is_not(None), now))
    kept = sa.select(-watch.c.order_id, following, *(watch.c[name] for name in _KEPT)).where(
        watch.c.order_id.in_(taken)
    )
    connection.execute(sa.insert(watch).from_select(["order_id", "next_check_at", *_KEPT], kept))
    own = sa.exists(checkouts.c.id).where(
        checkouts.c.order_id == checkout_seen.c.order_id,
        checkout_seen.c.checkout_id.in_([checkouts.c.sumup_checkout_id, checkouts.c.checkout_id]),
    )
    moved = sa.update(checkout_seen).where(checkout_seen.c.order_id.in_(taken), ~own)
    connection.execute(moved.values(order_id=-checkout_seen.c.order_id))
    connection.execute(sa.update(watch).where(watch.c.order_id.in_(taken)).values(_AS_NEW))
    return [-order_id for order_id in taken]


def claim_gone(connection: sa.Connection, run_id: str, now: datetime, *, limit: int, lease: timedelta) -> list[int]:
    """Take up to `limit` orders that are gone for this run, and return the ids that they had."""
    due = (
        sa.select(watch.c.order_id)
        .where(watch.c.next_check_at <= now, _IS_GONE, is_free(now, lease), watch.c.last_run.is_distinct_from(run_id))
        .order_by(watch.c.next_check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    order_ids = list(connection.scalars(due))
    if order_ids:
        values = {"lease_run": run_id, "lease_until": now + lease}
        connection.execute(sa.update(watch).where(watch.c.order_id.in_(order_ids)).values(values))
    return order_ids


def hold_gone(connection: sa.Connection, order_id: int, run_id: str) -> Held | None:
    """Lock the order's watch row, and return it if the lease is still this run's; else None. It is all there is."""
    query = sa.select(watch.c.lease_run, watch.c.status).where(watch.c.order_id == order_id).with_for_update()
    row = connection.execute(query).first()
    return Held(row.status) if row is not None and row.lease_run == run_id else None


def load_gone(connection: sa.Connection, order_ids: Sequence[int]) -> list[Order]:
    """Return what paypoll knows of these orders, as if they had been cancelled: nothing is owed for their money."""
    rows = connection.execute(sa.select(watch).where(watch.c.order_id.in_(list(order_ids)), _IS_GONE)).all()
    found = connection.execute(SEEN, {"order_ids": [row.order_id for row in rows]})
    seen = seen_in([dict(row) for row in found.mappings()])
    return [
        Order(
            id=row.order_id,
            number=row.order_number,
            status=OrderStatus.CANCELLED,
            total=Decimal(0),
            is_paid=False,
            email="",
            first_name="",
            last_name="",
            user_id=None,
            created_at=row.order_created_at or row.first_seen_at,
            seen=seen.get(row.order_id, ()),
            changed_at=row.settled_at,
            looked_at=row.last_checked_at,
        )
        for row in rows
    ]
