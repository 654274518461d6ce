"""Orders that are to be made void, and are not yet: a pause is on them, mostly. Kept in the open findings about them.

SumUp lists what changed for some days only, and a pause may last for weeks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.books import LedgerItem
from paypoll.payments.ledger import FindingKind
from paypoll.payments.order_statuses import MADE_VOID, OrderStatus
from paypoll.shop.tables import history, orders
from paypoll.state.audit import ACTOR
from paypoll.state.findings import VOID_WAITS, NewFinding, close, note
from paypoll.state.holdings import holdings_of
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import finding
from paypoll.state.undone import put_by


def waiting(found: NewFinding) -> NewFinding:
    """Return the finding as that of an order that is to be made void, until it is."""
    return replace(found, detail={**(found.detail or {}), **VOID_WAITS})


def waits_no_more(connection: sa.Connection, merchant_code: str, *, voids: bool) -> list[LedgerItem]:
    """Return the payments for which the merchant's orders can be made void by now, as if SumUp listed them again.

    `voids`: also what went back in full while another payment paid for the tickets, which does no more; and what a
    release found that did not write down that an order waits.
    """
    ((name, waits),) = VOID_WAITS.items()
    marked = finding.c.detail[name].as_string() == waits
    whole = finding.c.detail["whole"].as_string() == "yes"
    query = (
        sa.select(
            finding.c.order_id,
            finding.c.transaction_id,
            finding.c.transaction_code,
            finding.c.currency,
            marked.label("marked"),
        )
        .join(orders, orders.c.id == finding.c.order_id)
        .where(
            finding.c.merchant_code == merchant_code,
            finding.c.kind == FindingKind.RETURNED.value,
            finding.c.closed_at.is_(None),
            sa.or_(marked, whole) if voids else marked,
            finding.c.detail["voided"].as_string().is_(None),
            finding.c.detail["put_back"].as_string().is_(None),
            orders.c.status.in_(MADE_VOID),
            NOT_PAUSED,
        )
        .order_by(finding.c.id)
    )
    rows = connection.execute(query).all()
    unmarked = {row.order_id for row in rows if not row.marked}
    holdings = holdings_of(connection, unmarked) if unmarked else {}
    return [
        LedgerItem.again(row.transaction_id, row.transaction_code or "", row.currency)
        for row in rows
        if row.marked or (row.order_id in holdings and holdings[row.order_id].rests_on_none_but(row.transaction_id))
    ]


def tell_anew(connection: sa.Connection, found: Iterable[NewFinding], now: datetime, run_id: str | None) -> None:
    """Put the findings by that were told, and did not say what becomes of the tickets by now: it is told."""
    for one in sorted(found, key=lambda new: new.key):
        open_one = sa.and_(finding.c.key == one.key, finding.c.closed_at.is_(None), finding.c.told_at.is_not(None))
        row = connection.execute(sa.select(finding.c.id, finding.c.detail).where(open_one)).first()
        if row is not None and _ends_void(row.detail) != _ends_void(one.detail or {}):
            close(connection, row.id, why="what becomes of its tickets is told anew", now=now, run_id=run_id)
            put_by(connection, row.id)


def _ends_void(detail: Mapping[str, Any]) -> bool:
    return bool(detail.get("voided")) or detail.items() >= VOID_WAITS.items()


def is_left(connection: sa.Connection, found: NewFinding, order_id: int, now: datetime) -> bool:
    """Say whether the tickets are left as they are, as a person has decided: closed the finding, or put them back.

    What somebody has put back is told, once: the money is gone, and the tickets admit. A shop that was restored from
    before they became void has lost its line of that: then nobody has decided, and they become void again.
    """
    query = sa.select(finding).where(finding.c.key == found.key, finding.c.closed_at.is_not(None))
    row = connection.execute(query).first()
    if row is None:
        return False
    if row.closed_by != ACTOR:
        return True
    line = sa.exists(history.c.id).where(
        history.c.order_id == order_id,
        history.c.status == OrderStatus.REFUNDED.value,
        history.c.created_at >= row.first_seen_at,
    )
    if row.detail.get("voided") and not connection.scalar(sa.select(line)):
        put_by(connection, row.id)
        return False
    detail = {**(found.detail or {}), "put_back": "yes"}
    note(connection, [replace(found, put_back=True, detail=detail)], now)
    return True


def say_void(connection: sa.Connection, order_id: int, voided: int) -> None:
    """Have whatever is open about money of this order that went back say that its tickets are void."""
    query = sa.select(finding.c.id, finding.c.detail).where(
        finding.c.order_id == order_id,
        finding.c.kind == FindingKind.RETURNED.value,
        finding.c.closed_at.is_(None),
    )
    for row in connection.execute(query).all():
        detail = {name: value for name, value in row.detail.items() if name not in VOID_WAITS}
        changed = {**detail, "voided": str(voided)}
        connection.execute(sa.update(finding).where(finding.c.id == row.id).values(detail=changed))
