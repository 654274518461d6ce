"""A person's decision on an order in review: issue its tickets, or close the review without.

`look_at` asks SumUp, with no transaction open, and shows what stands for and against; `settle` takes the order's row
lock, reads everything again and writes the verdict down in one transaction. What a person may not do either: issue a
second time, or on a payment that has paid for another order. Those refuse whatever is overridden, and the database
refuses them once more.

A verdict without tickets leaves the order in requires_manual_review, because no verdict moves an order to cancelled or
refunded; `paypoll.state.resolutions` says how the review counts as closed all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.admin.completion import as_unfulfilled, require_open
from paypoll.admin.deciding import decision_about, require_as_shown, require_fresh
from paypoll.admin.weighing import Case, as_if_waiting, patient, payment_of, surplus_of, weigh
from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.next_steps import order_word
from paypoll.alerts.orders import alert_about
from paypoll.alerts.overbooked import tell_of_overfull_halls
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError
from paypoll.mail.delivered import Delivered
from paypoll.payments.decision import Outcome
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import Closing, fetch_evidence
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.ledger import FindingKind
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.override import OverriddenPayment
from paypoll.payments.policy import Policy
from paypoll.payments.ticket_statuses import VALID
from paypoll.payments.told import ToldKind
from paypoll.runs.apply import answer_for
from paypoll.runs.completion import complete_missing
from paypoll.runs.fulfil import FulfilmentRules, fulfil, restore
from paypoll.runs.load import load_for_decision, load_order
from paypoll.shop.changes import note_checkout, set_order_status
from paypoll.shop.find import find_order_id, lock_order
from paypoll.state import findings, outbox, told_payments, watches
from paypoll.state.audit import describe_evidence, record
from paypoll.state.memory import require_ready_to_work
from paypoll.state.posted_alerts import forget_told
from paypoll.state.resolutions import ACTION, Verdict
from paypoll.state.runs import new_run_id
from paypoll.state.tables import outbox as outbox_table

_NOT_BY_TICKETS = (FindingKind.SECOND_PAYMENT.value, ToldKind.PAID_TWICE.value)
"""Tickets issued give nobody's second payment back."""

_NOTES = {Verdict.ISSUE: "issued", Verdict.REFUND_NOTED: "refund noted, no tickets", Verdict.REJECT: "rejected"}


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person decided, who it was, and why. `override` counts for ISSUE only."""

    verdict: Verdict
    who: str
    reason: str
    override: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it. `tickets` counts those issued now, `mended` those that can be read now."""

    order: Order
    resolution: Resolution
    status_to: str
    tickets: int = 0
    overridden: tuple[str, ...] = ()
    still_payable: tuple[str, ...] = ()
    mended: int = 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What became of the confirmation: the outbox's state (sent, waiting, undeliverable), and why it is not sent."""

    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Resolver:
    """Looks at orders in review and writes a person's decision down.

    `gateway` is made when it is first needed; `deliver` sends the mail that is due, in the run with this id.
    """

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    rules: FulfilmentRules
    desk: AlertDesk
    deliver: Callable[[str], Delivered]
    clock: Clock

    def find_in_review(self, wanted: str) -> Order:
        """Return the order with this number or id.

        Raise OrderNotFoundError, or RefusedError when it is not in review.
        """
        require_ready_to_work(self.engine)
        with transaction(self.engine) as connection:
            order = load_order(connection, find_order_id(connection, wanted))
            return require_open(connection, order, wanted, self.clock.now())

    def look_at(self, order: Order) -> Case:
        """Ask SumUp about the order, closing nothing there, and say what stands against issuing its tickets."""
        asked_at = self.clock.now()
        waiting, policy = as_if_waiting(order), patient(self.policy)
        evidence = fetch_evidence(waiting, self.gateway(), policy, asked_at, closing=Closing.LEAVE)
        with transaction(self.engine) as connection:
            present = load_for_decision(connection, order.id, evidence, lock=False) or order
        return weigh(present, evidence, self.policy, asked_at, self.clock.now())

    def settle(self, order: Order, resolution: Resolution, case: Case | None = None) -> Settled:
        """Write the verdict down and do what it says; a verdict of ISSUE needs the `case`.

        Raise RefusedError when the order is not in review any more, or its tickets must not be issued.
        """
        run_id = new_run_id(self.clock.now())
        forbidden = "a place has its ticket already, or the payment has paid for another order"
        with decision_about(f"order {order.number}", forbidden=forbidden), transaction(self.engine) as connection:
            if not lock_order(connection, order.id):
                raise OrderNotFoundError(f"order {order.number} is gone from the shop")
            now = self.clock.now()
            present = require_open(connection, load_order(connection, order.id), order.number, now)
            forget_told(connection, order.id, "alert:review:", run_id)
            if resolution.verdict is Verdict.ISSUE:
                if case is None:
                    raise ValueError("tickets are issued only after SumUp was asked")
                return self._issue(connection, present, resolution, case, run_id, now)
            return _close(connection, present, resolution, run_id, now)

    def send_confirmation(self, settled: Settled) -> Confirmation:
        """Deliver what is due, so that the tickets do not wait for the next run, and say what became of their mail."""
        self.deliver(new_run_id(self.clock.now()))
        with transaction(self.engine) as connection:
            posted = outbox_table.c.dedupe_key == f"confirmation:{settled.order.id}"
            row = connection.execute(sa.select(outbox_table.c.state, outbox_table.c.last_error).where(posted)).one()
        return Confirmation(row.state, row.last_error or "")

    def _require_issuable(
        self, connection: sa.Connection, present: Order, resolution: Resolution, asked: Case, now: datetime
    ) -> tuple[Case, VerifiedPayment | OverriddenPayment]:
        """Return the order as it is now, its halls locked, and what its tickets rest on. Raise RefusedError."""
        what = f"order {present.number}"
        require_fresh(what, asked.asked_at, now)
        present = load_for_decision(connection, present.id, asked.evidence, lock=True) or present
        case = weigh(present, asked.evidence, self.policy, asked.asked_at, now)
        require_as_shown(what, asked, case, override=resolution.override, act="issue its tickets")
        return case, payment_of(case, self.policy)

    def _issue(
        self,
        connection: sa.Connection,
        present: Order,
        resolution: Resolution,
        asked: Case,
        run_id: str,
        now: datetime,
    ) -> Settled:
        case, payment = self._require_issuable(connection, present, resolution, asked, now)
        present = case.order
        note = _note(resolution, overridden=bool(case.objections))
        tickets = mended = 0
        if stays := present.status != OrderStatus.REVIEW:
            done = complete_missing(connection, present, payment, self.rules, explanation=note, run_id=run_id, now=now)
            tickets, mended = done.issued, done.mended
            tell_of_overfull_halls(self.desk, connection, as_unfulfilled(present), now)
        elif case.restores:
            restore(connection, present, payment, explanation=note, run_id=run_id, now=now)
        else:
            tickets = fulfil(connection, present, payment, self.rules, explanation=note, run_id=run_id, now=now)
            for notice in case.decision.notices if case.decision.outcome is Outcome.COMPLETE else ():
                self.desk.tell_about_order(connection, present, alert_about(present, notice), now)
            tell_of_overfull_halls(self.desk, connection, present, now)
        for notice in surplus_of(case, payment, self.policy):
            self.desk.tell_about_order(connection, present, alert_about(present, notice), now)
        for checkout in present.checkouts:
            answer = answer_for(checkout, case.evidence)
            paid_at = (payment.paid_at or now) if answer is not None and answer is payment.answer else None
            note_checkout(connection, checkout, answer, now, settled=True, paid_at=paid_at)
        status = present.status if stays else OrderStatus.COMPLETED.value
        settled = Settled(present, resolution, status, tickets, case.objections, case.still_payable, mended)
        _record(connection, settled, case.evidence, run_id, now)
        watches.enrol_order(connection, present.id, now)
        watches.note_check(
            connection,
            present.id,
            run_id,
            now,
            status=settled.status_to,
            changed=True,
            next_check_at=now,  # its other checkouts are followed, and closed
            answer=_reason_code(settled),
            missing=False,
        )
        return settled


def close_finding(engine: sa.Engine, number: int, who: str, reason: str, now: datetime) -> findings.Finding:
    """Close a finding of SumUp's ledger, as a person. Raise RefusedError when it is not there, or closed."""
    require_ready_to_work(engine)
    with transaction(engine) as connection:
        return findings.close(connection, number, why=reason, now=now, who=who)


def obstacle_to_closing(order: Order) -> str:
    """Return why the order's review cannot be closed without tickets: it has some, which admit; empty when it can."""
    admitting = [ticket.number for ticket in order.tickets if ticket.status == VALID]
    if order.status != OrderStatus.REVIEW or not admitting:
        return ""
    return (
        f"it has tickets that admit: {', '.join(admitting)}. Cancel them in the shop first, or keep them by "
        f"`paypoll resolve {order_word(order.id, order.number)} --issue --override`"
    )


def _close(connection: sa.Connection, present: Order, resolution: Resolution, run_id: str, now: datetime) -> Settled:
    """Close the review without tickets: a line in the payment notes, in the history and in the trail, no new status.

    Of an order that the shop completed by itself, in the trail alone. Raise RefusedError while tickets of it admit.
    """
    if obstacle := obstacle_to_closing(present):
        raise RefusedError(f"order {present.number}: {obstacle}")
    if present.status == OrderStatus.REVIEW:
        set_order_status(connection, present, OrderStatus.REVIEW, _note(resolution), now)
    settled = Settled(present, resolution, present.status)
    told_payments.settle(connection, present.id, run_id)
    outbox.withdraw(connection, present.id, "under_review")  # it is being checked no more
    _record(connection, settled, None, run_id, now)
    # 24c: what can still be paid is closed by the next run, and a payment all the same is told.
    watches.enrol_order(connection, present.id, now)
    watches.follow(connection, present.id, now)
    return settled


def _record(connection: sa.Connection, settled: Settled, evidence: Evidence | None, run_id: str, now: datetime) -> None:
    explanation = settled.resolution.reason
    # What a verdict without tickets leaves admitting stays listed: of an order that the shop completed by itself.
    admits = any(ticket.status == VALID for ticket in settled.order.tickets)
    not_by_closing = (FindingKind.RETURNED.value,) if admits else ()
    findings.close_of_order(
        connection,
        settled.order.id,
        but=_NOT_BY_TICKETS if settled.resolution.verdict is Verdict.ISSUE else not_by_closing,
        why=f"{settled.resolution.verdict.value}: {explanation}",
        who=settled.resolution.who,
        now=now,
    )
    if settled.overridden:
        explanation += " | Overridden: " + " ".join(settled.overridden)
    record(
        connection,
        now=now,
        action=ACTION,
        actor=settled.resolution.who,
        order_id=settled.order.id,
        order_number=settled.order.number,
        run_id=run_id,
        outcome=settled.resolution.verdict.value,
        reason=_reason_code(settled),
        explanation=explanation,
        status_from=settled.order.status,
        status_to=settled.status_to,
        evidence=describe_evidence(evidence) if evidence is not None else None,
    )


def _reason_code(settled: Settled) -> str:
    return "overridden" if settled.overridden else f"person_{settled.resolution.verdict}"


def _note(resolution: Resolution, *, overridden: bool = False) -> str:
    what = "issued, overriding what SumUp says" if overridden else _NOTES[resolution.verdict]
    return f"resolved by {resolution.who}: {what}: {resolution.reason}"
