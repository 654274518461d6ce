"""Listing fees that are gone from the shop while their money was still being followed: as `paypoll.state.gone`."""

from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import listing_fees
from paypoll.state.listing_fees import seen_from
from paypoll.state.tables import listing_fee

_IS_GONE = ~sa.exists(listing_fees.c.id).where(listing_fees.c.payment_reference == listing_fee.c.reference)


def any_gone_fee_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say whether there is a fee that is gone from the shop and whose money is to be looked at."""
    return sa.exists(listing_fee.c.reference).where(listing_fee.c.next_check_at <= now, _IS_GONE)


def claim_gone_fees(
    connection: sa.Connection, run_id: str, now: datetime, *, limit: int, lease: timedelta
) -> list[str]:
    """Take up to `limit` fees that are gone for this run, and return their references."""
    free = sa.or_(listing_fee.c.lease_until.is_(None), listing_fee.c.lease_until <= now)
    due = (
        sa.select(listing_fee.c.reference)
        .where(listing_fee.c.next_check_at <= now, _IS_GONE, free, listing_fee.c.last_run.is_distinct_from(run_id))
        .order_by(listing_fee.c.next_check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    references = list(connection.scalars(due))
    if references:
        taken = sa.update(listing_fee).where(listing_fee.c.reference.in_(references))
        connection.execute(taken.values(lease_run=run_id, lease_until=now + lease))
    return references


def load_gone_fee(connection: sa.Connection, reference: str) -> Order | None:
    """Return what paypoll knows of the fee, as if it were a cancelled order: nothing is owed for its money."""
    query = sa.select(listing_fee).where(listing_fee.c.reference == reference, _IS_GONE)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Order(
        id=0,
        number=reference,
        status=OrderStatus.CANCELLED,
        total=Decimal(0),
        is_paid=False,
        email="",
        first_name="",
        last_name="",
        user_id=None,
        created_at=row["first_seen_at"],
        seen=tuple(seen_from(checkout_id, one) for checkout_id, one in sorted((row["seen"] or {}).items())),
        changed_at=row["settled_at"],
        looked_at=row["last_checked_at"],
    )


def note_gone_fee(
    connection: sa.Connection, reference: str, run_id: str, now: datetime, following: datetime | None, answer: str
) -> None:
    """Write down a look at a fee that is gone and give its lease back."""
    noted = {
        "next_check_at": following,
        "last_checked_at": now,
        "last_run": run_id,
        "last_answer": answer,
        "lease_run": None,
        "lease_until": None,
    }
    connection.execute(sa.update(listing_fee).where(listing_fee.c.reference == reference).values(noted))
