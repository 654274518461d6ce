"""Which orders and listing fees were paid by which transactions: what payouts are held against."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.payouts import Paid, Share
from paypoll.shop.tables import events, items, orders, organisers
from paypoll.state.same_order import IS_ANOTHER
from paypoll.state.tables import fulfilment, ledger_entry, listing_fee, watch
from paypoll.state.unnamed import BOUGHT_BY

_CODES: sa.BindParameter[str] = sa.bindparam("codes", expanding=True)
_WHOSE = (
    orders.c.order_number,
    readable(orders.c.created_at, or_null=True).label("created_at"),
    IS_ANOTHER.label("is_another"),
    sa.func.coalesce(fulfilment.c.order_number, watch.c.order_number).label("recorded_number"),
)
_SEEN = (
    sa.select(
        ledger_entry.c.transaction_code,
        ledger_entry.c.transaction_id,
        ledger_entry.c.order_id,
        ledger_entry.c.amount,
        ledger_entry.c.currency,
        ledger_entry.c.paid_at,
        ledger_entry.c.paid_at.label("seen_paid_at"),
        *_WHOSE,
    )
    .outerjoin(watch, watch.c.order_id == ledger_entry.c.order_id)
    .outerjoin(fulfilment, fulfilment.c.order_id == ledger_entry.c.order_id)
    .outerjoin(orders, orders.c.id == ledger_entry.c.order_id)
    .where(ledger_entry.c.transaction_code.in_(_CODES), ledger_entry.c.order_id.is_not(None))
)
_FULFILLED = (
    sa.select(
        fulfilment.c.transaction_code,
        fulfilment.c.transaction_id,
        fulfilment.c.order_id,
        fulfilment.c.amount,
        fulfilment.c.currency,
        fulfilment.c.paid_at,
        sa.null().label("seen_paid_at"),
        *_WHOSE,
    )
    .outerjoin(watch, watch.c.order_id == fulfilment.c.order_id)
    .outerjoin(orders, orders.c.id == fulfilment.c.order_id)
    .where(fulfilment.c.transaction_code.in_(_CODES))
)
_FEES = sa.select(
    listing_fee.c.transaction_code,
    listing_fee.c.transaction_id,
    listing_fee.c.reference,
    listing_fee.c.amount,
    listing_fee.c.currency,
    listing_fee.c.paid_at,
).where(listing_fee.c.transaction_code.in_(_CODES), listing_fee.c.amount.is_not(None))
_ITEMS = (
    sa.select(
        items.c.order_id,
        items.c.total,
        items.c.event_id,
        sa.func.coalesce(events.c.title, items.c.event_title).label("title"),
        # As texts: PostgreSQL knows days that Python does not.
        sa.cast(events.c.event_date, sa.Text).label("event_date"),
        sa.cast(events.c.event_time, sa.Text).label("event_time"),
        events.c.organiser_id,
        organisers.c.display_name,
    )
    .select_from(items)
    .outerjoin(events, events.c.id == items.c.event_id)
    .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
    .where(items.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
    .order_by(items.c.id)
)


def find_paid(connection: sa.Connection, codes: Collection[str]) -> dict[str, Paid]:
    """Return what the transactions with these codes have paid for, as paypoll, or a sweep, has it."""
    if not codes:
        return {}
    wanted = {"codes": sorted(codes)}
    found = {
        row.transaction_code: Paid("", row.reference, row.amount, row.currency, row.transaction_id or "", row.paid_at)
        for row in connection.execute(_FEES, wanted)
    }
    # What completed an order is surer than what a sweep has seen.
    rows = {row.transaction_code: row for query in (_SEEN, _FULFILLED) for row in connection.execute(query, wanted)}
    shares = _shares(connection, {row.order_id for row in rows.values() if not _is_gone(row)})
    for code, row in rows.items():
        gone = _is_gone(row)
        number = (row.recorded_number or f"id:{row.order_id}") if gone else row.order_number
        parts = () if gone else tuple(shares[row.order_id])
        found[code] = Paid(number, "", row.amount, row.currency, row.transaction_id or "", row.paid_at, parts)
    return found


def _is_gone(row: sa.Row[Any]) -> bool:
    """Say whether the order that was paid is gone: no order has its id, or a restored shop gave the id out again."""
    if row.order_number is None:
        return True
    # The payment of a new order that a sweep has placed, while what is recorded under its id is still the old one's.
    return row.is_another and not (row.seen_paid_at and row.created_at and row.seen_paid_at >= row.created_at)


def _shares(connection: sa.Connection, order_ids: Collection[int]) -> dict[int, list[Share]]:
    found: dict[int, list[Share]] = defaultdict(list)
    for row in connection.execute(_ITEMS, {"order_ids": sorted(order_ids)}):
        organiser = row.display_name or (f"organiser {row.organiser_id}" if row.organiser_id else "")
        event = row.title or "(no title)"
        day, time = row.event_date or "", (row.event_time or "")[:5]
        found[row.order_id].append(Share(row.event_id, event, day, time, row.organiser_id, organiser, row.total))
    return found


def find_paid_between(
    connection: sa.Connection, merchant_code: str, since: datetime, until: datetime
) -> dict[str, tuple[Decimal, str]]:
    """Return amount and currency of what completed an order by a payment of this period, by transaction code."""
    # What SumUp had not named then is named since by what its ledger has.
    code = sa.func.coalesce(fulfilment.c.transaction_code, ledger_entry.c.transaction_code)
    query = (
        sa.select(code, fulfilment.c.amount, fulfilment.c.currency)
        .select_from(fulfilment)
        .outerjoin(ledger_entry, ledger_entry.c.transaction_id == BOUGHT_BY)
        .where(
            fulfilment.c.merchant_code == merchant_code,
            code.is_not(None),
            fulfilment.c.paid_at >= since,
            fulfilment.c.paid_at < until,
        )
    )
    return {code: (amount, currency) for code, amount, currency in connection.execute(query)}
