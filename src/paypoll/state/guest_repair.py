"""What version 0.1.0 made of guests: accounts that nobody can enter, and completed orders without an account."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.shop.accounts import locked_out
from paypoll.shop.tables import orders, tickets, users
from paypoll.state.tables import ticket_place


@dataclass(frozen=True, slots=True)
class LockedOut:
    """An account that 0.1.0 made for a guest: inactive, with an unusable password."""

    user_id: int
    email: str
    joined: datetime


@dataclass(frozen=True, slots=True)
class Ownerless:
    """An order that paypoll completed without an account, and the account that its tickets are for."""

    order_id: int
    order_number: str
    user_id: int
    email: str


def find_locked_out(connection: sa.Connection) -> list[LockedOut]:
    """Return the accounts that 0.1.0 made, by all that it wrote into them and nobody has changed since."""
    query = sa.select(users.c.id, users.c.email, readable(users.c.date_joined).label("date_joined"))
    query = query.where(locked_out(), _joined_with_a_ticket()).order_by(users.c.id)
    return [LockedOut(row.id, row.email, row.date_joined) for row in connection.execute(query)]


def find_ownerless(connection: sa.Connection) -> list[Ownerless]:
    """Return the orders that paypoll issued tickets for, that have no account, and whose tickets are for one."""
    query = (
        sa.select(orders.c.id, orders.c.order_number, sa.func.min(tickets.c.customer_id).label("user_id"))
        .join(ticket_place, ticket_place.c.order_id == orders.c.id)
        .join(tickets, tickets.c.id == ticket_place.c.ticket_id)
        .where(orders.c.user_id.is_(None))
        .group_by(orders.c.id, orders.c.order_number)
        .having(sa.func.min(tickets.c.customer_id) == sa.func.max(tickets.c.customer_id))
        .subquery()
    )
    rows = connection.execute(
        sa.select(query, users.c.email).join(users, users.c.id == query.c.user_id).order_by(query.c.id)
    )
    return [Ownerless(row.id, row.order_number, row.user_id, row.email) for row in rows]


def _joined_with_a_ticket() -> sa.ColumnElement[bool]:
    """0.1.0 made the account in the very transaction, and with the very time, of the guest's first tickets."""
    return (
        sa.select(sa.literal(1))
        .select_from(tickets)
        .join(ticket_place, ticket_place.c.ticket_id == tickets.c.id)
        .where(tickets.c.customer_id == users.c.id, tickets.c.purchase_date == users.c.date_joined)
        .exists()
    )
