"""Which payments have completed an order in the shop's own rows, whoever completed it, and whenever.

A page of the shop may have completed an order, with its tickets, before paypoll came. No `fulfilment` says so, and the
same payment must not buy a second order's tickets. All of the shop's rows are looked through: an order of years ago may
have been tried again today, and ids need not grow with time. Where that takes long, `paypoll check` advises indexes.
"""

import sqlalchemy as sa

from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.shop.tables import checkouts, orders, tickets
from paypoll.state.tables import fulfilment

_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_IS_PAID = sa.bindparam("is_paid", type_=sa.Boolean)


def _bought(found: sa.FromClause) -> sa.ColumnElement[bool]:
    """Say whether an order that was found has been bought: by the shop's own column, or by tickets that still admit.

    What paid for an order of our own is on record, whatever its rows say.
    """
    admits = sa.exists(tickets.c.id).where(tickets.c.order_id == found.c.id, tickets.c.status.in_(ADMITTING))
    is_ours = sa.exists(fulfilment.c.order_id).where(fulfilment.c.order_id == found.c.id)
    return sa.and_(found.c.id != sa.bindparam("order_id"), sa.or_(found.c.is_paid, admits), sa.not_(is_ours))


# OFFSET 0: PostgreSQL finds the few rows with these ids first. It would look for the tickets of each order before that.
_named = (
    sa.select(orders.c.id, orders.c.is_paid, orders.c.transaction_id)
    .where(_IS_PAID, orders.c.transaction_id.in_(_IDS))
    .offset(sa.literal_column("0"))
    .subquery()
)
_BY_ORDER = sa.select(_named.c.transaction_id, sa.literal("").label("checkout_id")).where(_bought(_named))
# A checkout may be stored for two orders.
_shown = (
    sa.select(checkouts.c.order_id, checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
    .where(_IS_PAID, sa.or_(checkouts.c.sumup_checkout_id.in_(_IDS), checkouts.c.checkout_id.in_(_IDS)))
    .offset(sa.literal_column("0"))
    .subquery()
)
_STORED = (
    sa.select(_shown.c.sumup_checkout_id, _shown.c.checkout_id)
    .join(orders, orders.c.id == _shown.c.order_id)
    .where(_bought(orders))
)
SPENT_IN_SHOP = (_BY_ORDER, _STORED)
"""What has completed another order than `order_id`, of the SumUp ids `sumup_ids`, in the shop's rows.

The ids are those of checkouts, of transactions, and their codes. Unless `is_paid`, nothing is looked for.
"""
