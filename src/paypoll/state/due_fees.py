"""Which listing fees are due for a look, and which run takes them: as `paypoll.state.watches` does it for orders.

A shop has few fees, so one query looks through all that may be due. Every run comes here, also one that finds nothing
to do: what is known of each fee is in `paypoll.state.listing_fees`, which loads more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.payments.decision import Reason
from paypoll.payments.fee_statuses import LISTED, PAID, VOID, FeeState
from paypoll.shop.tables import checkouts, events, listing_fees
from paypoll.state.due_since import is_free, is_of_the_future
from paypoll.state.pauses import FEE_NOT_PAUSED
from paypoll.state.tables import listing_fee

_ENROLLED = ["reference", "first_seen_at", "next_check_at"]
_LOOKED_THROUGH = timedelta(days=1)
_JUST_MADE = timedelta(minutes=15)
"""The shop dates a row before it commits it, and by a clock of its own: the last look may have come in between."""


@dataclass(frozen=True, slots=True)
class FeeRules:
    """Which fees are looked at: those younger than `first_look`, or tried anew, under a reference of the `patterns`."""

    first_look: timedelta
    patterns: tuple[str, ...]


def enrol_fees(connection: sa.Connection, rules: FeeRules, now: datetime) -> None:
    """Put every fee that may be paid, or may have been, on the list."""
    new = (
        _on_the_list(now)
        .outerjoin(listing_fee, listing_fee.c.reference == listing_fees.c.payment_reference)
        .where(listing_fee.c.reference.is_(None), _is_new(rules, now))
        # Two runs that enrol the same fees wait for each other's rows: sorted, so that they cannot deadlock.
        .order_by(listing_fees.c.payment_reference)
    )
    connection.execute(insert_unless_there(connection, listing_fee).from_select(_ENROLLED, new))


def enrol_fee(connection: sa.Connection, reference: str, now: datetime) -> None:
    """Put one fee on the list, whatever its age and status."""
    one = _on_the_list(now).where(listing_fees.c.payment_reference == reference)
    connection.execute(insert_unless_there(connection, listing_fee).from_select(_ENROLLED, one))


def _on_the_list(now: datetime) -> sa.Select[tuple[str, datetime, datetime]]:
    moment = sa.literal(now, listing_fee.c.first_seen_at.type)
    return sa.select(listing_fees.c.payment_reference, moment, moment)


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
    last = listing_fee.c.last_checked_at
    free = is_free(listing_fee, now, lease)
    unchecked = sa.or_(last.is_(None), last <= began, is_of_the_future(listing_fee, now))
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
    due = _would_be_looked_at(rules, now).order_by(
        listing_fee.c.last_checked_at.asc().nulls_first(), listing_fees.c.payment_reference
    )
    return list(connection.scalars(due.limit(limit)))


def any_fee_due(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say for a query whether a run would look at a fee now."""
    return _would_be_looked_at(rules, now).exists()


def _would_be_looked_at(rules: FeeRules, now: datetime) -> sa.Select[tuple[str]]:
    return (
        sa.select(listing_fees.c.payment_reference)
        .outerjoin(listing_fee, listing_fee.c.reference == listing_fees.c.payment_reference)
        .where(
            sa.or_(
                sa.and_(listing_fee.c.reference.is_(None), _is_new(rules, now)),
                sa.and_(listing_fee.c.reference.is_not(None), _is_due(rules, now)),
            ),
            FEE_NOT_PAUSED,
        )
    )


def _is_new(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say which fees are to be listed: the young ones, whatever became of them, and old ones that are tried anew.

    One that was cancelled or waived before the first look may have been paid before that (60i). An old one that nobody
    has paid is listed as soon as it names a checkout, or the shop has stored one in the time of a first look (20a).
    """
    fresh = _has_checkout(rules, checkouts.c.created_at > now - rules.first_look, checkouts.c.created_at <= now)
    is_old_and_tried = sa.and_(
        listing_fees.c.payment_status.not_in(sorted({PAID, *VOID})),
        sa.or_(sa.func.trim(listing_fees.c.sumup_checkout_id) != "", fresh),
    )
    return sa.or_(listing_fees.c.created_at > now - rules.first_look, is_old_and_tried)


def _is_due(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say which of the listed fees are to be looked at: their time has come, or they are not as they were left."""
    return sa.or_(
        listing_fee.c.next_check_at <= now,
        is_of_the_future(listing_fee, now),
        listing_fee.c.last_checked_at.is_(None),
        listing_fee.c.status != listing_fees.c.payment_status,
        listing_fee.c.named_checkout != sa.func.trim(listing_fees.c.sumup_checkout_id),
        _is_tried_anew(rules, now),
        _is_unlisted(now),
    )


def _is_unlisted(now: datetime) -> sa.ColumnElement[bool]:
    """Say which fees are paid while their event is a draft again, and which are no more (60o).

    Neither where that was told, nor where the money went back.
    """
    paid = sa.and_(listing_fee.c.checkout_id.is_not(None), listing_fees.c.payment_status == PAID)
    event = sa.exists(events.c.id).where(events.c.id == listing_fees.c.event_id).correlate(listing_fees)
    drafted = sa.and_(
        listing_fee.c.state == FeeState.PAID,
        listing_fee.c.last_answer.is_distinct_from(Reason.RETURNED.value),
        event.where(events.c.status == "draft", events.c.event_date >= now.date()),
    )
    listed = sa.and_(listing_fee.c.state == FeeState.REVIEW, event.where(events.c.status.in_(sorted(LISTED))))
    return sa.and_(paid, sa.or_(drafted, listed))


def _is_tried_anew(rules: FeeRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say for which fees the shop has a checkout that was made since the last look, by the index on its reference."""
    return _has_checkout(
        rules,
        checkouts.c.created_at > now - _LOOKED_THROUGH,
        checkouts.c.created_at <= now,
        sa.or_(checkouts.c.created_at > listing_fee.c.last_checked_at, checkouts.c.created_at > now - _JUST_MADE),
    )


def _has_checkout(rules: FeeRules, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Say whether the shop has stored a checkout of the fee that meets the conditions."""
    return (
        sa.exists(checkouts.c.id)
        .where(
            checkouts.c.checkout_reference.in_([_form(pattern) for pattern in rules.patterns]),
            checkouts.c.order_id.is_(None),
            *conditions,
        )
        .correlate(listing_fees, listing_fee)
    )


def _form(pattern: str) -> sa.ColumnElement[str]:
    before, _, after = pattern.partition("{fee_reference}")
    return sa.literal(before) + listing_fees.c.payment_reference + sa.literal(after)
