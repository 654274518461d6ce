"""What an order was for: its items with their events and organisers, for the shares of its money."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from paypoll.report.facts import Line
from paypoll.shop.tables import events, items, orders, organisers
from paypoll.state.same_order import IS_ANOTHER
from paypoll.state.tables import fulfilment, watch


def with_lines(*columns: Any) -> sa.Select[Any]:
    """Return a query of fulfilments with the items of their orders, a row an item."""
    return (
        sa.select(
            *columns,
            items.c.id.label("item"),
            items.c.event_id,
            sa.func.coalesce(events.c.title, items.c.event_title).label("event"),
            # As texts: PostgreSQL knows days that Python does not, and no such event spoils the report.
            sa.cast(events.c.event_date, sa.Text).label("day"),
            sa.cast(events.c.event_time, sa.Text).label("time"),
            events.c.organiser_id,
            organisers.c.display_name.label("organiser"),
            items.c.total.label("line_total"),
            items.c.quantity,
        )
        .select_from(fulfilment)
        .outerjoin(watch, watch.c.order_id == fulfilment.c.order_id)
        .outerjoin(orders, sa.and_(orders.c.id == fulfilment.c.order_id, ~IS_ANOTHER))
        .outerjoin(items, items.c.order_id == orders.c.id)
        .outerjoin(events, events.c.id == items.c.event_id)
        .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
    )


def lines_of(rows: Sequence[sa.Row[Any]]) -> tuple[Line, ...]:
    """Return the items of one order, from the rows of `with_lines`."""
    return tuple(
        Line(
            event_id=row.event_id,
            event=row.event or "(no title)",
            organiser_id=row.organiser_id,
            organiser=row.organiser or (f"organiser {row.organiser_id}" if row.organiser_id else ""),
            total=row.line_total,
            places=row.quantity,
            starts=f"{row.day} {row.time:.5}" if row.day and row.time else "",
        )
        for row in rows
        if row.item is not None
    )
