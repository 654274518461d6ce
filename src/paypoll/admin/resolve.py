"""A person's decision on an order in review: issue its tickets, or close the review without.

`look_at` asks SumUp, with no transaction open, and shows what stands for and against; `settle` takes the order's row
lock, reads everything again and writes the verdict down in one transaction. What a person may not do either: issue a
second time, or on a payment that has paid for another order. Those refuse whatever is overridden, and the database
refuses them once more.

A verdict without tickets leaves the order in requires_manual_review, because paypoll moves no order to cancelled or
refunded; `paypoll.state.resolutions` says how the review counts as closed all the same.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from paypoll.admin.completion import as_unfulfilled, obstacle_to_completion, require_open
from paypoll.alerts.halls import tell_of_overfull_halls
from paypoll.alerts.orders import alert_about
from paypoll.app import App, new_run_id
from paypoll.database import Trouble, sort_error, transaction
from paypoll.errors import OrderNotFoundError, RefusedError, TryLaterError
from paypoll.payments.classify import Assessment, assess
from paypoll.payments.decision import Decision, Outcome
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import verify
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.matching import FlawedPayment, UncheckedPayment, VerifiedPayment
from paypoll.payments.order import Order
from paypoll.payments.override import OverriddenPayment, rest_on
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide, ticket_flaw
from paypoll.payments.statuses import OrderStatus
from paypoll.runs.apply import answer_for
from paypoll.runs.completion import complete_missing
from paypoll.runs.fulfil import fulfil, restore
from paypoll.shop.capacity import with_places_taken
from paypoll.shop.changes import note_checkout, set_order_status
from paypoll.shop.orders import find_order_id, load_order, lock_order
from paypoll.state import outbox, watches
from paypoll.state.audit import describe_evidence, record
from paypoll.state.fulfilments import spent_on_others
from paypoll.state.resolutions import ACTION, Verdict
from paypoll.state.tables import outbox as outbox_table

_FRESH = timedelta(minutes=5)
"""For so long what SumUp said may be acted upon: a person may leave the question unanswered for an hour."""

_Shown: TypeAlias = VerifiedPayment | UncheckedPayment | FlawedPayment

_NOTES = {Verdict.ISSUE: "issued", Verdict.REFUND_NOTED: "refund noted, no tickets", Verdict.REJECT: "rejected"}


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person decided, who it was, and why. `override` counts for ISSUE only."""

    verdict: Verdict
    who: str
    reason: str
    override: bool = False


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


def find_in_review(app: App, wanted: str) -> Order:
    """Return the order with this number or id. Raise OrderNotFoundError, or RefusedError when it is not in review."""
    app.require_ready()
    with transaction(app.engine) as connection:
        order = load_order(connection, find_order_id(connection, wanted))
        return require_open(connection, order, wanted, app.clock.now())


def look_at(app: App, order: Order) -> Case:
    """Ask SumUp about the order, closing nothing there, and say what stands against issuing its tickets."""
    waiting = _as_if_waiting(order)
    asked_at = app.clock.now()
    evidence = verify(waiting, app.gateway, _patient(app.policy), asked_at, may_close=False)
    with transaction(app.engine) as connection:
        spent = spent_on_others(connection, order.id, evidence.sumup_ids)
        order = with_places_taken(connection, order, lock=False)
    return _weigh(replace(order, spent_elsewhere=spent), evidence, app.policy, asked_at, app.clock.now())


def settle(app: App, order: Order, resolution: Resolution, case: Case | None = None) -> Settled:
    """Write the verdict down and do what it says; a verdict of ISSUE needs the `case`.

    Raise RefusedError when the order is not in review any more, or its tickets must not be issued.
    """
    run_id = new_run_id(app.clock.now())
    try:
        with transaction(app.engine) as connection:
            if not lock_order(connection, order.id):
                raise OrderNotFoundError(f"order {order.number} is gone from the shop")
            now = app.clock.now()
            present = require_open(connection, load_order(connection, order.id), order.number, now)
            outbox.forget_told(connection, order.id, "alert:review:", run_id)
            if resolution.verdict is Verdict.ISSUE:
                if case is None:
                    raise ValueError("tickets are issued only after SumUp was asked")
                return _issue(app, connection, present, resolution, case, run_id, now)
            return _close(connection, present, resolution, run_id, now)
    except IntegrityError as error:
        raise RefusedError(
            f"order {order.number}: the database forbids it: a place has its ticket already, or the payment has "
            "paid for another order; nothing was changed"
        ) from error
    except DBAPIError as error:
        if sort_error(error) is Trouble.BUSY:
            raise TryLaterError(f"order {order.number} is held by the shop or by a run; try again") from error
        raise


def send_confirmation(app: App, settled: Settled) -> Confirmation:
    """Deliver what is due, so that the tickets do not wait for the next run, and say what became of their mail."""
    app.deliver(new_run_id(app.clock.now()), app.stop)
    with transaction(app.engine) as connection:
        posted = outbox_table.c.dedupe_key == f"confirmation:{settled.order.id}"
        row = connection.execute(sa.select(outbox_table.c.state, outbox_table.c.last_error).where(posted)).one()
    return Confirmation(row.state, row.last_error or "")


def _issue(
    app: App,
    connection: sa.Connection,
    present: Order,
    resolution: Resolution,
    asked: Case,
    run_id: str,
    now: datetime,
) -> Settled:
    if now - asked.asked_at > _FRESH:
        raise RefusedError(f"order {present.number}: what SumUp said is out of date by now; ask again")
    present = with_places_taken(connection, present, lock=True)
    present = replace(present, spent_elsewhere=spent_on_others(connection, present.id, asked.evidence.sumup_ids))
    case = _weigh(present, asked.evidence, app.policy, asked.asked_at, now)
    if case.forbidden:
        raise RefusedError(f"order {present.number}: {case.forbidden}")
    if case.objections and not resolution.override:
        against = " ".join(case.objections)
        raise RefusedError(f"order {present.number}: {against} To issue its tickets all the same, add --override")
    payment = _payment_of(case, app.policy)
    note = _note(resolution, overridden=bool(case.objections))
    applier = app.applier(run_id)
    tickets = mended = 0
    if present.status != OrderStatus.REVIEW:
        done = complete_missing(connection, present, payment, applier.rules, explanation=note, run_id=run_id, now=now)
        tickets, mended = done.issued, done.mended
        tell_of_overfull_halls(applier.desk, connection, as_unfulfilled(present), now)
    elif case.restores:
        restore(connection, present, payment, explanation=note, run_id=run_id, now=now)
    else:
        tickets = fulfil(connection, present, payment, applier.rules, explanation=note, run_id=run_id, now=now)
        for notice in case.decision.notices if case.decision.outcome is Outcome.COMPLETE else ():
            applier.desk.tell_about_order(connection, present, alert_about(present, notice), now)
        tell_of_overfull_halls(applier.desk, connection, present, now)
    for checkout in present.checkouts:
        answer = answer_for(checkout, case.evidence)
        paid_at = (payment.paid_at or now) if answer is not None and answer is payment.answer else None
        note_checkout(connection, checkout, answer, now, settled=True, paid_at=paid_at)
    stays = present.status != OrderStatus.REVIEW
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
        settled=True,
        next_check_at=None,
        answer=_reason_code(settled),
        missing=False,
    )
    return settled


def _close(connection: sa.Connection, present: Order, resolution: Resolution, run_id: str, now: datetime) -> Settled:
    """Close the review without tickets: a line in the payment notes, in the history and in the trail, no new status.

    Of an order that the shop completed by itself, in the trail alone.
    """
    if present.status == OrderStatus.REVIEW:
        set_order_status(connection, present, OrderStatus.REVIEW, _note(resolution), now)
    settled = Settled(present, resolution, present.status)
    _record(connection, settled, None, run_id, now)
    return settled


def _record(connection: sa.Connection, settled: Settled, evidence: Evidence | None, run_id: str, now: datetime) -> None:
    explanation = settled.resolution.reason
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


# ---------------------------------------------------------------------------------------------------------
# What stands for and against issuing the tickets
# ---------------------------------------------------------------------------------------------------------


def _weigh(order: Order, evidence: Evidence, policy: Policy, asked_at: datetime, now: datetime) -> Case:
    """Hold the order against what SumUp said: what a run would decide if the order were still waiting."""
    in_review = order.status == OrderStatus.REVIEW
    undone = "" if in_review else obstacle_to_completion(order)
    weighed = order if in_review else as_unfulfilled(order)
    decision = decide(_as_if_waiting(weighed), evidence, _patient(policy), now)
    seen = _assess(weighed, evidence, policy)
    objections: tuple[str, ...] = ()
    if decision.payment is None:
        said = _sentence(decision.explanation)
        objections = (said, *(flaw for payment in seen.flawed for flaw in payment.sentences if flaw not in said))
    return Case(
        order=order,
        evidence=evidence,
        asked_at=asked_at,
        decision=decision,
        objections=objections,
        forbidden=undone or _forbidden(weighed, seen, policy),
        restores=bool(weighed.tickets) or weighed.fulfilment is not None,
        still_payable=seen.pending,
    )


def _forbidden(order: Order, seen: Assessment, policy: Policy) -> str:
    """Return why nobody may issue this order's tickets, whatever the reason given; empty when they may be issued."""
    if order.fulfilment is None and _shown(seen) and not _unspent(order, seen):
        return "its payment has paid for another order already, and cannot pay for two"
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


def _payment_of(case: Case, policy: Policy) -> VerifiedPayment | OverriddenPayment:
    """Return what the tickets rest on: the verified payment, or else the best of what SumUp shows, or a mere word."""
    if case.decision.payment is not None:
        return case.decision.payment
    best = next(iter(_unspent(case.order, _assess(case.order, case.evidence, policy))), None)
    return best if isinstance(best, VerifiedPayment) else rest_on(case.order, best, policy.currency)


def _shown(seen: Assessment) -> tuple[_Shown, ...]:
    """Return the payments that SumUp shows and that were not given back in full, the best first."""
    return (*seen.verified, *seen.unchecked, *(payment for payment in seen.flawed if not payment.returned))


def _unspent(order: Order, seen: Assessment) -> tuple[_Shown, ...]:
    """Return those of the payments that have not paid for another order."""
    return tuple(shown for shown in _shown(seen) if not _ids(shown.answer) & order.spent_elsewhere)


def _ids(answer: CheckoutAnswer) -> set[str]:
    return {answer.id, answer.transaction_id, *(attempt.id for attempt in answer.attempts)}


def _assess(order: Order, evidence: Evidence, policy: Policy) -> Assessment:
    return assess(_as_if_waiting(order), evidence, policy)


def _as_if_waiting(order: Order) -> Order:
    """Return the order as a run would see it if it waited for the first time: a person thinks it over anew."""
    return replace(order, status=OrderStatus.PENDING_VERIFICATION, rejected=False, missing_checks=1)


def _patient(policy: Policy) -> Policy:
    """Return the policy without an age limit: nothing expires here, so PENDING is all there is to say."""
    return replace(policy, max_age=timedelta.max)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
