"""What stands for and against issuing the tickets of an order in review. Pure: nothing is asked or written here."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from paypoll.admin.completion import as_unfulfilled, obstacle_to_completion
from paypoll.payments import notices
from paypoll.payments.classify import Assessment, assess
from paypoll.payments.decision import Decision, Notice
from paypoll.payments.evidence import Evidence
from paypoll.payments.matching import FlawedPayment, UncheckedPayment, VerifiedPayment
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.override import OverriddenPayment, rest_on
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide, ticket_flaw

Shown: TypeAlias = VerifiedPayment | UncheckedPayment | FlawedPayment


@dataclass(frozen=True, slots=True)
class Case:
    """An order in review with what SumUp says about it now.

    `objections` is what stands against issuing its tickets, a sentence each; empty: it is as paid as any other.
    `forbidden` is why they cannot be issued at all, not even by overriding; empty: they can. `restores`: the tickets
    are there, and issuing only puts the order back to completed.
    """

    order: Order
    evidence: Evidence
    asked_at: datetime
    decision: Decision
    objections: tuple[str, ...]
    forbidden: str
    restores: bool
    still_payable: tuple[str, ...]

    @property
    def buys(self) -> object:
        """Its places."""
        return [(item.id, item.event and item.event.id, item.quantity) for item in self.order.items]


def weigh(order: Order, evidence: Evidence, policy: Policy, asked_at: datetime, now: datetime) -> Case:
    """Hold the order against what SumUp said: what a run would decide if the order were still waiting."""
    in_review = order.status == OrderStatus.REVIEW
    undone = "" if in_review else obstacle_to_completion(order)
    weighed = order if in_review else as_unfulfilled(order)
    decision = decide(as_if_waiting(weighed), evidence, patient(policy), now)
    seen = _assess(weighed, evidence, policy)
    return Case(
        order=order,
        evidence=evidence,
        asked_at=asked_at,
        decision=decision,
        objections=objections_to(decision, seen),
        forbidden=undone or _forbidden(weighed, seen, policy),
        restores=bool(weighed.tickets) or weighed.fulfilment is not None,
        still_payable=seen.pending,
    )


def objections_to(decision: Decision, seen: Assessment) -> tuple[str, ...]:
    """Return what stands against what a person wants, a sentence each: why a run does not find it paid."""
    if decision.payment is not None:
        return ()
    said = _sentence(decision.explanation)
    return (said, *(flaw for payment in seen.flawed for flaw in payment.sentences if flaw not in said))


def _forbidden(order: Order, seen: Assessment, policy: Policy) -> str:
    """Return why nobody may issue this order's tickets, whatever the reason given; empty when they may be issued."""
    if order.fulfilment is None and is_all_spent(seen, order.spent_elsewhere):
        return "its payment has paid for another order already, and cannot pay for two"
    if order.records_of:
        return f"paypoll's records under its id are of {order.records_of}: refund the payment"
    if order.tickets or order.fulfilment is not None:
        flaw = ticket_flaw(order)
        return f"{flaw[1]} No place gets a second ticket: put them right in the shop's admin" if flaw else ""
    if not order.items or any(item.quantity < 1 for item in order.items):
        return "it has no items, or one without places: there is no ticket to issue"
    if any(item.event is None for item in order.items):
        return "an event of it is no longer in the shop, and a ticket must be for an event"
    if order.account is None and order.user_id is None and not policy.create_guest_accounts:
        return "the buyer has no account, and tickets.create_guest_accounts is off: make the account in the shop"
    if "|" in (order.account.email if order.account else order.email):
        return "the account's e-mail contains '|', which the shop's scanner cannot read: correct it in the shop"
    return ""


def payment_of(case: Case, policy: Policy) -> VerifiedPayment | OverriddenPayment:
    """Return what the tickets rest on: the verified payment, or the best that SumUp shows, or a person's word."""
    if case.decision.payment is not None:
        return case.decision.payment
    best = best_of(_assess(case.order, case.evidence, policy), case.order.spent_elsewhere)
    return best if isinstance(best, VerifiedPayment) else rest_on(case.order, best, policy.currency)


def surplus_of(case: Case, payment: VerifiedPayment | OverriddenPayment, policy: Policy) -> tuple[Notice, ...]:
    """Return what admins are told of the payments beside the one that the tickets rest on: each is one too many.

    Told of them before they were, but that the order needs a person, not which of them is to be given back.
    """
    seen, _ = _assess(case.order, case.evidence, policy).without_spent(case.order.spent_elsewhere)
    own = {payment.checkout_id, payment.transaction_id}
    others = [answer for answer in seen.money if not answer.payment_ids & own]
    return notices.paid_twice(payment, others, policy.currency)


def _shown(seen: Assessment) -> tuple[Shown, ...]:
    """Return the payments that SumUp shows and that were not given back in full, the best first."""
    return (*seen.verified, *seen.unchecked, *(payment for payment in seen.flawed if not payment.returned))


def best_of(seen: Assessment, spent: AbstractSet[str]) -> Shown | None:
    """Return the best of the payments that SumUp shows and that have not paid for anything else."""
    return next((shown for shown in _shown(seen) if not shown.answer.payment_names & spent), None)


def is_all_spent(seen: Assessment, spent: AbstractSet[str]) -> bool:
    """Say whether there are payments, and each has paid for something else."""
    return bool(_shown(seen)) and best_of(seen, spent) is None


def _assess(order: Order, evidence: Evidence, policy: Policy) -> Assessment:
    return assess(as_if_waiting(order), evidence, policy)


def as_if_waiting(order: Order) -> Order:
    """Return the order as a run would see it if it waited for the first time: a person thinks it over anew."""
    return replace(order, status=OrderStatus.PENDING_VERIFICATION, rejected=False, missing_checks=1)


def patient(policy: Policy) -> Policy:
    """Return the policy without an age limit: nothing expires here, so PENDING is all there is to say."""
    return replace(policy, max_age=timedelta.max)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
