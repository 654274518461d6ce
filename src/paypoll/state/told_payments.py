"""Payments that admins were told of, which bought nothing, and which nobody has settled: what `queue` lists of them.

Of listing fees a second payment, and of fees and orders one that came after a person had closed the review. The alert
stands in the outbox for good, with its dedupe key. A person's verdict afterwards marks that key (`settle`), and nothing
else does, whatever became of the alert's mail. Of an order, SumUp's ledger may also show that the money went back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.decision import NoticeKind
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import orders
from paypoll.state.outbox import ALERT
from paypoll.state.posted_alerts import forget_told, forget_told_of_fee
from paypoll.state.resolutions import OpenReview, is_open
from paypoll.state.tables import checkout_seen, ledger_entry, outbox

_AFTER_CLOSING = NoticeKind.PAID_NOT_ISSUED
_OF_FEES = (NoticeKind.PAID_TWICE, _AFTER_CLOSING)


@dataclass(frozen=True, slots=True)
class ToldPayment:
    """What an alert has told of a payment: which kind of alert, of which checkout, since when, and what it found."""

    kind: str
    checkout_id: str
    since: datetime
    found: str


def paid_after_closing(connection: sa.Connection) -> list[OpenReview]:
    """Return the orders whose review a person has closed without tickets, and that were paid since."""
    query = (
        sa.select(outbox, orders.c.order_number, orders.c.email, orders.c.total)
        .join(orders, orders.c.id == outbox.c.order_id)
        # Set to another status by the shop, or put back to review, it is another case.
        .where(_stands(_AFTER_CLOSING), orders.c.status == OrderStatus.REVIEW.value, sa.not_(is_open()))
        .order_by(outbox.c.id)
    )
    rows: dict[int, list[sa.RowMapping]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        if _facts(row).get("Order") == row["order_number"]:  # a restored shop gives ids out again
            rows[row["order_id"]].append(row)
    gone = _went_back(connection, list(rows))
    reviews = []
    for order_id, told in rows.items():
        left = [one for one in map(_told, told) if (order_id, one.checkout_id) not in gone]
        if left:
            first = told[0]
            since, found = min(one.since for one in left), " ".join(dict.fromkeys(one.found for one in left))
            why = f"Paid after a person had closed its review. {found}"
            number, email, total = first["order_number"], first["email"], first["total"]
            reviews.append(OpenReview(order_id, number, email, total, since, _AFTER_CLOSING.value, why))
    return reviews


def _went_back(connection: sa.Connection, order_ids: Sequence[int]) -> set[tuple[int, str]]:
    """Return the orders with their checkouts of which SumUp's ledger shows that all the money went back."""
    query = (
        sa.select(checkout_seen.c.order_id, checkout_seen.c.checkout_id)
        .join(ledger_entry, ledger_entry.c.transaction_id == checkout_seen.c.transaction_id)
        .where(checkout_seen.c.order_id.in_(order_ids), ledger_entry.c.returned >= ledger_entry.c.amount)
    )
    return {(row.order_id, row.checkout_id) for row in connection.execute(query)}


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


def settle(connection: sa.Connection, order_id: int, run_id: str) -> None:
    """Note that a person has decided about the payments that came after an order's review was closed."""
    forget_told(connection, order_id, f"alert:{_AFTER_CLOSING}:", run_id)


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
