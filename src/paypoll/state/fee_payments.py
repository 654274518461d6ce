"""Whose listing fee a payment is that SumUp's ledger shows, and having that fee looked at."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.fee_ledger import PaidFee
from paypoll.payments.fee_statuses import PAID, VOID
from paypoll.payments.references import numbers_in
from paypoll.shop.tables import events, listing_fees
from paypoll.state.due_fees import enrol_fee
from paypoll.state.due_since import due_since_last_look
from paypoll.state.tables import listing_fee

_MOST_CANDIDATES = 5
_IDS: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
STANDS = sa.and_(listing_fees.c.payment_status.not_in(sorted(VOID)), events.c.status.in_(("published", "sold_out")))
"""Says of a fee and its event that the event is on sale because of it."""

_TAKEN = (
    sa.select(listing_fee.c.reference, listing_fee.c.transaction_id, STANDS.label("stands"))
    .join(listing_fees, listing_fees.c.payment_reference == listing_fee.c.reference)
    .join(events, events.c.id == listing_fees.c.event_id)
    .where(listing_fee.c.transaction_id.in_(_IDS))
)


def fees_of(
    connection: sa.Connection, payments: Mapping[str, Collection[str]], patterns: Sequence[str]
) -> dict[str, PaidFee]:
    """Return whose listing fee's each payment is, by transaction ids; `payments` has what SumUp calls each.

    A fee that is not in the shop any more (it was deleted, or the shop restored) is nobody's.
    """
    named: dict[str, list[str]] = {}
    for transaction_id, texts in payments.items():
        for reference in {one for text in texts for one in numbers_in(text, patterns, "{fee_reference}")}:
            named.setdefault(reference, []).append(transaction_id)
    rows = connection.execute(_TAKEN, {"ids": list(payments)})
    found = {row.transaction_id: PaidFee(row.reference, taken=True, stands=row.stands) for row in rows}
    if named:
        known = sa.select(listing_fees.c.payment_reference).where(listing_fees.c.payment_reference.in_(list(named)))
        for reference in connection.scalars(known):
            for transaction_id in named[reference]:
                found.setdefault(transaction_id, PaidFee(reference))
    return found


def fee_candidates(connection: sa.Connection, amount: Decimal, paid_at: datetime) -> list[str]:
    """Return the references of unpaid fees of that amount from before the payment, the newest first."""
    near = (
        sa.select(listing_fees.c.payment_reference)
        .where(listing_fees.c.amount == amount, listing_fees.c.created_at <= paid_at)
        .order_by(listing_fees.c.payment_status == PAID, listing_fees.c.created_at.desc())
        .limit(_MOST_CANDIDATES)
    )
    return list(connection.scalars(near))


def have_fee_looked_at(connection: sa.Connection, reference: str, transaction_id: str, now: datetime) -> bool:
    """Have the fee looked at in this run, unless this is the payment that was taken for it. False when it is."""
    # It may be too old to be listed by itself.
    enrol_fee(connection, reference, now)
    query = sa.update(listing_fee).where(
        listing_fee.c.reference == reference, listing_fee.c.transaction_id.is_distinct_from(transaction_id)
    )
    return connection.execute(query.values(next_check_at=due_since_last_look(listing_fee, now))).rowcount > 0
