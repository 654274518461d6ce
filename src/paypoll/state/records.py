"""What paypoll itself remembers about orders: how they were fulfilled, what was missing, what a person decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.order import Fulfilment, SeenCheckout
from paypoll.state.resolutions import closed_without_tickets
from paypoll.state.seen_checkouts import load_seen
from paypoll.state.tables import fulfilment, watch

# Built once, not for every order.
_RECORDS = (
    sa.select(
        watch.c.order_id,
        watch.c.missing_checks,
        watch.c.seen_void,
        watch.c.settled_at,
        watch.c.last_checked_at,
        fulfilment.c.checkout_id,
        fulfilment.c.order_transaction_id,
        fulfilment.c.paid_at,
        fulfilment.c.fulfilled_at,
        fulfilment.c.by_person,
        fulfilment.c.issued_by,
    )
    .outerjoin(fulfilment, fulfilment.c.order_id == watch.c.order_id)
    .where(watch.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
)


@dataclass(frozen=True, slots=True)
class Records:
    """What paypoll remembers about one order; the defaults are those of an order that it has never seen.

    The fields are those of `paypoll.payments.order.Order`.
    """

    fulfilment: Fulfilment | None = None
    missing_checks: int = 0
    rejected: bool = False
    was_void: bool = False
    changed_at: datetime | None = None
    looked_at: datetime | None = None
    seen: tuple[SeenCheckout, ...] = ()


def load_records(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Records]:
    """Return the records of these orders; every order asked for has an entry."""
    rejected = closed_without_tickets(connection, order_ids)
    seen = load_seen(connection, order_ids)
    found = {order_id: Records(rejected=order_id in rejected, seen=seen[order_id]) for order_id in order_ids}
    for row in connection.execute(_RECORDS, {"order_ids": list(order_ids)}):
        found[row.order_id] = Records(
            fulfilment=_fulfilment(row),
            missing_checks=row.missing_checks or 0,
            rejected=row.order_id in rejected,
            was_void=row.seen_void,
            changed_at=row.settled_at,
            looked_at=row.last_checked_at,
            seen=seen[row.order_id],
        )
    return found


def _fulfilment(row: Any) -> Fulfilment | None:
    if row.fulfilled_at is None:
        return None
    return Fulfilment(
        order_id=row.order_id,
        checkout_id=row.checkout_id,
        order_transaction_id=row.order_transaction_id,
        paid_at=row.paid_at,
        fulfilled_at=row.fulfilled_at,
        by_person=row.by_person,
        issued_by=row.issued_by,
    )
