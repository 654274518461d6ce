"""Whose payment it is: orders found by the names that SumUp's ledger has for their payments."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from paypoll.database import lower_case, readable
from paypoll.payments.ledger import LedgerPayment, Owner, Role
from paypoll.payments.order_statuses import WAITING
from paypoll.payments.override import is_a_word
from paypoll.payments.references import numbers_in
from paypoll.payments.refunding import OPEN, RefundState
from paypoll.payments.ticket_statuses import ADMITTING, USED
from paypoll.shop.tables import TURNED_DOWN, checkouts, orders, refunds, tickets
from paypoll.state.same_order import IS_ANOTHER
from paypoll.state.tables import checkout_seen, fulfilment, listing_fee, refund, watch

_BEFORE, _AFTER = timedelta(days=7), timedelta(minutes=10)
_MOST_CANDIDATES = 5
_NEW = timedelta(days=2)

_IDS: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
_NAMES: sa.BindParameter[str] = sa.bindparam("names", expanding=True)
_ORDER_IDS: sa.BindParameter[int] = sa.bindparam("order_ids", expanding=True)

# Built once, not for every page.
_FULFILLED = sa.select(fulfilment.c.order_id, fulfilment.c.transaction_id, fulfilment.c.transaction_code).where(
    sa.or_(
        fulfilment.c.transaction_id.in_(_IDS),
        sa.and_(fulfilment.c.transaction_id.is_(None), fulfilment.c.transaction_code.in_(_NAMES)),
    )
)
_SEEN = sa.select(
    checkout_seen.c.order_id,
    checkout_seen.c.transaction_id,
    checkout_seen.c.accounted,
    checkout_seen.c.checkout_id,
    checkout_seen.c.first_seen_at,
).where(checkout_seen.c.transaction_id.in_(_IDS))
_ONCE_TAKEN = (
    sa.select(fulfilment.c.transaction_id)
    .where(fulfilment.c.transaction_id.in_(_IDS))
    .union_all(
        sa.select(checkout_seen.c.transaction_id).where(checkout_seen.c.transaction_id.in_(_IDS)),
        # A listing fee's that is still there is known by itself; the shop may have lost it.
        sa.select(listing_fee.c.transaction_id).where(listing_fee.c.transaction_id.in_(_IDS)),
    )
)
_NOTED = sa.select(orders.c.id, orders.c.transaction_id).where(
    orders.c.transaction_id.in_(_NAMES), orders.c.transaction_id != ""
)
# Also what was asked for and does not show yet: it is told if it never does.
_GIVEN_BACK = (
    sa.select(
        refund.c.transaction_id, sa.func.sum(refund.c.amount), sa.func.bool_and(refund.c.state == RefundState.DONE)
    )
    .where(refund.c.transaction_id.in_(_IDS), refund.c.state.in_([*OPEN, RefundState.DONE]))
    .group_by(refund.c.transaction_id)
)
_tickets = sa.select(sa.func.count()).where(tickets.c.order_id == orders.c.id).correlate(orders)
_admitting = _tickets.where(tickets.c.status.in_(ADMITTING)).scalar_subquery()
_used = _tickets.where(tickets.c.status == USED).scalar_subquery()
_refunded = (
    sa.select(sa.func.coalesce(sa.func.sum(refunds.c.amount), 0))
    # NaN is no amount: it would be larger than any other, and in Python no number to compare with.
    .where(
        refunds.c.order_id == orders.c.id,
        refunds.c.amount < sa.literal_column("'NaN'"),
        lower_case(refunds.c.status).not_in(TURNED_DOWN),
    )
    .correlate(orders)
    .scalar_subquery()
)
_FACTS = (
    sa.select(
        orders.c.id,
        orders.c.order_number,
        orders.c.status,
        orders.c.total,
        _admitting.label("admitting"),
        _used.label("used"),
        readable(orders.c.created_at).label("created_at"),
        _refunded.label("noted"),
        watch.c.next_check_at,
        watch.c.first_seen_at,
        fulfilment.c.amount,
        fulfilment.c.currency,
        fulfilment.c.order_id.label("fulfilled"),
        fulfilment.c.transaction_id.label("fulfilled_by"),
        fulfilment.c.checkout_id.label("fulfilled_checkout"),
        checkout_seen.c.transaction_id.label("fulfilled_under"),
        IS_ANOTHER.label("is_another"),
    )
    .select_from(orders)
    .outerjoin(watch, watch.c.order_id == orders.c.id)
    .outerjoin(fulfilment, fulfilment.c.order_id == orders.c.id)
    .outerjoin(
        checkout_seen,
        sa.and_(checkout_seen.c.order_id == orders.c.id, checkout_seen.c.checkout_id == fulfilment.c.checkout_id),
    )
    .where(orders.c.id.in_(_ORDER_IDS))
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What ties a payment to an order. `accounted`: an admin was told of it, or it bought the tickets.

    `first_seen_at`: when a look at the order first saw its checkout.
    """

    order_id: int
    role: Role
    accounted: bool = False
    checkout_id: str = ""
    first_seen_at: datetime | None = None


def find_owners(
    connection: sa.Connection,
    payments: Iterable[LedgerPayment],
    placed: Mapping[str, int],
    *,
    currency: str,
    now: datetime,
) -> dict[str, Owner]:
    """Return the orders of these payments by transaction id, as far as paypoll or the shop have noted them.

    `placed`: payments whose order was found in another way, earlier or now.
    """
    wanted = {payment.transaction_id: payment for payment in payments}
    claims = _claims(connection, {transaction_id: payment.names for transaction_id, payment in wanted.items()})
    for transaction_id, order_id in placed.items():
        if transaction_id in wanted:
            claims.setdefault(transaction_id, Claim(order_id, Role.OTHER))
    facts = _facts(connection, {claim.order_id for claim in claims.values()})
    given_back: dict[str, Any] = {}
    if claims:
        given_back = {row[0]: row for row in connection.execute(_GIVEN_BACK, {"ids": list(claims)})}
    return {
        transaction_id: replace(
            _owner(claim, facts[claim.order_id], currency, now),
            given_back=given_back[transaction_id][1] if transaction_id in given_back else Decimal(0),
            refunds_ended=transaction_id in given_back and given_back[transaction_id][2],
        )
        for transaction_id, claim in claims.items()
        if claim.order_id in facts and not _is_anothers(wanted[transaction_id], claim, facts[claim.order_id])
    }


def _claims(connection: sa.Connection, wanted: Mapping[str, Collection[str]]) -> dict[str, Claim]:
    by_name = {name: transaction_id for transaction_id, names in wanted.items() for name in names}
    if not wanted:
        return {}
    found: dict[str, Claim] = {}
    for order_id, name, code in connection.execute(_FULFILLED, {"ids": list(wanted), "names": list(by_name)}):
        transaction_id = by_name.get(name or "") or by_name.get(code or "")
        if transaction_id is not None:
            found[transaction_id] = Claim(order_id, Role.FULFILLED, accounted=True)
    for order_id, name, accounted, *seen in connection.execute(_SEEN, {"ids": list(wanted)}):
        found.setdefault(name, Claim(order_id, Role.OTHER, accounted, *seen))
    left = [name for name, transaction_id in by_name.items() if transaction_id not in found]
    # The shop has no index on this column: it is read once for all payments of the page that nobody else knows.
    for order_id, name in connection.execute(_NOTED, {"names": left}) if left else ():
        found.setdefault(by_name[name], Claim(order_id, Role.NOTED_BY_SHOP))
    return found


def _facts(connection: sa.Connection, order_ids: Collection[int]) -> dict[int, Any]:
    if not order_ids:
        return {}
    return {row.id: row for row in connection.execute(_FACTS, {"order_ids": list(order_ids)})}


def _owner(claim: Claim, row: Any, currency: str, now: datetime) -> Owner:
    # Where SumUp did not name the payment when the order was completed, one of the order is taken for it.
    # Never where tickets rest on a person's word alone, nor one of another checkout than that which bought them, nor
    # where a look at that checkout has named its payment since.
    # What is under its id may be of an order that is lost (39a): that one's tickets, which this one has not.
    fulfilled = row.fulfilled is not None and not row.is_another
    nameless = claim.role is Role.OTHER and fulfilled and row.fulfilled_by is None
    bought = nameless and claim.checkout_id == row.fulfilled_checkout
    assumed = (
        nameless and not claim.checkout_id and row.fulfilled_under is None and not is_a_word(row.fulfilled_checkout)
    )
    role = Role.FULFILLED if bought or assumed else claim.role
    by_payment = role is Role.FULFILLED
    return Owner(
        order_id=row.id,
        number=row.order_number,
        status=row.status,
        role=role,
        expected=row.amount if by_payment else row.total,
        currency=row.currency if by_payment else currency,
        admitting=row.admitting,
        used=row.used,
        fulfilled=fulfilled,
        followed=row.next_check_at is not None or row.status in WAITING or _is_new(row, now),
        accounted=claim.accounted,
        noted=row.noted,
        unnamed=row.fulfilled_checkout if assumed else "",
    )


def _is_anothers(payment: LedgerPayment, claim: Claim, row: Any) -> bool:
    """Say whether the payment is of an order that had this id before.

    What was paid, or first seen by a look at the order, after the new one was made is the new one's: SumUp's clock may
    differ from the shop's.
    """
    if claim.role is Role.NOTED_BY_SHOP or not row.is_another:
        return False
    times = (payment.paid_at, claim.first_seen_at)
    return claim.role is Role.FULFILLED or all(at is None or at < row.created_at for at in times)


def _is_new(row: Any, now: datetime) -> bool:
    """Say whether paypoll has not seen the order yet, and will."""
    return bool((row.first_seen_at is None or row.is_another) and row.created_at > now - _NEW)


def paid_without_order(
    connection: sa.Connection, payments: Iterable[LedgerPayment], references: Sequence[str]
) -> set[str]:
    """Return those of these payments that a checkout of the shop holds which is for no order, such as a listing fee.

    Not where its reference names an order, by the forms `references`, nor where it was an order's before: the shop
    may have lost which.
    """
    by_name = {name: payment.transaction_id for payment in payments for name in payment.names}
    if not by_name:
        return set()
    said = checkouts.c.sumup_response
    names = (said["transaction_id"].as_string(), said["transaction_code"].as_string())
    query = sa.select(checkouts.c.checkout_reference, *names).where(
        checkouts.c.order_id.is_(None), sa.or_(*(name.in_(list(by_name)) for name in names))
    )
    rows = connection.execute(query).all()
    if not rows:
        return set()
    known = connection.scalars(_ONCE_TAKEN, {"ids": sorted(set(by_name.values()))})
    numbers = {row: numbers_in(row.checkout_reference, references) for row in rows}
    named = sa.select(orders.c.order_number).where(
        orders.c.order_number.in_({n for some in numbers.values() for n in some})
    )
    there = set(connection.scalars(named))
    free = (name for row, some in numbers.items() if not there.intersection(some) for name in row[1:])
    return {by_name[name] for name in free if name in by_name} - set(known)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order that an unknown payment may be of: its number and the references of its stored checkouts."""

    order_id: int
    number: str
    references: tuple[str, ...]


def named_order(connection: sa.Connection, reference: str, numbers: Collection[str]) -> int | None:
    """Return the order that a checkout's reference names: the one with that checkout, or with one of these numbers."""
    if not reference:
        return None
    stored = sa.select(checkouts.c.order_id).where(
        checkouts.c.checkout_reference == reference, checkouts.c.order_id.is_not(None)
    )
    if (order_id := connection.scalar(stored.limit(1))) is not None:
        return int(order_id)
    found = connection.scalar(sa.select(orders.c.id).where(orders.c.order_number.in_(list(numbers))).limit(1))
    return int(found) if found is not None else None


def find_candidates(connection: sa.Connection, amount: Decimal, paid_at: datetime) -> list[Candidate]:
    """Return the orders of that amount from the week before the payment: the unpaid first, then the nearest."""
    near = (
        sa.select(orders.c.id, orders.c.order_number)
        .outerjoin(fulfilment, fulfilment.c.order_id == orders.c.id)
        .where(
            orders.c.created_at.between(paid_at - _BEFORE, paid_at + _AFTER),
            orders.c.total == amount,
        )
        .order_by(fulfilment.c.order_id.is_not(None), orders.c.created_at.desc())
        .limit(_MOST_CANDIDATES)
    )
    rows = connection.execute(near).all()
    stored = sa.select(checkouts.c.order_id, checkouts.c.checkout_reference).where(
        checkouts.c.order_id.in_([row.id for row in rows])
    )
    references: dict[int, list[str]] = {row.id: [] for row in rows}
    for row in connection.execute(stored) if rows else ():
        references[row.order_id].append(row.checkout_reference)
    return [Candidate(row.id, row.order_number, tuple(references[row.id])) for row in rows]
