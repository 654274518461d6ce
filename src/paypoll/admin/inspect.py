"""Everything about one order: what the shop has, what SumUp said, what was done, and what has still to be mailed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.app import App
from paypoll.database import transaction
from paypoll.payments.fetch import verify
from paypoll.payments.order import Order
from paypoll.payments.rules import decide
from paypoll.runs.apply import STATUS_AFTER
from paypoll.shop.astray import AstrayOrder, find_astray_among
from paypoll.shop.capacity import with_places_taken
from paypoll.shop.orders import find_order_id, load_order
from paypoll.shop.tables import checkouts, tickets
from paypoll.state.audit import describe_evidence
from paypoll.state.tables import audit, outbox, watch


@dataclass(frozen=True, slots=True)
class LiveLook:
    """What SumUp says now, and what a run would do about it. Nothing was changed."""

    evidence: Mapping[str, Any]
    outcome: str
    reason: str
    explanation: str
    status_after: str


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


def inspect_order(app: App, wanted: str, *, live: bool = False) -> Inspection:
    """Return everything about the order with this number or id. Raise OrderNotFoundError.

    With `live`, SumUp is asked now; neither SumUp nor the database is changed by it.
    """
    app.require_ready()
    with transaction(app.engine) as connection:
        order_id = find_order_id(connection, wanted)
        order = load_order(connection, order_id)
        if order is None:
            raise AssertionError("the order was found in this very transaction")
        order = with_places_taken(connection, order, lock=False)
        rows = _rows_about(connection, order_id)
        rows["astray"] = find_astray_among(connection, [order_id], app.clock.now()).get(order_id)
    return Inspection(order=order, live=_look(app, order) if live else None, now=app.clock.now(), **rows)


def _rows_about(connection: sa.Connection, order_id: int) -> dict[str, Any]:
    def rows(table: sa.Table) -> tuple[Mapping[str, Any], ...]:
        query = sa.select(table).where(table.c.order_id == order_id).order_by(table.c.id)
        return tuple(dict(row) for row in connection.execute(query).mappings())

    watched = connection.execute(sa.select(watch).where(watch.c.order_id == order_id)).mappings().first()
    return {
        "checkouts": rows(checkouts),
        "tickets": rows(tickets),
        "mails": rows(outbox),
        "trail": rows(audit),
        "watch": dict(watched) if watched is not None else None,
    }


def _look(app: App, order: Order) -> LiveLook:
    evidence = verify(order, app.gateway, app.policy, app.clock.now(), may_close=False)
    decision = decide(order, evidence, app.policy, app.clock.now())
    return LiveLook(
        evidence=describe_evidence(evidence),
        outcome=decision.outcome.value,
        reason=decision.reason.value,
        explanation=decision.explanation,
        status_after=str(STATUS_AFTER.get(decision.outcome, order.status)),
    )
