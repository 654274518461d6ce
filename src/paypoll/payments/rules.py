"""The rules: what becomes of an order, given what SumUp said. Pure: no clock, no I/O, and every input has an outcome.

The rules are the acceptance table of docs/outcomes.md; the numbers in the comments are its rows. Tickets are
reachable in one place, `_honour`, and only with a `VerifiedPayment` (see `paypoll.payments.matching`).
"""

from collections import Counter
from datetime import datetime, timedelta

from paypoll.payments import notices
from paypoll.payments.classify import Assessment, assess
from paypoll.payments.decision import Decision, Notice, Outcome, Reason
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed
from paypoll.payments.matching import Flaw, VerifiedPayment
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.statuses import BASKET, LATE, VOID, WAITING, WATCHED

VOID_TICKETS = frozenset({"cancelled", "refunded"})
"""Ticket statuses that admit nobody any more."""


def decide(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide what becomes of the order.

    `now` is an aware datetime; the order's age counts from `created_at`, and one in the future counts as none.
    """
    if order.status not in WATCHED:
        return _unchanged(Reason.NOT_WATCHED, f"paypoll leaves orders that are {order.status} alone")
    seen = assess(order, evidence, policy)
    if order.status in VOID:
        return _decide_void(order, seen)
    if order.status in WAITING and _is_worth_nothing(order):  # 30
        return _review(Reason.NOTHING_TO_PAY, [f"The order's total is {order.total}."])
    if seen.paid:
        return _decide_paid(order, seen, evidence, policy, now)
    return _decide_unpaid(order, seen, evidence, policy, now)


# ---------------------------------------------------------------------------------------------------------
# Money was taken
# ---------------------------------------------------------------------------------------------------------


def _decide_paid(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    if seen.unchecked:
        return _unchecked(seen, "paid, but")
    if order.status in LATE and not seen.verified and all(payment.returned for payment in seen.flawed):
        return _unchanged(Reason.RETURNED, "paid and given back in full; nothing is owed")
    if order.had_refund or order.was_void:  # 24, and cancelled orders that the browser set back to waiting
        past = "a refund is on record" if order.had_refund else "it was cancelled or refunded before"
        return _review(Reason.REFUNDED, [f"SumUp says PAID, but in the shop {past}."])
    if order.rejected:  # 24a
        return _review(Reason.REJECTED, ["SumUp says PAID, but a person has closed this order without tickets."])
    if seen.verified:
        return _honour(order, seen, evidence, policy, now)
    if seen.silences:
        return _unchanged(Reason.NO_ANSWER, f"a payment does not fit, and another checkout: {seen.silences[0].detail}")
    reason = Reason.MISMATCH  # 6 to 8, 13
    if all(flaw is Flaw.REFUNDED for payment in seen.flawed for flaw, _ in payment.flaws):  # 9, 24
        reason = Reason.REFUNDED
    return _review(reason, [sentence for payment in seen.flawed for sentence in payment.sentences])


def _honour(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order with at least one verified payment: tickets, unless something speaks against them."""
    payment = _kept_payment(order, seen)
    if payment.sumup_ids & order.spent_elsewhere:
        found = [f"Checkout {payment.checkout_id} has already paid for another order."]
        return _review(Reason.SPENT_ELSEWHERE, found)
    surplus = [other.answer for other in seen.verified if other is not payment]
    surplus += [other.answer for other in seen.flawed if not other.returned]
    extra = notices.paid_twice(payment, surplus, policy.currency)  # 12
    extra += notices.may_be_paid_twice(payment, _left_open(seen, evidence))
    # 14; a FAILED one can still be paid on SumUp's page, too.
    payable = (*seen.pending, *seen.failed)
    close = tuple(checkout_id for checkout_id in payable if checkout_id not in evidence.closings)
    if order.tickets or order.fulfilment is not None:
        return _decide_again(order, payment, extra, close)
    if obstacle := _obstacle(order, policy, now):
        reason, found = obstacle
        return _review(reason, [*found, f"SumUp says PAID for checkout {payment.checkout_id}."], extra)
    if order.status in LATE:  # 20
        if obstacle := _late_obstacle(order, policy, now):
            reason, found = obstacle
            return _review(reason, found, extra)
        late = (notices.paid_late(order), *extra)
        why = f"paid by checkout {payment.checkout_id} after it was {order.status}"
        return Decision(Outcome.COMPLETE, Reason.PAID_LATE, why, payment, late, close)
    if policy.review_when_full and (overfull := overfull_halls(order)):  # 28a
        return _review(Reason.HALL_FULL, [*overfull.values(), "Refund or admit."], extra)
    why = f"paid by checkout {payment.checkout_id}; everything fits"  # 1, 5a, 11, 14
    return Decision(Outcome.COMPLETE, Reason.PAID, why, payment, extra, close)


def _left_open(seen: Assessment, evidence: Evidence) -> dict[str, str]:
    """Return the checkouts that may be paid, now or later, though nobody will ask about them again, and why.

    A completed order is out of the watch. A FAILED one that refuses to be closed is not among them: SumUp refuses that
    of nearly every one (row 11).
    """
    silent = {
        checkout_id: f"SumUp gave no usable answer about it: {look.detail}"
        for checkout_id, look in evidence.reads.items()
        if isinstance(look, NoAnswer | BrokenAnswer | NotAllowed)
    }
    open_still = {
        checkout_id: "it is PENDING, and SumUp did not close it"
        for checkout_id in seen.pending
        if checkout_id in evidence.closings and not isinstance(evidence.closings[checkout_id], Found)
    }
    return silent | open_still


def _kept_payment(order: Order, seen: Assessment) -> VerifiedPayment:
    """Choose the payment that the tickets rest on: the one they rest on already, else the first that was paid."""
    if order.fulfilment is not None:
        for payment in seen.verified:
            if payment.checkout_id == order.fulfilment.checkout_id:
                return payment
    in_order = sorted(seen.verified, key=lambda payment: payment.checkout_id)
    dated = [payment for payment in in_order if payment.paid_at is not None]
    return min(dated, key=lambda payment: payment.paid_at or order.created_at) if dated else in_order[0]


def _decide_again(
    order: Order, payment: VerifiedPayment, extra: tuple[Notice, ...], close: tuple[str, ...]
) -> Decision:
    """Decide about an order that has tickets, or once had: nothing is ever issued here."""
    if flaw := ticket_flaw(order):
        reason, found = flaw
        return _review(reason, [found], extra)
    if order.fulfilment is None:  # 25b
        told = (notices.issued_by_shop(), *extra)
        why = "the shop had issued all tickets; the payment is verified"
        return Decision(Outcome.RESTORE, Reason.ISSUED_BY_SHOP, why, payment, told, close)
    if not order.is_paid:  # 25a: whoever saved this had read the order before it was paid
        why = "an old copy of the order was saved over what paypoll had written; put back"
        return Decision(Outcome.RESTORE, Reason.OVERWRITTEN, why, payment, extra, close)
    told = (notices.replayed(refund_checked=payment.refund_checked), *extra)  # 23
    why = "set back to waiting although it has its tickets; put back"
    return Decision(Outcome.RESTORE, Reason.REPLAYED, why, payment, told, close)


def ticket_flaw(order: Order) -> tuple[Reason, str] | None:
    """Return why the tickets of an order that has them, or once had, are not simply all that were ordered."""
    wanted = Counter[int]()
    for item in order.items:
        if item.event is not None:
            wanted[item.event.id] += item.quantity
    there = Counter(ticket.event_id for ticket in order.tickets)
    if not order.tickets:
        return Reason.TICKETS_GONE, "paypoll issued this order's tickets, and none is left."
    if there != +wanted:  # 25
        counts = f"{there.total()} tickets exist, {wanted.total()} were ordered, or they are for other events."
        return Reason.TICKETS_INCOMPLETE, counts
    void = [ticket.number for ticket in order.tickets if ticket.status in VOID_TICKETS]
    if void:  # 24
        return Reason.REFUNDED, f"Tickets were cancelled or refunded: {', '.join(void)}."
    return None


def _obstacle(order: Order, policy: Policy, now: datetime) -> tuple[Reason, list[str]] | None:
    """Return what forbids issuing the tickets of this order, however well it is paid."""
    if _is_worth_nothing(order):  # 30; a payment of nothing buys nothing, however well it fits
        return Reason.NOTHING_TO_PAY, [f"The order's total is {order.total}."]
    if not order.items:  # 30
        return Reason.NO_ITEMS, ["The order has no items."]
    for item in order.items:
        if not 1 <= item.quantity <= policy.max_quantity:  # 29
            found = f"{item.quantity} places were ordered for {item.event_title}, not 1 to {policy.max_quantity}."
            return Reason.BAD_QUANTITY, [found]
        if item.event is None:  # 28
            return Reason.EVENT_GONE, [f"{item.event_title} is no longer in the shop."]
        if item.event.status == "cancelled":
            return Reason.EVENT_CANCELLED, [f"{item.event.title} was cancelled."]
        if item.event.status == "completed" or policy.is_over(item.event, now):
            return Reason.EVENT_OVER, [f"{item.event.title} was on {item.event.starts_on:%d %B %Y}."]
    if order.account is None and order.user_id is None and not policy.create_guest_accounts:  # 27
        return Reason.NO_ACCOUNT, ["The buyer has no account, and tickets.create_guest_accounts is off."]
    if "|" in (order.account.email if order.account else order.email):
        return Reason.BAD_ACCOUNT_EMAIL, ["The account's e-mail contains '|', which the shop's scanner cannot read."]
    return None


def _late_obstacle(order: Order, policy: Policy, now: datetime) -> tuple[Reason, list[str]] | None:
    """Return what forbids honouring a late payment: the event has begun, or the hall is full."""
    asked = _places_asked(order)
    for item in order.items:
        event = item.event
        if event is None or policy.starts(event) <= now:
            return Reason.TOO_LATE, [f"The payment arrived after {item.event_title} began: refund or admit."]
        if event.taken is None or event.taken + asked[event.id] > event.capacity:  # 20b
            taken = "an unknown number" if event.taken is None else event.taken
            found = f"{event.title} has {event.capacity} places and {taken} are taken: refund or admit."
            return Reason.HALL_FULL, [found]
    return None


def overfull_halls(order: Order) -> dict[int, str]:
    """Return in which events this order takes more places than there are (28a), each with a sentence of the numbers.

    An order that was paid in time counts against the tickets alone: `sold` may hold the order itself.
    """
    asked = _places_asked(order)
    halls = {item.event.id: item.event for item in order.items if item.event is not None}
    return {
        hall.id: f"{hall.title} has {hall.capacity} places, {hall.issued} have tickets already, and order "
        f"{order.number} is for {asked[hall.id]} more."
        for hall in halls.values()
        if hall.issued is not None and hall.issued + asked[hall.id] > hall.capacity
    }


def _places_asked(order: Order) -> Counter[int]:
    asked = Counter[int]()
    for item in order.items:
        if item.event is not None:
            asked[item.event.id] += item.quantity
    return asked


# ---------------------------------------------------------------------------------------------------------
# No money was taken, as far as is known
# ---------------------------------------------------------------------------------------------------------


def _decide_unpaid(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    if doubt := _doubt(seen):  # 10, 18, 19
        return doubt
    if order.status in BASKET:  # 5b
        return _unchanged(Reason.ABANDONED, "the customer has neither paid nor come back")
    if order.status in LATE:
        return _unchanged(Reason.STILL_UNPAID, f"{order.status}, and no payment has arrived")
    if seen.unaskable:
        return _review(Reason.BAD_CHECKOUT_ID, [f"{seen.unaskable[0]!r} cannot be a checkout id of SumUp's."])
    if not seen.known_at_sumup:
        return _decide_missing(order)
    if order.tickets:
        return _review(Reason.TICKETS_UNPAID, [f"{len(order.tickets)} tickets exist; SumUp knows no payment."])
    age = max(now - order.created_at, timedelta(0))
    if seen.pending and age < policy.max_age:  # 2, 11a
        return _unchanged(Reason.STILL_PENDING, f"checkout {seen.pending[0]} is PENDING")
    if seen.pending:  # 4
        return _decide_too_old(seen, evidence, policy)
    if evidence.closings:
        why = "still PENDING at the age limit; closed at SumUp, so that it cannot be paid any more"
        return Decision(Outcome.EXPIRE, Reason.TOO_OLD, why, notices=(notices.expired(why),))
    if seen.failed:  # 3
        return Decision(Outcome.FAIL, Reason.PAYMENT_FAILED, f"checkout {seen.failed[0]} is FAILED")
    why = f"checkout {seen.expired[0]} is EXPIRED"  # 5
    return Decision(Outcome.EXPIRE, Reason.CHECKOUT_EXPIRED, why, notices=(notices.expired(why),))


def _doubt(seen: Assessment) -> Decision | None:
    """Return "unchanged" where anything is not known: a missing answer never counts against a customer."""
    if seen.refusals:  # 18; the run tells of it once a merchant
        return _unchanged(Reason.NOT_ALLOWED, f"SumUp refuses the credential: {seen.refusals[0].detail}")
    if seen.oddities:  # 10
        found = [oddity.detail for oddity in seen.oddities]
        return _unchanged(Reason.BROKEN_ANSWER, found[0], (notices.broken_answer(found),))
    if seen.strange:
        answer = seen.strange[0]
        why = f"checkout {answer.id} has the unknown status {answer.status[:40]}"
        return _unchanged(Reason.UNKNOWN_STATUS, why, (notices.unknown_status(answer),))
    if seen.silences or not seen.searched:  # 19; 15a: a lookup by reference that was not made is no answer either
        why = seen.silences[0].detail if seen.silences else "not every lookup by reference was answered"
        return _unchanged(Reason.NO_ANSWER, why)
    return None


def _decide_missing(order: Order) -> Decision:
    stored = [checkout_id for checkout in order.checkouts for checkout_id in checkout.checkout_ids]
    if stored:  # 16
        return _review(Reason.NOT_FOUND, [f"SumUp does not know checkout {', '.join(stored)}."])
    if order.missing_checks == 0:  # 15: the shop may be about to make it
        return _unchanged(Reason.MISSING_ONCE, "SumUp knows no checkout of this order; asked again in the next run")
    return _review(Reason.NOT_FOUND, [f"SumUp knows no checkout under {', '.join(order.references)}."])


def _decide_too_old(seen: Assessment, evidence: Evidence, policy: Policy) -> Decision:
    """Decide about an order that is still PENDING at the age limit: close its checkouts, then expire it."""
    if policy.close_before_expiry:
        untried = tuple(checkout_id for checkout_id in seen.pending if checkout_id not in evidence.closings)
        if untried:
            why = f"PENDING at the age limit; checkout {untried[0]} is to be closed first"
            return _unchanged(Reason.CLOSING_FIRST, why, close=untried)
        unanswered = [
            closing
            for checkout_id in seen.pending
            if isinstance(closing := evidence.closings[checkout_id], NoAnswer | BrokenAnswer)
        ]
        if unanswered:  # promise 4: nothing expires because SumUp did not answer
            return _unchanged(Reason.NO_ANSWER, f"SumUp did not say whether it closed it: {unanswered[0].detail}")
    why = f"checkout {seen.pending[0]} is still PENDING at the age limit"
    if policy.close_before_expiry:
        why += ", and SumUp refuses to close it"
    return Decision(Outcome.EXPIRE, Reason.TOO_OLD, why, notices=(notices.expired(why),))


# ---------------------------------------------------------------------------------------------------------
# Cancelled and refunded orders
# ---------------------------------------------------------------------------------------------------------


def _decide_void(order: Order, seen: Assessment) -> Decision:
    """Decide about a cancelled or refunded order: never tickets; told if money was taken and not given back (22)."""
    if seen.unchecked:
        return _unchecked(seen, f"{order.status}, and")
    kept = [payment.answer for payment in seen.verified]
    kept += [payment.answer for payment in seen.flawed if not payment.returned]
    if kept:
        why = f"{order.status}, but SumUp holds a payment"
        return _unchanged(Reason.PAID_BUT_VOID, why, (notices.paid_but_void(kept),))
    if seen.silences or seen.refusals or seen.oddities:
        return _unchanged(Reason.NO_ANSWER, f"{order.status}; SumUp did not say whether a payment arrived")
    return _unchanged(Reason.VOID, f"{order.status}, and no money is held")


def _unchecked(seen: Assessment, state: str) -> Decision:
    """Wait for what SumUp says about a refund. An answer that cannot be used may never be: of that, admins are told."""
    found = [payment.why for payment in seen.unchecked if payment.broken]
    told = (notices.broken_answer(found),) if found else ()
    reason = Reason.BROKEN_ANSWER if found else Reason.NO_ANSWER
    why = f"{state} SumUp did not say whether it was refunded: {seen.unchecked[0].why}"
    return _unchanged(reason, why, told)


def _is_worth_nothing(order: Order) -> bool:
    # NaN, which PostgreSQL's numeric takes as well, cannot be compared.
    return not order.total.is_finite() or order.total <= 0


def _unchanged(
    reason: Reason, explanation: str, told: tuple[Notice, ...] = (), close: tuple[str, ...] = ()
) -> Decision:
    return Decision(Outcome.UNCHANGED, reason, explanation, notices=told, close=close)


def _review(reason: Reason, found: list[str] | tuple[str, ...], extra: tuple[Notice, ...] = ()) -> Decision:
    told = (notices.review(reason, found), *extra)
    return Decision(Outcome.REVIEW, reason, " ".join(found), notices=told)
