"""What becomes of orders that are not verified any more: completed, in review, void, or moved on by the shop.

Their money is followed all the same: a second payment is told, and what can still be paid is closed. Nothing is issued
here and no status changes.
"""

from datetime import datetime

from paypoll.payments import notices
from paypoll.payments.classify import Assessment
from paypoll.payments.decision import Decision, Notice, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import Found
from paypoll.payments.hosted_page import PAGE_MARGIN, page_is_over
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import SET_BY_SHOP, OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import is_over


def is_followed(order: Order) -> bool:
    """Say whether SumUp is asked about this order at all: not about one that the shop completed by itself."""
    return order.status != OrderStatus.COMPLETED or order.fulfilment is not None


def decide_void(order: Order, seen: Assessment, policy: Policy, now: datetime) -> Decision:
    """Decide about a cancelled or refunded order: never tickets; told if money was taken and not given back (22)."""
    if seen.unchecked and not is_over(order, policy, now):
        return unchecked(seen, f"{order.status}, and")
    if kept := seen.money:
        why = f"{order.status}, but SumUp holds a payment"
        return unchanged(Reason.PAID_BUT_VOID, why, (notices.paid_but_void(kept),))
    if not seen.answered:
        return unchanged(Reason.NO_ANSWER, f"{order.status}; SumUp did not say whether a payment arrived")
    return unchanged(Reason.VOID, f"{order.status}, and no money is held")


def decide_followed(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order in a status that paypoll leaves alone: told of payments, closed what nobody should pay."""
    if not is_followed(order):
        return unchanged(Reason.NOT_WATCHED, "completed by the shop: paypoll leaves it alone")
    close: tuple[str, ...] = ()
    if _has_its_tickets(order) or order.rejected:
        # A FAILED one takes another card while its page lives. SumUp refuses to close most others, so it is not asked.
        alive = (i for i in seen.failed if not page_is_over(seen.answers[i], now, PAGE_MARGIN))
        close = tuple(checkout_id for checkout_id in (*seen.pending, *alive) if checkout_id not in evidence.closings)
    told = _told(order, seen, evidence, policy, now)
    if told:
        reason = Reason.PAID_TWICE if _has_its_tickets(order) else Reason.PAID_NOT_ISSUED
        return unchanged(reason, f"{order.status}, and SumUp holds a payment nobody was told of", told, close)
    if not seen.answered:
        return unchanged(Reason.NO_ANSWER, f"{order.status}; not every question was answered", close=close)
    return unchanged(Reason.SETTLED, f"{order.status}, and no other payment has arrived", close=close)


def unchecked(seen: Assessment, state: str) -> Decision:
    """Wait for what SumUp has not said yet. An answer that cannot be used may never be: of that, admins are told."""
    found = [payment.why for payment in seen.unchecked if payment.broken]
    told = (notices.broken_answer(found),) if found else ()
    reason = Reason.BROKEN_ANSWER if found else Reason.NO_ANSWER
    return unchanged(reason, f"{state} {seen.unchecked[0].why}", told)


def _told(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> tuple[Notice, ...]:
    accounted = {checkout.checkout_id for checkout in order.seen if checkout.accounted}
    done = order.fulfilment
    if done is not None:
        accounted.add(done.checkout_id)
    payments = [answer for answer in seen.money if answer.id not in accounted]
    if done is None or not _has_its_tickets(order):
        return notices.paid_not_issued(order, payments)
    told = notices.paid_twice(done, payments, policy.currency)  # 12a
    if is_over(order, policy, now):  # nobody will ask about these any more
        told += notices.may_be_paid_twice(done, _left_open(seen, evidence))
    return told


def _has_its_tickets(order: Order) -> bool:
    """Say whether paypoll has fulfilled the order and the shop holds it to be paid, under whatever name."""
    return order.fulfilment is not None and order.status in {OrderStatus.COMPLETED, *SET_BY_SHOP}


def _left_open(seen: Assessment, evidence: Evidence) -> dict[str, str]:
    """Return the checkouts that may still be paid though the order's window is over, and why."""
    left = {dispute.checkout_id: dispute.why for dispute in seen.disputed}
    left |= dict.fromkeys(seen.under_way, "a payment of it is under way")
    left |= {answer.id: f"it has the unknown status {answer.status[:40]}" for answer in seen.unknown_status}
    left |= {
        checkout_id: "it is PENDING, and SumUp did not close it"
        for checkout_id in seen.pending
        if checkout_id in evidence.closings and not isinstance(evidence.closings[checkout_id], Found)
    }
    return left
