"""What follows for the money of an order, or a listing fee, that is gone from the shop."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paypoll.payments.classify import assess, checkout_ids, is_answer
from paypoll.payments.decision import Decision, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.followed import closed_at_last, left_open
from paypoll.payments.gateway import CheckoutAnswer, Found, NotAllowed, NotFound
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import as_shown, is_over, next_look


@dataclass(frozen=True, slots=True)
class GoneLook:
    """What a look came to: the payments that are held, all that SumUp answered, and when the next look is due.

    `open`: after the last look, the checkouts that may be paid, or may have been, and why. So is each that SumUp never
    answered about until paypoll gave up.
    """

    decision: Decision
    payments: tuple[CheckoutAnswer, ...]
    open: Mapping[str, str]
    answers: Mapping[str, CheckoutAnswer]
    following: datetime | None


def decide_gone(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about what is gone: never tickets; what can still be paid is closed."""
    seen = assess(order, evidence, policy)
    order = as_shown(order, seen.answers, now)
    at_last = closed_at_last(order, seen, evidence, policy, now)
    payable = dict.fromkeys((*seen.pending, *at_last))
    close = tuple(checkout_id for checkout_id in payable if checkout_id not in evidence.closings)
    if payments := _held(order, evidence, policy, now):
        named = ", ".join(answer.id for answer in payments)
        return unchanged(Reason.PAID_BUT_VOID, f"gone from the shop, but SumUp holds payment {named}", close=close)
    reason = Reason.VOID if seen.answered else Reason.NO_ANSWER
    return unchanged(reason, "gone from the shop, and no money is known to be held", close=close)


def look_at_gone(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> GoneLook:
    """Decide about what is gone, and say when it is to be looked at again."""
    seen = assess(order, evidence, policy)
    decision, payments = decide_gone(order, evidence, policy, now), _held(order, evidence, policy, now)
    shown = as_shown(order, seen.answers, now)
    unspent, _ = seen.without_spent(order.spent_elsewhere)
    answered = is_answer(order, seen, evidence, decision) and len(payments) == len(unspent.money)
    following = next_look(
        shown,
        policy,
        now,
        status=order.status,
        outstanding=any(one not in evidence.closings for one in decision.close),
        answered=answered,
    )
    still = dict(left_open(shown, seen, evidence, policy, now))
    if following is None and not answered:  # given up, as in 20a
        unread = (
            one for one in checkout_ids(order, evidence, policy) if not isinstance(evidence.reads.get(one), Found)
        )
        still = dict.fromkeys(unread, "nothing that could be used, for ten times `verification.late_window`") | still
    return GoneLook(decision, payments, still, seen.answers, following)


def _held(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> tuple[CheckoutAnswer, ...]:
    """Return the payments that have not gone back: whoever deleted the order may have refunded it before."""
    seen, _ = assess(order, evidence, policy).without_spent(order.spent_elsewhere)
    known = (Found, NotAllowed, NotFound)  # the last two: what went back can never be read
    return tuple(
        answer
        for answer in seen.money
        if is_over(order, policy, now) or isinstance(evidence.transactions.get(answer.id, NotFound()), known)
    )
