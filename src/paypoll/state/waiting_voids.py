"""Orders that are to be made void, and are not yet: a pause is on them, mostly. Kept in the open findings about them.

SumUp lists what changed for some days only, and a pause may last for weeks.
"""

from dataclasses import replace

import sqlalchemy as sa

from paypoll.payments.books import LedgerItem
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.tables import orders
from paypoll.state.audit import ACTOR
from paypoll.state.findings import VOID_WAITS, NewFinding
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import finding


def waiting(found: NewFinding) -> NewFinding:
    """Return the finding as that of an order that is to be made void, until it is."""
    return replace(found, detail={**(found.detail or {}), **VOID_WAITS})


def waits_no_more(connection: sa.Connection, merchant_code: str) -> list[LedgerItem]:
    """Return the payments for which the merchant's orders can be made void by now, as if SumUp listed them again."""
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
    rows = connection.execute(query)
    return [LedgerItem.again(row.transaction_id, row.transaction_code or "", row.currency) for row in rows]


def is_settled_by_a_person(connection: sa.Connection, key: str) -> bool:
    """Say whether a person has closed this finding: then the tickets are left as they are."""
    query = sa.select(finding.c.closed_by).where(finding.c.key == key, finding.c.closed_at.is_not(None))
    return connection.scalar(query) not in {None, ACTOR}
