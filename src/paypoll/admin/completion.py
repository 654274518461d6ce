"""What a person may complete of an order that a page of the shop set to paid by itself, and what it comes to."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.errors import OrderNotFoundError, RefusedError
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import SET_BY_SHOP, OrderStatus
from paypoll.payments.rules import name_void_tickets
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.runs.completion import share_out
from paypoll.state.astray import find_astray_among
from paypoll.state.findings import find_of_order


def as_unfulfilled(order: Order) -> Order:
    """Return the order as if it had no tickets yet: what SumUp must confirm is the payment of the whole.

    Its own tickets do not count as places that others have taken.
    """
    own = Counter(ticket.event_id for ticket in order.tickets if ticket.status in ADMITTING)
    counted = []
    for item in order.items:
        event = item.event
        if event is not None and event.issued is not None:
            event = replace(event, issued=event.issued - own[event.id])
        counted.append(replace(item, event=event))
    return replace(order, items=tuple(counted), tickets=(), fulfilment=None)


def obstacle_to_completion(order: Order) -> str:
    """Return why nobody may complete this order, whatever the reason given; empty when it may be done."""
    if order.status not in {*SET_BY_SHOP, OrderStatus.COMPLETED}:
        return f"it is {order.status}, and has tickets that nobody paid for: cancel them or collect the money"
    if void := name_void_tickets(order):
        return f"tickets of it do not admit: {', '.join(void)}"
    filled, missing = share_out(order)
    if sum(map(len, filled.values())) < len(order.tickets):
        return "it has tickets that it has no place for: put them right in the shop's admin"
    unreadable = any(not ticket.readable for ticket in order.tickets)
    if not unreadable and not any(missing.values()):
        return "it has a ticket that can be read for every place: if it is not paid, cancel them or collect the money"
    if order.fulfilment is not None and order.fulfilment.issued_by != "shop":
        return "paypoll issued its tickets, and they were changed since: put them right in the shop's admin"
    if any("|" in ticket.number for ticket in order.tickets):
        return "a ticket's number contains '|', which the shop's scanner cannot read"
    return ""


def require_open(connection: sa.Connection, order: Order | None, wanted: str, now: datetime) -> Order:
    """Return the order if it is in review, or needs a person because a page of the shop completed it by itself."""
    if order is None:
        raise OrderNotFoundError(f"order {wanted} is gone from the shop")
    if order.status == OrderStatus.REVIEW or find_astray_among(connection, [order.id], now):
        return order
    possible = {
        OrderStatus.PENDING_VERIFICATION: "paypoll is still asking SumUp about it; `paypoll run-once --order` asks now",
        OrderStatus.COMPLETED: _what_admits(order),
        OrderStatus.FAILED: "paypoll still watches it; `paypoll run-once --order` asks SumUp now",
        OrderStatus.EXPIRED: "paypoll still watches it; `paypoll run-once --order` asks SumUp now",
    }
    hint = next((text for status, text in possible.items() if status == order.status), "change it in the shop's admin")
    if told := [str(one.id) for one in find_of_order(connection, order.id) if one.closed_at is None]:
        hint = f"what was told of it is closed by `paypoll resolve --finding {' or '.join(told)}`"
    raise RefusedError(
        f"order {order.number} is {order.status}, and only orders in {OrderStatus.REVIEW.value} are resolved: {hint}"
    )


def _what_admits(order: Order) -> str:
    """Say how many places of a completed order have a ticket that admits, and what sends those again, if anything."""
    admit = sum(ticket.status in ADMITTING for ticket in order.tickets)
    hint = "its tickets are issued"
    if admit < order.places:
        hint = f"{admit} of its {order.places} places have a ticket that admits; put that right in the shop's admin"
    by_paypoll = order.fulfilment is not None and order.fulfilment.issued_by != "shop"
    return f"{hint}; `paypoll resend` sends them again" if by_paypoll and admit else hint
