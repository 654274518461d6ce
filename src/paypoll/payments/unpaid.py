"""What becomes of an order for which SumUp shows no payment: it waits, fails, expires, or is a case for a person.

An order fails or expires only on a definite and fresh "not paid". What SumUp did not say, or says in two ways, never
counts against a customer; what is still so when the window is over goes to a person.
"""

from datetime import datetime, timedelta

from paypoll.payments import notices
from paypoll.payments.classify import Assessment, row_of
from paypoll.payments.decision import Decision, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.followed import closed_at_last
from paypoll.payments.gateway import BrokenAnswer, CheckoutAnswer, Found, NoAnswer
from paypoll.payments.hosted_page import PAGE_MARGIN, page_is_over
from paypoll.payments.notices import to_review
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import BASKET, LATE
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import is_late_sight, is_over

_TOLD_FOR = timedelta(hours=24)
"""A buyer who was declined longer ago is not written to out of the blue."""


def decide_unpaid(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order without a payment. Every order that gets here is WAITING, BASKET or LATE."""
    if doubt := _doubt(seen):  # 10, 18, 19
        return doubt
    if not evidence.clocks_agree:  # 46; by such a clock no window is over either
        minutes = int(evidence.clock_difference.total_seconds() // 60)
        why = f"SumUp's clock and this host's differ by {minutes} minutes: ages mean nothing"
        return unchanged(Reason.CLOCKS_DIFFER, why)
    if unresolved := _unresolved(order, seen, policy, now):  # 3a, 3b
        return unresolved
    if is_late_sight(order, policy, now):
        return unchanged(Reason.BEFORE_OUR_TIME, "seen for the first time when its window was over, and unpaid")
    if order.status in BASKET:
        return _decide_basket(order, seen, policy, now)
    if order.status in LATE:
        return _decide_late(order, seen, evidence, policy, now)
    return _decide_waiting(order, seen, evidence, policy, now)


def _decide_waiting(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    if seen.unaskable:
        return to_review(Reason.BAD_CHECKOUT_ID, [f"{seen.unaskable[0]!r} cannot be a checkout id of SumUp's."])
    if not seen.known_at_sumup:
        return _decide_missing(order, policy)
    if order.tickets:
        found = [f"{len(order.tickets)} tickets exist; SumUp knows no payment."]
        return to_review(Reason.TICKETS_UNPAID, found)
    young = [i for i in seen.pending if _age(order, seen.answers[i], now) < policy.max_age]
    if young:  # 2, 4b, 11a
        return unchanged(Reason.STILL_PENDING, f"checkout {young[0]} is PENDING")
    if stored := [i for i in seen.missing if row_of(order, i) is not None]:  # 16a
        return to_review(Reason.NOT_FOUND, [f"SumUp does not know checkout {', '.join(stored)}."])
    if seen.pending:  # 4
        return _decide_too_old(order, seen, evidence, policy, now)
    if evidence.closings:
        why = "still PENDING at the age limit; closed at SumUp, so that it cannot be paid any more"
        return Decision(Outcome.EXPIRE, Reason.TOO_OLD, why, notices=(notices.expired(why),))
    if seen.failed:  # 3
        return _decide_failed(order, seen, policy, now)
    why = f"checkout {seen.expired[0]} is EXPIRED"  # 5
    return Decision(Outcome.EXPIRE, Reason.CHECKOUT_EXPIRED, why, notices=(notices.expired(why),))


def _unresolved(order: Order, seen: Assessment, policy: Policy, now: datetime) -> Decision | None:
    """Return what follows from answers that contradict each other, or from a payment that is being made just now."""
    if not seen.disputed and not seen.under_way:
        return None
    reason = Reason.CONTRADICTION if seen.disputed else Reason.UNDER_WAY
    why = [dispute.why for dispute in seen.disputed]
    why += [f"a payment of checkout {checkout_id} is under way" for checkout_id in seen.under_way]
    ids = [*(dispute.checkout_id for dispute in seen.disputed), *seen.under_way]
    if is_over(order, policy, now):
        found = [f"{text[:1].upper()}{text[1:]}, and that has not been resolved." for text in why]
        return to_review(reason, found, payments=ids)
    return unchanged(reason, "; ".join(why))


def _decide_basket(order: Order, seen: Assessment, policy: Policy, now: datetime) -> Decision:
    """Decide about an order whose buyer never came back to the shop (5b), but for one who was declined (3d)."""
    declined = [seen.answers[i] for i in seen.failed]
    newest = max((_tried_at(order, answer, now) for answer in declined), default=None)
    if newest is not None and not seen.pending and now - newest < _TOLD_FOR:
        if all(page_is_over(answer, now, timedelta(0)) for answer in declined):
            return _decide_failed(order, seen, policy, now)
        return unchanged(Reason.RETRYING, f"checkout {seen.failed[0]} is FAILED, and its page still takes a card")
    return unchanged(Reason.ABANDONED, "the customer has neither paid nor come back")


def _decide_late(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order that has failed or expired: it is left so, and at its window's end made unpayable."""
    still = unchanged(Reason.STILL_UNPAID, f"{order.status}, and no payment has arrived")
    if not is_over(order, policy, now) or not policy.close_before_expiry:
        return still
    if untried := closed_at_last(order, seen, evidence, policy, now):
        return unchanged(Reason.CLOSING_FIRST, f"checkout {untried[0]} is to be closed at last", close=untried)
    return _not_closed(order, seen, evidence, policy, now) or still


def _decide_failed(order: Order, seen: Assessment, policy: Policy, now: datetime) -> Decision:
    for checkout_id in seen.failed:  # 3c
        since = max(now - _tried_at(order, seen.answers[checkout_id], now), timedelta(0))  # SumUp's clock may be ahead
        if since < policy.failed_grace:
            why = f"checkout {checkout_id} is FAILED just now; the buyer may be trying another card"
            return unchanged(Reason.RETRYING, why)
    return Decision(Outcome.FAIL, Reason.PAYMENT_FAILED, f"checkout {seen.failed[0]} is FAILED")


def _decide_too_old(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order that is still PENDING at the age limit: close its checkouts, then expire it."""
    if policy.close_before_expiry:
        untried = tuple(checkout_id for checkout_id in seen.pending if checkout_id not in evidence.closings)
        if untried:
            why = f"PENDING at the age limit; checkout {untried[0]} is to be closed first"
            return unchanged(Reason.CLOSING_FIRST, why, close=untried)
        if waits := _not_closed(order, seen, evidence, policy, now):
            return waits
    why = f"checkout {seen.pending[0]} is still PENDING at the age limit"
    if policy.close_before_expiry:
        why += ", and its page is over"
    return Decision(Outcome.EXPIRE, Reason.TOO_OLD, why, notices=(notices.expired(why),))


def _not_closed(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision | None:
    """Return what follows where SumUp did not close a checkout that reads PENDING (4a); None where its page is over.

    Promise 4: nothing expires because SumUp did not answer, or because a payment is being made.
    """
    for checkout_id in seen.pending:
        if page_is_over(seen.answers[checkout_id], now, PAGE_MARGIN, known=True):
            continue
        closing = evidence.closings.get(checkout_id)
        if isinstance(closing, NoAnswer | BrokenAnswer):
            return unchanged(Reason.NO_ANSWER, f"SumUp did not say whether it closed it: {closing.detail}")
        said = "" if closing is None or isinstance(closing, Found) else closing.detail
        why = f"checkout {checkout_id} is PENDING, and SumUp does not close it: {said or 'it said nothing more'}"
        if is_over(order, policy, now):
            found = [f"C{why[1:]}. It could not be closed, so it may still be paid."]
            return to_review(Reason.NOT_CLOSED, found, payments=[checkout_id])
        return unchanged(Reason.NOT_CLOSED, why)
    return None


def _age(order: Order, answer: CheckoutAnswer, now: datetime) -> timedelta:
    """Return how old a checkout is: a fresh try at an old order is young (4b). One of the future counts as of now."""
    row = row_of(order, answer.id)
    made = [order.created_at, *([answer.made_at] if answer.made_at else []), *([row.created_at] if row else [])]
    return max(now - max(made), timedelta(0))


def _tried_at(order: Order, answer: CheckoutAnswer, now: datetime) -> datetime:
    """Return when the last attempt at a FAILED checkout was made, by SumUp, else when paypoll first saw it FAILED."""
    since = next((seen.failed_since for seen in order.seen if seen.checkout_id == answer.id), None)
    newest = answer.newest_attempt
    known = [moment for moment in (newest.timestamp if newest else None, since) if moment is not None]
    return min(known, default=now)


def _doubt(seen: Assessment) -> Decision | None:
    """Return "unchanged" where anything is not known: a missing answer never counts against a customer."""
    if seen.not_allowed:  # 18; the run tells of it once a merchant
        return unchanged(Reason.NOT_ALLOWED, f"SumUp refuses the credential: {seen.not_allowed[0].detail}")
    if seen.broken:  # 10
        found = [answer.detail for answer in seen.broken]
        return unchanged(Reason.BROKEN_ANSWER, found[0], (notices.broken_answer(found),))
    if seen.unknown_status:
        answer = seen.unknown_status[0]
        why = f"checkout {answer.id} has the unknown status {answer.status[:40]}"
        return unchanged(Reason.UNKNOWN_STATUS, why, (notices.unknown_status(answer),))
    if seen.no_answer or not seen.searched:  # 19; 15a: a lookup by reference that was not made is no answer either
        why = seen.no_answer[0].detail if seen.no_answer else "not every lookup by reference was answered"
        return unchanged(Reason.NO_ANSWER, why)
    return None


def _decide_missing(order: Order, policy: Policy) -> Decision:
    stored = [checkout_id for checkout in order.checkouts for checkout_id in checkout.checkout_ids]
    if stored:  # 16
        return to_review(Reason.NOT_FOUND, [f"SumUp does not know checkout {', '.join(stored)}."])
    if order.missing_checks == 0:  # 15: the shop may be about to make it
        return unchanged(Reason.MISSING_ONCE, "SumUp knows no checkout of this order; asked again in the next run")
    return to_review(Reason.NOT_FOUND, [f"SumUp knows no checkout under {', '.join(policy.references_of(order))}."])
