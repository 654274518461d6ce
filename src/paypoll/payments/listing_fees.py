"""Listing fees: what becomes of a fee that an organiser pays for an event to be published. Pure, as `rules` is.

SumUp is asked about a fee, and its answers are held against it, as those about an order are: `as_order` is the fee as
an order of nothing. What follows is decided here. The numbers in the comments are rows of docs/outcomes.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from paypoll.payments import followed, notices, unpaid
from paypoll.payments.classify import Assessment, assess, unaskable_ids
from paypoll.payments.decision import Decision, Notice, NoticeKind, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.fee_statuses import LISTED, PAID, VOID, FeeState
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.matching import Flaw, VerifiedPayment
from paypoll.payments.notices import to_review
from paypoll.payments.order import Checkout, Event, Fulfilment, Order, SeenCheckout
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.override import is_a_word
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import as_shown, is_late_sight, is_over

_MARKED = "confirmed"
"""As an order that a page of the shop holds to be paid: nothing of it is changed, and its money is followed."""

_NOT_LISTED = frozenset({Reason.EVENT_GONE, Reason.EVENT_CANCELLED, Reason.EVENT_OVER, Reason.NOT_A_DRAFT})
_AS_ORDER = {
    FeeState.OPEN: OrderStatus.PENDING_VERIFICATION,
    FeeState.FAILED: OrderStatus.FAILED,
    FeeState.EXPIRED: OrderStatus.EXPIRED,
    FeeState.REVIEW: OrderStatus.EXPIRED,
    FeeState.PAID: OrderStatus.COMPLETED,
}


@dataclass(frozen=True, slots=True)
class ListingFee:
    """A listing fee of the shop with everything that a decision about it may rest on.

    `status` is the shop's `payment_status`, `named_checkout` SumUp's id on the fee itself. `checkouts` are the shop's
    rows that are of no order, under one of the fee's references or with that id. The rest is what paypoll remembers:
    `settled` the payment that it has taken for the fee, `left_as` the shop's status at the last look (None: there was
    none), `closed` whether a person has closed its review without publishing, and the others as in `Order`.
    """

    id: int
    reference: str
    status: str
    amount: Decimal
    currency: str
    created_at: datetime
    event: Event | None
    organiser_name: str
    organiser_email: str
    named_checkout: str = ""
    checkouts: tuple[Checkout, ...] = ()
    state: FeeState = FeeState.OPEN
    settled: Fulfilment | None = None
    seen: tuple[SeenCheckout, ...] = ()
    changed_at: datetime | None = None
    looked_at: datetime | None = None
    spent_elsewhere: frozenset[str] = frozenset()
    left_as: str | None = None
    organiser_account: int | None = None
    closed: bool = False

    @property
    def is_paid(self) -> bool:
        """Whether the shop says that it was paid."""
        return self.status == PAID

    @property
    def is_void(self) -> bool:
        """Whether the shop says that nobody is to pay it any more."""
        return self.status in VOID

    @property
    def is_listed(self) -> bool:
        """Whether its event is published, or was."""
        return self.event is not None and self.event.status in LISTED


def as_order(fee: ListingFee, policy: Policy) -> Order:
    """Return the fee as an order of nothing, to ask SumUp about. `policy` is that for fees (`Policy.for_fees`)."""
    order = Order(
        id=fee.id,
        number=fee.reference,
        status=_status_as_order(fee),
        total=fee.amount,
        is_paid=fee.is_paid,
        email=fee.organiser_email,
        first_name=fee.organiser_name,
        last_name="",
        user_id=None,
        created_at=fee.created_at,
        fulfilment=fee.settled,
        seen=fee.seen,
        changed_at=fee.changed_at,
        looked_at=fee.looked_at,
        spent_elsewhere=fee.spent_elsewhere,
        rejected=fee.closed,
    )
    forms = policy.references_of(order)
    # What the shop has stored under another reference is not one of this fee's.
    rows = [row if row.reference in forms else replace(row, reference="") for row in fee.checkouts]
    if fee.named_checkout and not any(fee.named_checkout in row.checkout_ids for row in rows):
        rows.append(_unstored(fee))
    return replace(order, checkouts=tuple(rows))


def _status_as_order(fee: ListingFee) -> str:
    if fee.is_void:
        return OrderStatus.REFUNDED if fee.status == OrderStatus.REFUNDED else OrderStatus.CANCELLED
    if fee.settled is not None:
        return OrderStatus.COMPLETED
    return _MARKED if fee.is_paid else _AS_ORDER[fee.state]


def _unstored(fee: ListingFee) -> Checkout:
    """Return the checkout that the fee names, and of which the shop has no row."""
    return Checkout(0, "", (fee.named_checkout,), fee.amount, fee.currency, "", "", fee.created_at)


def decide_fee(fee: ListingFee, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide what becomes of the fee. COMPLETE means: it is paid, and its event is published if that may be."""
    terms = policy.for_fees()
    order = as_order(fee, terms)
    everything = assess(order, evidence, terms)
    decision = _decide(fee, order, everything, evidence, terms, now)
    return followed.or_given_up(as_shown(order, everything.answers, now), everything, evidence, decision, terms, now)


def _decide(
    fee: ListingFee, order: Order, everything: Assessment, evidence: Evidence, terms: Policy, now: datetime
) -> Decision:
    seen, spent = everything.without_spent(fee.spent_elsewhere)
    if fee.is_void:  # 60i
        return followed.decide_void(order, seen, evidence, terms, now)
    if fee.settled is not None:
        return _decide_settled(fee, order, seen, evidence, terms, now)
    if fee.closed:  # 60p
        return _decide_closed(order, seen, evidence, terms, now)
    if seen.paid:
        return _decide_paid(fee, order, seen, evidence, terms, now)
    if spent:  # 60b
        found = [f"Checkout {answer.id} has already paid for something else." for answer in spent]
        return to_review(Reason.SPENT_ELSEWHERE, found, payments=_ids(spent))
    if fee.is_paid:  # 60h: by hand, perhaps
        if not seen.answered:
            return unchanged(Reason.NO_ANSWER, "marked as paid in the shop; not every question was answered")
        return unchanged(Reason.NO_PAYMENT, "marked as paid in the shop, and SumUp knows no payment of it")
    return _decide_unpaid(order, seen, evidence, terms, now)


def state_after(fee: ListingFee, decision: Decision) -> FeeState:
    """Return how far paypoll has come with the fee after this decision."""
    match decision.outcome:
        case Outcome.COMPLETE:
            return FeeState.REVIEW if decision.reason in _NOT_LISTED else FeeState.PAID
        case Outcome.FAIL:
            return FeeState.FAILED
        case Outcome.EXPIRE:
            return FeeState.EXPIRED
        case Outcome.REVIEW:
            return FeeState.REVIEW
        case _:
            # Paid, and listed after all: somebody has put its event right.
            return FeeState.PAID if fee.settled is not None and fee.is_paid and fee.is_listed else fee.state


def publishes(fee: ListingFee, policy: Policy, now: datetime) -> bool:
    """Say whether the event of a paid fee becomes published: only a draft, and only while it is to come."""
    return fee.event is not None and fee.event.status == "draft" and policy.starts(fee.event) > now


def lists(fee: ListingFee, decision: Decision, policy: Policy, now: datetime) -> bool:
    """Say whether this decision has the event published: it is paid, or a shop that was restored had forgotten both.

    A draft that admins were told of is a person's to publish.
    """
    restored = decision.outcome is Outcome.RESTORE and fee.state is FeeState.PAID
    return (decision.outcome is Outcome.COMPLETE or restored) and publishes(fee, policy, now)


def _decide_unpaid(order: Order, seen: Assessment, evidence: Evidence, terms: Policy, now: datetime) -> Decision:
    decision = unpaid.decide_unpaid(order, seen, evidence, terms, now)
    stored = any(row.checkout_ids for row in order.checkouts) or unaskable_ids(order)
    if decision.reason in {Reason.MISSING_ONCE, Reason.NOT_FOUND} and not stored:  # 60g
        return unchanged(Reason.NO_CHECKOUT, "nobody has begun to pay it")
    # 60c, 60d: its event stays a draft, as the organiser sees. There is nothing for an admin to do.
    told = tuple(notice for notice in decision.notices if notice.kind is not NoticeKind.EXPIRED)
    return replace(decision, notices=told)


def _decide_paid(
    fee: ListingFee, order: Order, seen: Assessment, evidence: Evidence, terms: Policy, now: datetime
) -> Decision:
    if seen.unchecked and not seen.verified:
        if is_over(order, terms, now) and evidence.clocks_agree and fee.looked_at is not None:
            found = [f"SumUp says PAID for checkout {one.answer.id}, but {one.why}." for one in seen.unchecked]
            return to_review(Reason.UNCONFIRMED, found, payments=_ids(seen.paid_answers))
        return followed.unchecked(seen, "paid, but")
    fitting = [payment for payment in seen.verified if payment.merchant_code == terms.merchant_code]
    if fitting and not (found := _fee_flaws(fee, terms)):
        return _take(fee, order, fitting, seen, evidence, terms, now)
    if fitting:
        return to_review(Reason.MISMATCH, found, payments=_ids(seen.paid_answers))
    if fee.state in {FeeState.FAILED, FeeState.EXPIRED} and seen.flawed and not seen.money:
        rest = _decide_unpaid(order, seen, evidence, terms, now)
        if rest.reason is not Reason.STILL_UNPAID:
            return rest
        return unchanged(Reason.RETURNED, "paid and given back in full; nothing is owed")
    if seen.no_answer and not seen.verified:  # what is verified is not looked for any further
        return unchanged(Reason.NO_ANSWER, f"a payment does not fit, and another checkout: {seen.no_answer[0].detail}")
    flaws = {flaw for payment in seen.flawed for flaw, _ in payment.flaws}
    reason = Reason.REFUNDED if flaws == {Flaw.REFUNDED} and not seen.verified else Reason.MISMATCH  # 60b
    found = [sentence for payment in seen.flawed for sentence in payment.sentences]
    found += [
        f"Checkout {payment.checkout_id} is PAID, but to merchant {payment.merchant_code}. A listing fee is paid to "
        f"the platform's, {terms.merchant_code or 'which sumup.merchant_code does not name'}."
        for payment in seen.verified
    ]
    return to_review(reason, found, payments=_ids(seen.paid_answers))


def _fee_flaws(fee: ListingFee, terms: Policy) -> list[str]:
    """Return what is wrong with the fee itself, however well its payment fits."""
    if not fee.amount.is_finite() or fee.amount <= 0:
        return [f"The fee's amount is {fee.amount}."]
    if fee.currency.upper() != terms.currency.upper():
        return [f"The fee is in {fee.currency or 'no currency'}, and the shop's currency is {terms.currency}."]
    return []


def _take(
    fee: ListingFee,
    order: Order,
    fitting: list[VerifiedPayment],
    seen: Assessment,
    evidence: Evidence,
    terms: Policy,
    now: datetime,
) -> Decision:
    """Decide about a fee with at least one payment that fits in every respect."""
    payment = min(fitting, key=lambda one: (one.paid_at or now, one.checkout_id))
    surplus = [answer for answer in seen.money if not answer.payment_ids & payment.answer.payment_ids]
    told = notices.paid_twice(payment, surplus, terms.currency)  # 60f
    close = tuple(one for one in (*seen.pending, *seen.failed) if one not in evidence.closings)
    if fee.is_paid and (fee.event is None or fee.event.status != "draft"):  # 60h
        return unchanged(Reason.MARKED_PAID, "marked as paid in the shop, and its event is no draft", told, close)
    if fee.is_paid and fee.left_as in {None, PAID}:
        # Whether its event was published once, and somebody has made it a draft again, nobody can tell.
        found = ["The shop had marked the fee as paid before paypoll saw it, and its event is still a draft."]
        found += [f"SumUp says PAID for checkout {payment.checkout_id}."]
        return to_review(Reason.MARKED_PAID, found, told, payments=[payment.checkout_id], close=close)
    reason, obstacle = _obstacle(fee, terms, now)
    if obstacle:  # 60j, 60k
        told = (notices.not_listed(reason, (*obstacle, f"SumUp says PAID for checkout {payment.checkout_id}.")), *told)
        return Decision(Outcome.COMPLETE, reason, " ".join(obstacle), payment, told, close)
    if fee.state in {FeeState.FAILED, FeeState.EXPIRED} or is_late_sight(order, terms, now):  # 60e
        why = f"paid by checkout {payment.checkout_id} after it was {fee.state}"
        return Decision(Outcome.COMPLETE, Reason.PAID_LATE, why, payment, (notices.paid_late(order), *told), close)
    why = f"paid by checkout {payment.checkout_id}; everything fits"  # 60
    return Decision(Outcome.COMPLETE, Reason.PAID, why, payment, told, close)


def _obstacle(fee: ListingFee, terms: Policy, now: datetime) -> tuple[Reason, tuple[str, ...]]:
    """Return why the event cannot be published; without a sentence where it can be, or has been."""
    event = fee.event
    if event is None:
        return Reason.EVENT_GONE, ("Its event is no longer in the shop.",)
    if fee.is_listed:
        return Reason.PAID, ()
    if event.status == "cancelled":
        return Reason.EVENT_CANCELLED, (f"{event.title} was cancelled.",)
    if event.status != "draft":
        return Reason.NOT_A_DRAFT, (f"{event.title} is {event.status}, not a draft.",)
    if not publishes(fee, terms, now):
        return Reason.EVENT_OVER, (f"{event.title} was to begin on {event.starts_on:%d %B %Y}.",)
    return Reason.PAID, ()


def _decide_settled(
    fee: ListingFee, order: Order, seen: Assessment, evidence: Evidence, terms: Policy, now: datetime
) -> Decision:
    """Decide about a fee whose payment paypoll has taken: other payments are told, and what is open is closed."""
    still = followed.decide_followed(order, seen, evidence, terms, now)
    done = fee.settled
    if done is None:
        return still
    stands = payment_stands(fee, seen)
    if not fee.is_paid:  # 60l
        why = "an old copy of the fee was saved over what paypoll had written; put back"
        restored = Decision(Outcome.RESTORE, Reason.OVERWRITTEN, why, notices=still.notices, close=still.close)
        return restored if stands else still
    if fee.closed or not is_draft_again(fee, terms, now):
        return still
    if any(one.returned and one.answer.id == done.checkout_id for one in seen.flawed):
        return replace(still, reason=Reason.RETURNED, explanation="its payment went back, and its event is a draft")
    if not (stands or seen.answered):
        return still
    found = [f"Checkout {done.checkout_id} has paid for it, and its event is a draft."]  # 60o
    found += [] if stands else ["SumUp does not show that payment any more."]
    return to_review(Reason.DRAFT_AGAIN, found, still.notices, payments=[done.checkout_id], close=still.close)


def payment_stands(fee: ListingFee, seen: Assessment) -> bool:
    """Say whether SumUp still shows the payment that was taken for the fee; a person's word stands."""
    if fee.settled is None:
        return False
    held = {one.checkout_id for one in seen.verified} | {one.answer.id for one in seen.flawed if not one.returned}
    return is_a_word(fee.settled.checkout_id) or fee.settled.checkout_id in held


def is_draft_again(fee: ListingFee, policy: Policy, now: datetime) -> bool:
    """Say whether the event of a fee that was paid is a draft, and could still be published."""
    return fee.event is not None and fee.event.status == "draft" and not policy.is_over(fee.event, now)


def _decide_closed(order: Order, seen: Assessment, evidence: Evidence, terms: Policy, now: datetime) -> Decision:
    """Decide about a fee that a person has closed: another payment is told, and what is open is closed (60p)."""
    at_last = followed.closed_at_last(order, seen, evidence, terms, now)
    close = tuple(one for one in dict.fromkeys((*seen.pending, *at_last)) if one not in evidence.closings)
    accounted = {one.checkout_id for one in order.seen if one.accounted}
    told = tuple(
        Notice(
            NoticeKind.PAID_NOT_ISSUED,
            answer.id,
            (f"A person has closed its review, and SumUp says PAID for checkout {answer.id}.",),
        )
        for answer in seen.money
        if answer.id not in accounted
    )
    open_still = notices.may_be_paid(followed.left_open(order, seen, evidence, terms, now))
    if told:
        why = "closed by a person, and SumUp holds a payment nobody was told of"
        return unchanged(Reason.PAID_NOT_ISSUED, why, (*told, *open_still), close)
    if not seen.answered:
        return unchanged(Reason.NO_ANSWER, "closed by a person; not every question was answered", open_still, close)
    if open_still:
        return unchanged(Reason.NOT_CLOSED, "closed by a person, and may be paid, or have been paid", open_still, close)
    return unchanged(Reason.REJECTED, "closed by a person, and no other payment has arrived", close=close)


def _ids(answers: tuple[CheckoutAnswer, ...]) -> list[str]:
    return [answer.id for answer in answers]
