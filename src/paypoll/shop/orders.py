"""Read orders of the shop, as the values of `paypoll.payments.order`.

What paypoll itself remembers about them is not here: `paypoll.runs.load` adds it, for everything that decides.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from paypoll.database import lower_case
from paypoll.payments.order import Account, Checkout, Event, Order, OrderItem, Ticket
from paypoll.payments.order_statuses import VOID
from paypoll.shop.accounts import account_of, accounts_with
from paypoll.shop.tables import (
    TURNED_DOWN,
    checkouts,
    events,
    history,
    items,
    orders,
    organisers,
    refunds,
    tickets,
    users,
)
from paypoll.statements import Row, Rows, Together

# Built once, not for every order: SQLAlchemy takes longer to put a wide SELECT together than PostgreSQL to answer it.
_ORDER_IDS: sa.BindParameter[int] = sa.bindparam("order_ids", expanding=True)
_organiser = users.alias("organiser")
_HEADS = (
    sa.select(
        orders.c.id,
        orders.c.order_number,
        orders.c.status,
        orders.c.total,
        orders.c.is_paid,
        orders.c.email,
        orders.c.delivery_first_name,
        orders.c.delivery_last_name,
        orders.c.user_id,
        orders.c.created_at,
        users.c.email.label("user_email"),
    )
    .outerjoin(users, users.c.id == orders.c.user_id)
    .where(orders.c.id.in_(_ORDER_IDS))
)
# Of SumUp's last answer the one field that is read: the whole may be long, or hold a number that Python does not read.
CHECKOUT_COLUMNS = (
    checkouts.c.id,
    checkouts.c.order_id,
    checkouts.c.checkout_reference,
    checkouts.c.sumup_checkout_id,
    checkouts.c.checkout_id,
    checkouts.c.amount,
    checkouts.c.currency,
    checkouts.c.merchant_code,
    checkouts.c.status,
    checkouts.c.created_at,
    checkouts.c.valid_until,
    checkouts.c.sumup_response["hosted_checkout_url"].as_string().label("hosted_page"),
)
EVENT_COLUMNS = (
    events.c.title,
    events.c.slug,
    events.c.venue_name,
    events.c.venue_address,
    events.c.event_date,
    events.c.event_time,
    events.c.capacity,
    events.c.tickets_sold,
    events.c.status.label("event_status"),
    events.c.organiser_id,
    organisers.c.display_name,
    organisers.c.business_name,
    organisers.c.sumup_merchant_code,
    organisers.c.sumup_connection_status,
)
_ITEMS = (
    sa.select(
        items.c.id,
        items.c.order_id,
        items.c.event_id,
        items.c.event_title,
        items.c.quantity,
        items.c.price,
        items.c.total,
        *EVENT_COLUMNS,
        _organiser.c.first_name,
        _organiser.c.last_name,
    )
    .select_from(items)
    .outerjoin(events, events.c.id == items.c.event_id)
    .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
    .outerjoin(_organiser, _organiser.c.id == events.c.organiser_id)
    .where(items.c.order_id.in_(_ORDER_IDS))
)
_CHECKOUTS = sa.select(*CHECKOUT_COLUMNS).where(checkouts.c.order_id.in_(_ORDER_IDS))
_TICKETS = sa.select(
    tickets.c.id,
    tickets.c.order_id,
    tickets.c.ticket_number,
    tickets.c.event_id,
    tickets.c.status,
    tickets.c.customer_id,
    sa.func.coalesce(tickets.c.qr_data != "", sa.false()).label("readable"),
).where(tickets.c.order_id.in_(_ORDER_IDS))
_REFUNDED, _ONCE_VOID = "refunded", "once void"
_MARKS = sa.union_all(
    sa.select(refunds.c.order_id, sa.literal_column(f"'{_REFUNDED}'", sa.String).label("mark")).where(
        refunds.c.order_id.in_(_ORDER_IDS), lower_case(refunds.c.status).not_in(TURNED_DOWN)
    ),
    sa.select(history.c.order_id, sa.literal_column(f"'{_ONCE_VOID}'", sa.String)).where(
        history.c.order_id.in_(_ORDER_IDS), history.c.status.in_(sorted(VOID))
    ),
)
QUERIES: Mapping[str, sa.Select[Any] | sa.CompoundSelect[Any]] = {
    "heads": _HEADS,
    "items": _ITEMS,
    "checkouts": _CHECKOUTS,
    "tickets": _TICKETS,
    "marks": _MARKS,
}
"""What `orders_in` puts together, of the orders `order_ids`; to be asked as one, by whoever asks for more as well."""
_ALL = Together(**QUERIES)


def read_order(connection: sa.Connection, order_id: int) -> Order | None:
    """Return the shop's side of one order, or None when there is none with this id."""
    return read_orders(connection, [order_id]).get(order_id)


def read_orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """Return the shop's side of the orders with these ids, in one statement however many they are."""
    return orders_in(connection, _ALL.ask(connection, {"order_ids": list(order_ids)}))


def orders_in(connection: sa.Connection, rows: Mapping[str, Rows]) -> dict[int, Order]:
    """Return the orders in what `QUERIES` have found. Guests' accounts are looked for."""
    heads = {row["id"]: row for row in sorted(rows["heads"], key=_id)}
    order_items, order_checkouts, order_tickets = (_grouped(rows[name]) for name in ("items", "checkouts", "tickets"))
    marks = frozenset((row["order_id"], row["mark"]) for row in rows["marks"])
    guests = accounts_with(connection, (head["email"] for head in heads.values() if head["user_id"] is None))
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
            items=tuple(_item(row) for row in order_items[order_id]),
            checkouts=tuple(checkout_of(row) for row in order_checkouts[order_id]),
            tickets=tuple(
                Ticket(
                    row["id"],
                    row["ticket_number"],
                    row["event_id"],
                    row["status"],
                    row["customer_id"],
                    readable=row["readable"],
                )
                for row in order_tickets[order_id]
            ),
            had_refund=(order_id, _REFUNDED) in marks,
            was_void=(order_id, _ONCE_VOID) in marks,
            account=_account(head, guests),
        )
        for order_id, head in heads.items()
    }


def _id(row: Mapping[str, Any]) -> int:
    return int(row["id"])


def _item(row: Mapping[str, Any]) -> OrderItem:
    return OrderItem(row["id"], event_of(row), row["event_title"], row["quantity"], row["price"], row["total"])


def event_of(row: Row) -> Event | None:
    """Return the event in a row that was joined with it, and with its organiser; None where there is none."""
    if row["title"] is None:
        return None
    # An organiser's money still goes to their merchant when the connection has expired. Asked as the platform instead,
    # SumUp would answer 404, and the order would go to review.
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
        sold=row["tickets_sold"],
        status=row["event_status"],
        organiser_id=row["organiser_id"],
        organiser_name=organiser_name(row),
        merchant_code=(row["sumup_merchant_code"] or "") if was_connected else "",
    )


def organiser_name(row: Row) -> str:
    """Return what to call the organiser: the business, else the stage name, else the person."""
    person = f"{row['first_name'] or ''} {row['last_name'] or ''}".strip()
    return row["business_name"] or row["display_name"] or person


def checkout_of(row: Row) -> Checkout:
    """Return the checkout in a row of `CHECKOUT_COLUMNS`."""
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
        hosted_page=row["hosted_page"] or "",
        valid_until=row["valid_until"],
    )


def _grouped(rows: Rows) -> dict[int, list[Mapping[str, Any]]]:
    grouped: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=_id):
        grouped[row["order_id"]].append(row)
    return grouped


def _account(head: Mapping[str, Any], guests: Sequence[Account]) -> Account | None:
    """Return the order's account: the buyer's own, else the one with the order's e-mail, in any case."""
    if head["user_id"] is not None:
        return None if head["user_email"] is None else Account(head["user_id"], head["user_email"])
    return account_of(head["email"], guests)
