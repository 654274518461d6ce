"""Reads the facts of a period: own tables and the shop's, by indexes that are there, and no more than the period holds.

The audit trail has no index by time. Its ids grow with it, so where a period begins is found by looking at a few ids,
and read is from there on. The orders placed are counted in one pass over the shop's table. What is selected names no
customer: see `facts`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.payments.decision import Outcome, Reason
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.override import is_a_word
from paypoll.report.facts import (
    Asked,
    CaseStep,
    Decided,
    Facts,
    FindingSeen,
    Payment,
    Placed,
    RunSeen,
    TroubleSeen,
)
from paypoll.report.load_lines import lines_of, with_lines
from paypoll.report.load_returns import load_returns
from paypoll.report.period import Period
from paypoll.shop.tables import items, orders
from paypoll.state.incidents import open_troubles
from paypoll.state.resolutions import ACTION as RESOLVED
from paypoll.state.resolutions import Verdict, open_since
from paypoll.state.tables import audit, finding, fulfilment, run

_RECHECKED = "rechecked"  # `admin.recheck.ACTION`
_VERIFIED = "verified"
_UNANSWERED = (Reason.NO_ANSWER.value, Reason.BROKEN_ANSWER.value)
_REFUSED = (Reason.NOT_ALLOWED.value,)
_FULFILLING = (Outcome.COMPLETE.value, Outcome.RESTORE.value, Verdict.ISSUE.value)
_ENDING = (Outcome.COMPLETE.value, Outcome.RESTORE.value, Outcome.FAIL.value, Outcome.EXPIRE.value)

_NEIGHBOURS = 20
"""So many rows tell what time it was when an id was given: one written by a clock that was wrong must not."""

_MARGIN = timedelta(hours=1)
"""Ids are given when a transaction begins to write, and times are those of several hosts."""

_OLDEST_CLOSED = timedelta(days=365)

_AT_A_TIME = 2000


def load_facts(connection: sa.Connection, period: Period) -> Facts:
    """Return the facts of the period. They are read from the connection as they are gone through."""
    trail = _in_period(connection, audit, audit.c.at, period)
    found = _in_period(connection, finding, finding.c.first_seen_at, period)
    return Facts(
        placed=_placed(connection, period),
        payments=_payments(connection, period, trail),
        returns=load_returns(connection, period, trail, found),
        decided=_decided(connection, trail),
        steps=_steps(connection, trail),
        open_cases=open_since(connection),
        findings=_findings(connection, period),
        asked=_asked(connection, trail),
        runs=_runs(connection, period),
        troubles=[
            TroubleSeen(one.key.partition(":")[0], one.since) for one in open_troubles(connection) if one.told_at
        ],
    )


def first_id(connection: sa.Connection, table: sa.Table, moment: sa.ColumnElement[Any], since: datetime) -> int:
    """Return an id from which on all rows are found that are of `since` or later, by the primary key alone."""
    highest = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    lowest = connection.scalar(sa.select(sa.func.min(table.c.id))) or 0
    few = sa.select(moment.label("at")).where(table.c.id >= sa.bindparam("middle")).order_by(table.c.id)
    newest = sa.select(sa.func.max(few.limit(_NEIGHBOURS).subquery().c.at))
    while lowest < highest:
        middle = (lowest + highest) // 2
        found = connection.scalar(newest, {"middle": middle})
        if found is not None and found < since - _MARGIN:
            lowest = middle + 1
        else:
            highest = middle
    return max(0, lowest - _NEIGHBOURS)


def _in_period(
    connection: sa.Connection, table: sa.Table, moment: sa.ColumnElement[Any], period: Period
) -> sa.ColumnElement[bool]:
    begin = first_id(connection, table, moment, period.since)
    return sa.and_(table.c.id >= begin, moment >= period.since, moment < period.until)


def _quarter(moment: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the quarter of an hour that a time is of, counted from 1970: every zone's days begin with one."""
    return sa.cast(sa.func.floor(sa.extract("epoch", moment) / 900), sa.BigInteger)


def _moment(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * 900, UTC)


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    yield from connection.execute(query, execution_options={"yield_per": _AT_A_TIME})


def _placed(connection: sa.Connection, period: Period) -> Iterator[Placed]:
    # All orders are read: the ids of those that were brought into the shop from elsewhere say nothing about their time.
    quarter = _quarter(readable(orders.c.created_at)).label("quarter")
    query = sa.select(quarter, orders.c.status, sa.func.count().label("orders")).where(
        orders.c.created_at >= period.since, orders.c.created_at < period.until
    )
    for row in _rows(connection, query.group_by(quarter, orders.c.status)):
        yield Placed(_moment(row.quarter), row.status, row.orders)


# --- money ---------------------------------------------------------------------------------------------------


def _payments(connection: sa.Connection, period: Period, trail: sa.ColumnElement[bool]) -> Iterator[Payment]:
    # Whatever fulfils an order writes a row into the trail, in the same transaction.
    fulfilled = sa.select(audit.c.order_id).where(trail, audit.c.outcome.in_(_FULFILLING))
    query = (
        with_lines(
            fulfilment.c.order_id,
            fulfilment.c.checkout_id,
            fulfilment.c.paid_at,
            fulfilment.c.fulfilled_at,
            fulfilment.c.amount,
            fulfilment.c.currency,
            fulfilment.c.issued_by,
            fulfilment.c.by_person,
        )
        .where(
            fulfilment.c.order_id.in_(fulfilled),
            fulfilment.c.fulfilled_at >= period.since,
            fulfilment.c.fulfilled_at < period.until,
        )
        .order_by(fulfilment.c.order_id, items.c.id)
    )
    for order_id, grouped in groupby(_rows(connection, query), key=lambda row: row.order_id):
        rows = list(grouped)
        first = rows[0]
        yield Payment(
            order=order_id,
            paid_at=first.paid_at,
            fulfilled_at=first.fulfilled_at,
            amount=first.amount,
            currency=first.currency,
            by_shop=first.issued_by == "shop",
            by_person=first.by_person,
            on_word=is_a_word(first.checkout_id),
            lines=lines_of(rows),
        )


# --- outcomes, cases, hours ----------------------------------------------------------------------------------


def _decided(connection: sa.Connection, trail: sa.ColumnElement[bool]) -> Iterator[Decided]:
    """Yield what runs and persons have decided; an order that was decided upon twice so counts once."""
    query = (
        sa.select(audit.c.outcome, audit.c.reason, sa.func.count(audit.c.order_id.distinct()).label("orders"))
        .where(trail, audit.c.action.in_((_VERIFIED, RESOLVED)), audit.c.outcome.is_not(None))
        .where(audit.c.outcome != Outcome.UNCHANGED.value)
        .group_by(audit.c.outcome, audit.c.reason)
    )
    for row in _rows(connection, query):
        yield Decided(row.outcome, row.reason or "", row.orders)


def _steps(connection: sa.Connection, trail: sa.ColumnElement[bool]) -> Iterator[CaseStep]:
    """Yield the steps of the cases of which one was opened or ended in the period: all there are, also from before."""
    opening = sa.and_(audit.c.action == _VERIFIED, audit.c.outcome == Outcome.REVIEW.value)
    by_person = audit.c.action.in_((RESOLVED, _RECHECKED))
    ending = sa.or_(by_person, sa.and_(audit.c.action == _VERIFIED, audit.c.outcome.in_(_ENDING)))
    # Of what a run decides, only a review's end is one: the order was in review before.
    ends_here = sa.or_(by_person, sa.and_(ending, audit.c.status_from == OrderStatus.REVIEW.value))
    of_cases = sa.select(audit.c.order_id).where(trail, sa.or_(opening, ends_here)).distinct()
    query = (
        sa.select(audit.c.order_id, audit.c.at, audit.c.action, audit.c.outcome, audit.c.reason)
        .where(audit.c.order_id.in_(of_cases), sa.or_(opening, ending))
        .order_by(audit.c.order_id, audit.c.id)
    )
    for row in _rows(connection, query):
        if row.outcome == Outcome.REVIEW.value:
            yield CaseStep(row.order_id, row.at, reason=row.reason or "")
        else:
            yield CaseStep(row.order_id, row.at, how=row.action if row.action == _RECHECKED else row.outcome or "")


def _asked(connection: sa.Connection, trail: sa.ColumnElement[bool]) -> Iterator[Asked]:
    quarter = _quarter(audit.c.at).label("quarter")
    counted = [
        sa.func.count().filter(audit.c.reason.in_(reasons)).label(name)
        for name, reasons in (("unanswered", _UNANSWERED), ("refused", _REFUSED))
    ]
    query = sa.select(quarter, sa.func.count().label("looks"), *counted).where(trail, audit.c.action == _VERIFIED)
    for row in _rows(connection, query.group_by(quarter)):
        yield Asked(_moment(row.quarter), row.looks, row.unanswered, row.refused)


def _runs(connection: sa.Connection, period: Period) -> Iterator[RunSeen]:
    query = sa.select(run.c.started_at, run.c.ended, run.c.counts).where(
        run.c.started_at >= period.since, run.c.started_at < period.until
    )
    for row in _rows(connection, query):
        yield RunSeen(row.started_at, row.ended or "", row.counts or {})


def _findings(connection: sa.Connection, period: Period) -> Iterator[FindingSeen]:
    """Yield the ledger's findings that are open, or were opened in the period, or closed in it since it began."""
    # A finding that is closed may be older than any id of the period; it is among those of the year before.
    begin = first_id(connection, finding, finding.c.first_seen_at, period.since - _OLDEST_CLOSED)
    of_period = sa.and_(
        finding.c.id >= begin,
        sa.or_(
            *(
                sa.and_(moment >= period.since, moment < period.until)
                for moment in (finding.c.first_seen_at, finding.c.closed_at)
            )
        ),
    )
    # What was settled when it was seen was nobody's case: it counts as money back alone.
    unsettled = finding.c.key.not_like("%:settled")
    query = sa.select(finding.c.kind, finding.c.first_seen_at, finding.c.closed_at).where(unsettled)
    for row in _rows(connection, query.where(sa.or_(finding.c.closed_at.is_(None), of_period))):
        yield FindingSeen(row.kind, row.first_seen_at, row.closed_at)
