"""Put together what `decide` is given about an order: one way, for everything that decides.

The run, the dry run, `inspect --live`, `expire --dry-run` and `resolve` all load orders here, so that what one of them
promises is what another does. An order is loaded twice: for the questions, before SumUp is asked, and for the decision,
when it is known which payments SumUp shows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from paypoll.database import Trouble, describe_error, sort_error
from paypoll.errors import DatabaseUnavailableError, SettingsError, UnreadableOrderError
from paypoll.payments.evidence import Evidence
from paypoll.payments.order import Order
from paypoll.shop import orders as shop
from paypoll.shop.capacity import TAKEN, lock_events, may_fulfil, with_places_taken
from paypoll.shop.find import find_numbers
from paypoll.state import records as own
from paypoll.state.fulfilments import SPENT
from paypoll.state.gone import set_aside
from paypoll.state.memory import ADOPTED_UNTIL
from paypoll.state.spent import SPENT_IN_SHOP
from paypoll.state.told_before import may_be_told, take_over
from paypoll.statements import Rows, Together

_SPENT = sa.union_all(SPENT, *SPENT_IN_SHOP)  # SQLite takes no union within another
# All that an order is, and what other orders have been paid by, in one statement.
_ORDERS = Together(
    **shop.QUERIES,
    **own.QUERIES,
    taken=TAKEN,
    adopted=ADOPTED_UNTIL,
    newest_ticket=own.NEWEST_TICKET_IF_RESTORED,
    written_to=own.WRITTEN_TO,
    spent=_SPENT,
)


def load_orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """Return these orders as they are now, with paypoll's own records: what the questions for SumUp rest on.

    The places taken are counted as well: what is to be closed hangs on whether a late payment can be honoured.
    """
    rows = _ORDERS.ask(connection, {"order_ids": list(order_ids), **_to_be_spent(0, Evidence())})
    return _orders_in(connection, rows)


def _orders_in(connection: sa.Connection, rows: Mapping[str, Rows]) -> dict[int, Order]:
    orders = shop.orders_in(connection, rows)
    records = own.records_in(rows, orders)
    until = next((row["started_at"] for row in rows["adopted"]), None)
    newest_ticket = next((row["ticket_id"] for row in rows["newest_ticket"]), None)
    written_to = {row["order_id"] for row in rows["written_to"]}
    taken = {row["event_id"]: row["taken"] for row in rows["taken"]}
    return {
        order_id: replace(
            with_places_taken(order, taken),
            fulfilment=records[order_id].fulfilment,
            missing_checks=records[order_id].missing_checks,
            rejected=records[order_id].rejected,
            was_void=order.was_void or records[order_id].was_void,
            changed_at=records[order_id].changed_at,
            looked_at=records[order_id].looked_at,
            seen=records[order_id].seen,
            records_of=records[order_id].records_of,
            before_memory=until is not None and order.created_at <= until,
            newest_ticket=newest_ticket,
            written_to=order_id in written_to,
        )
        for order_id, order in orders.items()
    }


@dataclass(frozen=True, slots=True)
class Loaded:
    """Orders by their ids, and those that hold a value which cannot be read: an event in the year 20260."""

    orders: dict[int, Order] = field(default_factory=dict)
    unreadable: dict[int, UnreadableOrderError] = field(default_factory=dict)


def load_each(connection: sa.Connection, order_ids: Sequence[int]) -> Loaded:
    """Return these orders as `load_orders` does, in a batch; if that fails, one by one, so that one spoils no other.

    Each try is within a savepoint: an error of the server's would end the caller's transaction.
    """
    if not order_ids:
        return Loaded()
    try:
        with connection.begin_nested():
            return Loaded(load_orders(connection, order_ids))
    except Exception as error:
        if not is_the_data(error):
            raise
    loaded = Loaded()
    for order_id in order_ids:
        try:
            with connection.begin_nested():
                loaded.orders.update(load_orders(connection, [order_id]))
        except Exception as error:
            if not is_the_data(error):
                raise
            loaded.unreadable[order_id] = _unreadable(connection, order_id, error)
    return loaded


def load_claimed(connection: sa.Connection, claimed: Sequence[int], now: datetime) -> Loaded:
    """Return the orders that a run has claimed; what was noted of lost ones under their ids is set aside (39a).

    What the last release has told of them on another host is accounted for: the decision loads them again.
    """
    loaded = load_each(connection, claimed)
    if reused := [order.id for order in loaded.orders.values() if order.records_of]:
        set_aside(connection, reused, now)
    take_over(connection, [order.id for order in loaded.orders.values() if may_be_told(order)])
    return loaded


def load_order(connection: sa.Connection, order_id: int) -> Order | None:
    """Return one order as `load_orders` does, or None when there is none with this id.

    Raise UnreadableOrderError when it holds a value that cannot be read.
    """
    loaded = load_each(connection, [order_id])
    if order_id in loaded.unreadable:
        raise loaded.unreadable[order_id]
    return loaded.orders.get(order_id)


def is_the_data(error: Exception) -> bool:
    """Say whether a row is to blame, and not the database, the network or a lock."""
    if isinstance(error, DatabaseUnavailableError | SettingsError):
        return False
    if isinstance(error, SQLAlchemyError):
        return isinstance(error, DBAPIError) and sort_error(error) is Trouble.OTHER
    return True


def _unreadable(connection: sa.Connection, order_id: int, error: Exception) -> UnreadableOrderError:
    number = find_numbers(connection, [order_id]).get(order_id, "")
    return UnreadableOrderError(order_id, number, describe_unreadable(error))


def describe_unreadable(error: Exception) -> str:
    """Return what a row holds that cannot be read, in a line."""
    return describe_error(error) if isinstance(error, SQLAlchemyError) else f"{type(error).__name__}: {error}"


def load_for_decision(
    connection: sa.Connection, order_id: int, evidence: Evidence, *, lock: bool, locked: Collection[int] = ()
) -> Order | None:
    """Return the order with all that a decision about it rests on, or None when it is gone.

    Beside `load_order`: which of the payments in the evidence have paid for another order. With `lock` (a run, under
    the order's row lock) the events of an order that may get its tickets now are locked before their places are
    counted, and stay so until the transaction ends; `locked` are those that are locked already.
    """
    while (order := _loaded_for_decision(connection, order_id, evidence)) is not None:
        halls = {item.event.id for item in order.items if item.event is not None}
        if not lock or halls <= set(locked) or not may_fulfil(order, evidence):
            return order
        lock_events(connection, halls)
        locked = halls
    return None


def _loaded_for_decision(connection: sa.Connection, order_id: int, evidence: Evidence) -> Order | None:
    rows = _ORDERS.ask(connection, {"order_ids": [order_id], **_to_be_spent(order_id, evidence)})
    order = _orders_in(connection, rows).get(order_id)
    return order and replace(order, spent_elsewhere=_spent_in((row.values() for row in rows["spent"]), evidence))


def spent_elsewhere(connection: sa.Connection, order_id: int, evidence: Evidence) -> frozenset[str]:
    """Return which of the evidence's SumUp ids (checkouts, transactions, their codes) have paid for another order.

    Where a transaction has, its checkout is among them.
    """
    return _spent_in(connection.execute(_SPENT, _to_be_spent(order_id, evidence)), evidence)


def _to_be_spent(order_id: int, evidence: Evidence) -> dict[str, object]:
    """Return the values of `_SPENT`. The shop's rows are looked through only where money was taken."""
    return {
        "order_id": order_id,
        # Among no ids at all, PostgreSQL would look through the whole table.
        "sumup_ids": sorted(evidence.sumup_ids) or [""],
        "is_paid": evidence.shows_payment,
    }


def _spent_in(found: Iterable[Iterable[object]], evidence: Evidence) -> frozenset[str]:
    names = {name for row in found for name in row}
    return evidence.with_checkouts_of(evidence.sumup_ids.intersection(names))


def as_found(order: Order, left_in: str | None, now: datetime) -> Order:
    """Return the order with its change dated if its status is not the one that paypoll left it in (None: unseen).

    Somebody else changed it, at some time since the last look: its window counts from now.
    """
    return order if left_in is None or left_in == order.status else replace(order, changed_at=now)
