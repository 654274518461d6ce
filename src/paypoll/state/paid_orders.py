"""Which orders were paid by which transactions, and for which events: what payouts are held against."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.payouts import PaidOrder, Share
from paypoll.shop.orders import organiser_name
from paypoll.shop.tables import events, items, orders, organisers, users
from paypoll.state.tables import fulfilment, ledger_entry


def find_paid_orders(connection: sa.Connection, codes: Collection[str]) -> dict[str, PaidOrder]:
    """Return the orders by the codes of the transactions that paid for them, as paypoll, or a sweep, has them."""
    wanted = list(codes)
    if not wanted:
        return {}
    paid: dict[str, tuple[int, Decimal, str]] = {}
    seen = sa.select(
        ledger_entry.c.transaction_code, ledger_entry.c.order_id, ledger_entry.c.amount, ledger_entry.c.currency
    ).where(ledger_entry.c.transaction_code.in_(wanted), ledger_entry.c.order_id.is_not(None))
    done = sa.select(
        fulfilment.c.transaction_code, fulfilment.c.order_id, fulfilment.c.amount, fulfilment.c.currency
    ).where(fulfilment.c.transaction_code.in_(wanted))
    for query in (seen, done):
        for code, order_id, amount, currency in connection.execute(query):
            paid[code] = (order_id, amount, currency)
    order_ids = {order_id for order_id, _, _ in paid.values()}
    shares = _shares(connection, order_ids)
    numbers = {
        row.id: row.order_number
        for row in connection.execute(sa.select(orders.c.id, orders.c.order_number).where(orders.c.id.in_(order_ids)))
    }
    return {
        code: PaidOrder(numbers[order_id], amount, currency, tuple(shares[order_id]))
        for code, (order_id, amount, currency) in paid.items()
        if order_id in numbers
    }


def _shares(connection: sa.Connection, order_ids: Collection[int]) -> dict[int, list[Share]]:
    query = (
        sa.select(
            items.c.order_id,
            items.c.total,
            sa.func.coalesce(events.c.title, items.c.event_title).label("title"),
            organisers.c.business_name,
            organisers.c.display_name,
            users.c.first_name,
            users.c.last_name,
        )
        .select_from(items)
        .outerjoin(events, events.c.id == items.c.event_id)
        .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
        .outerjoin(users, users.c.id == events.c.organiser_id)
        .where(items.c.order_id.in_(order_ids))
        .order_by(items.c.id)
    )
    shares: dict[int, list[Share]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        shares[row["order_id"]].append(Share(row["title"], organiser_name(row), row["total"]))
    return shares


def find_paid_between(
    connection: sa.Connection, merchant_code: str, since: datetime, until: datetime
) -> dict[str, tuple[str, Decimal, str]]:
    """Return order number, amount and currency of what completed an order in a period, by transaction code."""
    query = sa.select(
        fulfilment.c.transaction_code, fulfilment.c.order_number, fulfilment.c.amount, fulfilment.c.currency
    ).where(
        fulfilment.c.merchant_code == merchant_code,
        fulfilment.c.transaction_code.is_not(None),
        fulfilment.c.paid_at >= since,
        fulfilment.c.paid_at < until,
    )
    return {code: (number or "", amount, currency) for code, number, amount, currency in connection.execute(query)}
