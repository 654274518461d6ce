"""What becomes of orders that are not verified any more: completed, in review, void, or moved on by the shop.

Their money is followed all the same: a second payment is told, and what can still be paid is closed. Nothing is issued
here and no status changes. With the last look what is open is made unpayable, and what stays open is told: nobody asks
about it any more.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from paypoll.payments import notices
from paypoll.payments.classify import Assessment, checkout_ids, is_answer, is_silence
from paypoll.payments.decision import Decision, Notice, NoticeKind, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import Found
from paypoll.payments.hosted_page import PAGE_MARGIN, page_is_over
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import BASKET, SET_BY_SHOP, WAITING, OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import gives_up, is_over

_MAY_BE = frozenset({NoticeKind.MAY_BE_PAID, NoticeKind.MAY_BE_PAID_TWICE})
"""Of a payment that nobody has seen yet."""


def is_followed(order: Order) -> bool:
    """Say whether SumUp is asked about this order at all: not about one that the shop completed, with its tickets.

    One that somebody set to completed while it waited, and that lacks tickets, may be paid with nothing to show for it.
    """
    if order.status != OrderStatus.COMPLETED or order.fulfilment is not None:
        return True
    return len(order.tickets) < order.places


def decide_void(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about a cancelled or refunded order: never tickets; told if money was taken and not given back (22)."""
    if seen.unchecked and not is_over(order, policy, now):
        return unchecked(seen, f"{order.status}, and")
    close = closed_at_last(order, seen, evidence, policy, now)
    open_still = notices.may_be_paid(left_open(order, seen, evidence, policy, now))
    if kept := seen.money:
        why = f"{order.status}, but SumUp holds a payment"
        return unchanged(Reason.PAID_BUT_VOID, why, (notices.paid_but_void(kept), *open_still), close)
    if not seen.answered:
        why = f"{order.status}; SumUp did not say whether a payment arrived"
        return unchanged(Reason.NO_ANSWER, why, open_still, close)
    if open_still:
        return unchanged(Reason.NOT_CLOSED, f"{order.status}, and may be paid, or have been paid", open_still, close)
    return unchanged(Reason.VOID, f"{order.status}, and no money is held", close=close)


def decide_followed(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order in a status that paypoll leaves alone: told of payments, closed what nobody should pay."""
    if not is_followed(order):
        return unchanged(Reason.NOT_WATCHED, "completed by the shop, with its tickets: paypoll leaves it alone")
    close: tuple[str, ...] = ()
    if _has_its_tickets(order) or order.rejected:
        # A FAILED one takes another card while its page lives. SumUp refuses to close most others: asked at last alone.
        alive = (i for i in seen.failed if not page_is_over(seen.answers[i], now, PAGE_MARGIN))
        close = tuple(checkout_id for checkout_id in (*seen.pending, *alive) if checkout_id not in evidence.closings)
    close = tuple(dict.fromkeys((*close, *closed_at_last(order, seen, evidence, policy, now))))
    told = _told(order, seen, evidence, policy, now)
    if told and all(notice.kind in _MAY_BE for notice in told):
        twice = " twice" if _has_its_tickets(order) else ""
        return unchanged(Reason.NOT_CLOSED, f"{order.status}, and may be paid{twice}, or have been paid", told, close)
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


def or_given_up(
    order: Order, seen: Assessment, evidence: Evidence, decision: Decision, policy: Policy, now: datetime
) -> Decision:
    """Return the decision, and tell if the last look is not made any more though SumUp never answered it.

    Not of an order that has its tickets: of that it is told with its merchant (18).
    """
    is_open = order.status == OrderStatus.REVIEW and not order.rejected
    is_silent = order.status in BASKET and not order.seen and (seen.answered or not order.checkouts)  # 15b
    if order.status in WAITING or is_open or is_silent or _has_its_tickets(order):
        return decision
    if decision.outcome is not Outcome.UNCHANGED or decision.reason in {Reason.NOT_WATCHED, Reason.BEFORE_OUR_TIME}:
        return decision
    ends = is_over(order, policy, now) and gives_up(order, policy, now)
    heard = _without_told(order, seen, decision)
    only_of_told = heard.answered and decision.reason is Reason.NO_ANSWER
    settled = replace(decision, reason=Reason.SETTLED) if only_of_told else decision
    if not ends or is_answer(order, heard, evidence, settled):
        return decision
    told = notices.given_up(decision.explanation, checkout_ids(order, evidence, policy))
    return replace(decision, notices=(*decision.notices, told))


def _without_told(order: Order, seen: Assessment, decision: Decision) -> Assessment:
    """Return this without the transactions that could not be read of payments that admins are told of anyway."""
    told = {checkout.checkout_id for checkout in order.seen if checkout.accounted}
    if decision.accounts:
        told |= {name for notice in decision.notices for name in notice.subject.split(",")}
    return replace(seen, unchecked=tuple(one for one in seen.unchecked if one.answer.id not in told))


def _told(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> tuple[Notice, ...]:
    done = order.fulfilment
    known = {checkout.checkout_id for checkout in order.seen if checkout.accounted}
    known |= done.payment_ids if done is not None else set()
    payments = [answer for answer in seen.money if not answer.payment_ids & known]
    open_still = left_open(order, seen, evidence, policy, now)
    if done is not None and _has_its_tickets(order):
        return (
            *notices.paid_twice(done, payments, policy.currency),  # 12a
            *notices.may_be_paid_twice(done, open_still),
        )
    told = notices.paid_not_issued(order, payments)
    # While its review is open, a person is to look at it anyway; once that is closed it is followed again (24c).
    return told if order.status == OrderStatus.REVIEW and not order.rejected else told + notices.may_be_paid(open_still)


def _has_its_tickets(order: Order) -> bool:
    """Say whether paypoll has fulfilled the order and the shop holds it to be paid, under whatever name."""
    return order.fulfilment is not None and order.status in {OrderStatus.COMPLETED, *SET_BY_SHOP}


def closed_at_last(
    order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime
) -> tuple[str, ...]:
    """Return what the last look has closed: nobody would notice if it were paid afterwards.

    A FAILED checkout takes another card as long as it lives. SumUp refuses to close most of them, which is no case.
    """
    is_last = is_over(order, policy, now) and evidence.clocks_agree and order.looked_at is not None
    if not is_last or not policy.close_before_expiry:
        return ()
    failed = (i for i in seen.failed if not page_is_over(seen.answers[i], now, timedelta(0), known=True))
    return tuple(checkout_id for checkout_id in (*seen.pending, *failed) if checkout_id not in evidence.closings)


def left_open(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Mapping[str, str]:
    """Return the checkouts that may be paid, or may have been, though the last look is made now, and why."""
    if not is_over(order, policy, now) or not evidence.clocks_agree:
        return {}
    left = {dispute.checkout_id: dispute.why for dispute in seen.disputed}
    left |= dict.fromkeys(seen.under_way, "a payment of it is under way")
    left |= {answer.id: f"it has the unknown status {answer.status[:40]}" for answer in seen.unknown_status}
    left |= {
        checkout_id: "it is PENDING, and SumUp did not close it"
        for checkout_id in seen.pending
        if _is_refused(evidence, checkout_id)
        and not page_is_over(seen.answers[checkout_id], now, PAGE_MARGIN, known=True)  # as in 4a
    }
    return left


def _is_refused(evidence: Evidence, checkout_id: str) -> bool:
    """Say whether SumUp has answered that it does not close a checkout. Without an answer it is asked again."""
    closing = evidence.closings.get(checkout_id)
    return closing is not None and not isinstance(closing, Found) and not is_silence(closing)
