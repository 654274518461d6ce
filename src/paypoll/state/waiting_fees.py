"""Listing fees that wait: for SumUp, or for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.decision import Reason
from paypoll.payments.fee_statuses import LISTED, PAID, VOID, FeeState
from paypoll.shop.tables import events, listing_fees
from paypoll.state.listing_fees import closed_fees
from paypoll.state.tables import audit, listing_fee
from paypoll.state.told_payments import ToldPayment, told_of_fees

_RECENT = timedelta(days=60)
_MOST = 500


@dataclass(frozen=True, slots=True)
class WaitingFee:
    """A listing fee that waits for SumUp, or for a person (`for_person`). `status` is the shop's.

    `reason` is why it waits for a person: in review, marked as paid while SumUp knows no payment of it, or paid once
    more (`paid_twice`, `paid_not_issued`), which `explanation` says.
    """

    reference: str
    event_title: str
    event_status: str
    amount: Decimal
    currency: str
    status: str
    state: str
    created_at: datetime
    last_checked_at: datetime | None
    next_check_at: datetime | None
    last_answer: str
    for_person: bool = False
    reason: str = ""
    explanation: str = ""


def waiting_fees(connection: sa.Connection, now: datetime) -> tuple[WaitingFee, ...]:
    """Return the fees that somebody has begun to pay, and those that a person has not settled yet, the oldest first."""
    begun = sa.and_(
        listing_fee.c.state == FeeState.OPEN,
        listing_fees.c.payment_status != PAID,
        listing_fee.c.next_check_at.is_not(None),
        listing_fee.c.last_answer.is_distinct_from(Reason.NO_CHECKOUT.value),
    )
    told = told_of_fees(connection)
    paid_again = listing_fees.c.payment_reference.in_(list(told))
    query = _fees().where(sa.or_(begun, _needs_person(now), paid_again)).limit(_MOST)
    return _read(connection, query, told)


def fees_without_payment(connection: sa.Connection, now: datetime) -> tuple[WaitingFee, ...]:
    """Return the recent fees that are marked as paid, and of which SumUp knows no payment."""
    return _read(connection, _fees().where(_has_no_payment(now)).limit(_MOST), {})


def _needs_person(now: datetime) -> sa.ColumnElement[bool]:
    listed = sa.and_(listing_fees.c.payment_status == PAID, events.c.status.in_(sorted(LISTED)))
    return sa.or_(sa.and_(listing_fee.c.state == FeeState.REVIEW, sa.not_(listed)), _has_no_payment(now))


def _has_no_payment(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        listing_fees.c.payment_status == PAID,
        listing_fee.c.checkout_id.is_(None),
        listing_fee.c.last_answer == Reason.NO_PAYMENT.value,
        listing_fees.c.created_at > now - _RECENT,
    )


def _fees() -> sa.Select[tuple[object, ...]]:
    # What the last look that put it to a person said: later ones may not have been answered.
    why = (
        sa.select(audit.c.reason)
        .where(
            audit.c.order_id.is_(None),
            audit.c.order_number == listing_fees.c.payment_reference,
            audit.c.status_to == FeeState.REVIEW.value,
            audit.c.outcome.in_(("review", "complete")),
        )
        .order_by(audit.c.id.desc())
        .limit(1)
        .correlate(listing_fees)
        .scalar_subquery()
    )
    return (
        sa.select(
            listing_fees.c.payment_reference,
            events.c.title,
            events.c.status.label("event_status"),
            listing_fees.c.amount,
            listing_fees.c.currency,
            listing_fees.c.payment_status,
            listing_fee.c.state,
            readable(listing_fees.c.created_at).label("created_at"),
            listing_fee.c.last_checked_at,
            listing_fee.c.next_check_at,
            listing_fee.c.last_answer,
            sa.case((listing_fee.c.state == FeeState.REVIEW, why)).label("why"),
        )
        .join(listing_fee, listing_fee.c.reference == listing_fees.c.payment_reference)
        .join(events, events.c.id == listing_fees.c.event_id)
        .where(listing_fees.c.payment_status.not_in(sorted(VOID)))
        .order_by(listing_fees.c.created_at, listing_fees.c.id)
    )


def _read(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]], told: Mapping[str, Sequence[ToldPayment]]
) -> tuple[WaitingFee, ...]:
    """Read the fees; `told` has the payments of them that nobody has settled."""
    rows = connection.execute(query).all()
    in_review = [row.payment_reference for row in rows if row.state == FeeState.REVIEW]
    closed = closed_fees(connection, in_review) if in_review else frozenset()
    fees = []
    for row in rows:
        again = told.get(row.payment_reference, ())
        if not again and row.payment_reference in closed:
            continue
        reason = _reason(row, closed) or (again[0].kind if again else "")
        fees.append(
            WaitingFee(
                reference=row.payment_reference,
                event_title=row.title,
                event_status=row.event_status,
                amount=row.amount,
                currency=row.currency,
                status=row.payment_status,
                state=row.state,
                created_at=row.created_at,
                last_checked_at=row.last_checked_at,
                next_check_at=row.next_check_at,
                last_answer=row.last_answer or "",
                for_person=row.state == FeeState.REVIEW or row.payment_status == PAID or bool(again),
                reason=reason,
                explanation=" ".join(one.found for one in again),
            )
        )
    return tuple(fees)


def _reason(row: sa.Row[tuple[object, ...]], closed: frozenset[str]) -> str:
    """Return why the fee itself waits for a person; empty where only another payment of it does."""
    if row.state == FeeState.REVIEW:
        return "" if row.payment_reference in closed else row.why or ""
    no_payment = row.payment_status == PAID and row.last_answer == Reason.NO_PAYMENT
    return Reason.NO_PAYMENT.value if no_payment else ""
