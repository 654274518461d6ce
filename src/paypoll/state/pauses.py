"""What runs leave alone until a person resumes it: an order, an event with its listing fee, or everything."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.shop.tables import items, listing_fees, orders
from paypoll.state.tables import pause

# Columns, and not the asterisk of `sa.exists()`: our role may read some columns of the shop's tables alone.
EVERYTHING = sa.select(pause.c.scope).where(pause.c.everything)
_ORDERS = sa.select(pause.c.order_id).where(pause.c.order_id.is_not(None))
_AN_EVENT = sa.select(pause.c.event_id).where(pause.c.event_id.is_not(None))
# Asked for one order by its items' index. A list of all orders of the paused events would have all order items read,
# and where it is too long for `work_mem` it is walked through again for every order.
_ITS_EVENT = (
    sa.select(items.c.order_id)
    .join(pause, pause.c.event_id == items.c.event_id)
    .where(items.c.order_id == orders.c.id)
    .correlate(orders)
)

NOT_PAUSED: sa.ColumnElement[bool] = sa.and_(
    sa.not_(EVERYTHING.exists()),
    orders.c.id.not_in(_ORDERS),
    # Whether any event is paused is answered once, and nearly always spares the rest.
    sa.or_(sa.not_(_AN_EVENT.exists()), sa.not_(_ITS_EVENT.exists())),
)
"""Says of an order of a query that no pause is on it."""

FEE_NOT_PAUSED: sa.ColumnElement[bool] = sa.not_(
    sa.select(pause.c.scope)
    .where(sa.or_(pause.c.everything, pause.c.event_id == listing_fees.c.event_id))
    .correlate(listing_fees)
    .exists()
)
"""Says of a listing fee of a query that no pause is on its event."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is paused: an order, an event's orders, or with neither everything."""

    order_id: int | None = None
    event_id: int | None = None

    @property
    def key(self) -> str:
        """The scope's key: the same thing is paused once."""
        if self.order_id is not None:
            return f"order:{self.order_id}"
        return f"event:{self.event_id}" if self.event_id is not None else "all"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that is on. `order_number` is empty unless it is of one order that is still there."""

    scope: str
    order_id: int | None
    event_id: int | None
    order_number: str
    since: datetime
    by_whom: str
    reason: str

    @property
    def words(self) -> str:
        """What is paused, for people."""
        if self.order_id is not None:
            return f"order {self.order_number or f'id:{self.order_id}'}"
        return f"event {self.event_id}" if self.event_id is not None else "all orders"


def begin(connection: sa.Connection, scope: Scope, *, who: str, reason: str, now: datetime) -> bool:
    """Pause this. False when it was paused already."""
    row = {
        "scope": scope.key,
        "everything": scope == Scope(),
        "event_id": scope.event_id,
        "order_id": scope.order_id,
        "since": now,
        "by_whom": who,
        "reason": reason,
    }
    return connection.scalar(insert_unless_there(connection, pause).returning(pause.c.scope), row) is not None


def end(connection: sa.Connection, scope: Scope) -> bool:
    """Resume this. False when it was not paused."""
    return connection.execute(sa.delete(pause).where(pause.c.scope == scope.key)).rowcount > 0


def is_paused(connection: sa.Connection, order_id: int) -> bool:
    """Say whether a pause is on this order, on an event of it, or on everything."""
    return connection.scalar(sa.select(orders.c.id).where(orders.c.id == order_id, NOT_PAUSED)) is None


def any_pause() -> sa.ColumnElement[bool]:
    """Say for a query whether anything is paused."""
    return sa.exists(sa.select(pause.c.scope))


def pauses(connection: sa.Connection) -> tuple[Pause, ...]:
    """Return what is paused, the longest first."""
    query = (
        sa.select(pause, orders.c.order_number)
        .outerjoin(orders, orders.c.id == pause.c.order_id)
        .order_by(pause.c.since, pause.c.scope)
    )
    return tuple(
        Pause(
            scope=row["scope"],
            order_id=row["order_id"],
            event_id=row["event_id"],
            order_number=row["order_number"] or "",
            since=row["since"],
            by_whom=row["by_whom"],
            reason=row["reason"],
        )
        for row in connection.execute(query).mappings()
    )
