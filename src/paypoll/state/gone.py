"""Orders and listing fees that the shop has deleted, or lost when it was restored, while their money was followed.

A restored shop gives the ids of what it has lost out again, often before the next run. What was noted under such an id
is then set aside under the negative of it, an id that no order has, so that the money of both orders is followed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.order import Order, SeenCheckout
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import checkouts
from paypoll.state.due_gone import FEE_IS_GONE, NUMBER_IS_GONE, ORDER_IS_GONE, are_due
from paypoll.state.due_since import due_since_last_look, is_free
from paypoll.state.listing_fees import seen_from
from paypoll.state.seen_checkouts import SEEN, seen_in
from paypoll.state.tables import checkout_seen, listing_fee, watch

_ASIDE = watch.alias("aside")
IS_SET_ASIDE = sa.exists(_ASIDE.c.order_id).where(_ASIDE.c.order_id == -watch.c.order_id)
"""Whether what was noted of another order under this id is kept elsewhere: the rest is of the order that is there."""
_MADE = "order_created_at"
_KEPT = ("status", "first_seen_at", "settled_at", "last_checked_at", "order_number", _MADE)
# As at the first look; but its number says whose tickets and payment are on record under the id.
_AS_NEW = {
    "status": None,
    "settled_at": None,
    "missing_checks": 0,
    "stuck_told_at": None,
    "seen_void": False,
}


class Gone(NamedTuple):
    """What is gone, by the key of the row that remembers it; and the order's number, or the fee's reference."""

    key: int | str
    number: str


@dataclass(frozen=True, slots=True)
class GoneRows:
    """The rows of a table that remember what is gone from the shop: `name` has its number, `seen` its checkouts."""

    table: sa.Table
    name: sa.Column[str]
    is_gone: sa.ColumnElement[bool]
    seen: Callable[[sa.Connection, sa.RowMapping], tuple[SeenCheckout, ...]]

    def claim(
        self, connection: sa.Connection, run_id: str, now: datetime, *, limit: int, lease: timedelta
    ) -> list[Gone]:
        """Take up to `limit` that are due for this run."""
        not_yet = self.table.c.last_run.is_distinct_from(run_id)
        due = (
            sa.select(self._key, self.name)
            .where(are_due(self.table, self.is_gone, now), is_free(self.table, now, lease), not_yet)
            .order_by(self.table.c.next_check_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = [Gone(key, number) for key, number in connection.execute(due)]
        if claimed:
            taken = sa.update(self.table).where(self._are(claimed))
            connection.execute(taken.values(lease_run=run_id, lease_until=now + lease))
        return claimed

    def load(self, connection: sa.Connection, gone: Gone) -> Order | None:
        """Return what is known of it, as if it were a cancelled order: nothing is owed for its money.

        None when it is not gone any more.
        """
        kept = (readable(column).label(column.name) if column.name == _MADE else column for column in self.table.c)
        query = sa.select(*kept).where(self._are([gone]), self.is_gone)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        return Order(
            id=row.get("order_id", 0),
            number=gone.number,
            status=OrderStatus.CANCELLED,
            total=Decimal(0),
            is_paid=False,
            email="",
            first_name="",
            last_name="",
            user_id=None,
            created_at=row.get(_MADE) or row["first_seen_at"],
            seen=self.seen(connection, row),
            changed_at=row["settled_at"],
            looked_at=row["last_checked_at"],
        )

    def hold(self, connection: sa.Connection, gone: Gone, run_id: str) -> bool:
        """Lock what is known of it, all that there is. False when the lease is not this run's any more."""
        query = sa.select(self.table.c.lease_run).where(self._are([gone])).with_for_update()
        return connection.scalar(query) == run_id

    def give_back(self, connection: sa.Connection, gone: Iterable[Gone], run_id: str, **noted: object) -> None:
        """Give the leases of these back, if they are still this run's, and write down what was noted meanwhile."""
        ours = sa.update(self.table).where(self._are(gone), self.table.c.lease_run == run_id)
        connection.execute(ours.values(lease_run=None, lease_until=None, **noted))

    @property
    def _key(self) -> sa.Column[Any]:
        (key,) = self.table.primary_key
        return key

    def _are(self, gone: Iterable[Gone]) -> sa.ColumnElement[bool]:
        return self._key.in_([one.key for one in gone])


def _seen_of_order(connection: sa.Connection, row: sa.RowMapping) -> tuple[SeenCheckout, ...]:
    found = connection.execute(SEEN, {"order_ids": [row["order_id"]]}).mappings()
    return seen_in([dict(one) for one in found]).get(row["order_id"], ())


def _seen_of_fee(_connection: sa.Connection, row: sa.RowMapping) -> tuple[SeenCheckout, ...]:
    return tuple(seen_from(checkout_id, one) for checkout_id, one in sorted((row["seen"] or {}).items()))


GONE_ORDERS = GoneRows(watch, watch.c.order_number, ORDER_IS_GONE, _seen_of_order)
GONE_FEES = GoneRows(listing_fee, listing_fee.c.reference, FEE_IS_GONE, _seen_of_fee)


def set_aside(connection: sa.Connection, order_ids: Sequence[int], now: datetime) -> list[int]:
    """Keep what is known of lost orders whose ids these have now, and return the ids that it is kept under.

    From then on they are orders that are gone, due at once if their money was followed. The watch rows must be locked.
    """
    lost = sa.and_(watch.c.order_id.in_(list(order_ids)), NUMBER_IS_GONE, ~IS_SET_ASIDE)
    if not (taken := list(connection.scalars(sa.select(watch.c.order_id).where(lost)))):
        return []
    following = sa.case((watch.c.next_check_at.is_not(None), due_since_last_look(watch, now)))
    kept = sa.select(-watch.c.order_id, following, *(watch.c[name] for name in _KEPT)).where(
        watch.c.order_id.in_(taken)
    )
    connection.execute(sa.insert(watch).from_select(["order_id", "next_check_at", *_KEPT], kept))
    own = sa.exists(checkouts.c.id).where(
        checkouts.c.order_id == checkout_seen.c.order_id,
        checkout_seen.c.checkout_id.in_([checkouts.c.sumup_checkout_id, checkouts.c.checkout_id]),
    )
    moved = sa.update(checkout_seen).where(checkout_seen.c.order_id.in_(taken), ~own)
    connection.execute(moved.values(order_id=-checkout_seen.c.order_id))
    connection.execute(sa.update(watch).where(watch.c.order_id.in_(taken)).values(_AS_NEW))
    return [-order_id for order_id in taken]
