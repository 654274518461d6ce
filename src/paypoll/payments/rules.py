"""The rules: what becomes of an order, given what SumUp said. Pure: no clock, no I/O, and every input has an outcome.

The rules are the acceptance table of docs/outcomes.md; the numbers in the comments are its rows. Tickets are
reachable in one place, `_honour`, and only with a `VerifiedPayment` (see `paypoll.payments.matching`). Orders without
a payment are ruled on in `paypoll.payments.unpaid`, those that are completed, in review or void in
`paypoll.payments.followed`.
"""

from collections import Counter
from datetime import datetime

from paypoll.payments import followed, notices, unpaid
from paypoll.payments.classify import Assessment, assess
from paypoll.payments.decision import Decision, Notice, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.matching import Flaw, VerifiedPayment
from paypoll.payments.notices import to_review
from paypoll.payments.order import Fulfilment, Order
from paypoll.payments.order_statuses import LATE, VOID, WAITING, WATCHED
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import as_shown, is_late_sight, is_over
from paypoll.payments.ticket_statuses import ADMITTING


def decide(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide what becomes of the order.

    `now` is an aware datetime; the order's age counts from its newest checkout, and one in the future counts as none.
    """
    everything = assess(order, evidence, policy)
    order = as_shown(order, everything.answers, now)
    decision = _decide(order, everything, evidence, policy, now)
    return followed.or_given_up(order, everything, evidence, decision, policy, now)


def _decide(order: Order, everything: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    seen, spent = everything.without_spent(order.spent_elsewhere)
    if order.status in VOID:
        return followed.decide_void(order, seen, evidence, policy, now)
    if order.status not in WATCHED:
        return followed.decide_followed(order, seen, evidence, policy, now)
    if order.status in WAITING and _is_worth_nothing(order):  # 30
        return _to_review(Reason.NOTHING_TO_PAY, [f"The order's total is {order.total}."], everything)
    if done := _issued_by_a_person(order, everything):  # 25c
        return _put_back(order, done)
    if seen.paid and order.records_of:
        found = [f"paypoll's records under this order's id are of {order.records_of}, so nothing is issued by itself."]
        found += [f"SumUp says PAID for checkout {', '.join(_ids(seen))}."]
        return to_review(Reason.ID_REUSED, found, payments=[order.number, *_ids(seen)])
    if seen.paid:
        return _decide_paid(order, seen, evidence, policy, now)
    if spent:
        found = [f"Checkout {answer.id} has already paid for another order." for answer in spent]
        return to_review(Reason.SPENT_ELSEWHERE, found, payments=[answer.id for answer in spent])
    return unpaid.decide_unpaid(order, seen, evidence, policy, now)


def _decide_paid(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    if seen.unchecked and not seen.verified:
        if is_over(order, policy, now) and evidence.clocks_agree and order.looked_at is not None:
            found = [
                f"SumUp says PAID for checkout {payment.answer.id}, but {payment.why}." for payment in seen.unchecked
            ]
            return _to_review(Reason.UNCONFIRMED, found, seen)
        return followed.unchecked(seen, "paid, but")
    if order.status in LATE and not seen.verified and all(payment.returned for payment in seen.flawed):
        rest = unpaid.decide_unpaid(order, seen, evidence, policy, now)  # another checkout of it may be open still
        if rest.reason is not Reason.STILL_UNPAID:
            return rest
        return unchanged(Reason.RETURNED, "paid and given back in full; nothing is owed")
    if order.had_refund or order.was_void:  # 24, 24b, and cancelled orders that the browser set back to waiting
        past = "a refund is on record" if order.had_refund else "it was cancelled or refunded before"
        return _to_review(Reason.REFUNDED, [f"SumUp says PAID, but in the shop {past}."], seen)
    if order.rejected:  # 24a
        found = ["SumUp says PAID, but a person has closed this order without tickets."]
        return _to_review(Reason.REJECTED, found, seen)
    if seen.verified:
        return _honour(order, seen, evidence, policy, now)
    if seen.no_answer:
        return unchanged(Reason.NO_ANSWER, f"a payment does not fit, and another checkout: {seen.no_answer[0].detail}")
    reason = Reason.MISMATCH  # 6 to 8, 13
    if all(flaw is Flaw.REFUNDED for payment in seen.flawed for flaw, _ in payment.flaws):  # 9, 24
        reason = Reason.REFUNDED
    found = [sentence for payment in seen.flawed for sentence in payment.sentences]
    return _to_review(reason, found, seen)


def _to_review(
    reason: Reason,
    found: list[str],
    seen: Assessment,
    extra: tuple[Notice, ...] = (),
    close: tuple[str, ...] = (),
) -> Decision:
    """Return the decision that a person must look, and name every payment: what is told once is told whole."""
    told = " ".join([*found, *(sentence for notice in extra for sentence in notice.found)])
    if unnamed := [checkout_id for checkout_id in _ids(seen) if checkout_id not in told]:
        found = [*found, f"SumUp says PAID for checkout {', '.join(unnamed)}."]
    return to_review(reason, found, extra, payments=_ids(seen), close=close)


def _ids(seen: Assessment) -> list[str]:
    """Return the checkouts that SumUp calls PAID."""
    return [answer.id for answer in seen.paid_answers]


def _honour(order: Order, seen: Assessment, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order with at least one verified payment: tickets, unless something speaks against them."""
    payment = _kept_payment(order, seen)
    if order.before_memory and not order.tickets and order.fulfilment is None:
        found = ["It is from before paypoll lost its records, and may have had its tickets already."]
        return _to_review(Reason.MEMORY_LOST, found, seen)
    extra = _paid_twice(order, payment, seen, policy)
    # 14; a FAILED one can still be paid on SumUp's page, too.
    payable = (*seen.pending, *seen.failed)
    close = tuple(checkout_id for checkout_id in payable if checkout_id not in evidence.closings)
    if order.tickets or order.fulfilment is not None:
        return _decide_again(order, payment, seen, extra, close)
    if obstacle := _obstacle(order, policy, now):
        reason, found = obstacle
        return _to_review(reason, found, seen, extra, close)
    if order.status in LATE or is_late_sight(order, policy, now):  # 20
        if obstacle := _late_obstacle(order, policy, now):
            reason, found = obstacle
            return _to_review(reason, found, seen, extra, close)
        late = (notices.paid_late(order), *extra)
        why = f"paid by checkout {payment.checkout_id} after it was {order.status}"
        return Decision(Outcome.COMPLETE, Reason.PAID_LATE, why, payment, late, close)
    if policy.review_when_full and (overfull := overfull_halls(order)):  # 28a
        found = [*overfull.values(), "Refund or admit."]
        return _to_review(Reason.HALL_FULL, found, seen, extra, close)
    why = f"paid by checkout {payment.checkout_id}; everything fits"  # 1, 5a, 11, 14
    return Decision(Outcome.COMPLETE, Reason.PAID, why, payment, extra, close)


def _kept_payment(order: Order, seen: Assessment) -> VerifiedPayment:
    """Choose the payment that the tickets rest on: the one they rest on already, else the first that was paid."""
    if order.fulfilment is not None:
        for payment in seen.verified:
            if payment.checkout_id == order.fulfilment.checkout_id:
                return payment
    in_order = sorted(seen.verified, key=lambda payment: payment.checkout_id)
    dated = [payment for payment in in_order if payment.paid_at is not None]
    return min(dated, key=lambda payment: payment.paid_at or order.created_at) if dated else in_order[0]


def _paid_twice(order: Order, payment: VerifiedPayment, seen: Assessment, policy: Policy) -> tuple[Notice, ...]:
    """Tell of every payment beside the one that the tickets rest on (12), or are to rest on.

    They rest on what is on record, also in a look in which SumUp does not show that; only where it has gone back in
    full the other one stands in for it.
    """
    done = order.fulfilment
    if done is not None and any(one.returned and one.answer.payment_ids & done.payment_ids for one in seen.flawed):
        done = None
    own = done.payment_ids if done is not None else payment.answer.payment_ids
    others = [answer for answer in seen.money if not answer.payment_ids & own]
    return notices.paid_twice(done or payment, others, policy.currency)


def _decide_again(
    order: Order, payment: VerifiedPayment, seen: Assessment, extra: tuple[Notice, ...], close: tuple[str, ...]
) -> Decision:
    """Decide about an order that has tickets, or once had: nothing is ever issued here."""
    if flaw := ticket_flaw(order):
        reason, found = flaw
        return to_review(reason, [found], extra, payments=[payment.checkout_id])
    if order.fulfilment is None:  # 25b
        told = (notices.issued_by_shop(), *extra)
        why = "the shop had issued all tickets; the payment is verified"
        return Decision(Outcome.RESTORE, Reason.ISSUED_BY_SHOP, why, payment, told, close)
    if not order.is_paid:  # 25a: whoever saved this had read the order before it was paid
        why = "an old copy of the order was saved over what paypoll had written; put back"
        return Decision(Outcome.RESTORE, Reason.OVERWRITTEN, why, payment, extra, close)
    own = order.fulfilment.payment_ids
    went_back = any(one.returned and one.answer.payment_ids & own for one in seen.flawed)
    checked = payment.refund_checked and bool(payment.answer.payment_ids & own)
    paid_by = payment.checkout_id if went_back else ""
    told = (notices.replayed(refund_checked=checked or went_back, paid_by=paid_by), *extra)  # 23
    why = "set back to waiting although it has its tickets; put back"
    return Decision(Outcome.RESTORE, Reason.REPLAYED, why, payment, told, close)


def _issued_by_a_person(order: Order, seen: Assessment) -> Fulfilment | None:
    """Return the fulfilment of an order whose tickets a person issued against what SumUp says, if it still stands.

    No payment fits such an order, so `_honour` never sees it. What was given back, or judged since, is a case.
    """
    done = order.fulfilment
    if done is None or any(payment.checkout_id == done.checkout_id for payment in seen.verified):
        return None
    judged = order.had_refund or order.was_void or order.rejected
    own = [payment for payment in seen.flawed if payment.answer.id == done.checkout_id]
    gone_back = any(flaw is Flaw.REFUNDED for payment in own for flaw, _ in payment.flaws)
    if not done.by_person or judged or gone_back or ticket_flaw(order) is not None:
        return None
    return done


def _put_back(order: Order, done: Fulfilment) -> Decision:
    if not order.is_paid:
        why = f"an old copy was saved over an order that a person issued on {done.fulfilled_at:%d %B %Y}; put back"
        return Decision(Outcome.RESTORE, Reason.OVERWRITTEN, why)
    why = "set back to waiting although a person issued its tickets; put back"
    return Decision(Outcome.RESTORE, Reason.REPLAYED, why, notices=(notices.replayed(refund_checked=False),))


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
    if void := name_void_tickets(order):  # 24
        return Reason.REFUNDED, f"Tickets do not admit any more: {', '.join(void)}."
    return None


def name_void_tickets(order: Order) -> list[str]:
    """Return the order's tickets that admit nobody, each with its status."""
    return [f"{ticket.number} ({ticket.status})" for ticket in order.tickets if ticket.status not in ADMITTING]


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


def _is_worth_nothing(order: Order) -> bool:
    # NaN, which PostgreSQL's numeric takes as well, cannot be compared.
    return not order.total.is_finite() or order.total <= 0
