"""What stands for and against taking a listing fee as paid and publishing its event. Pure, as `weighing` for orders."""

from dataclasses import dataclass, replace
from datetime import datetime

from paypoll.admin.weighing import best_of, is_all_spent, objections_to, patient
from paypoll.payments.classify import Assessment, assess
from paypoll.payments.decision import Reason
from paypoll.payments.evidence import Evidence
from paypoll.payments.fee_statuses import FeeState
from paypoll.payments.listing_fees import ListingFee, as_order, decide_fee, payment_stands, publishes
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.override import OverriddenPayment, rest_on
from paypoll.payments.policy import Policy


@dataclass(frozen=True, slots=True)
class FeeCase:
    """A listing fee with what SumUp says about it now.

    `payment` is what it is paid by: one that was taken before is None. `objections` and `forbidden` are as in `Case`.
    `publishes`: its event is a draft, and becomes published.
    """

    fee: ListingFee
    evidence: Evidence
    asked_at: datetime
    payment: VerifiedPayment | OverriddenPayment | None
    objections: tuple[str, ...]
    forbidden: str
    publishes: bool
    still_payable: tuple[str, ...]

    @property
    def buys(self) -> object:
        """Its event, whether that becomes published, and at what price."""
        return self.fee.event and self.fee.event.id, self.publishes, self.fee.amount


def as_if_open(fee: ListingFee) -> ListingFee:
    """Return the fee as a run would see it if it were new: a person thinks it over anew."""
    if fee.settled is not None:
        return replace(fee, closed=False)
    return replace(fee, status="pending", state=FeeState.OPEN, closed=False, left_as="pending")


def weigh_fee(fee: ListingFee, evidence: Evidence, policy: Policy, asked_at: datetime, now: datetime) -> FeeCase:
    """Hold the fee against what SumUp said."""
    weighed = as_if_open(fee)
    terms = policy.for_fees()
    seen = assess(as_order(weighed, terms), evidence, terms)
    payment: VerifiedPayment | OverriddenPayment | None = None
    objections: tuple[str, ...] = ()
    if fee.settled is None:
        decision = decide_fee(weighed, evidence, patient(policy), now)
        payment = decision.payment or _best(weighed, seen, terms)
        if decision.reason is Reason.NO_CHECKOUT:
            decision = replace(decision, explanation="SumUp knows no checkout of it")
        objections = objections_to(decision, seen)
    elif not payment_stands(fee, seen):
        objections = (f"SumUp does not show the payment of checkout {fee.settled.checkout_id} that was taken for it.",)
    return FeeCase(
        fee=fee,
        evidence=evidence,
        asked_at=asked_at,
        payment=payment,
        objections=objections,
        forbidden=_forbidden(fee, seen, policy, now),
        publishes=publishes(fee, policy, now),
        still_payable=seen.pending,
    )


def obstacle_to_listing(fee: ListingFee, policy: Policy, now: datetime) -> str:
    """Return why the fee's event cannot be published; empty where it can be, or is."""
    event = fee.event
    if event is None:
        return "its event is no longer in the shop"
    if fee.is_listed or publishes(fee, policy, now):
        return ""
    if event.status == "draft":
        return f"its event was to begin on {event.starts_on:%d %B %Y}: put its date right in the shop first"
    return f"its event is {event.status}, and only a draft is published: put it right in the shop first"


def _forbidden(fee: ListingFee, seen: Assessment, policy: Policy, now: datetime) -> str:
    """Return why nobody may take it as paid, whatever the reason given; empty when it may be taken."""
    if fee.is_void:
        return f"the shop says that it is {fee.status}: if it is to be paid all the same, set it to pending there first"
    if fee.settled is None and is_all_spent(seen, fee.spent_elsewhere):
        return "its payment has paid for something else already, and cannot pay for two"
    if fee.settled is not None and fee.is_paid and fee.is_listed:
        return "it is paid, and its event is published: close the case by --reject or --refund-noted"
    return obstacle_to_listing(fee, policy, now)


def _best(fee: ListingFee, seen: Assessment, terms: Policy) -> VerifiedPayment | OverriddenPayment:
    """Return the best payment that SumUp shows, or a person's word."""
    best = best_of(seen, fee.spent_elsewhere)
    if isinstance(best, VerifiedPayment):
        return best
    resting = rest_on(as_order(fee, terms), best, terms.currency)
    # The shop gives ids out again when it was restored; references are random.
    return resting if best is not None else replace(resting, checkout_id=f"override:{fee.reference}")
