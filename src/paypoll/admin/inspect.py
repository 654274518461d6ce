"""Everything about one order: what the shop has, what SumUp said, what was done, and what has still to be mailed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.database import UtcDateTime, readable, transaction
from paypoll.errors import OrderNotFoundError
from paypoll.payments.order import Order
from paypoll.runs.apply import STATUS_AFTER
from paypoll.runs.dry_run import DryRun
from paypoll.runs.load import load_order
from paypoll.shop.find import find_order_id
from paypoll.shop.tables import checkouts, tickets
from paypoll.state.astray import AstrayOrder, find_astray_among
from paypoll.state.audit import describe_evidence
from paypoll.state.findings import Finding, find_of_order, find_open
from paypoll.state.tables import audit, outbox, watch
from paypoll.state.upgrade import require_ready


@dataclass(frozen=True, slots=True)
class LiveLook:
    """What SumUp says now, and what a run would do about it. Nothing was changed.

    `assumed` names the checkouts of which it is taken for granted that SumUp would close them when a run asks.
    """

    evidence: Mapping[str, Any]
    outcome: str
    reason: str
    explanation: str
    status_after: str
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """An order as `paypoll inspect` shows it. The rows are mappings of column names to values."""

    order: Order
    checkouts: tuple[Mapping[str, Any], ...]
    tickets: tuple[Mapping[str, Any], ...]
    mails: tuple[Mapping[str, Any], ...]
    trail: tuple[Mapping[str, Any], ...]
    watch: Mapping[str, Any] | None
    live: LiveLook | None
    now: datetime
    astray: AstrayOrder | None = None
    findings: tuple[Finding, ...] = ()


def inspect_order(engine: sa.Engine, wanted: str, now: datetime, *, live: DryRun | None = None) -> Inspection:
    """Return everything about the order with this number or id. Raise OrderNotFoundError.

    With `live`, SumUp is asked now; neither SumUp nor the database is changed by it.
    """
    require_ready(engine)
    with transaction(engine) as connection:
        order_id = find_order_id(connection, wanted)
        order = load_order(connection, order_id)
        if order is None:
            raise AssertionError("the order was found in this very transaction")
        rows = _rows_about(connection, order_id)
        rows["findings"] = tuple(find_of_order(connection, order_id))
        rows["astray"] = find_astray_among(connection, [order_id], now).get(order_id)
    return Inspection(order=order, live=_look(live, order) if live else None, now=now, **rows)


def refuse_if_gone(engine: sa.Engine, wanted: str) -> None:
    """Raise OrderNotFoundError, naming the case, where it is an order that is gone and whose money is one."""
    with transaction(engine) as connection:
        told = [one for one in find_open(connection) if one.order_id is None and one.order_number == wanted]
    if told:
        numbers = ", ".join(str(one.id) for one in told)
        raise OrderNotFoundError(f"{wanted} is gone from the shop; `paypoll queue` has what is open of it: {numbers}")


def _rows_about(connection: sa.Connection, order_id: int) -> dict[str, Any]:
    def rows(table: sa.Table) -> tuple[Mapping[str, Any], ...]:
        query = sa.select(*_shown(table)).where(table.c.order_id == order_id).order_by(table.c.id)
        return tuple(dict(row) for row in connection.execute(query).mappings())

    watched = connection.execute(sa.select(watch).where(watch.c.order_id == order_id)).mappings().first()
    return {
        "checkouts": rows(checkouts),
        "tickets": rows(tickets),
        "mails": rows(outbox),
        "trail": rows(audit),
        "watch": dict(watched) if watched is not None else None,
    }


def _shown(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """Return the table's columns as they are shown: of the shop's times, those that Python has a date for."""
    return [
        readable(column).label(column.name) if isinstance(column.type, UtcDateTime) else column for column in table.c
    ]


def _look(live: DryRun, order: Order) -> LiveLook:
    looked = live.look_at(order)
    decision = looked.decision
    return LiveLook(
        evidence=describe_evidence(looked.evidence),
        outcome=decision.outcome.value,
        reason=decision.reason.value,
        explanation=decision.explanation,
        status_after=str(STATUS_AFTER.get(decision.outcome, order.status)),
        assumed=tuple(sorted(looked.evidence.assumed)),
    )
