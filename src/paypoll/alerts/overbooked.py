"""What admins are told when a hall has more tickets than places: once an event, with the numbers."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level
from paypoll.payments.order import Order
from paypoll.payments.rules import overfull_halls

_TODO = (
    "Make more places and correct the event's capacity in the shop, or ask some customers to come another day.",
    "Stop the sale: set the event to sold out in the shop, unless the shop has done so.",
    "If such orders are to wait for a person from now on, set tickets.when_full to review.",
)


def tell_of_overfull_halls(desk: AlertDesk, connection: sa.Connection, order: Order, now: datetime) -> list[str]:
    """Tell of each hall that this order, whose tickets are issued now, makes fuller than full. Return the keys.

    `order` is as it was counted before its tickets were issued. Only the first such order of an event is told of.
    """
    told = []
    for event_id, numbers in overfull_halls(order).items():
        key = f"hall_overfull:event:{event_id}"
        posted = desk.tell(
            connection,
            key,
            level=Level.CRITICAL,
            headline=f"More tickets than places: {_title(order, event_id)}",
            found=(
                numbers,
                "Its tickets are issued all the same.",
                "There may be more such orders; this is told once.",
            ),
            todo=_TODO,
            now=now,
        )
        if posted:
            told.append(key)
    return told


def _title(order: Order, event_id: int) -> str:
    return next(item.event.title for item in order.items if item.event is not None and item.event.id == event_id)
