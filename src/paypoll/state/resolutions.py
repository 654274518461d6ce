"""Reviews: which are open, and how a person closed the others.

An order stays in requires_manual_review when its review is closed without tickets, because no verdict moves an order to
cancelled or refunded: that is the shop's to do. So whether a review is open is read from the audit trail: it is,
unless a person's verdict is newer than the last run that put the order there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import orders
from paypoll.state.tables import audit
from paypoll.statements import Row

ACTION = "resolved"
"""The action of a person's verdict in the audit trail; its outcome is the verdict."""

_PUT_THERE = "review"  # `Outcome.REVIEW`, as runs write it into the trail


class Verdict(StrEnum):
    """What a person decided about an order in review."""

    ISSUE = "issue"
    REFUND_NOTED = "refund_noted"
    REJECT = "reject"
    REFUND = "refund"
    """The money was given back by paypoll, and the order is refunded."""


_WITHOUT_TICKETS = frozenset({Verdict.REFUND_NOTED, Verdict.REJECT, Verdict.REFUND})
VERDICTS = sa.select(audit.c.id, audit.c.order_id, audit.c.outcome).where(
    audit.c.order_id.in_(sa.bindparam("order_ids", expanding=True)), audit.c.action == ACTION
)
"""What people have decided about the orders `order_ids`."""


@dataclass(frozen=True, slots=True)
class OpenReview:
    """An order that a person must look at. `reason` is empty where it was the shop that put it there.

    `since` is when it was put there, or else when the order was last changed.
    """

    order_id: int
    order_number: str
    email: str
    total: Decimal
    since: datetime
    reason: str
    explanation: str
    next_event: date | None = None
    """The date of its next event, where that is still to come; filled in by whoever sorts by it."""


def closed_without_tickets(connection: sa.Connection, order_ids: Sequence[int]) -> frozenset[int]:
    """Return those of these orders about which the last verdict of a person was not to issue tickets."""
    return without_tickets(connection.execute(VERDICTS, {"order_ids": list(order_ids)}).mappings())


def without_tickets(verdicts: Iterable[Row]) -> frozenset[int]:
    """Return the orders about which the last of these `VERDICTS` was not to issue tickets."""
    last = {row["order_id"]: row["outcome"] for row in sorted(verdicts, key=lambda row: int(row["id"]))}
    return frozenset(order_id for order_id, outcome in last.items() if outcome in _WITHOUT_TICKETS)


def reviews(connection: sa.Connection) -> tuple[list[OpenReview], list[OpenReview]]:
    """Return the orders in review, the longest waiting first: the open ones, and those that a person has closed.

    In one statement, as the shop has no index by status.
    """
    put_there = _last(audit.c.outcome == _PUT_THERE).subquery()
    query = (
        sa.select(
            orders.c.id,
            orders.c.order_number,
            orders.c.email,
            orders.c.total,
            sa.func.coalesce(audit.c.at, readable(orders.c.updated_at)).label("since"),
            audit.c.reason,
            audit.c.explanation,
            _not_closed().label("is_open"),
        )
        .outerjoin(put_there, put_there.c.order_id == orders.c.id)
        .outerjoin(audit, audit.c.id == put_there.c.last)
        .where(orders.c.status == OrderStatus.REVIEW.value)
        .order_by("since", orders.c.id)
    )
    found: dict[bool, list[OpenReview]] = {True: [], False: []}
    for row in connection.execute(query):
        review = OpenReview(
            order_id=row.id,
            order_number=row.order_number,
            email=row.email,
            total=row.total,
            since=row.since,
            reason=row.reason or "",
            explanation=row.explanation or "",
        )
        found[row.is_open].append(review)
    return found[True], found[False]


def open_reviews(connection: sa.Connection) -> list[OpenReview]:
    """Return the orders in review that no person has closed, the longest waiting first."""
    return reviews(connection)[0]


def open_since(connection: sa.Connection) -> dict[int, datetime]:
    """Return the orders that a person must look at, and since when; nothing of whom they are."""
    put_there = _last(audit.c.outcome == _PUT_THERE).subquery()
    query = (
        sa.select(orders.c.id, sa.func.coalesce(audit.c.at, readable(orders.c.updated_at)).label("since"))
        .outerjoin(put_there, put_there.c.order_id == orders.c.id)
        .outerjoin(audit, audit.c.id == put_there.c.last)
        .where(_is_open())
    )
    return {row.id: row.since for row in connection.execute(query)}


def _is_open() -> sa.ColumnElement[bool]:
    """Say of an order that it is in review, and that no person has closed that since."""
    return sa.and_(orders.c.status == OrderStatus.REVIEW.value, _not_closed())


def _not_closed() -> sa.ColumnElement[bool]:
    """Say of an order in review that no person has closed that since."""

    def last_id(condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        newest = sa.select(sa.func.max(audit.c.id)).where(audit.c.order_id == orders.c.id, condition)
        return newest.correlate(orders).scalar_subquery()

    closed, put_there = last_id(audit.c.action == ACTION), last_id(audit.c.outcome == _PUT_THERE)
    # A comparison with what is not there is no answer.
    return sa.or_(closed.is_(None), sa.func.coalesce(put_there > closed, sa.false()))


def _last(condition: sa.ColumnElement[bool]) -> sa.Select[tuple[int, int]]:
    """Return the newest row of the trail about each order in review that meets the condition."""
    return (
        sa.select(audit.c.order_id, sa.func.max(audit.c.id).label("last"))
        .join(orders, orders.c.id == audit.c.order_id)
        .where(orders.c.status == OrderStatus.REVIEW.value, condition)
        .group_by(audit.c.order_id)
    )
