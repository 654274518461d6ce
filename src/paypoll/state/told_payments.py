"""Payments that admins were told of, which bought nothing, and which nobody has settled: what `queue` lists of them.

Of listing fees a second payment, and of fees and orders one that came after a person had closed the review. The alert
stands in the outbox for good, with its dedupe key. A person's verdict afterwards marks that key, and so does a refund
by paypoll of all of an order's payment (`settle`); nothing else does, whatever became of the alert's mail. Of an order,
SumUp's ledger may also show that the money went back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.decision import NoticeKind
from paypoll.payments.refunding import RefundState
from paypoll.state.outbox import ALERT
from paypoll.state.posted_alerts import forget_told, forget_told_of_fee
from paypoll.state.resolutions import OpenReview, reviews
from paypoll.state.tables import outbox, refund
from paypoll.state.told_cases import went_back

_AFTER_CLOSING = NoticeKind.PAID_NOT_ISSUED
_OF_FEES = (NoticeKind.PAID_TWICE, _AFTER_CLOSING)


@dataclass(frozen=True, slots=True)
class ToldPayment:
    """What an alert has told of a payment: which kind of alert, of which checkout, since when, and what it found."""

    kind: str
    checkout_id: str
    since: datetime
    found: str


def reviews_for_a_person(connection: sa.Connection) -> list[OpenReview]:
    """Return the orders that a person must look at: the open reviews, and then the closed ones that were paid since."""
    still_open, closed = reviews(connection)
    return [*still_open, *_paid_since(connection, closed)]


def _paid_since(connection: sa.Connection, closed: Sequence[OpenReview]) -> list[OpenReview]:
    """Return those of these closed reviews whose order was paid since: set to another status, it is another case."""
    if not closed:
        return []
    numbers = {review.order_id: review.order_number for review in closed}
    # By their ids, which the outbox has an index for: it has none for a part of a dedupe key.
    query = sa.select(outbox).where(outbox.c.order_id.in_(list(numbers)), _stands(_AFTER_CLOSING))
    told: dict[int, list[ToldPayment]] = defaultdict(list)
    for row in connection.execute(query.order_by(outbox.c.id)).mappings():
        if _facts(row).get("Order") == numbers[row["order_id"]]:  # a restored shop gives ids out again
            told[row["order_id"]].append(_told(row))
    if not told:
        return []
    gone = went_back(connection, list(told)) | _refund_asked(connection, {one: numbers[one] for one in told})
    left = {
        order_id: [one for one in ones if (order_id, one.checkout_id) not in gone] for order_id, ones in told.items()
    }
    return sorted(
        (
            replace(
                review,
                since=min(one.since for one in ones),
                reason=_AFTER_CLOSING.value,
                explanation=f"Paid after a person had closed its review. {_found(ones)}",
            )
            for review in closed
            if (ones := left.get(review.order_id))
        ),
        key=lambda review: (review.since, review.order_id),
    )


def _found(told: Sequence[ToldPayment]) -> str:
    return " ".join(dict.fromkeys(one.found for one in told))  # an alert an admin


def _refund_asked(connection: sa.Connection, numbers: Mapping[int, str]) -> set[tuple[int, str]]:
    """Return the orders with their checkouts of which SumUp was asked for a refund: `queue` lists that until its end.

    `numbers` are the orders' numbers by their ids.
    """
    query = sa.select(refund.c.order_id, refund.c.order_number, refund.c.checkout_id).where(
        refund.c.order_id.in_(list(numbers)), refund.c.state == RefundState.ASKED.value
    )
    asked = connection.execute(query)
    return {(row.order_id, row.checkout_id) for row in asked if row.order_number == numbers[row.order_id]}


def told_of_fees(connection: sa.Connection, reference: str = "") -> dict[str, list[ToldPayment]]:
    """Return the payments of listing fees that admins were told of, by the fees' references; or of this one alone.

    SumUp's ledger says nothing here: of fees it is kept only what went back of the payment that was taken.
    """
    query = (
        sa.select(outbox)
        # Few alerts are of no order.
        .where(outbox.c.order_id.is_(None), sa.or_(*map(_stands, _OF_FEES)))
        .order_by(outbox.c.id)
    )
    told: dict[str, dict[str, ToldPayment]] = defaultdict(dict)
    for row in connection.execute(query).mappings():
        of = _facts(row).get("Listing fee", "")
        if of and reference in {"", of}:
            one = _told(row)
            told[of].setdefault(one.checkout_id, one)  # an alert an admin
    return {of: list(payments.values()) for of, payments in told.items()}


def settle(connection: sa.Connection, order_id: int, run_id: str, *, checkout_id: str = "") -> None:
    """Note that a person has decided about the payments that came after an order's review was closed.

    With `checkout_id` about this checkout's alone: all of it was given back.
    """
    which = f"{checkout_id}:" if checkout_id else ""
    forget_told(connection, order_id, f"alert:{_AFTER_CLOSING}:{which}", run_id)


def settle_of_fee(connection: sa.Connection, reference: str, run_id: str, *, taken: str | None = None) -> None:
    """Note that a person has decided about the payments of a fee: with `taken` about this checkout's alone."""
    if taken is not None:
        forget_told_of_fee(connection, reference, f"alert:{_AFTER_CLOSING}:{taken}:", run_id)
        return
    for kind in _OF_FEES:
        forget_told_of_fee(connection, reference, f"alert:{kind}:", run_id)


def _stands(kind: NoticeKind) -> sa.ColumnElement[bool]:
    return sa.and_(
        outbox.c.kind == ALERT,
        outbox.c.dedupe_key.startswith(f"alert:{kind}:", autoescape=True),
        outbox.c.dedupe_key.not_like("%:until:%"),
    )


def _told(row: sa.RowMapping) -> ToldPayment:
    _, kind, rest = row["dedupe_key"].split(":", 2)
    # What follows the checkout is whose it is, and whom the alert went to.
    checkout_id = rest.partition(":order:" if row["order_id"] is not None else ":fee:")[0]
    found = " ".join(str(sentence) for sentence in row["content"].get("found", ()))
    return ToldPayment(kind, checkout_id, row["created_at"], found)


def _facts(row: sa.RowMapping) -> Mapping[str, Any]:
    return {str(fact[0]): fact[1] for fact in row["content"].get("facts", ()) if len(fact) == 2}  # noqa: PLR2004
