"""Orders that the shop has deleted, or lost when it was restored, while their money was still being followed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import orders
from paypoll.state.seen_checkouts import SEEN, seen_in
from paypoll.state.tables import watch
from paypoll.state.watches import Held, is_free

_THERE = orders.alias("there")
# Under its number the shop may have the order again, with another id: then that one is followed.
_IS_GONE = sa.and_(
    ~sa.exists(orders.c.id).where(orders.c.id == watch.c.order_id),
    ~sa.exists(_THERE.c.id).where(_THERE.c.order_number == watch.c.order_number),
    watch.c.order_number.is_not(None),
    watch.c.order_number != "",
)


def any_gone_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say whether there is an order that is gone from the shop and whose money is to be looked at."""
    return sa.exists(watch.c.order_id).where(watch.c.next_check_at <= now, _IS_GONE)


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
