"""What follows for the money of an order, or a listing fee, that is gone from the shop."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paypoll.payments.classify import assess, is_denied
from paypoll.payments.decision import Decision, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import CheckoutAnswer, Found, NotAllowed, NotFound
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import as_shown, is_over, next_look


@dataclass(frozen=True, slots=True)
class GoneLook:
    """What a look came to: the payments that are held, all that SumUp answered, and when the next look is due."""

    decision: Decision
    payments: tuple[CheckoutAnswer, ...]
    answers: Mapping[str, CheckoutAnswer]
    following: datetime | None


def decide_gone(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about what is gone: never tickets; what can still be paid is closed."""
    seen = assess(order, evidence, policy)
    close = tuple(checkout_id for checkout_id in seen.pending if checkout_id not in evidence.closings)
    if payments := _held(order, evidence, policy, now):
        named = ", ".join(answer.id for answer in payments)
        return unchanged(Reason.PAID_BUT_VOID, f"gone from the shop, but SumUp holds payment {named}", close=close)
    reason = Reason.VOID if seen.answered else Reason.NO_ANSWER
    return unchanged(reason, "gone from the shop, and no money is known to be held", close=close)


def look_at_gone(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> GoneLook:
    """Decide about what is gone, and say when it is to be looked at again."""
    seen = assess(order, evidence, policy)
    decision, payments = decide_gone(order, evidence, policy, now), _held(order, evidence, policy, now)
    following = next_look(
        as_shown(order, seen.answers, now),
        policy,
        now,
        status=order.status,
        outstanding=any(one not in evidence.closings for one in decision.close),
        answered=seen.answered and not is_denied(order, seen) and len(payments) == len(seen.money),
    )
    return GoneLook(decision, payments, seen.answers, following)


def _held(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> tuple[CheckoutAnswer, ...]:
    """Return the payments that have not gone back: whoever deleted the order may have refunded it before."""
    seen, _ = assess(order, evidence, policy).without_spent(order.spent_elsewhere)
    known = (Found, NotAllowed, NotFound)  # the last two: what went back can never be read
    return tuple(
        answer
        for answer in seen.money
        if is_over(order, policy, now) or isinstance(evidence.transactions.get(answer.id, NotFound()), known)
    )
