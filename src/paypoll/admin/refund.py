"""Give a payment back because a person says so: find the payment, say what would come of it, then do it.

`look_at` asks SumUp, with no transaction open, and changes nothing. `carry_out` writes the refund down and takes it as
far as it comes (`paypoll.ledger.refunds`); what is left of it is the next run's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.admin.resolve import Confirmation
from paypoll.admin.weighing import patient
from paypoll.alerts.next_steps import order_word
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import NotFoundError, OrderNotFoundError, RefusedError, SettingsError, TryLaterError
from paypoll.ledger.refunds import PATIENTLY, Progress, RefundEngine
from paypoll.mail.delivered import Delivered
from paypoll.payments.classify import is_silence
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import Closing, fetch_evidence
from paypoll.payments.gateway import (
    CheckoutAnswer,
    CheckoutStatus,
    Found,
    NotAllowed,
    PaymentGateway,
    TransactionAnswer,
)
from paypoll.payments.money import show_amount
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import BASKET, LATE, WAITING, OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.refunding import OPEN, RefundIntent, RefundState, Standing, obstacle
from paypoll.payments.ticket_statuses import ADMITTING, VALID
from paypoll.runs.load import load_for_decision, load_order
from paypoll.shop.find import find_order_id
from paypoll.shop.refunds import GRANTS, refund_table_problems
from paypoll.state.memory import require_ready_to_work
from paypoll.state.refunds import refunds_of
from paypoll.state.rights import missing_rights
from paypoll.state.runs import new_run_id
from paypoll.state.tables import outbox as outbox_table

_SAME_FOR = timedelta(days=1)
"""For so long a refund asked for in the same words is the same refund: a script may say it twice."""


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What a person wants given back. No `amount`: all that is left. No `checkout`: the one that holds money."""

    who: str
    reason: str
    amount: Decimal | None = None
    tickets: tuple[str, ...] = ()
    checkout: str = ""


@dataclass(frozen=True, slots=True)
class RefundCase:
    """A refund that can be made, or was begun before and goes on. `intent.id` is 0 until it is written down.

    `whole`: nothing of the payment is left then. `voids` are the tickets that would admit nobody any more. `held`:
    the checkouts of the order's other payments that hold money, while the tickets that rest on this one become void.
    """

    order: Order
    intent: RefundIntent
    card: str = ""
    whole: bool = False
    voids: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Payment:
    answer: CheckoutAnswer
    transaction: TransactionAnswer

    @property
    def holds_money(self) -> bool:
        return self.transaction.left > 0


@dataclass(frozen=True, slots=True)
class Refunder:
    """Gives payments back. `gateway` is made when it is first needed; `deliver` sends the mail that is due."""

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    refunds: RefundEngine
    deliver: Callable[[str], Delivered]
    clock: Clock

    def find(self, wanted: str) -> Order:
        """Return the order with this number or id.

        Raise SettingsError unless refunds are allowed, and the database lets us write what comes of one: that must not
        show only when the money is gone.
        """
        require_ready_to_work(self.engine)
        if not self.refunds.allowed:
            raise SettingsError(["refunds are off; sumup.allow_refunds = true lets them be sent"])
        with transaction(self.engine) as connection:
            problems = list(refund_table_problems(connection))
            if connection.dialect.name == "postgresql":
                problems += missing_rights(connection, refunds=True)
            if problems:
                raise SettingsError([*problems, GRANTS], source="[database]")
            order = load_order(connection, find_order_id(connection, wanted))
        if order is None:
            raise OrderNotFoundError(f"order {wanted} is gone from the shop")
        return order

    def look_at(self, order: Order, request: RefundRequest) -> RefundCase:
        """Return what would be given back, or the refund of this order that was begun before.

        Raise RefusedError when nothing may be given back so, TryLaterError when SumUp does not say.
        """
        with transaction(self.engine) as connection:
            earlier = refunds_of(connection, order.id, order.number)
        if (begun := _open_refund(order, earlier, request)) is not None:
            return RefundCase(order, begun, voids=begun.tickets)
        _require_settled(order)
        now = self.clock.now()
        # As one in review is asked about: with every look-up by reference, and closing nothing.
        asked = replace(order, status=OrderStatus.REVIEW)
        evidence = fetch_evidence(asked, self.gateway(), patient(self.policy), now, closing=Closing.LEAVE)
        with transaction(self.engine) as connection:
            order = load_for_decision(connection, order.id, evidence, lock=False) or order
        payments = _payments(evidence)
        payment = _choose(order, evidence, payments, request)
        told = payment.transaction
        if (done := _done_before(earlier, payment, request, now)) is not None:
            return RefundCase(order, done, told.card)
        beside = _is_beside(order, payment, payments)
        amount = told.left if request.amount is None else request.amount
        _require_possible(order, payment, amount)
        whole = told.returned + amount >= told.net
        voids = _tickets_to_void(order, request, whole=whole, beside=beside)
        intent = RefundIntent(
            id=0,
            order_id=order.id,
            order_number=order.number,
            checkout_id=payment.answer.id,
            transaction_id=told.id,
            merchant_code=payment.answer.merchant_code or told.merchant_code or self.policy.merchant_code,
            amount=amount,
            currency=told.currency,
            tickets=tuple(sorted(request.tickets)),
            beside=beside,
            who=request.who,
            reason=request.reason,
            state=RefundState.INTENDED,
            before=Standing.of(told),
            created_at=now,
            changed_at=now,
        )
        others = {one.answer.id for one in payments if one.holds_money and one.transaction.id != told.id}
        held = tuple(sorted(others)) if whole and not beside else ()
        return RefundCase(order, intent, told.card, whole, voids, held)

    def carry_out(self, case: RefundCase) -> Progress:
        """Write the refund down, unless it is, and take it as far as it comes now."""
        intent = case.intent
        if intent.state not in OPEN:
            return Progress(intent, "it was made before, and asked for in the same words", status=case.order.status)
        if not intent.id:
            written = self.refunds.begin(intent)
            if written is None:
                raise RefusedError(f"another refund of this payment of order {case.order.number} is under way")
            intent = written
        return self.refunds.carry_on(intent, PATIENTLY, run_id=new_run_id(self.clock.now()), attended=True)

    def send_mail(self, intent: RefundIntent) -> Confirmation | None:
        """Deliver what is due, and say what became of the mail to the customer. None when there is none."""
        self.deliver(new_run_id(self.clock.now()))
        with transaction(self.engine) as connection:
            posted = outbox_table.c.dedupe_key == f"refund:{intent.id}"
            query = sa.select(outbox_table.c.state, outbox_table.c.last_error).where(posted)
            row = connection.execute(query).one_or_none()
        return Confirmation(row.state, row.last_error or "") if row is not None else None


def _open_refund(order: Order, earlier: tuple[RefundIntent, ...], request: RefundRequest) -> RefundIntent | None:
    """Return the refund of this order that is under way. Raise RefusedError when it is another than what is wanted."""
    under_way = [intent for intent in earlier if intent.state in OPEN]
    if not under_way:
        return None
    fits = [
        intent
        for intent in under_way
        if request.amount in {None, intent.amount}
        and request.checkout in {"", intent.checkout_id}
        and (not request.tickets or set(request.tickets) == set(intent.tickets))
    ]
    if fits:
        return fits[0]
    if request.checkout and all(intent.checkout_id != request.checkout for intent in under_way):
        return None
    intent = under_way[0]
    amount = show_amount(intent.amount, intent.currency)
    raise RefusedError(
        f"order {order.number}: a refund of {amount} is under way since {intent.created_at:%d %B, %H:%M} UTC; "
        "when it has ended, ask for the next"
    )


def _require_settled(order: Order) -> None:
    if order.records_of:
        raise RefusedError(f"paypoll's records under the id of order {order.number} are of {order.records_of}")
    if order.status in WAITING | BASKET | LATE:
        raise RefusedError(
            f"order {order.number} is {order.status}: a run may still issue its tickets; "
            f"first `paypoll run-once --order {order_word(order.id, order.number)}`"
        )


def _payments(evidence: Evidence) -> tuple[_Payment, ...]:
    """Return the payments of which SumUp says how they stand."""
    looks = [(answer, evidence.transactions.get(answer.id)) for answer in _paid(evidence)]
    return tuple(_Payment(answer, look.value) for answer, look in looks if isinstance(look, Found))


def _paid(evidence: Evidence) -> list[CheckoutAnswer]:
    found = (look.value for look in evidence.reads.values() if isinstance(look, Found))
    return [answer for answer in found if answer.status == CheckoutStatus.PAID]


def _choose(order: Order, evidence: Evidence, payments: tuple[_Payment, ...], request: RefundRequest) -> _Payment:
    """Return the payment that is meant. Raise RefusedError when there is none, or it cannot be told which."""
    if request.checkout:
        chosen = [payment for payment in payments if payment.answer.id == request.checkout]
        if not chosen:
            raise _no_payment(order, evidence, f"checkout {request.checkout}")
        return chosen[0]
    looks = (*evidence.reads.values(), *evidence.transactions.values(), *evidence.searches.values())
    # One of which SumUp does not say how it stands may be the one that is meant.
    if len(payments) < len(_paid(evidence)) or not payments or any(is_silence(look) for look in looks):
        raise _no_payment(order, evidence, "every paid checkout of it")
    done = order.fulfilment.checkout_id if order.fulfilment else ""
    # Under two checkouts of the order one payment is one: by the checkout that its tickets rest on, if by that.
    once = {one.transaction.id: one for one in sorted(payments, key=lambda one: one.answer.id == done)}
    holding = [payment for payment in once.values() if payment.holds_money] or list(payments[-1:])
    if len(holding) > 1:
        listed = ", ".join(
            f"{payment.answer.id} ({show_amount(payment.transaction.left, payment.transaction.currency)}"
            + (", its tickets rest on it)" if payment.answer.id == done else ")")
            for payment in holding
        )
        raise RefusedError(f"order {order.number} was paid more than once; say which by --checkout: {listed}")
    return holding[0]


def _no_payment(order: Order, evidence: Evidence, what: str) -> NotFoundError | RefusedError | TryLaterError:
    looks = (*evidence.reads.values(), *evidence.transactions.values(), *evidence.searches.values())
    for look in looks:
        if is_silence(look):
            return TryLaterError(f"order {order.number}: SumUp did not say how {what} stands: {look.detail}")
    for look in looks:
        if isinstance(look, NotAllowed):
            return RefusedError(
                f"order {order.number}: SumUp does not let our credential see how {what} stands, and nothing is given "
                f"back unseen; it needs the scope transactions.history: {look.detail}"
            )
    return NotFoundError(f"order {order.number}: SumUp shows no payment by {what}")


def _done_before(
    earlier: tuple[RefundIntent, ...], payment: _Payment, request: RefundRequest, now: datetime
) -> RefundIntent | None:
    """Return the refund that was just asked for in the same words, and made."""
    if request.amount is None and payment.holds_money:
        return None
    for intent in reversed(earlier):
        same = (
            intent.state is RefundState.DONE
            and intent.transaction_id == payment.transaction.id
            and intent.reason == request.reason
            and set(intent.tickets) == set(request.tickets)
            and request.amount in {None, intent.amount}
        )
        if same and now - intent.changed_at < _SAME_FOR:
            return intent
    return None


def _is_beside(order: Order, payment: _Payment, payments: tuple[_Payment, ...]) -> bool:
    """Say whether the tickets rest on another payment; of several, none of which bought any, on neither."""
    if order.fulfilment is not None:
        return not order.fulfilment.payment_ids & {payment.answer.id, payment.transaction.id}
    others = (other for other in payments if other.transaction.id != payment.transaction.id)
    return any(other.holds_money for other in others)


def _require_possible(order: Order, payment: _Payment, amount: Decimal) -> None:
    """Raise RefusedError unless so much of this payment can be given back."""
    told = payment.transaction
    if payment.answer.payment_names & order.spent_elsewhere:
        raise RefusedError(f"order {order.number}: its payment has paid for another order; refund that one")
    if told.returning > 0:
        going = show_amount(told.returning, told.currency)
        raise RefusedError(
            f"order {order.number}: {going} is on its way back already; wait until SumUp says it is final"
        )
    if told.amount is not None and told.left <= 0:
        raise RefusedError(
            f"order {order.number}: nothing is left to refund of checkout {payment.answer.id}: "
            f"{show_amount(told.returned, told.currency)} has gone back"
        )
    if why := obstacle(told, amount, payment.answer.currency):
        raise RefusedError(f"order {order.number}: {why}")


def _tickets_to_void(order: Order, request: RefundRequest, *, whole: bool, beside: bool) -> tuple[str, ...]:
    """Return the tickets that the refund sets to refunded. Raise RefusedError when they cannot be those named."""
    valid = tuple(sorted(ticket.number for ticket in order.tickets if ticket.status == VALID))
    used = {ticket.number for ticket in order.tickets if ticket.status in ADMITTING} - {*valid}
    if came := sorted(used.intersection(request.tickets)):
        raise RefusedError(
            f"order {order.number}: ticket {', '.join(came)} has admitted its holder, and stays used; leave it out"
        )
    if strangers := sorted(set(request.tickets) - set(valid)):
        raise RefusedError(f"order {order.number} has no valid ticket {', '.join(strangers)}")
    if beside and request.tickets:
        raise RefusedError(f"order {order.number}: its tickets rest on another payment; leave --ticket out")
    if whole and not beside and request.tickets and set(request.tickets) != set(valid):
        raise RefusedError(
            f"order {order.number}: nothing would be left of the payment, and so none of its tickets; "
            "leave --ticket out, or refund less"
        )
    if beside:
        return ()
    return valid if whole else tuple(sorted(request.tickets))
