"""Apply the decision about a listing fee: one transaction, under its row lock, as `paypoll.runs.apply` for orders.

The fee is read again once it is locked, and decided upon again with the same evidence. What is written: the fee's
payment, its event from draft to published, the checkouts, what admins and the organiser are told, the audit trail, and
what paypoll remembers.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.gone import fee_gone, tell_of_gone
from paypoll.alerts.listing_fees import alert_about_fee
from paypoll.clock import local_moment
from paypoll.database import transaction
from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.organiser_contexts import ListingContext
from paypoll.payments.classify import Assessment, assess, is_answer
from paypoll.payments.decision import Decision, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.fee_statuses import PAID, FeeState
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.payments.listing_fees import ListingFee, as_order, decide_fee, lists, state_after
from paypoll.payments.order import Fulfilment
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import next_look
from paypoll.runs.apply import is_outstanding, note_checkouts
from paypoll.runs.brake import is_suspect
from paypoll.settings.model import SiteSettings
from paypoll.shop.listing_fees import load_fee, lock_event_of_fee, lock_fee, pay_fee, publish_event
from paypoll.state import listing_fees as fee_records
from paypoll.state import outbox
from paypoll.state.audit import describe_evidence, record
from paypoll.state.posted_alerts import forget_told_of_fee


@dataclass(frozen=True, slots=True)
class FeeApplied:
    """What became of a listing fee; the fields are as in `paypoll.runs.apply.Applied`.

    `published`: its event was a draft, and is published now.
    """

    reference: str
    outcome: Outcome
    reason: Reason
    explanation: str
    state_from: str
    state_to: str
    published: bool = False
    told: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def fee_applied(
    fee: ListingFee, decision: Decision, evidence: Evidence, told: tuple[str, ...], *, published: bool
) -> FeeApplied:
    """Return what this decision makes of this fee."""
    return FeeApplied(
        reference=fee.reference,
        outcome=decision.outcome,
        reason=decision.reason,
        explanation=decision.explanation,
        state_from=fee.state.value,
        state_to=state_after(fee, decision).value,
        published=published,
        told=told,
        assumed=tuple(sorted(evidence.assumed)),
    )


def load_fee_with_records(connection: sa.Connection, reference: str, policy: Policy) -> ListingFee | None:
    """Return the fee as it is now, with what paypoll remembers about it; None when it is gone."""
    fee = load_fee(connection, reference, policy.fee_references)
    return fee_records.with_records(connection, fee) if fee is not None else None


def load_fee_for_decision(
    connection: sa.Connection, reference: str, policy: Policy, evidence: Evidence, *, lock: bool
) -> ListingFee | None:
    """Return the fee with all that a decision about it rests on; with `lock`, its event locked if it was paid."""
    if lock and evidence.shows_payment:
        lock_event_of_fee(connection, reference)
    fee = load_fee_with_records(connection, reference, policy)
    if fee is None:
        return None
    spent = fee_records.spent_on_others(connection, reference, evidence.sumup_ids)
    return replace(fee, spent_elsewhere=evidence.with_checkouts_of(spent))


@dataclass(frozen=True, slots=True)
class FeeApplier:
    """Applies decisions about listing fees. What SumUp said longer ago than the `lease` is not acted upon."""

    engine: sa.Engine
    policy: Policy
    desk: AlertDesk
    site: SiteSettings
    domain: str
    lease: timedelta
    run_id: str

    def apply(self, reference: str, evidence: Evidence, now: datetime, *, hold: bool) -> FeeApplied | None:
        """Decide about the fee as it is now and write everything down. None when it is not this run's any more.

        With `hold`, a review that a wrong world would lead to is held back (48).
        """
        with transaction(self.engine) as connection:
            there = lock_fee(connection, reference)
            if not fee_records.hold_fee(connection, reference, self.run_id):
                return None
            if not there:
                self._tell_if_paid_and_gone(connection, reference, evidence, now)
                fee_records.release_fee(connection, reference, self.run_id)
                return None
            if evidence.asked_at is None or now - evidence.asked_at > self.lease:  # 26a
                fee_records.release_fee(connection, reference, self.run_id)
                return None
            fee = load_fee_for_decision(connection, reference, self.policy, evidence, lock=True)
            if fee is None:
                return None
            decision = decide_fee(fee, evidence, self.policy, now)
            terms = self.policy.for_fees()
            if hold and is_suspect(as_order(fee, terms), evidence, decision, terms):
                decision = unchanged(Reason.HELD_BACK, f"held back, like many others: {decision.explanation}")
            return self._write(connection, fee, evidence, decision, now)

    def _write(
        self,
        connection: sa.Connection,
        fee: ListingFee,
        evidence: Evidence,
        decision: Decision,
        now: datetime,
    ) -> FeeApplied:
        terms = self.policy.for_fees()
        seen = assess(as_order(fee, terms), evidence, terms)
        after = _after(fee, decision, now)
        published = self._change_fee(connection, fee, evidence, decision, now)
        if fee.state is FeeState.REVIEW and after.state is FeeState.PAID:
            self._end_review(connection, after, now)
        settled = after.state is not FeeState.OPEN
        note_checkouts(connection, fee.checkouts, evidence, decision, now, settled=settled)
        alerts = [alert_about_fee(fee, notice) for notice in decision.notices]
        told = tuple(alert.key for alert in alerts if self.desk.tell_about_fee(connection, fee, alert, now))
        record(
            connection,
            now=now,
            action="fee verified",
            order_number=fee.reference,
            run_id=self.run_id,
            outcome=decision.outcome.value,
            reason=decision.reason.value,
            explanation=decision.explanation + ("; its event is published" if published else ""),
            status_from=fee.state.value,
            status_to=after.state.value,
            evidence=describe_evidence(evidence),
        )
        fee_records.note_fee_check(
            connection,
            fee,
            self.run_id,
            now,
            state=after.state,
            status=after.status,
            next_check_at=self._next_look(fee, after, evidence, seen, decision, now),
            answer=decision.reason.value,
            answers=seen.answers,
            accounted=decision.accounts,
        )
        return fee_applied(fee, decision, evidence, told, published=published)

    def _change_fee(
        self, connection: sa.Connection, fee: ListingFee, evidence: Evidence, decision: Decision, now: datetime
    ) -> bool:
        """Write what the decision means for the fee and its event; say whether the event was published."""
        event = fee.event
        if decision.outcome is Outcome.RESTORE and fee.settled is not None:
            look = evidence.reads.get(fee.settled.checkout_id)
            pay_fee(connection, fee, look.value if isinstance(look, Found) else None, fee.settled.paid_at)
        if decision.outcome is Outcome.COMPLETE and decision.payment is not None:
            done = fee_records.take_payment(connection, fee, decision.payment, now)
            pay_fee(connection, fee, decision.payment.answer, done.paid_at)
            if decision.reason in {Reason.PAID, Reason.PAID_LATE}:
                post_listed(connection, fee, self.site, self.domain, now)
        return event is not None and lists(fee, decision, self.policy, now) and publish_event(connection, event.id, now)

    def _end_review(self, connection: sa.Connection, fee: ListingFee, now: datetime) -> None:
        """Let what was told be told again (45). Where the event was never listed before, its organiser hears now."""
        forget_told_of_fee(connection, fee.reference, "alert:review:", self.run_id)
        event = fee.event
        if event is not None and event.status == "published" and not self.policy.is_over(event, now):
            post_listed(connection, fee, self.site, self.domain, now)

    def _next_look(
        self,
        before: ListingFee,
        after: ListingFee,
        evidence: Evidence,
        seen: Assessment,
        decision: Decision,
        now: datetime,
    ) -> datetime | None:
        if decision.reason is Reason.BEFORE_OUR_TIME:
            return None
        terms = self.policy.for_fees()
        order, found = as_order(after, terms), as_order(before, terms)
        # A draft that nobody has begun to pay is asked about with growing pauses, like a basket.
        begun = decision.reason is not Reason.NO_CHECKOUT
        return next_look(
            replace(order, status=found.status if begun else OrderStatus.PENDING),
            terms,
            now,
            status=order.status if begun else OrderStatus.PENDING,
            outstanding=is_outstanding(order, evidence, decision, terms),
            answered=is_answer(order, seen, evidence, decision),
        )

    def _tell_if_paid_and_gone(
        self, connection: sa.Connection, reference: str, evidence: Evidence, now: datetime
    ) -> None:
        """Tell of money for a fee that was deleted in the shop, with its event, while SumUp was being asked."""
        found = (look.value for look in evidence.reads.values() if isinstance(look, Found))
        paid = [answer for answer in found if answer.status == CheckoutStatus.PAID]
        tell_of_gone(self.desk, connection, fee_gone, reference, paid, now)


def post_listed(connection: sa.Connection, fee: ListingFee, site: SiteSettings, domain: str, now: datetime) -> None:
    """Tell the organiser that the fee has arrived and the event is published. Once."""
    event = fee.event
    if event is None:
        return
    content = ListingContext(
        reference=fee.reference,
        customer_name=fee.organiser_name,
        email=fee.organiser_email,
        fee=fee.amount,
        currency=fee.currency,
        event_title=event.title,
        starts=local_moment(event.starts_on, event.starts_at, site.zone),
        venue_name=event.venue_name,
        venue_address=event.venue_address,
    )
    outbox.post(
        connection,
        kind="event_listed",
        dedupe_key=f"event_listed:{fee.reference}",
        recipients=[fee.organiser_email],
        content={**content.to_json(), outbox.ACCOUNT: fee.organiser_account},
        message_id=new_message_id(domain),
        now=now,
    )


def _after(fee: ListingFee, decision: Decision, now: datetime) -> ListingFee:
    """Return the fee as the decision leaves it."""
    state = state_after(fee, decision)
    after = replace(fee, state=state, changed_at=now if state is not fee.state else fee.changed_at)
    if decision.outcome is Outcome.RESTORE:
        return replace(after, status=PAID)
    if decision.outcome is not Outcome.COMPLETE or decision.payment is None:
        return after
    payment = decision.payment
    done = Fulfilment(
        fee.id, payment.checkout_id, "", payment.paid_at or now, now, transaction_id=payment.transaction_id
    )
    return replace(after, status=PAID, settled=done)
