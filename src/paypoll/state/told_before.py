"""What the last release told admins of: it says so in its trail alone, and knows no `checkout_seen`.

It may go on working on the tables of this one, on another host. Migration 0010 runs the statement as well, on the
tables of its time: columns of later migrations must stay out of it.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.payments.order_statuses import BASKET, LATE, WAITING, OrderStatus
from paypoll.state.tables import checkout_seen, watch

_NOTHING_TOLD = WAITING | BASKET | LATE

# As `Decision.accounts` has it: with tickets every payment was told that is one too many, of a void order all of them,
# and a review once for each reason. What bought the tickets is on record as that.
_TAKE_OVER = """
    WITH telling AS (
        SELECT a.id, a.at, a.order_id, a.order_number, a.evidence,
            CASE a.outcome WHEN 'review' THEN a.reason ELSE a.id::text END AS once
        FROM paypoll.audit a
        WHERE a.action = 'verified' AND (a.outcome IN ('review', 'complete', 'restore') OR a.reason = 'paid_but_void')
            AND (CAST(:order_ids AS bigint[]) IS NULL OR a.order_id = ANY (CAST(:order_ids AS bigint[])))
    ), told AS (
        SELECT DISTINCT ON (order_id, once) * FROM telling ORDER BY order_id, once, id
    )
    INSERT INTO paypoll.checkout_seen AS seen
        (order_id, checkout_id, merchant_code, status, first_seen_at, seen_at, accounted, transaction_id)
    SELECT DISTINCT ON (told.order_id, paid.id) told.order_id, paid.id, coalesce(paid.said ->> 'merchant_code', ''),
        'PAID', told.at, told.at, true,
        coalesce(
            nullif(paid.said #>> '{sumup_said,transaction_id}', ''),
            jsonb_path_query_first(paid.said, '$.sumup_said.transactions[*] ? (@.status == "SUCCESSFUL").id') #>> '{}'
        )
    FROM told
    JOIN paypoll.watch ON watch.order_id = told.order_id
        AND coalesce(watch.order_number, told.order_number) = told.order_number
        -- A restored shop has given the id out again: what is on record is of the order that it lost.
        AND NOT EXISTS (SELECT 1 FROM paypoll.watch aside WHERE aside.order_id = -told.order_id)
    CROSS JOIN LATERAL jsonb_each(told.evidence -> 'checkouts') AS paid (id, said)
    WHERE paid.said ->> 'status' = 'PAID' AND NOT EXISTS (
        SELECT 1 FROM paypoll.fulfilment done WHERE done.order_id = told.order_id AND done.checkout_id = paid.id
    )
    ORDER BY told.order_id, paid.id, told.id
    ON CONFLICT (order_id, checkout_id) DO UPDATE SET accounted = true, status = excluded.status,
        transaction_id = excluded.transaction_id
    -- This release notes what it sees of a PAID one with its look: it is not for the last one to say that it was told.
    WHERE seen.status <> 'PAID'
"""


def take_over(connection: sa.Connection, order_ids: Sequence[int] | None = None) -> None:
    """Account for the payments of these orders, or of all, that the trail says were told."""
    if connection.dialect.name == "postgresql" and order_ids != []:
        connection.execute(sa.text(_TAKE_OVER), {"order_ids": order_ids})


def may_be_told(order: Order) -> bool:
    """Say whether the last release may have told of a payment of this order: this one has not."""
    if order.looked_at is None or order.status in _NOTHING_TOLD:
        return False
    return not any(one.accounted for one in order.seen)


def take_over_since(connection: sa.Connection, since: datetime) -> None:
    """Account for what was told since of orders of which this release has told nothing.

    SumUp's ledger lists it long before they are looked at, if they ever are.
    """
    accounted = sa.exists().where(checkout_seen.c.order_id == watch.c.order_id, checkout_seen.c.accounted)
    query = sa.select(watch.c.order_id).where(
        watch.c.last_checked_at >= since,
        watch.c.status.not_in([*_NOTHING_TOLD, OrderStatus.COMPLETED]),
        sa.not_(accounted),
    )
    take_over(connection, list(connection.scalars(query)))
