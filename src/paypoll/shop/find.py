"""Find orders by what people call them, and take the lock on one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from paypoll.database import lower_case
from paypoll.errors import NotFoundError, OrderNotFoundError
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.shop.tables import checkouts, events, items, listing_fees, orders, tickets, users

_ID = re.compile(r"\d{1,18}")  # a bigint has at most 19 digits
_BY_ID = re.compile(r"id:(\d{1,18})", re.IGNORECASE)

# Built once, not for every order.
_tickets_of = sa.select(sa.func.count()).where(tickets.c.order_id == orders.c.id).correlate(orders)
_FOR_MAIL = sa.select(
    orders.c.order_number,
    orders.c.email,
    orders.c.status,
    _tickets_of.scalar_subquery().label("tickets"),
    _tickets_of.where(tickets.c.status.in_(ADMITTING)).scalar_subquery().label("admitting"),
).where(orders.c.id == sa.bindparam("order_id"))
_LOCK = sa.select(orders.c.id).where(orders.c.id == sa.bindparam("order_id")).with_for_update()


def find_order_id(connection: sa.Connection, wanted: str) -> int:
    """Return the id of the order with this number (any case) or id. Raise OrderNotFoundError.

    `id:17` is the order with that id, also where the shop gave another order the number 17.
    """
    wanted = wanted.strip().lstrip("#")
    if (meant := _BY_ID.fullmatch(wanted)) is not None:
        return _existing(connection, int(meant[1]), wanted)
    by_number = sa.select(orders.c.id).where(lower_case(orders.c.order_number) == wanted.lower())
    found = connection.scalar(sa.select(orders.c.id).where(orders.c.order_number == wanted))
    found = found or connection.scalar(by_number.order_by(orders.c.id).limit(1))
    if found is None:
        return _existing(connection, int(wanted) if _ID.fullmatch(wanted) else 0, wanted)
    return int(found)


def _existing(connection: sa.Connection, order_id: int, wanted: str) -> int:
    if connection.scalar(sa.select(orders.c.id).where(orders.c.id == order_id)) is None:
        raise OrderNotFoundError(f"no order has the number or id {wanted!r}")
    return order_id


def search_orders(connection: sa.Connection, text: str) -> set[int]:
    """Return the ids of the orders that this text is of: of an e-mail or a name a part, of other things the whole.

    Others are the order's number, checkouts and references, transactions, and tickets' numbers; any case.
    """
    wanted = text.strip()
    if not wanted:
        return set()
    name = orders.c.delivery_first_name + " " + orders.c.delivery_last_name
    wholes = [lower_case(column) == wanted.lower() for column in (orders.c.order_number, orders.c.transaction_id)]
    known_as = (checkouts.c.sumup_checkout_id, checkouts.c.checkout_id, checkouts.c.checkout_reference)
    queries = [
        sa.select(orders.c.id).where(sa.or_(_has_part(wanted, orders.c.email, name), *wholes)),
        sa.select(checkouts.c.order_id).where(sa.or_(*(lower_case(column) == wanted.lower() for column in known_as))),
        sa.select(tickets.c.order_id).where(lower_case(tickets.c.ticket_number) == wanted.lower()),
    ]
    return {found for query in queries for found in connection.scalars(query) if found is not None}


def search_fees(connection: sa.Connection, text: str) -> set[str]:
    """Return the references of the listing fees that this text is of: of an organiser's e-mail or name a part.

    Or of another thing the whole, as for orders.
    """
    wanted = text.strip()
    if not wanted:
        return set()
    is_called = _has_part(wanted, users.c.email, users.c.first_name + " " + users.c.last_name)
    called = sa.select(listing_fees.c.payment_reference).join(users, users.c.id == listing_fees.c.organizer_id)
    known_as = (listing_fees.c.payment_reference, listing_fees.c.sumup_checkout_id)
    is_known = (lower_case(column) == wanted.lower().removeprefix("listing_fee_") for column in known_as)
    return set(connection.scalars(called.where(sa.or_(is_called, *is_known))))


def _has_part(wanted: str, *columns: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Say whether the text is a part of one of these, in any case: by the database's small letters, of one kind."""
    part = lower_case(sa.literal("%" + re.sub(r"[/%_]", r"/\g<0>", wanted) + "%"))
    return sa.or_(*(lower_case(column).like(part, escape="/") for column in columns))


def next_events(connection: sa.Connection, order_ids: Sequence[int], today: date) -> dict[int, date]:
    """Return the date of the next event of each of these orders that has one still to come."""
    first = sa.func.min(events.c.event_date)
    # Python has no date for the year 20260, which must not spoil the list.
    soonest = sa.case((first > date.max, date.max), else_=first)
    query = (
        sa.select(items.c.order_id, soonest)
        .join(events, events.c.id == items.c.event_id)
        .where(items.c.order_id.in_(list(order_ids)), events.c.event_date >= today)
        .group_by(items.c.order_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def require_event(connection: sa.Connection, event_id: int) -> None:
    """Raise NotFoundError when the shop has no such event: a slip, which would find no orders."""
    if connection.scalar(sa.select(events.c.id).where(events.c.id == event_id)) is None:
        raise NotFoundError(f"no event has the id {event_id}")


def orders_of_event(connection: sa.Connection, event_id: int) -> set[int]:
    """Return the ids of the orders with places at this event."""
    return set(connection.scalars(sa.select(items.c.order_id).where(items.c.event_id == event_id)))


def find_waiting(connection: sa.Connection, created_before: datetime) -> list[int]:
    """Return the ids of the orders that wait for verification since before this time, the oldest first."""
    query = sa.select(orders.c.id).where(
        orders.c.status == OrderStatus.PENDING_VERIFICATION.value, orders.c.created_at <= created_before
    )
    return list(connection.scalars(query.order_by(orders.c.created_at, orders.c.id)))


def find_numbers(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, str]:
    """Return the numbers of these orders by their ids, and read nothing else of them."""
    query = sa.select(orders.c.id, orders.c.order_number).where(orders.c.id.in_(list(order_ids)))
    return {row.id: row.order_number for row in connection.execute(query)}


def find_statuses(connection: sa.Connection, order_ids: Sequence[int]) -> dict[str, str]:
    """Return the statuses of these orders by their numbers, and read nothing else of them."""
    query = sa.select(orders.c.order_number, orders.c.status).where(orders.c.id.in_(list(order_ids)))
    return {row.order_number: row.status for row in connection.execute(query)}


def lock_order(connection: sa.Connection, order_id: int) -> bool:
    """Take the order's row lock, until the end of the transaction. False when the order is gone.

    FOR UPDATE, not the weaker FOR NO KEY UPDATE: it also waits for a transaction of the shop that has inserted a
    ticket or a refund of this order and not committed yet, so that those are seen.
    """
    return connection.scalar(_LOCK, {"order_id": order_id}) is not None


@dataclass(frozen=True, slots=True)
class OrderNow:
    """What a mail about an order hangs on: how many of its `tickets` are `admitting`, among others."""

    number: str
    email: str
    status: str
    tickets: int
    admitting: int


def order_for_mail(connection: sa.Connection, order_id: int) -> OrderNow | None:
    """Return the order as it is now, as far as mail needs it, or None when there is no such order."""
    row = connection.execute(_FOR_MAIL, {"order_id": order_id}).first()
    return OrderNow(row.order_number, row.email, row.status, row.tickets, row.admitting) if row is not None else None
