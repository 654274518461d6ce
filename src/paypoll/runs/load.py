"""Put together what `decide` is given about an order: one way, for everything that decides.

The run, the dry run, `inspect --live`, `expire --dry-run` and `resolve` all load orders here, so that what one of them
promises is what another does. An order is loaded twice: for the questions, before SumUp is asked, and for the decision,
when it is known which payments SumUp shows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.payments.evidence import Evidence
from paypoll.payments.order import Order
from paypoll.shop import orders as shop
from paypoll.shop.capacity import count_places, may_fulfil, with_places_taken
from paypoll.state.fulfilments import spent_on_others
from paypoll.state.records import load_records


def load_orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Order]:
    """Return these orders as they are now, with paypoll's own records: what the questions for SumUp rest on.

    The places taken are counted as well: what is to be closed hangs on whether a late payment can be honoured.
    """
    orders = count_places(connection, shop.load_orders(connection, order_ids))
    records = load_records(connection, list(orders)) if orders else {}
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
        )
        for order_id, order in orders.items()
    }


def load_order(connection: sa.Connection, order_id: int) -> Order | None:
    """Return one order as `load_orders` does, or None when there is none with this id."""
    return load_orders(connection, [order_id]).get(order_id)


def load_for_decision(connection: sa.Connection, order_id: int, evidence: Evidence, *, lock: bool) -> Order | None:
    """Return the order with all that a decision about it rests on, or None when it is gone.

    Beside `load_order`: the places taken at its events, and which of the payments in the evidence have paid for
    another order. With `lock` (a run, under the order's row lock) the events of an order that may get its tickets now
    are locked before their places are counted, and stay so until the transaction ends.
    """
    order = load_order(connection, order_id)
    if order is None:
        return None
    if lock and may_fulfil(order, evidence):
        order = with_places_taken(connection, order, lock=True)
    return replace(order, spent_elsewhere=spent_on_others(connection, order_id, evidence.sumup_ids))


def as_found(order: Order, left_in: str | None, now: datetime) -> Order:
    """Return the order with its change dated if its status is not the one that paypoll left it in (None: unseen).

    Somebody else changed it, at some time since the last look: its window counts from now.
    """
    return order if left_in is None or left_in == order.status else replace(order, changed_at=now)
