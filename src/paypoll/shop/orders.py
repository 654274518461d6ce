"""Read orders of the shop, whole, as the values of `paypoll.model`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.errors import OrderNotFoundError
from paypoll.model import Account, Checkout, Event, Order, OrderItem, Ticket
from paypoll.shop.tables import checkouts, events, history, items, orders, organisers, refunds, tickets, users
from paypoll.state.fulfilments import load_fulfilments
from paypoll.state.resolutions import closed_without_tickets
from paypoll.state.tables import watch
from paypoll.statuses import OrderStatus

# Refund rows in one of these states gave nothing back. The shop's other states (asked for, approved, done) all mean
# that a person has to look before tickets are issued again.
_TURNED_DOWN = ("rejected", "failed", "cancelled", "declined")
_VOID = (OrderStatus.CANCELLED.value, OrderStatus.REFUNDED.value)
_LATE = frozenset({OrderStatus.FAILED, OrderStatus.EXPIRED})

ADMITTING = ("valid", "used")
"""Ticket statuses that take a place in the hall."""


def find_order_id(connection: sa.Connection, wanted: str) -> int:
    """Return the id of the order with this number (any case) or id. Raise OrderNotFoundError."""
    wanted = wanted.strip().lstrip("#")
    by_number = sa.select(orders.c.id).where(sa.func.lower(orders.c.order_number) == wanted.lower())
    found = connection.scalar(sa.select(orders.c.id).where(orders.c.order_number == wanted))
    found = found or connection.scalar(by_number.order_by(orders.c.id).limit(1))
    if found is None and wanted.isdecimal() and len(wanted) < 19:  # noqa: PLR2004 - a bigint has at most 19 digits
        found = connection.scalar(sa.select(orders.c.id).where(orders.c.id == int(wanted)))
    if found is None:
        raise OrderNotFoundError(f"no order has the number or id {wanted!r}")
    return int(found)


def find_waiting(connection: sa.Connection, created_before: datetime) -> list[int]:
    """Return the ids of the orders that wait for verification since before this time, the oldest first."""
    query = sa.select(orders.c.id).where(
        orders.c.status == OrderStatus.PENDING_VERIFICATION.value, orders.c.created_at <= created_before
    )
    return list(connection.scalars(query.order_by(orders.c.created_at, orders.c.id)))


def lock_order(connection: sa.Connection, order_id: int) -> bool:
    """Take the order's row lock, until the end of the transaction. False when the order is gone.

    FOR UPDATE, not the weaker FOR NO KEY UPDATE: it also waits for a transaction of the shop that has inserted a
    ticket or a refund of this order and not committed yet, so that those are seen.
    """
    return connection.scalar(sa.select(orders.c.id).where(orders.c.id == order_id).with_for_update()) is not None


def load_order(connection: sa.Connection, order_id: int) -> Order | None:
    """Return one order, or None when there is none with this id."""
    return load_orders(connection, [order_id]).get(order_id)


def load_orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """Return the orders with these ids, as they stand now, in a handful of statements however many they are."""
    wanted = list(order_ids)
    rows = connection.execute(
        sa.select(orders, watch.c.missing_checks)
        .outerjoin(watch, watch.c.order_id == orders.c.id)
        .where(orders.c.id.in_(wanted))
    ).mappings()
    heads = {row["id"]: row for row in rows}
    if not heads:
        return {}
    order_items = _items(connection, wanted)
    order_checkouts = _grouped(connection, checkouts, wanted)
    order_tickets = _grouped(connection, tickets, wanted)
    refunded = _ids_with_refund(connection, wanted)
    once_void = _ids_once_void(connection, wanted)
    rejected = closed_without_tickets(connection, wanted)
    fulfilments = load_fulfilments(connection, wanted)
    accounts = _accounts(connection, heads.values())
    return {
        order_id: Order(
            id=order_id,
            number=head["order_number"],
            status=head["status"],
            total=head["total"],
            is_paid=head["is_paid"],
            email=head["email"],
            first_name=head["delivery_first_name"],
            last_name=head["delivery_last_name"],
            user_id=head["user_id"],
            created_at=head["created_at"],
            items=tuple(order_items[order_id]),
            checkouts=tuple(_checkout(row) for row in order_checkouts[order_id]),
            tickets=tuple(
                Ticket(row["id"], row["ticket_number"], row["event_id"], row["status"])
                for row in order_tickets[order_id]
            ),
            had_refund=order_id in refunded,
            was_void=order_id in once_void,
            rejected=order_id in rejected,
            account=accounts.get(order_id),
            fulfilment=fulfilments.get(order_id),
            missing_checks=head["missing_checks"] or 0,
        )
        for order_id, head in heads.items()
    }


def with_places_taken(connection: sa.Connection, order: Order, *, lock: bool) -> Order:
    """Return a failed or expired order with its events' issued tickets counted; any other order as it is.

    With `lock`, the events' rows are locked first (in the order of their ids, so that two runs cannot block each
    other for ever): two late payments cannot both take the last place.
    """
    if order.status not in _LATE:
        return order
    event_ids = sorted({item.event.id for item in order.items if item.event is not None})
    if lock:
        for event_id in event_ids:
            connection.execute(sa.select(events.c.id).where(events.c.id == event_id).with_for_update())
    counted = dict.fromkeys(event_ids, 0)
    taken = (
        sa.select(tickets.c.event_id, sa.func.count())
        .where(tickets.c.event_id.in_(event_ids), tickets.c.status.in_(ADMITTING))
        .group_by(tickets.c.event_id)
    )
    counted.update((row[0], row[1]) for row in connection.execute(taken))
    counted_items = tuple(
        item if item.event is None else replace(item, event=replace(item.event, issued=counted[item.event.id]))
        for item in order.items
    )
    return replace(order, items=counted_items)


def _items(connection: sa.Connection, order_ids: list[int]) -> dict[int, list[OrderItem]]:
    organiser = users.alias("organiser")
    query = (
        sa.select(
            items,
            events.c.title,
            events.c.slug,
            events.c.venue_name,
            events.c.venue_address,
            events.c.event_date,
            events.c.event_time,
            events.c.capacity,
            events.c.status.label("event_status"),
            events.c.organiser_id,
            organisers.c.display_name,
            organisers.c.business_name,
            organisers.c.sumup_merchant_code,
            organisers.c.sumup_connection_status,
            organiser.c.first_name,
            organiser.c.last_name,
        )
        .select_from(items)
        .outerjoin(events, events.c.id == items.c.event_id)
        .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
        .outerjoin(organiser, organiser.c.id == events.c.organiser_id)
        .where(items.c.order_id.in_(order_ids))
        .order_by(items.c.id)
    )
    grouped: dict[int, list[OrderItem]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        grouped[row["order_id"]].append(
            OrderItem(row["id"], _event(row), row["event_title"], row["quantity"], row["price"], row["total"])
        )
    return grouped


def _event(row: sa.RowMapping) -> Event | None:
    if row["title"] is None:
        return None
    # Once connected, their money still goes there when the connection has run out: asked as the platform instead, SumUp
    # would not know the checkout, and the order would go to review.
    was_connected = row["sumup_connection_status"] in {"connected", "expired", "error"}
    return Event(
        id=row["event_id"],
        title=row["title"],
        slug=row["slug"],
        venue_name=row["venue_name"],
        venue_address=row["venue_address"],
        starts_on=row["event_date"],
        starts_at=row["event_time"],
        capacity=row["capacity"],
        status=row["event_status"],
        organiser_id=row["organiser_id"],
        organiser_name=organiser_name(row),
        merchant_code=(row["sumup_merchant_code"] or "") if was_connected else "",
    )


def organiser_name(row: sa.RowMapping) -> str:
    """Return what to call the organiser: the business, else the stage name, else the person."""
    person = f"{row['first_name'] or ''} {row['last_name'] or ''}".strip()
    return row["business_name"] or row["display_name"] or person


def _checkout(row: sa.RowMapping) -> Checkout:
    ids = (row["sumup_checkout_id"].strip(), row["checkout_id"].strip())
    return Checkout(
        id=row["id"],
        reference=row["checkout_reference"],
        checkout_ids=tuple(dict.fromkeys(checkout_id for checkout_id in ids if checkout_id)),
        amount=row["amount"],
        currency=row["currency"],
        merchant_code=row["merchant_code"],
        status=row["status"],
        created_at=row["created_at"],
    )


def _grouped(connection: sa.Connection, table: sa.Table, order_ids: list[int]) -> dict[int, list[sa.RowMapping]]:
    grouped: dict[int, list[sa.RowMapping]] = defaultdict(list)
    query = sa.select(table).where(table.c.order_id.in_(order_ids)).order_by(table.c.id)
    for row in connection.execute(query).mappings():
        grouped[row["order_id"]].append(row)
    return grouped


def _ids_with_refund(connection: sa.Connection, order_ids: list[int]) -> frozenset[int]:
    query = sa.select(refunds.c.order_id).where(
        refunds.c.order_id.in_(order_ids), sa.func.lower(refunds.c.status).not_in(_TURNED_DOWN)
    )
    return frozenset(connection.scalars(query))


def _ids_once_void(connection: sa.Connection, order_ids: list[int]) -> frozenset[int]:
    query = sa.select(history.c.order_id).where(history.c.order_id.in_(order_ids), history.c.status.in_(_VOID))
    return frozenset(connection.scalars(query))


def _accounts(connection: sa.Connection, heads: Iterable[sa.RowMapping]) -> dict[int, Account]:
    """Return the account of each order: the buyer's own, else the one with the order's e-mail, in any case.

    Where several accounts differ in case only, the one that is written exactly so goes first, then the oldest.
    """
    heads = list(heads)
    emails = {head["email"].lower() for head in heads if head["user_id"] is None and head["email"]}
    owners = {head["user_id"] for head in heads if head["user_id"] is not None}
    query = sa.select(users.c.id, users.c.email).where(
        sa.or_(users.c.id.in_(owners), sa.func.lower(users.c.email).in_(emails))
    )
    if not emails:  # the usual case, and then the primary key answers alone
        query = sa.select(users.c.id, users.c.email).where(users.c.id.in_(owners))
    known = [Account(user_id, email) for user_id, email in connection.execute(query.order_by(users.c.id))]
    by_id = {account.id: account for account in known}
    found: dict[int, Account] = {}
    for head in heads:
        if head["user_id"] is not None:
            account = by_id.get(head["user_id"])
        else:
            same = [account for account in known if account.email.lower() == head["email"].lower()]
            account = min(same, key=lambda one: (one.email != head["email"], one.id), default=None)
        if account is not None:
            found[head["id"]] = account
    return found
