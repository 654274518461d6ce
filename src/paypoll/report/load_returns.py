"""Reads what is known of money that went back: looks and the ledger in the trail, findings, refunds by command.

Each says how much of a payment had gone back in all by then. What went back in a period is the difference, so that the
same refund, seen by all of them and again every day, counts once: see `money`. Another source needs a function like
`_in_findings`, and its place in `_touched` and `load_returns`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONPATH

from paypoll.payments.ledger import FindingKind
from paypoll.payments.refunding import RefundState
from paypoll.report.facts import Line, ReturnSeen
from paypoll.report.load_lines import lines_of, with_lines
from paypoll.report.period import Period
from paypoll.shop.tables import items
from paypoll.state.ledger import RETURNS_SEEN
from paypoll.state.tables import audit, finding, fulfilment, refund
from paypoll.state.unnamed import BOUGHT_BY, bought_by

_AT_A_TIME = 500
_SOME_BACK = '$.transactions.* ? (@.refunded like_regex "[1-9]" || @.charged_back like_regex "[1-9]")'


@dataclass(frozen=True, slots=True)
class _Paid:
    """The payment that bought an order's tickets."""

    checkout_id: str
    transaction_id: str | None
    amount: Decimal
    currency: str
    lines: tuple[Line, ...]


class _Seen(NamedTuple):
    """What a source says; as `ReturnSeen`."""

    order_id: int
    at: datetime
    returned: Decimal
    here_again: bool = False


def load_returns(
    connection: sa.Connection, period: Period, trail: sa.ColumnElement[bool], found: sa.ColumnElement[bool]
) -> Iterator[ReturnSeen]:
    """Yield what was said, by the period's end, of payments of which some went back in the period.

    Of payments that bought tickets alone: no sum of what came in holds what else came and went. `trail` and `found`
    pick the period's rows of the trail and of the findings.
    """
    if connection.dialect.name != "postgresql":
        return  # the demo's shop gives no refunds
    touched = sorted(_touched(connection, period, trail, found))
    for start in range(0, len(touched), _AT_A_TIME):
        paid = _paid(connection, touched[start : start + _AT_A_TIME])
        sources = (_in_trail, _in_ledger, _in_findings, _in_refunds)
        for one in (seen for source in sources for seen in source(connection, paid, period)):
            of = paid[one.order_id]
            yield ReturnSeen(one.order_id, one.at, one.returned, of.amount, of.currency, of.lines, one.here_again)


def _touched(
    connection: sa.Connection, period: Period, trail: sa.ColumnElement[bool], found: sa.ColumnElement[bool]
) -> set[int]:
    """Return the orders of whose payment something was seen in the period to have gone back."""
    tells = sa.or_(_tells_of_a_return(), audit.c.action == RETURNS_SEEN)
    looks = sa.select(audit.c.order_id).where(trail, audit.c.order_id.is_not(None), tells)
    findings = sa.select(finding.c.transaction_id).where(found, finding.c.kind == FindingKind.RETURNED.value)
    refunds = sa.select(refund.c.transaction_id).where(
        refund.c.state == RefundState.DONE.value,
        refund.c.changed_at >= period.since,
        refund.c.changed_at < period.until,
    )
    touched = set(connection.scalars(looks))
    names = sorted({name for query in (findings, refunds) for name in connection.scalars(query)})
    for start in range(0, len(names), _AT_A_TIME):
        bought = bought_by(connection, names[start : start + _AT_A_TIME])
        touched |= {order_id for order_id, _ in bought.values()}
    return touched


def _tells_of_a_return() -> sa.ColumnElement[bool]:
    return sa.func.jsonb_path_exists(audit.c.evidence, sa.cast(_SOME_BACK, JSONPATH))


def _paid(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, _Paid]:
    query = (
        with_lines(
            fulfilment.c.order_id,
            fulfilment.c.checkout_id,
            BOUGHT_BY.label("transaction_id"),
            fulfilment.c.amount,
            fulfilment.c.currency,
        )
        .where(fulfilment.c.order_id.in_(order_ids))
        .order_by(fulfilment.c.order_id, items.c.id)
    )
    found = {}
    for order_id, grouped in groupby(connection.execute(query), key=lambda row: row.order_id):
        rows = list(grouped)
        first = rows[0]
        found[order_id] = _Paid(first.checkout_id, first.transaction_id, first.amount, first.currency, lines_of(rows))
    return found


def _in_trail(connection: sa.Connection, paid: Mapping[int, _Paid], period: Period) -> Iterator[_Seen]:
    query = sa.select(audit.c.order_id, audit.c.at, audit.c.evidence["transactions"].label("transactions")).where(
        audit.c.order_id.in_(paid), audit.c.at < period.until, _tells_of_a_return()
    )
    for row in connection.execute(query):
        payment = paid[row.order_id]
        for checkout_id, said in row.transactions.items():
            if checkout_id == payment.checkout_id or said.get("id", "") == payment.transaction_id:
                yield _Seen(row.order_id, row.at, _amount(said, "refunded") + _amount(said, "charged_back"))


def _amount(said: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(said.get(name, "0"))


def _in_ledger(connection: sa.Connection, paid: Mapping[int, _Paid], period: Period) -> Iterator[_Seen]:
    query = sa.select(audit.c.order_id, audit.c.at, audit.c.evidence).where(
        audit.c.order_id.in_(paid), audit.c.at < period.until, audit.c.action == RETURNS_SEEN
    )
    for row in connection.execute(query):
        if row.evidence["transaction"] == paid[row.order_id].transaction_id:
            returned = _amount(row.evidence, "returned")
            yield _Seen(row.order_id, row.at, returned, returned < _amount(row.evidence, "before"))


def _in_refunds(connection: sa.Connection, paid: Mapping[int, _Paid], period: Period) -> Iterator[_Seen]:
    whose = {payment.transaction_id: order_id for order_id, payment in paid.items() if payment.transaction_id}
    back = refund.c.refunded_before + refund.c.charged_back_before + refund.c.amount
    query = sa.select(refund.c.transaction_id, refund.c.changed_at, back.label("back")).where(
        refund.c.transaction_id.in_(whose), refund.c.state == RefundState.DONE.value, refund.c.changed_at < period.until
    )
    for row in connection.execute(query):
        yield _Seen(whose[row.transaction_id], row.changed_at, row.back)


def _in_findings(connection: sa.Connection, paid: Mapping[int, _Paid], period: Period) -> Iterator[_Seen]:
    whose = {payment.transaction_id: order_id for order_id, payment in paid.items() if payment.transaction_id}
    query = sa.select(finding.c.transaction_id, finding.c.first_seen_at, finding.c.amount).where(
        finding.c.transaction_id.in_(whose),
        finding.c.kind == FindingKind.RETURNED.value,
        finding.c.first_seen_at < period.until,
    )
    for row in connection.execute(query):
        yield _Seen(whose[row.transaction_id], row.first_seen_at, row.amount)
