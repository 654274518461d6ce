"""Orders that a page of the shop paid, completed or issued tickets for by itself: what no run looks at any more.

A page that was left over sets orders to `confirmed` with no ticket, or with tickets that no scanner reads; another one
issues valid tickets for unpaid orders. Such orders are looked for among the newest, by indexes that the shop has.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.order_statuses import SET_BY_SHOP, WAITING, OrderStatus
from paypoll.payments.ticket_statuses import ADMITTING, VALID
from paypoll.shop.tables import events, items, orders, tickets
from paypoll.state.resolutions import closed_without_tickets
from paypoll.state.tables import fulfilment, watch

_NEWEST = 3000
"""So many orders are looked at: there is no index on their status or their time."""

_RECENT = timedelta(days=60)

# Set to completed while paypoll looked after it. Older ones may have tickets that do not say of which order they are;
# and of one that paypoll completed, somebody has taken tickets away.
_CLOSED_BY_SHOP = sa.and_(
    orders.c.status == OrderStatus.COMPLETED,
    sa.exists(watch.c.order_id).where(watch.c.order_id == orders.c.id),
    ~sa.exists(fulfilment.c.order_id).where(fulfilment.c.order_id == orders.c.id),
)


class Kind(StrEnum):
    """What is wrong with the order."""

    MISSING = "tickets_missing"
    UNREADABLE = "tickets_unreadable"
    UNPAID = "tickets_unpaid"


@dataclass(frozen=True, slots=True)
class AstrayOrder:
    """An order that needs a person, though no run put it to review. `unreadable`: its valid tickets without a code."""

    order_id: int
    order_number: str
    email: str
    total: Decimal
    status: str
    is_paid: bool
    created_at: datetime
    places: int
    tickets: int
    unreadable: int
    kinds: tuple[Kind, ...]


def find_astray(connection: sa.Connection, now: datetime) -> list[AstrayOrder]:
    """Return the recent ones among the newest orders, the newest first, that no person has closed."""
    newest = sa.select(orders.c.id).order_by(orders.c.id.desc()).limit(_NEWEST).subquery()
    query = _facts(now).join(newest, newest.c.id == orders.c.id).where(orders.c.created_at > now - _RECENT)
    return _astray(connection, query)


def find_astray_among(connection: sa.Connection, order_ids: Collection[int], now: datetime) -> dict[int, AstrayOrder]:
    """Return those of these orders that have gone astray, however old they are."""
    query = _facts(now).where(orders.c.id.in_(list(order_ids)))
    return {found.order_id: found for found in _astray(connection, query)}


def _facts(now: datetime) -> sa.Select[Any]:
    def count(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        query = sa.select(sa.func.count()).select_from(tickets).where(tickets.c.order_id == orders.c.id, *conditions)
        return query.correlate(orders).scalar_subquery()

    to_come = sa.select(events.c.id).where(events.c.id == tickets.c.event_id, events.c.event_date >= now.date())
    unreadable = count(tickets.c.status == VALID, tickets.c.qr_data == "", to_come.correlate(tickets).exists())
    places = sa.select(sa.func.coalesce(sa.func.sum(items.c.quantity), 0)).where(
        items.c.order_id == orders.c.id, items.c.event_id.is_not(None)
    )
    suspects = sa.or_(
        orders.c.status.in_([*SET_BY_SHOP, OrderStatus.COMPLETED]),
        sa.and_(orders.c.is_paid.is_(False), orders.c.status.not_in([*WAITING, OrderStatus.REVIEW])),
    )
    return (
        sa.select(
            orders.c.id,
            orders.c.order_number,
            orders.c.email,
            orders.c.total,
            orders.c.status,
            orders.c.is_paid,
            readable(orders.c.created_at).label("created_at"),
            places.correlate(orders).scalar_subquery().label("places"),
            count().label("tickets"),
            count(tickets.c.status.in_(ADMITTING)).label("admitting"),
            unreadable.label("unreadable"),
            _CLOSED_BY_SHOP.label("closed_by_shop"),
        )
        .where(suspects)
        .order_by(orders.c.id.desc())
    )


def _astray(connection: sa.Connection, query: sa.Select[Any]) -> list[AstrayOrder]:
    found = [(row, kinds) for row in connection.execute(query) if (kinds := tuple(_kinds_of(row)))]
    closed = closed_without_tickets(connection, [row.id for row, _ in found])
    return [
        AstrayOrder(
            order_id=row.id,
            order_number=row.order_number,
            email=row.email,
            total=row.total,
            status=row.status,
            is_paid=row.is_paid,
            created_at=row.created_at,
            places=int(row.places),
            tickets=row.tickets,
            unreadable=row.unreadable,
            kinds=kinds,
        )
        for row, kinds in found
        if row.id not in closed
    ]


def _kinds_of(row: sa.Row[Any]) -> list[Kind]:
    kinds = []
    # The shop also has orders in `processing` that are simply under way.
    by_shop = row.status in SET_BY_SHOP and (row.is_paid or row.status != "processing")
    if (by_shop or row.closed_by_shop) and row.tickets < row.places:
        kinds.append(Kind.MISSING)
    if row.unreadable and (by_shop or row.status == OrderStatus.COMPLETED):
        kinds.append(Kind.UNREADABLE)
    if row.admitting and not row.is_paid:
        kinds.append(Kind.UNPAID)
    return kinds
