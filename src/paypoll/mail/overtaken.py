"""Mail that was overtaken by what happened in the shop while it waited: it must not leave now."""

from datetime import datetime, timedelta

from paypoll.payments.order_statuses import LATE, SET_BY_SHOP, VOID, OrderStatus
from paypoll.shop.find import OrderNow
from paypoll.state.outbox import WITH_TICKETS, Mail

_VOID_OR_PAID = VOID | SET_BY_SHOP | {OrderStatus.COMPLETED}
_UNTRUE_WHEN: dict[str, frozenset[str]] = {
    **dict.fromkeys(WITH_TICKETS, VOID),
    "payment_failed": _VOID_OR_PAID | {OrderStatus.REVIEW},  # whose money may be there: nobody is to try again
    "under_review": _VOID_OR_PAID | LATE,
}
_NEW = timedelta(minutes=1)


def is_new(mail: Mail, now: datetime) -> bool:
    """Whether it was posted just now, so that no look is needed before its tickets are printed.

    Whether its order has another address, or was cancelled meanwhile, is seen when it is marked as being sent.
    """
    waited = now - mail.created_at
    return mail.follows_its_order and mail.attempts <= 0 and not mail.interrupted and waited < _NEW


def untrue_when(kind: str) -> frozenset[str]:
    """Return the statuses of its order with which a mail of this kind must not leave.

    A payment that failed is true also while the customer tries again: it is written once for each card. What went back
    of a void order is said to its customer, so such a mail (`refund`) has none.
    """
    return _UNTRUE_WHEN.get(kind, frozenset())


def why_overtaken(kind: str, order: OrderNow) -> str:
    """Return why a mail of this kind about this order is not true now, as half a sentence; empty while it is."""
    if order.status in untrue_when(kind):
        return f"the order is {order.status}"
    if kind in WITH_TICKETS and order.tickets and not order.admitting:
        return "none of its tickets admits any more"
    return ""
