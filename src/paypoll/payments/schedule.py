"""When to look at an order again, and until when: its money is followed, not its status.

The rule is docs/decisions/0015-follow-the-money.md: the window counts from the newest of what happened to the
order, its end is a look that was answered and not the clock alone, and a completed order is looked at quietly a few
times more.
"""

from datetime import datetime, timedelta

from paypoll.payments.order import Order
from paypoll.payments.order_statuses import WAITING, OrderStatus
from paypoll.payments.policy import Policy

QUIET_LOOKS = (timedelta(minutes=45), timedelta(hours=2), timedelta(hours=24))
"""After completion: a hosted page lives for 30 minutes, so the first look comes when it is over."""

MOST_WINDOWS = 4
"""A browser that replays the return URL changes the status again and again; it prolongs nothing for ever."""

_SHORTEST_PAUSE = timedelta(minutes=5)
_LONGEST_PAUSE = timedelta(hours=6)
_UNANSWERED_PAUSE = timedelta(minutes=30)
_PAUSE_SHARE = 4


def newest_checkout(order: Order) -> datetime:
    """Return when the newest checkout of the order was made; the order itself counts as its first."""
    return max([order.created_at, *(checkout.created_at for checkout in order.checkouts)])


def window_end(order: Order, policy: Policy) -> datetime:
    """Return until when money for this order may still arrive, so that it is looked at once more at or after then."""
    newest = newest_checkout(order)
    last = max(newest, order.changed_at or newest)
    return min(last + policy.late_window, newest + MOST_WINDOWS * policy.late_window)


def is_over(order: Order, policy: Policy, now: datetime) -> bool:
    """Say whether the window of this order is over: what is unresolved now must be told."""
    return now >= window_end(order, policy)


def is_late_sight(order: Order, policy: Policy, now: datetime) -> bool:
    """Say whether paypoll sees this order for the first time, and after its window: it gets one look and no mail."""
    return order.looked_at is None and is_over(order, policy, now)


def next_look(
    order: Order, policy: Policy, now: datetime, *, status: str, outstanding: bool, answered: bool
) -> datetime | None:
    """Return when to look again at an order that is left in this status; None: not any more.

    `order` is as it was loaded, with `changed_at` at `now` if the status was changed now. `outstanding`: something is
    to be asked that this look did not ask (a checkout that was made meanwhile, or is to be closed). `answered`: SumUp
    answered every question of this look.
    """
    if status in WAITING or outstanding:
        return now
    end = window_end(order, policy)
    if now >= end:
        last = newest_checkout(order) + MOST_WINDOWS * policy.late_window
        return None if answered or now >= last else now + _UNANSWERED_PAUSE
    if status == OrderStatus.COMPLETED:
        done = order.fulfilment.fulfilled_at if order.fulfilment is not None else now
        return next((done + pause for pause in QUIET_LOOKS if now < done + pause < end), end)
    pause = (now - (order.changed_at or order.created_at)) / _PAUSE_SHARE
    return min(now + min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE), end)
