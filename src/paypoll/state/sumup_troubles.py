"""Troubles with SumUp that keep the platform's orders from going on: every run looks whether they are still there.

What waits is asked about in every run; what is followed is not, and a run with nothing to do would report success.
"""

import sqlalchemy as sa

from paypoll.shop.tables import orders
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import trouble, watch

_SEVERAL = 3
"""Of one order the shop may have written something that SumUp refuses; not of several."""

# The keys of `paypoll.alerts.outages`, and the reasons of `paypoll.payments.decision`: neither is loaded by a run with
# nothing to do.
_TROUBLES = ("sumup_silent", "client_refused", "not_allowed:")
_UNANSWERED = ("not_allowed", "no_answer")


def orders_to_ask_about(platform: str, *, besides_run: str = "") -> sa.Select[tuple[int]]:
    """Return the query for orders that are followed and had no answer, while such a trouble lasts; else for none.

    `platform` is the platform's own merchant code. Those at which this run has looked are left out.
    """
    return (
        sa.select(watch.c.order_id)
        .join(orders, orders.c.id == watch.c.order_id)
        .where(
            sa.exists(trouble.c.key).where(trouble.c.key.in_((*_TROUBLES, f"not_allowed:{platform}"))),
            watch.c.next_check_at.is_not(None),
            watch.c.last_answer.in_(_UNANSWERED),
            watch.c.last_run.is_distinct_from(besides_run),
            NOT_PAUSED,
        )
        .order_by(watch.c.last_checked_at, watch.c.order_id)
        .limit(_SEVERAL)
    )
