"""Orders that are to be made void, and could not be yet: a pause is on them. Kept in the open findings that say why.

SumUp lists what changed for some days only, and a pause may last for weeks.
"""

from collections.abc import Collection
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.books import ONLINE, LedgerItem, LedgerPage
from paypoll.payments.ledger import VOID_WAITS
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import orders
from paypoll.state.audit import ACTOR
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import finding


def let_wait(connection: sa.Connection, keys: Collection[str]) -> None:
    """Note in these findings, unless they are closed, that their orders are to be made void once that can be done."""
    query = sa.select(finding.c.id, finding.c.detail).where(finding.c.key.in_(keys), finding.c.closed_at.is_(None))
    for row in connection.execute(query.with_for_update()).all() if keys else ():
        detail = {**row.detail, **VOID_WAITS}
        if detail != row.detail:
            connection.execute(sa.update(finding).where(finding.c.id == row.id).values(detail=detail))


def waits_no_more(connection: sa.Connection, merchant_code: str) -> LedgerPage:
    """Return the payments for which the merchant's orders can be made void by now, as if SumUp listed them again.

    A line says of each no more than that something went back: what did, is asked anew.
    """
    ((name, waits),) = VOID_WAITS.items()
    query = (
        sa.select(finding.c.transaction_id, finding.c.transaction_code, finding.c.currency)
        .join(orders, orders.c.id == finding.c.order_id)
        .where(
            finding.c.merchant_code == merchant_code,
            finding.c.closed_at.is_(None),
            finding.c.detail[name].as_string() == waits,
            orders.c.status == OrderStatus.COMPLETED,
            NOT_PAUSED,
        )
        .order_by(finding.c.id)
    )
    lines = (
        LedgerItem(
            transaction_id=row.transaction_id,
            transaction_code=row.transaction_code or "",
            kind="REFUND",
            status="",
            amount=Decimal(0),
            currency=row.currency,
            refunded=Decimal(0),
            at=None,
            payment_type=ONLINE,
            summary="",
        )
        for row in connection.execute(query)
    )
    return LedgerPage(tuple(lines), "")


def is_settled_by_a_person(connection: sa.Connection, key: str) -> bool:
    """Say whether a person has closed this finding: then the tickets are left as they are."""
    query = sa.select(finding.c.closed_by).where(finding.c.key == key, finding.c.closed_at.is_not(None))
    return connection.scalar(query) not in {None, ACTOR}
