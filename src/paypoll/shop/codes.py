"""Codes for tickets that a page of the shop issued without one: what the scanner reads, made from the stored rows."""

import sqlalchemy as sa

from paypoll.payments.order import Account
from paypoll.payments.ticket_statuses import VALID
from paypoll.shop.tables import tickets, users
from paypoll.tickets.numbers import qr_data, validation_hash


def make_readable(connection: sa.Connection, order_id: int, prefix: str) -> int:
    """Give the order's valid tickets that have no code the one that the scanner reads; return how many.

    Each ticket's own account and purchase date go in, as they are stored. Their files are forgotten: the shop makes a
    picture of its own where there is none, and its scanner refuses that.
    """
    query = (
        sa.select(tickets, users.c.email)
        .join(users, users.c.id == tickets.c.customer_id)
        .where(tickets.c.order_id == order_id, tickets.c.status == VALID, tickets.c.qr_data == "")
        .order_by(tickets.c.id)
    )
    rows = connection.execute(query).mappings().all()
    for row in rows:
        number, event_id, email = row["ticket_number"], row["event_id"], row["email"]
        digest = validation_hash(number, event_id, email, row["purchase_date"])
        values = {
            "qr_data": qr_data(prefix, number, event_id, email, digest),
            "validation_hash": digest,
            "pdf_file": None,
            "qr_code": None,
        }
        connection.execute(sa.update(tickets).where(tickets.c.id == row["id"]).values(values))
    return len(rows)


def account_of_tickets(connection: sa.Connection, order_id: int) -> Account | None:
    """Return the account that the order's tickets are for; None when it has none."""
    query = (
        sa.select(users.c.id, users.c.email)
        .join(tickets, tickets.c.customer_id == users.c.id)
        .where(tickets.c.order_id == order_id)
        .order_by(tickets.c.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return Account(row.id, row.email) if row is not None else None
