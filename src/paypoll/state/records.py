"""What paypoll itself remembers about orders: how they were fulfilled, what was missing, what a person decided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.order import Fulfilment, SeenCheckout
from paypoll.shop.tables import items, orders, tickets
from paypoll.state.gone import IS_SET_ASIDE
from paypoll.state.outbox import OF_A_PAYMENT
from paypoll.state.resolutions import VERDICTS, without_tickets
from paypoll.state.same_order import IS_ANOTHER
from paypoll.state.seen_checkouts import SEEN, seen_in
from paypoll.state.tables import fulfilment, outbox, ticket_place, watch
from paypoll.statements import Rows, Together

# A restored shop gives ids out again, those of items as well: their places may be filled by another order's tickets.
_FILLED_BY_ANOTHER = sa.exists(items.c.id).where(
    items.c.order_id == watch.c.order_id,
    ticket_place.c.order_item_id == items.c.id,
    ticket_place.c.order_id != watch.c.order_id,
)
_RECORDS = (
    sa.select(
        watch.c.order_id,
        orders.c.order_number,
        watch.c.order_number.label("recorded_number"),
        readable(watch.c.order_created_at, or_null=True).label("recorded_created_at"),
        fulfilment.c.order_number.label("fulfilled_number"),
        _FILLED_BY_ANOTHER.label("filled_by_another"),
        IS_SET_ASIDE.label("set_aside"),
        IS_ANOTHER.label("is_another"),
        watch.c.missing_checks,
        watch.c.seen_void,
        watch.c.settled_at,
        watch.c.last_checked_at,
        fulfilment.c.checkout_id,
        fulfilment.c.transaction_id,
        fulfilment.c.order_transaction_id,
        fulfilment.c.paid_at,
        fulfilment.c.fulfilled_at,
        fulfilment.c.by_person,
        fulfilment.c.issued_by,
    )
    .join(orders, orders.c.id == watch.c.order_id)
    .outerjoin(fulfilment, fulfilment.c.order_id == watch.c.order_id)
    .where(watch.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
)
_NEWEST_RECORDED = sa.select(sa.func.max(ticket_place.c.ticket_id)).scalar_subquery()
_NEWEST_THERE = sa.select(sa.func.coalesce(sa.func.max(tickets.c.id), 0)).scalar_subquery()
NEWEST_TICKET_IF_RESTORED = sa.select(_NEWEST_RECORDED.label("ticket_id")).where(_NEWEST_RECORDED > _NEWEST_THERE)
"""The newest ticket on record, if the shop has none so new: restored from a backup, it gives ids out again."""

WRITTEN_TO = (
    sa.select(outbox.c.order_id)
    .where(outbox.c.order_id.in_(sa.bindparam("order_ids", expanding=True)), outbox.c.kind.in_(OF_A_PAYMENT))
    .distinct()
)
"""Those of the orders `order_ids` whose customer was, or is to be, sent mail about a payment that bought nothing."""

QUERIES: Mapping[str, sa.Select[Any]] = {"verdicts": VERDICTS, "seen": SEEN, "records": _RECORDS}
"""What `records_in` puts together, of the orders `order_ids`; to be asked as one, by whoever asks for more as well."""
_ALL = Together(**QUERIES)


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
    records_of: str = ""


def load_records(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Records]:
    """Return the records of these orders; every order asked for has an entry."""
    return records_in(_ALL.ask(connection, {"order_ids": list(order_ids)}), order_ids)


def records_in(rows: Mapping[str, Rows], order_ids: Iterable[int]) -> dict[int, Records]:
    """Return the records in what `QUERIES` have found, as `load_records` does."""
    rejected = without_tickets(rows["verdicts"])
    seen = seen_in(rows["seen"])
    found = {order_id: Records(rejected=order_id in rejected, seen=seen.get(order_id, ())) for order_id in order_ids}
    for row in rows["records"]:
        order_id = row["order_id"]
        if another := _another_order(row):
            # They are of another order, and none counts for this one but what was noted since they were set aside.
            found[order_id] = Records(records_of=another)
            if row["set_aside"]:
                found[order_id] = Records(
                    missing_checks=row["missing_checks"] or 0,
                    was_void=row["seen_void"],
                    changed_at=row["settled_at"],
                    looked_at=row["last_checked_at"],
                    seen=seen.get(order_id, ()),
                    records_of=another,
                )
            continue
        found[order_id] = Records(
            fulfilment=_fulfilment(row),
            missing_checks=row["missing_checks"] or 0,
            rejected=order_id in rejected,
            was_void=row["seen_void"],
            changed_at=row["settled_at"],
            looked_at=row["last_checked_at"],
            seen=seen.get(order_id, ()),
        )
    return found


def _another_order(row: Mapping[str, Any]) -> str:
    """Return the number of the order that the records under this id are of, if it is another one; else nothing."""
    if not row["is_another"]:
        return "another order" if row["filled_by_another"] else ""
    for number in (row["recorded_number"], row["fulfilled_number"]):
        if number not in {None, row["order_number"]}:
            return str(number)
    return f"{row['order_number']} of {row['recorded_created_at']:%d %B %Y}"


def _fulfilment(row: Mapping[str, Any]) -> Fulfilment | None:
    if row["fulfilled_at"] is None:
        return None
    return Fulfilment(
        order_id=row["order_id"],
        checkout_id=row["checkout_id"],
        order_transaction_id=row["order_transaction_id"],
        paid_at=row["paid_at"],
        fulfilled_at=row["fulfilled_at"],
        by_person=row["by_person"],
        issued_by=row["issued_by"],
        transaction_id=row["transaction_id"] or "",
    )
