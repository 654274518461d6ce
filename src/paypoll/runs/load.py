"""Put together what `decide` is given about an order: one way, for everything that decides.

The run, the dry run, `inspect --live`, `expire --dry-run` and `resolve` all load orders here, so that what one of them
promises is what another does. An order is loaded twice: for the questions, before SumUp is asked, and for the decision,
when it is known which payments SumUp shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from paypoll.database import Trouble, describe_error, sort_error
from paypoll.errors import DatabaseUnavailableError, SettingsError, UnreadableOrderError
from paypoll.payments.evidence import Evidence
from paypoll.payments.order import Order
from paypoll.shop import orders as shop
from paypoll.shop.capacity import count_places, may_fulfil, with_places_taken
from paypoll.shop.find import find_numbers
from paypoll.state.fulfilments import spent_on_others
from paypoll.state.memory import adopted_until
from paypoll.state.records import load_records
from paypoll.state.spent import spent_in_shop


def load_orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """Return these orders as they are now, with paypoll's own records: what the questions for SumUp rest on.

    The places taken are counted as well: what is to be closed hangs on whether a late payment can be honoured.
    """
    return count_places(connection, _load_with_records(connection, order_ids))


def _load_with_records(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    orders = shop.load_orders(connection, order_ids)
    records = load_records(connection, list(orders)) if orders else {}
    until = adopted_until(connection) if orders else None
    return {
        order_id: replace(
            order,
            fulfilment=records[order_id].fulfilment,
            missing_checks=records[order_id].missing_checks,
            rejected=records[order_id].rejected,
            was_void=order.was_void or records[order_id].was_void,
            changed_at=records[order_id].changed_at,
            looked_at=records[order_id].looked_at,
            seen=records[order_id].seen,
            records_of=records[order_id].records_of,
            before_memory=until is not None and order.created_at <= until,
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
    words = describe_error(error) if isinstance(error, SQLAlchemyError) else f"{type(error).__name__}: {error}"
    return UnreadableOrderError(order_id, number, words)


def load_for_decision(connection: sa.Connection, order_id: int, evidence: Evidence, *, lock: bool) -> Order | None:
    """Return the order with all that a decision about it rests on, or None when it is gone.

    Beside `load_order`: the places taken at its events, and which of the payments in the evidence have paid for
    another order. With `lock` (a run, under the order's row lock) the events of an order that may get its tickets now
    are locked before their places are counted, and stay so until the transaction ends.
    """
    order = _load_with_records(connection, [order_id]).get(order_id)
    if order is None:
        return None
    order = with_places_taken(connection, order, lock=lock and may_fulfil(order, evidence))
    spent = spent_on_others(connection, order_id, evidence.sumup_ids)
    if evidence.shows_payment:
        spent |= spent_in_shop(connection, order_id, evidence.sumup_ids, evidence.asked_at or order.created_at)
    return replace(order, spent_elsewhere=spent)


def as_found(order: Order, left_in: str | None, now: datetime) -> Order:
    """Return the order with its change dated if its status is not the one that paypoll left it in (None: unseen).

    Somebody else changed it, at some time since the last look: its window counts from now.
    """
    return order if left_in is None or left_in == order.status else replace(order, changed_at=now)
