"""Complete what a page of the shop left undone of a paid order: missing tickets, and codes that a scanner can read.

Only a person comes here, by `paypoll resolve --issue`, after SumUp was asked. The order's status stays as the shop set
it. No place gets a second ticket: those that are there fill their places first.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Order, OrderItem, Ticket
from paypoll.payments.override import OverriddenPayment
from paypoll.runs.fulfil import FulfilmentRules, insert_new_tickets, post_confirmation, record_places
from paypoll.shop.accounts import account_for_guest
from paypoll.shop.capacity import raise_tickets_sold
from paypoll.shop.changes import note_payment
from paypoll.shop.codes import account_of_tickets, make_readable
from paypoll.shop.ticket_rows import ticket_row
from paypoll.state.fulfilments import record_fulfilment
from paypoll.tickets.numbers import new_ticket_number


@dataclass(frozen=True, slots=True)
class Completed:
    """How many tickets were issued now, and how many that were there can be read now."""

    issued: int
    mended: int


def complete_missing(
    connection: sa.Connection,
    order: Order,
    payment: VerifiedPayment | OverriddenPayment,
    rules: FulfilmentRules,
    *,
    explanation: str,
    run_id: str,
    now: datetime,
) -> Completed:
    """Issue the tickets that are missing, mend the others, and post a confirmation with all of them.

    Raise IntegrityError when a place has its ticket already, or the payment has fulfilled another order.
    """
    account = account_of_tickets(connection, order.id) or order.account or account_for_guest(connection, order, now)
    mended = make_readable(connection, order.id, rules.qr_prefix)
    filled, missing = share_out(order)
    new: dict[int, tuple[str, ...]] = {}
    rows: list[dict[str, object]] = []
    for item in order.items:
        if item.event is None:
            raise ValueError(f"order item {item.id} has no event: nobody may complete its order")
        new[item.id] = tuple(new_ticket_number(item.event.slug) for _ in range(missing[item.id]))
        rows += [ticket_row(number, order, item.event, account, rules.qr_prefix, now) for number in new[item.id]]
    ids = {ticket.number: ticket.id for ticket in order.tickets} | (
        insert_new_tickets(connection, rows, order.newest_ticket) if rows else {}
    )
    numbers = {item.id: (*(ticket.number for ticket in filled[item.id]), *new[item.id]) for item in order.items}
    record_places(connection, order, numbers, ids)
    done = order.fulfilment or record_fulfilment(
        connection, order, payment, issued_by="paypoll", run_id=run_id, now=now
    )
    note_payment(connection, order, done.order_transaction_id, done.paid_at, explanation, now, account_id=account.id)
    raise_tickets_sold(connection, order, now)
    post_confirmation(connection, order, numbers, rules, now)
    return Completed(len(rows), mended)


def share_out(order: Order) -> tuple[dict[int, list[Ticket]], dict[int, int]]:
    """Return which of the tickets that are there fill which item's places, and how many each item lacks."""
    left: defaultdict[int, list[Ticket]] = defaultdict(list)
    for ticket in order.tickets:
        left[ticket.event_id].append(ticket)
    filled = {item.id: _take(left, item) for item in order.items}
    return filled, {item.id: item.quantity - len(filled[item.id]) for item in order.items}


def _take(left: dict[int, list[Ticket]], item: OrderItem) -> list[Ticket]:
    there = left[item.event.id] if item.event is not None else []
    taken, there[:] = there[: item.quantity], there[item.quantity :]
    return taken
