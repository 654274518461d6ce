"""Mail that was overtaken by what happened in the shop while it waited: it must not leave now."""

from paypoll.payments.order_statuses import SET_BY_SHOP, VOID, OrderStatus
from paypoll.shop.find import OrderNow

WITH_TICKETS = frozenset({"confirmation", "late_confirmation"})
_PAID = frozenset({OrderStatus.COMPLETED, *SET_BY_SHOP})


def why_overtaken(kind: str, order: OrderNow) -> str:
    """Return why a mail of this kind about this order is not true now, as half a sentence; empty while it is.

    A payment that failed is true also while the customer tries again: it is written once for each card.
    """
    if kind in WITH_TICKETS:
        if order.status in VOID:
            return f"the order is {order.status}"
        return "none of its tickets admits any more" if order.tickets and not order.admitting else ""
    if kind in {"payment_failed", "under_review"} and order.status in VOID | _PAID:
        return f"the order is {order.status}"
    return ""
