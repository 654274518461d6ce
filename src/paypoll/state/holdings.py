"""The payments of orders as paypoll has them: what SumUp's ledger has shown, and what looks at the orders have seen."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.gateway import CheckoutStatus
from paypoll.payments.holdings import Holdings, Left, Places, price_of_the_rest
from paypoll.payments.ledger import LedgerPayment, Owner
from paypoll.payments.override import is_a_word
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.shop.tables import items, tickets
from paypoll.state.ledger import LEFT
from paypoll.state.tables import checkout_seen, fulfilment, ledger_entry
from paypoll.state.unnamed import BOUGHT_BY

_ORDER_IDS: sa.BindParameter[int] = sa.bindparam("order_ids", expanding=True)

# Built once, not for every page.
_BOUGHT = sa.select(
    fulfilment.c.order_id,
    BOUGHT_BY.label("transaction_id"),
    fulfilment.c.checkout_id,
    fulfilment.c.amount,
    fulfilment.c.currency,
).where(fulfilment.c.order_id.in_(_ORDER_IDS))
_SHOWN = sa.select(
    ledger_entry.c.order_id, ledger_entry.c.transaction_id, ledger_entry.c.currency, LEFT.label("left")
).where(ledger_entry.c.order_id.in_(_ORDER_IDS))
# Not those that the ledger has, nor what bought the tickets, of this order or of another.
_UNREAD = sa.select(checkout_seen.c.order_id, checkout_seen.c.checkout_id, checkout_seen.c.transaction_id).where(
    checkout_seen.c.order_id.in_(_ORDER_IDS),
    checkout_seen.c.status == CheckoutStatus.PAID,
    ~sa.exists(ledger_entry.c.transaction_id).where(
        ledger_entry.c.transaction_id == checkout_seen.c.transaction_id, ledger_entry.c.order_id.is_not(None)
    ),
    ~sa.exists(fulfilment.c.order_id).where(
        sa.or_(
            fulfilment.c.checkout_id == checkout_seen.c.checkout_id,
            fulfilment.c.transaction_id == checkout_seen.c.transaction_id,
        )
    ),
)
_PLACES = sa.select(items.c.order_id, items.c.event_id, items.c.price, items.c.quantity).where(
    items.c.order_id.in_(_ORDER_IDS)
)
_ADMITTING = (
    sa.select(tickets.c.order_id, tickets.c.event_id, sa.func.count().label("number"))
    .where(tickets.c.order_id.in_(_ORDER_IDS), tickets.c.status.in_(ADMITTING))
    .group_by(tickets.c.order_id, tickets.c.event_id)
)

_NOTHING: Mapping[int, Mapping[str, Left]] = {}


def with_the_others(
    connection: sa.Connection, owners: Mapping[str, Owner], payments: Mapping[str, LedgerPayment]
) -> dict[str, Owner]:
    """Return the owners of these payments: where something went back, with what else holds the order's money.

    `payments` are those of a page, by their transaction ids, with all that is known of them.
    """
    back = [name for name, payment in payments.items() if payment.back > 0 and name in owners]
    if not back:
        return dict(owners)
    now: dict[int, dict[str, Left]] = defaultdict(dict)
    for name, payment in payments.items():
        if name in owners:
            now[owners[name].order_id][name] = Left.of(payment)
    holdings = holdings_of(connection, {owners[name].order_id for name in back}, now)
    told = {
        name: holdings[owners[name].order_id].told_to(owners[name], payments[name])
        for name in back
        if owners[name].order_id in holdings
    }
    return {**owners, **told}


def holdings_of(
    connection: sa.Connection, order_ids: Collection[int], now: Mapping[int, Mapping[str, Left]] = _NOTHING
) -> dict[int, Holdings]:
    """Return the payments of those of these orders that a payment, or a person's word for one, has completed.

    `now`: what is known over what the ledger has shown.
    """
    wanted = {"order_ids": sorted(order_ids)}
    bought = {row.order_id: row for row in connection.execute(_BOUGHT, wanted)}
    before: dict[int, dict[str, Left]] = defaultdict(dict)
    for row in connection.execute(_SHOWN, wanted):
        before[row.order_id][row.transaction_id] = Left(row.left, row.currency)
    unread: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(_UNREAD, wanted):
        if row.transaction_id not in now.get(row.order_id, {}):
            unread[row.order_id].append(row.transaction_id or row.checkout_id)
    places = _places(connection, wanted)
    return {
        order_id: Holdings(
            price=(price := Left(row.amount, row.currency)),
            rest=price_of_the_rest(price, places[order_id]),
            # Where SumUp has not named it, nobody can tell which of the others it is.
            bought_by=row.transaction_id or (row.checkout_id if is_a_word(row.checkout_id) else ""),
            before=before[order_id],
            now=now.get(order_id, {}),
            unread=tuple(sorted(unread[order_id])),
        )
        for order_id, row in bought.items()
    }


def _places(connection: sa.Connection, wanted: Mapping[str, list[int]]) -> Mapping[int, list[Places]]:
    prices: dict[tuple[int, int | None], list[tuple[Decimal, int]]] = defaultdict(list)
    for row in connection.execute(_PLACES, wanted):
        prices[row.order_id, row.event_id].append((row.price, row.quantity))
    admitting = {(row.order_id, row.event_id): row.number for row in connection.execute(_ADMITTING, wanted)}
    places: dict[int, list[Places]] = defaultdict(list)
    for place in prices.keys() | admitting.keys():
        places[place[0]].append(Places(tuple(prices[place]), admitting.get(place, 0)))
    return places
