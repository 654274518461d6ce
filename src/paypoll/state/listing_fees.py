"""Which listing fees are due for a look, which run holds the lease on each, and what was found at the last one.

As `paypoll.state.watches` does it for orders. A shop has few fees, so one query looks through all that may be due.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.ledger import numbers_in
from paypoll.payments.listing_fees import PAID, VOID, FeeState, ListingFee
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Fulfilment, SeenCheckout
from paypoll.shop.tables import checkouts, events, listing_fees
from paypoll.state.pauses import FEE_NOT_PAUSED
from paypoll.state.seen_checkouts import seen_now
from paypoll.state.tables import fulfilment, listing_fee

_CLOCK_TOLERANCE = timedelta(minutes=10)
_LOOKED_THROUGH = timedelta(days=1)
_JUST_MADE = timedelta(minutes=15)
"""The shop dates a row before it commits it, and by a clock of its own: the last look may have come in between."""

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


@dataclass(frozen=True, slots=True)
class FeeRules:
    """Which fees are looked at: those younger than `first_look`, tried under a reference of one of the `patterns`."""

    first_look: timedelta
    patterns: tuple[str, ...]


def enrol_fees(connection: sa.Connection, rules: FeeRules, now: datetime) -> None:
    """Put every fee that may be paid, and is not yet, on the list."""
    moment = sa.literal(now, listing_fee.c.first_seen_at.type)
    new = (
        sa.select(listing_fees.c.payment_reference, moment, moment)
        .outerjoin(listing_fee, listing_fee.c.reference == listing_fees.c.payment_reference)
        .where(listing_fee.c.reference.is_(None), _is_new(rules, now))
        # Two runs that enrol the same fees wait for each other's rows: sorted, so that they cannot deadlock.
        .order_by(listing_fees.c.payment_reference)
    )
    names = ["reference", "first_seen_at", "next_check_at"]
    connection.execute(insert_unless_there(connection, listing_fee).from_select(names, new))


def claim_fees(
    connection: sa.Connection,
    rules: FeeRules,
    run_id: str,
    now: datetime,
    *,
    began: datetime,
    limit: int,
    lease: timedelta,
) -> list[str]:
    """Take up to `limit` due fees for this run and return their references, the longest unchecked first.

    SKIP LOCKED, leases and "once a run" as for orders (`paypoll.state.watches.claim`).
    """
    until = listing_fee.c.lease_until
    free = sa.or_(until.is_(None), until <= now, until > now + lease + _CLOCK_TOLERANCE)
    last = listing_fee.c.last_checked_at
    unchecked = sa.or_(last.is_(None), last <= began, last > now + _CLOCK_TOLERANCE)
    due = (
        sa.select(listing_fee.c.reference)
        .join(listing_fees, listing_fees.c.payment_reference == listing_fee.c.reference)
        .where(free, listing_fee.c.last_run.is_distinct_from(run_id), unchecked, _is_due(rules, now), FEE_NOT_PAUSED)
        .order_by(last.asc().nulls_first(), listing_fee.c.reference)
        .limit(limit)
        .with_for_update(of=listing_fee, skip_locked=True)
    )
    references = list(connection.scalars(due))
    if references:
        taken = sa.update(listing_fee).where(listing_fee.c.reference.in_(references))
        connection.execute(taken.values(lease_run=run_id, lease_until=now + lease))
    return references


def peek_fees(connection: sa.Connection, rules: FeeRules, now: datetime, *, limit: int) -> list[str]:
    """Return fees that a run would look at now, changing nothing."""
    due = (
        sa.select(listing_fees.c.payment_reference)
        .outerjoin(listing_fee, listing_fee.c.reference == listing_fees.c.payment_reference)
        .where(
            sa.or_(
                sa.and_(listing_fee.c.reference.is_(None), _is_new(rules, now)),
                sa.and_(listing_fee.c.reference.is_not(None), _is_due(rules, now)),
            ),
            FEE_NOT_PAUSED,
        )
        .order_by(listing_fee.c.last_checked_at.asc().nulls_first(), listing_fees.c.payment_reference)
        .limit(limit)
    )
    return list(connection.scalars(due))


def fees_of(
    connection: sa.Connection, payments: Mapping[str, Collection[str]], patterns: Sequence[str]
) -> dict[str, str]:
    """Return whose listing fee's each payment is, by transaction ids; `payments` has what SumUp calls each."""
    named: dict[str, list[str]] = {}
    for transaction_id, texts in payments.items():
        for reference in {one for text in texts for one in numbers_in(text, patterns, "{fee_reference}")}:
            named.setdefault(reference, []).append(transaction_id)
    found = {name: reference for reference, name in connection.execute(_TAKEN, {"ids": list(payments)})}
    if named:
        known = sa.select(listing_fees.c.payment_reference).where(listing_fees.c.payment_reference.in_(list(named)))
        for reference in connection.scalars(known):
            for transaction_id in named[reference]:
                found.setdefault(transaction_id, reference)
    return found


def have_fee_looked_at(connection: sa.Connection, reference: str, transaction_id: str, now: datetime) -> bool:
    """Have the fee looked at in this run, unless this is the payment that was taken for it. False when it is."""
    moment = sa.literal(now, listing_fee.c.first_seen_at.type)
    # One that is too old to be listed by itself, and is paid now.
    unlisted = sa.select(listing_fees.c.payment_reference, moment, moment).where(
        listing_fees.c.payment_reference == reference, listing_fees.c.payment_status != PAID
    )
    names = ["reference", "first_seen_at", "next_check_at"]
    connection.execute(insert_unless_there(connection, listing_fee).from_select(names, unlisted))
    query = sa.update(listing_fee).where(
        listing_fee.c.reference == reference, listing_fee.c.transaction_id.is_distinct_from(transaction_id)
    )
    return connection.execute(query.values(next_check_at=now)).rowcount > 0


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
        settled = Fulfilment(fee.id, row["checkout_id"], "", row["paid_at"], row["taken_at"])
    seen: Mapping[str, Any] = row["seen"] or {}
    return replace(
        fee,
        state=FeeState(row["state"]),
        settled=settled,
        seen=tuple(_seen_from(checkout_id, one) for checkout_id, one in sorted(seen.items())),
        changed_at=row["settled_at"],
        looked_at=row["last_checked_at"],
        left_as=row["status"],
    )


def spent_on_others(connection: sa.Connection, reference: str, sumup_ids: Iterable[str]) -> frozenset[str]:
    """Return which of these SumUp ids have paid for an order, or for another fee."""
    wanted = sorted(sumup_ids)
    rows = connection.execute(_SPENT, {"wanted": reference, "sumup_ids": wanted})
    return frozenset(sumup_id for row in rows for sumup_id in row if sumup_id in wanted)


def take_payment(connection: sa.Connection, fee: ListingFee, payment: VerifiedPayment, now: datetime) -> Fulfilment:
    """Write down that this payment was taken for this fee.

    Raise IntegrityError when it was taken for another one: the database refuses it.
    """
    done = Fulfilment(fee.id, payment.checkout_id, "", payment.paid_at or now, now)
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
    seen = {one.checkout_id: one for one in fee.seen} | seen_now(fee.seen, answers, now, accounted=accounted)
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


_IDS: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
_TAKEN = sa.select(listing_fee.c.reference, listing_fee.c.transaction_id).where(listing_fee.c.transaction_id.in_(_IDS))


def _is_new(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say which fees are to be listed: what may be paid, and what was marked as paid without its event published."""
    draft = sa.exists(events.c.id).where(events.c.id == listing_fees.c.event_id, events.c.status == "draft")
    open_or_odd = sa.or_(listing_fees.c.payment_status != PAID, draft)
    return sa.and_(
        listing_fees.c.payment_status.not_in(sorted(VOID)),
        listing_fees.c.created_at > now - rules.first_look,
        open_or_odd,
    )


def _is_due(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say which of the listed fees are to be looked at: their time has come, or they are not as they were left."""
    return sa.or_(
        listing_fee.c.next_check_at <= now,
        listing_fee.c.last_checked_at > now + _CLOCK_TOLERANCE,
        listing_fee.c.last_checked_at.is_(None),
        listing_fee.c.status != listing_fees.c.payment_status,
        listing_fee.c.named_checkout != sa.func.trim(listing_fees.c.sumup_checkout_id),
        _is_tried_anew(rules, now),
    )


def _is_tried_anew(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say for which fees the shop has a checkout that was made since the last look, by the index on its reference."""
    return sa.exists(checkouts.c.id).where(
        checkouts.c.checkout_reference.in_([_form(pattern) for pattern in rules.patterns]),
        checkouts.c.order_id.is_(None),
        checkouts.c.created_at > now - _LOOKED_THROUGH,
        checkouts.c.created_at <= now,
        sa.or_(checkouts.c.created_at > listing_fee.c.last_checked_at, checkouts.c.created_at > now - _JUST_MADE),
    )


def _form(pattern: str) -> sa.ColumnElement[str]:
    before, _, after = pattern.partition("{fee_reference}")
    return sa.literal(before) + listing_fees.c.payment_reference + sa.literal(after)


def _seen_as_json(one: SeenCheckout) -> dict[str, object]:
    since = one.failed_since.isoformat() if one.failed_since else None
    return {
        "merchant_code": one.merchant_code,
        "status": one.status,
        "failed_since": since,
        "accounted": one.accounted,
        "transaction_id": one.transaction_id,
    }


def _seen_from(checkout_id: str, one: Mapping[str, Any]) -> SeenCheckout:
    since = datetime.fromisoformat(one["failed_since"]) if one["failed_since"] else None
    return SeenCheckout(
        checkout_id, one["merchant_code"], one["status"], since, one["accounted"], one["transaction_id"]
    )
