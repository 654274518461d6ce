"""What paypoll remembers about each listing fee: who holds it, how far it has come, and what was taken for it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.fee_statuses import FeeState
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.listing_fees import ListingFee
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Fulfilment, SeenCheckout
from paypoll.payments.override import OverriddenPayment
from paypoll.state.due_since import due_since_last_look
from paypoll.state.resolutions import ACTION, Verdict
from paypoll.state.seen_checkouts import seen_now
from paypoll.state.tables import audit, fulfilment, listing_fee

_WANTED = listing_fee.c.reference == sa.bindparam("wanted")
_HOLD = sa.select(listing_fee.c.lease_run).where(_WANTED).with_for_update()
_SUMUP_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_SPENT = (
    sa.select(fulfilment.c.checkout_id, fulfilment.c.transaction_id)
    .where(sa.or_(fulfilment.c.checkout_id.in_(_SUMUP_IDS), fulfilment.c.transaction_id.in_(_SUMUP_IDS)))
    .union_all(
        sa.select(listing_fee.c.checkout_id, listing_fee.c.transaction_id).where(
            listing_fee.c.reference != sa.bindparam("wanted"),
            sa.or_(listing_fee.c.checkout_id.in_(_SUMUP_IDS), listing_fee.c.transaction_id.in_(_SUMUP_IDS)),
        )
    )
)
# A look that put a fee to review. One that found it there, and left it, is none.
_PUT_THERE = sa.and_(
    audit.c.outcome.in_(("review", "complete")),
    audit.c.status_to == FeeState.REVIEW.value,
    audit.c.status_from != FeeState.REVIEW.value,
)
# Few rows of the trail are of no order: looks at fees, and only of fees in review are their verdicts asked for.
_VERDICTS = (
    sa.select(audit.c.order_number, audit.c.action, audit.c.outcome)
    .where(
        audit.c.order_id.is_(None),
        audit.c.order_number.in_(sa.bindparam("references", expanding=True)),
        sa.or_(audit.c.action == ACTION, _PUT_THERE),
    )
    .order_by(audit.c.id)
)


def hold_fee(connection: sa.Connection, reference: str, run_id: str) -> bool:
    """Lock what paypoll remembers of the fee. False when the lease is not this run's any more."""
    return connection.scalar(_HOLD, {"wanted": reference}) == run_id


def release_fee(connection: sa.Connection, reference: str, run_id: str) -> None:
    """Give back a fee that was claimed and not looked at."""
    mine = sa.update(listing_fee).where(listing_fee.c.reference == reference, listing_fee.c.lease_run == run_id)
    connection.execute(mine.values(lease_run=None, lease_until=None))


def note_fee_error(connection: sa.Connection, reference: str, run_id: str, now: datetime, error: str) -> None:
    """Give back a fee that met an error. It stays due, but not in this run."""
    mine = sa.update(listing_fee).where(listing_fee.c.reference == reference, listing_fee.c.lease_run == run_id)
    noted = {"last_run": run_id, "last_checked_at": now, "last_answer": f"error: {error}"}
    connection.execute(mine.values(lease_run=None, lease_until=None, **noted))


def with_records(connection: sa.Connection, fee: ListingFee) -> ListingFee:
    """Return the fee with what paypoll remembers about it."""
    row = connection.execute(sa.select(listing_fee).where(_WANTED), {"wanted": fee.reference}).mappings().first()
    if row is None:
        return fee
    settled = None
    if row["checkout_id"] is not None:
        settled = Fulfilment(
            fee.id,
            row["checkout_id"],
            "",
            row["paid_at"],
            row["taken_at"],
            transaction_id=row["transaction_id"] or "",
        )
    seen: Mapping[str, Any] = row["seen"] or {}
    state = FeeState(row["state"])
    return replace(
        fee,
        state=state,
        settled=settled,
        seen=tuple(seen_from(checkout_id, one) for checkout_id, one in sorted(seen.items())),
        changed_at=row["settled_at"],
        looked_at=row["last_checked_at"],
        left_as=row["status"],
        closed=state is FeeState.REVIEW and fee.reference in closed_fees(connection, [fee.reference]),
    )


def closed_fees(connection: sa.Connection, references: Iterable[str]) -> frozenset[str]:
    """Return those of these fees about which the last verdict of a person was to publish nothing.

    A verdict from before the fee came to review, as about a second payment of it, is not about that.
    """
    verdicts = connection.execute(_VERDICTS, {"references": list(references)})
    last = {row.order_number: row.action == ACTION and row.outcome != Verdict.ISSUE for row in verdicts}
    return frozenset(reference for reference, closed in last.items() if closed)


def note_verdict(
    connection: sa.Connection, fee: ListingFee, state: FeeState, status: str, answer: str, now: datetime
) -> None:
    """Write down what a person's verdict makes of the fee, and have it looked at in the next run.

    A run that holds the fee at the moment loses it.
    """
    noted = {
        "state": state.value,
        "status": status,
        "settled_at": now,
        "next_check_at": due_since_last_look(listing_fee, now),
        "last_answer": answer,
        "lease_run": None,
        "lease_until": None,
    }
    connection.execute(sa.update(listing_fee).where(listing_fee.c.reference == fee.reference).values(noted))


def spent_on_others(connection: sa.Connection, reference: str, sumup_ids: Iterable[str]) -> frozenset[str]:
    """Return which of these SumUp ids have paid for an order, or for another fee."""
    wanted = sorted(sumup_ids)
    rows = connection.execute(_SPENT, {"wanted": reference, "sumup_ids": wanted})
    return frozenset(sumup_id for row in rows for sumup_id in row if sumup_id in wanted)


def take_payment(
    connection: sa.Connection, fee: ListingFee, payment: VerifiedPayment | OverriddenPayment, now: datetime
) -> Fulfilment:
    """Write down that this payment was taken for this fee.

    Raise IntegrityError when it was taken for another one: the database refuses it.
    """
    done = Fulfilment(
        fee.id, payment.checkout_id, "", payment.paid_at or now, now, transaction_id=payment.transaction_id
    )
    row = {
        "checkout_id": done.checkout_id,
        "transaction_id": payment.transaction_id or None,
        "transaction_code": payment.transaction_code or None,
        "paid_at": done.paid_at,
        "taken_at": now,
        "amount": payment.amount,
        "currency": payment.currency,
        "merchant_code": payment.merchant_code,
    }
    connection.execute(sa.update(listing_fee).where(listing_fee.c.reference == fee.reference).values(row))
    return done


def note_fee_check(
    connection: sa.Connection,
    fee: ListingFee,
    run_id: str,
    now: datetime,
    *,
    state: FeeState,
    status: str,
    next_check_at: datetime | None,
    answer: str,
    answers: Mapping[str, CheckoutAnswer],
    accounted: bool,
) -> None:
    """Write down a look at the fee and give its lease back. `status` is the shop's, as paypoll leaves it."""
    before = {one.checkout_id: one.made_at for one in fee.seen}
    made = {
        checkout_id: before.get(checkout_id) or (answer.made_at and min(answer.made_at, now))
        for checkout_id, answer in answers.items()
    }
    seen = {one.checkout_id: one for one in fee.seen} | seen_now(fee.seen, answers, now, made, accounted=accounted)
    noted: dict[str, object] = {
        "state": state.value,
        "status": status,
        "named_checkout": fee.named_checkout,
        "next_check_at": next_check_at,
        "last_checked_at": now,
        "last_run": run_id,
        "last_answer": answer,
        "checks": listing_fee.c.checks + 1,
        "lease_run": None,
        "lease_until": None,
        "seen": {checkout_id: _seen_as_json(one) for checkout_id, one in seen.items()},
    }
    if state is not fee.state or status != fee.status:
        noted["settled_at"] = now
    connection.execute(sa.update(listing_fee).where(listing_fee.c.reference == fee.reference).values(noted))


def _seen_as_json(one: SeenCheckout) -> dict[str, object]:
    since = one.failed_since.isoformat() if one.failed_since else None
    return {
        "merchant_code": one.merchant_code,
        "status": one.status,
        "failed_since": since,
        "accounted": one.accounted,
        "transaction_id": one.transaction_id,
        "made_at": one.made_at.isoformat() if one.made_at else None,
    }


def seen_from(checkout_id: str, one: Mapping[str, Any]) -> SeenCheckout:
    """Return a checkout seen of a fee from what is kept of it."""
    since, made = (datetime.fromisoformat(one[name]) if one[name] else None for name in ("failed_since", "made_at"))
    return SeenCheckout(
        checkout_id, one["merchant_code"], one["status"], since, one["accounted"], one["transaction_id"], made
    )
