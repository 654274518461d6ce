"""Apply a decision: one transaction under the order's row lock, in which everything that belongs together is written.

The order is read again once it is locked, and decided upon again with the same evidence. If the shop, an admin or
another run changed it since SumUp was asked, the new decision rests on what is true now: a cancelled order gets no
tickets, a checkout that nobody asked about is asked for in the next run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.gone import order_gone, tell_of_gone
from paypoll.alerts.orders import alert_about
from paypoll.alerts.overbooked import tell_of_overfull_halls
from paypoll.database import transaction
from paypoll.mail.content.contexts import ConfirmationContext, FailureContext
from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.order_lines import order_lines
from paypoll.payments.classify import Assessment, assess, checkout_ids, is_answer
from paypoll.payments.decision import Decision, Outcome, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus, Found
from paypoll.payments.hosted_page import hosted_page
from paypoll.payments.order import Checkout, Order
from paypoll.payments.order_statuses import BASKET, WAITING, OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide
from paypoll.payments.schedule import QUIET_LOOKS, as_shown, next_look
from paypoll.runs.brake import Braked, NotCountedError, is_suspect
from paypoll.runs.fulfil import FulfilmentRules, fulfil, restore
from paypoll.runs.here_again import without_ledgers_own
from paypoll.runs.load import as_found, load_for_decision
from paypoll.shop.changes import note_checkout, set_order_status
from paypoll.shop.find import lock_order
from paypoll.state import outbox, told_cases, watches
from paypoll.state.audit import describe_evidence, record
from paypoll.state.seen_checkouts import note_seen

STATUS_AFTER: dict[Outcome, str] = {
    Outcome.COMPLETE: OrderStatus.COMPLETED,
    Outcome.RESTORE: OrderStatus.COMPLETED,
    Outcome.FAIL: OrderStatus.FAILED,
    Outcome.EXPIRE: OrderStatus.EXPIRED,
    Outcome.REVIEW: OrderStatus.REVIEW,
}
"""The order's status after each outcome; it stays as it is after the others."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an order. `tickets` counts those issued now.

    `told` holds the keys of the alerts posted now; in a dry run of all that apply, told before or not. `assumed`: the
    checkouts of which a dry run takes for granted that SumUp would close them.
    """

    order_id: int
    order_number: str
    outcome: Outcome
    reason: Reason
    explanation: str
    status_from: str
    status_to: str
    tickets: int = 0
    told: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, order: Order, decision: Decision, *, tickets: int, told: Iterable[str], assumed: Iterable[str] = ()
    ) -> Self:
        """Return what this decision makes of this order."""
        return cls(
            order_id=order.id,
            order_number=order.number,
            outcome=decision.outcome,
            reason=decision.reason,
            explanation=decision.explanation,
            status_from=order.status,
            status_to=str(STATUS_AFTER.get(decision.outcome, order.status)),
            tickets=tickets,
            told=tuple(told),
            assumed=tuple(sorted(assumed)),
        )


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies decisions in one run. What SumUp said longer ago than the `lease` is not acted upon."""

    engine: sa.Engine
    policy: Policy
    rules: FulfilmentRules
    desk: AlertDesk
    run_id: str
    lease: timedelta

    def apply(self, order_id: int, evidence: Evidence, now: datetime, braked: Braked = Braked.OFF) -> Applied | None:
        """Decide about the order as it is now and write everything down. None when it is not this run's any more.

        A review that a wrong world would lead to is written as `braked` says; NotCountedError: the brake is to count it
        first (48).
        """
        with transaction(self.engine) as connection:
            held = watches.hold(connection, order_id, self.run_id, halls=evidence.shows_paid)
            if held is None:
                if not lock_order(connection, order_id):
                    paid = [answer for answer in _answers(evidence) if answer.status == CheckoutStatus.PAID]
                    tell_of_gone(self.desk, connection, order_gone, str(order_id), paid, now)
                return None
            if evidence.asked_at is None or now - evidence.asked_at > self.lease:
                # 26a: the run was stopped or suspended in between. Nobody took the order, and it is asked about again.
                watches.release(connection, [order_id], self.run_id)
                return None
            order = load_for_decision(connection, order_id, evidence, lock=True, locked=held.halls)
            if order is None:
                return None
            order = as_found(order, held.status, now)
            decision = decide(order, evidence, self.policy, now)
            if braked in {Braked.UNHEARD, Braked.HELD} and is_suspect(order, evidence, decision, self.policy):
                if braked is Braked.UNHEARD:
                    raise NotCountedError
                decision = unchanged(Reason.HELD_BACK, f"held back, like many others: {decision.explanation}")
            return self._write(connection, order, evidence, decision, now)

    def _write(
        self, connection: sa.Connection, order: Order, evidence: Evidence, decision: Decision, now: datetime
    ) -> Applied:
        tickets = self._change_order(connection, order, evidence, decision, now)
        if order.written_to and decision.accounts and evidence.shows_payment and not tickets:
            # "Your payment failed, try again", if it has not left yet: whoever did would pay twice.
            outbox.withdraw_unread(connection, order.id, "payment_failed")
        status = STATUS_AFTER.get(decision.outcome, order.status)
        settled = status not in WAITING | BASKET
        note_checkouts(connection, order.checkouts, evidence, decision, now, settled=settled)
        seen = assess(order, evidence, self.policy)
        notices = without_ledgers_own(connection, self.desk, order, decision, seen, evidence, now, self.run_id)
        alerts = [alert_about(order, notice) for notice in notices]
        # Who reads the mail finds the order as it is left here, not as it was found.
        left = replace(order, status=str(status))
        told = [alert.key for alert in alerts if self.desk.tell_about_order(connection, left, alert, now)]
        if decision.outcome is Outcome.COMPLETE:
            told += tell_of_overfull_halls(self.desk, connection, order, now)
        moved = status != order.status
        record(
            connection,
            now=now,
            action="verified",
            order_id=order.id,
            order_number=order.number,
            run_id=self.run_id,
            outcome=decision.outcome.value,
            reason=decision.reason.value,
            explanation=decision.explanation,
            status_from=order.status,
            status_to=str(status),
            evidence=describe_evidence(evidence),
        )
        note_seen(connection, order, seen.answers, now, accounted=decision.accounts)
        self._end_told_cases(connection, order, decision, seen, now)
        present = as_shown(replace(order, changed_at=now) if moved else order, seen.answers, now)
        watches.note_check(
            connection,
            order.id,
            self.run_id,
            now,
            status=str(status),
            changed=present.changed_at == now,
            next_check_at=self._next_look(present, evidence, seen, decision, now),
            answer=decision.reason.value,
            # One that is held back may be missing, and would else be given another run each time.
            missing=decision.reason in {Reason.MISSING_ONCE, Reason.HELD_BACK} and not seen.known_at_sumup,
        )
        return Applied.of(order, decision, tickets=tickets, told=told)

    def _end_told_cases(
        self, connection: sa.Connection, order: Order, decision: Decision, seen: Assessment, now: datetime
    ) -> None:
        """Close what was told of the order's payments that have gone back, or have bought its tickets after all."""
        if order.looked_at is None:
            return
        if back := [payment.answer.id for payment in seen.flawed if payment.returned]:
            told_cases.end(connection, order.id, back, why=told_cases.WENT_BACK, now=now, run_id=self.run_id)
        if decision.payment is not None:
            bought = [decision.payment.checkout_id]
            told_cases.end(connection, order.id, bought, why="it bought the tickets", now=now, run_id=self.run_id)

    def _next_look(
        self, order: Order, evidence: Evidence, seen: Assessment, decision: Decision, now: datetime
    ) -> datetime | None:
        """Return when to look again; `order` is as it was before the decision, but for `changed_at`."""
        if decision.reason is Reason.BEFORE_OUR_TIME and order.status in BASKET and not seen.known_at_sumup:
            return now + QUIET_LOOKS[-1]  # a key of another account finds nothing either: nobody would ask again
        if decision.reason in {Reason.BEFORE_OUR_TIME, Reason.NOT_WATCHED}:
            return None
        return next_look(
            order,
            self.policy,
            now,
            status=str(STATUS_AFTER.get(decision.outcome, order.status)),
            outstanding=is_outstanding(order, evidence, decision, self.policy),
            answered=is_answer(order, seen, evidence, decision),
        )

    def _change_order(
        self, connection: sa.Connection, order: Order, evidence: Evidence, decision: Decision, now: datetime
    ) -> int:
        """Write what the decision means for the order; return how many tickets were issued."""
        why = decision.explanation
        match decision.outcome:
            case Outcome.COMPLETE if decision.payment is not None:
                return fulfil(
                    connection, order, decision.payment, self.rules, explanation=why, run_id=self.run_id, now=now
                )
            case Outcome.RESTORE:
                restore(connection, order, decision.payment, explanation=why, run_id=self.run_id, now=now)
            case Outcome.FAIL:
                set_order_status(connection, order, OrderStatus.FAILED, why, now)
                self._post_failure(connection, order, evidence, now)
            case Outcome.EXPIRE:
                set_order_status(connection, order, OrderStatus.EXPIRED, why, now)
            case Outcome.REVIEW:
                set_order_status(connection, order, OrderStatus.REVIEW, f"{decision.reason}: {why}", now)
                if self.rules.tell_of_review and _customer_waits(order, evidence, decision.reason):
                    self._post_under_review(connection, order, now)
            case _:
                pass
        return 0

    def _post_failure(self, connection: sa.Connection, order: Order, evidence: Evidence, now: datetime) -> None:
        """Tell the buyer, once for each time a card was declined: a replayed return URL mails nothing."""
        page = hosted_page(order, evidence, self.policy.api_url, now)
        content = FailureContext(
            order_number=order.number,
            customer_name=order.customer_name,
            email=order.email,
            total=order.total,
            currency=self.rules.site.currency,
            lines=order_lines(order, self.rules.site),
            retry_url=self.rules.site.retry_link(order.id, order.number),
            page_url=page.url if page else "",
            page_until=page.until if page else None,
        )
        outbox.post(
            connection,
            kind="payment_failed",
            dedupe_key=f"payment_failed:{order.known_as}:{_declined(order, evidence)}",
            recipients=[order.email],
            content=content.to_json(),
            message_id=new_message_id(self.rules.domain),
            now=now,
            order_id=order.id,
        )

    def _post_under_review(self, connection: sa.Connection, order: Order, now: datetime) -> None:
        content = ConfirmationContext(
            order_number=order.number,
            customer_name=order.customer_name,
            email=order.email,
            total=order.total,
            currency=self.rules.site.currency,
            lines=order_lines(order, self.rules.site),
        )
        outbox.post(
            connection,
            kind="under_review",
            dedupe_key=f"under_review:{order.known_as}",
            recipients=[order.email],
            content=content.to_json(),
            message_id=new_message_id(self.rules.domain),
            now=now,
            order_id=order.id,
        )


# Money that went back, was used before, or was judged by a person: the customer is not waiting for tickets.
_NOBODY_WAITS = frozenset({Reason.REFUNDED, Reason.REJECTED, Reason.SPENT_ELSEWHERE})


def _customer_waits(order: Order, evidence: Evidence, reason: Reason) -> bool:
    """Say whether SumUp says PAID while the customer has never had tickets, and may wonder where they are."""
    if order.tickets or order.fulfilment is not None or reason in _NOBODY_WAITS:
        return False
    return any(answer.status == CheckoutStatus.PAID for answer in _answers(evidence))


def _answers(evidence: Evidence) -> list[CheckoutAnswer]:
    return [look.value for look in evidence.reads.values() if isinstance(look, Found)]


def _declined(order: Order, evidence: Evidence) -> str:
    """Name the last attempt that was declined, or its checkout where SumUp lists none."""
    answers = _answers(evidence)
    tried = [answer.newest_attempt for answer in answers if answer.status == CheckoutStatus.FAILED]
    newest = max(
        (attempt for attempt in tried if attempt is not None),
        key=lambda attempt: attempt.timestamp or order.created_at,
        default=None,
    )
    return newest.id if newest is not None and newest.id else "unnamed"


def is_outstanding(order: Order, evidence: Evidence, decision: Decision, policy: Policy) -> bool:
    """Say whether something is to be asked that this look did not ask.

    A checkout that the shop made meanwhile, or one to be closed by a decision that came too late to ask for it.
    """
    unread = [one for one in checkout_ids(order, evidence, policy) if one not in evidence.reads]
    return bool(unread) or any(one not in evidence.closings for one in decision.close)


def note_checkouts(
    connection: sa.Connection,
    stored: Sequence[Checkout],
    evidence: Evidence,
    decision: Decision,
    now: datetime,
    *,
    settled: bool,
) -> None:
    """Write into the shop's rows of checkouts what SumUp said about each, and which of them is paid."""
    payment = decision.payment
    for checkout in stored:
        answer = answer_for(checkout, evidence)
        paid_at = payment.paid_at or now if payment is not None and answer is payment.answer else None
        note_checkout(connection, checkout, answer, now, settled=settled, paid_at=paid_at)


def answer_for(checkout: Checkout, evidence: Evidence) -> CheckoutAnswer | None:
    """Return what SumUp said about a stored checkout: PAID before anything else, where its two ids differ.

    A row without an id is the one that a checkout found under its reference belongs to.
    """
    answers = _answers(evidence)
    own = [answer for answer in answers if answer.id in checkout.checkout_ids]
    if not checkout.checkout_ids:
        own = [answer for answer in answers if answer.reference == checkout.reference]
    return max(own, key=lambda answer: (answer.status == CheckoutStatus.PAID, answers.index(answer)), default=None)
