"""What the shop's own pages read of an order, an item and a ticket, and whether all of that is there.

A model of the pages: none of the shop's code is here, and nothing of paypoll's. Each check stands for a page that
fails, or shows something wrong, where what it reads is missing. `blank_pages` is asserted after every acceptance case.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import sqlalchemy as sa

ORDER_STATUSES = {
    *("pending", "pending_verification", "processing", "completed", "confirmed", "shipped", "delivered"),
    *("failed", "expired", "requires_manual_review", "cancelled", "refunded"),
}
CHECKOUT_STATUSES = {"created", "pending", "paid", "failed", "expired"}
TICKET_STATUSES = {"valid", "used", "cancelled", "refunded"}
FIELDS_OF_A_CODE = 5

Row = Mapping[str, Any]

_BY_PAYPOLL = """
SELECT o.*, u.email AS buyer, u.is_active, u.password
FROM paypoll.fulfilment f JOIN orders_order o ON o.id = f.order_id LEFT JOIN accounts_user u ON u.id = o.user_id
WHERE o.status = 'completed'
"""
_ITEMS = """
SELECT i.*, e.title FROM orders_orderitem i JOIN paypoll.fulfilment f ON f.order_id = i.order_id
LEFT JOIN events_event e ON e.id = i.event_id
"""
_TICKETS = """
SELECT t.*, u.email AS customer, o.user_id, o.status AS order_status FROM events_ticket t
JOIN paypoll.ticket_place p ON p.ticket_id = t.id
JOIN orders_order o ON o.id = p.order_id LEFT JOIN accounts_user u ON u.id = t.customer_id
"""

_FEES = """
SELECT l.payment_reference, l.payment_status, l.paid_at FROM events_listingfee l
JOIN paypoll.listing_fee f ON f.reference = l.payment_reference WHERE f.checkout_id IS NOT NULL
"""


def blank_pages(engine: sa.Engine, media: Path) -> list[str]:
    """Return which pages of the shop would fail or lie about what paypoll wrote, a sentence each."""
    with engine.connect() as connection:
        return blank_pages_within(connection, media)


def blank_pages_within(connection: sa.Connection, media: Path) -> list[str]:
    """Return the same, as a transaction sees it."""

    def rows(query: str) -> list[Row]:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]

    orders, tickets = rows(_BY_PAYPOLL), rows(_TICKETS)
    items: defaultdict[int, list[Row]] = defaultdict(list)
    for item in rows(_ITEMS):
        items[item["order_id"]].append(item)
    problems = [problem for order in orders for problem in _summary_and_door_list(order, items[order["id"]])]
    problems += [problem for order in orders for problem in _admin_form(order)]
    problems += [problem for ticket in tickets for problem in _my_tickets(ticket, media)]
    problems += [problem for ticket in tickets for problem in _scanner(ticket)]
    problems += [problem for fee in rows(_FEES) for problem in _organisers_page(fee)]
    statuses = {
        "order": ("SELECT DISTINCT status FROM orders_order", ORDER_STATUSES),
        "checkout": ("SELECT DISTINCT status FROM payments_sumupcheckout", CHECKOUT_STATUSES),
        "ticket": ("SELECT DISTINCT status FROM events_ticket", TICKET_STATUSES),
    }
    for what, (query, known) in statuses.items():
        there = {row["status"] for row in rows(query)}
        problems += [f"every page: {status!r} is no status of a {what}" for status in there - known]
    return problems


def _summary_and_door_list(order: Row, items: list[Row]) -> Iterator[str]:
    """`/event/<id>/summary/` and `/event/<id>/export-guests/`: one order without a buyer, and the event has no page."""
    if order["user_id"] is None or not order["buyer"]:
        yield f"summary and door list: order {order['order_number']} has no buyer"
    for item in items:
        if item["title"] is None or not item["quantity"] or item["price"] is None:
            yield f"summary and door list: an item of order {order['order_number']} lacks event, quantity or price"
    if order["created_at"] is None:
        yield f"summary and door list: order {order['order_number']} was created at no time"


def _admin_form(order: Row) -> Iterator[str]:
    """The order's form for admins: it refuses to save an order without a user, and so also a corrected address."""
    if order["user_id"] is None:
        yield f"admin form: order {order['order_number']} has no user, which is required"
    if not (order["is_paid"] and order["paid_at"] and order["transaction_id"]):
        yield f"admin form: order {order['order_number']} is completed and not paid"


def _my_tickets(ticket: Row, media: Path) -> Iterator[str]:
    """The pages "my orders" and "my tickets": what is the account's, with the files that are named."""
    number = ticket["ticket_number"]
    if ticket["order_status"] == "completed" and ticket["user_id"] != ticket["customer_id"]:
        yield f"my tickets: {number} is for account {ticket['customer_id']}, its order is of {ticket['user_id']}"
    for column in ("pdf_file", "qr_code"):
        if ticket[column] and not (media / ticket[column]).is_file():
            yield f"my tickets: {number} names {ticket[column]}, which is not there"
    if bool(ticket["pdf_file"]) != bool(ticket["qr_code"]):
        # The shop makes a picture of its own, which its scanner refuses, when it saves a ticket that has none.
        yield f"a ticket's save: {number} has one file and not the other"


def _organisers_page(fee: Row) -> Iterator[str]:
    """The page of a listing fee: what was paid says when."""
    if fee["payment_status"] == "paid" and fee["paid_at"] is None:
        yield f"listing fee: {fee['payment_reference']} is paid, and nothing says when"


def _scanner(ticket: Row) -> Iterator[str]:
    """The scanner at the door: five fields, and the hash computed once more from the row."""
    number, fields = ticket["ticket_number"], ticket["qr_data"].split("|")
    if len(fields) != FIELDS_OF_A_CODE:
        yield f"scanner: the code of {number} has {len(fields)} fields"
        return
    moment = ticket["purchase_date"].astimezone(UTC).isoformat()
    text = f"{number}:{ticket['event_id']}:{ticket['customer']}:{moment}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    if fields[1:] != [number, str(ticket["event_id"]), ticket["customer"], digest]:
        yield f"scanner: the code of {number} is not that of its row"
    if ticket["validation_hash"] != digest:
        yield f"scanner: the hash of {number} is not that of its row"
