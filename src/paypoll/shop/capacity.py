"""The places of the shop's halls: how many are taken, counted under the events' locks, and the shop's count of sold.

The shop's cart reserves nothing, and nobody but paypoll counts what was sold: an event may be oversold before anything
reaches paypoll.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.shop.tables import events, items, tickets
from paypoll.statements import later

if TYPE_CHECKING:  # every run loads this module, and hardly one these
    from paypoll.payments.evidence import Evidence
    from paypoll.payments.order import Order, OrderItem


def events_locked(event_ids: Any) -> sa.Select[tuple[int]]:
    """Return the query that locks these events, given as what `in_` takes, until the end of the transaction.

    In the order of their ids, so that two runs cannot block each other for ever. Not FOR UPDATE, which would also wait
    for every page of the shop that puts the event into a cart, and hold it up.
    """
    return (
        sa.select(events.c.id).where(events.c.id.in_(event_ids)).order_by(events.c.id).with_for_update(key_share=True)
    )


_EVENT_IDS: sa.BindParameter[int] = sa.bindparam("event_ids", expanding=True)
_LOCK = events_locked(_EVENT_IDS)
TAKEN = (
    sa.select(tickets.c.event_id, sa.func.count().label("taken"))
    .where(
        tickets.c.event_id.in_(
            sa.select(items.c.event_id).where(items.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
        ),
        tickets.c.status.in_(ADMITTING),
    )
    .group_by(tickets.c.event_id)
)
"""How many places are taken of the halls that the orders `order_ids` have places in."""
_admitted = TAKEN.subquery("admitted")
_RAISE = later(
    sa.update(events)
    .where(events.c.id == _admitted.c.event_id, events.c.tickets_sold < _admitted.c.taken)
    .values(tickets_sold=_admitted.c.taken)
)


@dataclass(frozen=True, slots=True)
class CountedWrong:
    """An event whose `tickets_sold` is far from its tickets: the shop sells too little or too much by it."""

    event_id: int
    title: str
    capacity: int
    sold: int
    issued: int


def may_fulfil(order: "Order", evidence: "Evidence") -> bool:
    """Say whether the order may get tickets now, so that the places of its halls must be counted."""
    return not order.tickets and order.fulfilment is None and evidence.shows_paid


def lock_events(connection: sa.Connection, event_ids: Iterable[int]) -> None:
    """Lock these events until the end of the transaction.

    Of two orders for the last places, the second is counted when the first has its tickets. The count must be of a
    later statement: it sees what was committed while this one waited.
    """
    connection.execute(_LOCK, {"event_ids": sorted(event_ids)})


def with_places_taken(order: "Order", taken: Mapping[int, int]) -> "Order":
    """Return the order with the places of its events that are `taken`, by the events' ids."""

    def seen_from(item: "OrderItem") -> "OrderItem":
        if item.event is None:
            return item
        return replace(item, event=replace(item.event, issued=taken.get(item.event.id, 0)))

    return replace(order, items=tuple(map(seen_from, order.items)))


def raise_tickets_sold(connection: sa.Connection, order: "Order", now: datetime) -> None:
    """Let the shop's count of what was sold, for the order's events, be no less than the tickets that admit somebody.

    Never lowered: what the cart may have counted ahead stays. To be called under the events' locks.
    """
    connection.execute(_RAISE, {"order_ids": [order.id], "updated_at": now})


def find_counted_wrong(connection: sa.Connection, now: datetime, *, limit: int) -> list[CountedWrong]:
    """Return the events to come whose `tickets_sold` is far from their tickets, the soonest first.

    Far is where the shop would stop selling though there are places, or go on though there are none, and where the
    two differ by more than a twentieth of the hall (and by five at least).
    """
    issued = (
        sa.select(sa.func.count())
        .where(tickets.c.event_id == events.c.id, tickets.c.status.in_(ADMITTING))
        .scalar_subquery()
        .label("issued")
    )
    counted = (
        sa.select(events.c.id, events.c.title, events.c.capacity, events.c.tickets_sold, events.c.event_date, issued)
        .where(events.c.event_date >= now.date(), events.c.status.in_(("published", "sold_out")))
        .subquery()
    )
    apart = sa.func.abs(counted.c.tickets_sold - counted.c.issued)
    is_far = sa.or_(
        sa.and_(apart >= 5, apart * 20 > counted.c.capacity),  # noqa: PLR2004 - see above
        (counted.c.tickets_sold >= counted.c.capacity) != (counted.c.issued >= counted.c.capacity),
    )
    query = sa.select(counted).where(is_far).order_by(counted.c.event_date, counted.c.id).limit(limit)
    rows = connection.execute(query)
    return [CountedWrong(row.id, row.title, row.capacity, row.tickets_sold, row.issued) for row in rows]
