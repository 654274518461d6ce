"""When to look at an order again, and until when: its money is followed, not its status.

The rule is docs/decisions/0015-follow-the-money.md: the window counts from the newest of what happened to the
order, its end is a look that was answered and not the clock alone, and a completed order is looked at quietly a few
times more.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from paypoll.payments.gateway import CheckoutAnswer
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
_LONG_UNANSWERED_PAUSE = timedelta(days=1)
_MOST_UNANSWERED_WINDOWS = 10
"""For so long after its newest checkout an order waits for the answer to its last look: SumUp may be silent for days, a
key refused for weeks; and an organiser who never connects again keeps nobody asking for ever."""
_PAUSE_SHARE = 4


def as_shown(order: Order, answers: Mapping[str, CheckoutAnswer], now: datetime) -> Order:
    """Return the order with its newest try among SumUp's answers dated: the shop does not store every checkout."""
    made = [moment for answer in answers.values() if (moment := made_at(order, answer, now)) is not None]
    return replace(order, tried_at=max(made, default=None))


def made_at(order: Order, answer: CheckoutAnswer, now: datetime) -> datetime | None:
    """Return when a checkout was made, as it was first seen, else by SumUp's date; one of the future counts as now.

    SumUp need not say. Then one that is there now, and was not when others were, was made since the last look: by the
    shop's row, where that is of this try, and else at some time until now.
    """
    known = next((seen for seen in order.seen if seen.checkout_id == answer.id), None)
    if known is not None and known.made_at is not None:
        return known.made_at
    if answer.made_at is not None:
        return min(answer.made_at, now)
    if known is not None or not order.seen or order.looked_at is None:
        return None
    rows = [row.created_at for row in order.checkouts if answer.id in row.checkout_ids]
    return min(max(rows), now) if rows and max(rows) >= order.looked_at else now


def newest_checkout(order: Order) -> datetime:
    """Return when the newest checkout of the order was made; the order itself counts as its first.

    By the shop's rows and by SumUp: a hosted checkout may have no row, and a row may be used again for another try.
    """
    shown = (order.tried_at, *(seen.made_at for seen in order.seen))
    rows = (checkout.created_at for checkout in order.checkouts)
    return max([order.created_at, *rows, *(moment for moment in shown if moment is not None)])


def window_end(order: Order, policy: Policy) -> datetime:
    """Return until when money for this order may still arrive, so that it is looked at once more at or after then."""
    newest = newest_checkout(order)
    last = max(newest, order.changed_at or newest)
    return min(last + policy.late_window, newest + MOST_WINDOWS * policy.late_window)


def is_over(order: Order, policy: Policy, now: datetime) -> bool:
    """Say whether the window of this order is over: what is unresolved now must be told."""
    return now >= window_end(order, policy)


def gives_up(order: Order, policy: Policy, now: datetime) -> bool:
    """Say whether the last look, if it is not answered now, is not made any more.

    One that was never tried before is: paypoll may have been off for a month, and SumUp hiccups just now.
    """
    if order.looked_at is None or order.looked_at < window_end(order, policy):
        return False
    return now - newest_checkout(order) >= _MOST_UNANSWERED_WINDOWS * policy.late_window


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
        if order.status != status:
            # 12a: found late, what else was paid is not looked for until then; and FAILED is not the end (20a).
            return now + QUIET_LOOKS[0]
        if answered or gives_up(order, policy, now):
            return None
        if now - newest_checkout(order) >= MOST_WINDOWS * policy.late_window:
            return now + _LONG_UNANSWERED_PAUSE
        return now + (_UNANSWERED_PAUSE if now - end < _LONG_UNANSWERED_PAUSE else _LONGEST_PAUSE)
    if status == OrderStatus.COMPLETED:
        done = order.fulfilment.fulfilled_at if order.fulfilment is not None else order.changed_at or now
        return next((done + pause for pause in QUIET_LOOKS if now < done + pause < end), end)
    pause = (now - (order.changed_at or order.created_at)) / _PAUSE_SHARE
    return min(now + min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE), end)
