"""What a refund that SumUp shows means in the shop: tickets, orders_refund, the order, and a mail to the customer."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.ledger.refund_mail import RefundMail, withdraw_mail_of_tickets
from paypoll.payments.gateway import TransactionAnswer
from paypoll.payments.money import show_amount
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.refunding import RefundIntent, RefundState
from paypoll.payments.ticket_statuses import VALID
from paypoll.payments.told import ToldKind
from paypoll.shop.changes import note_order, set_order_status, was_noted
from paypoll.shop.find import lock_order
from paypoll.shop.orders import read_order
from paypoll.shop.refunds import add_refund, void_tickets
from paypoll.state import told_cases, told_payments, watches
from paypoll.state.audit import record
from paypoll.state.posted_alerts import forget_told
from paypoll.state.records import load_records
from paypoll.state.refunds import refunds_of
from paypoll.state.resolutions import ACTION, Verdict


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the order's status now, and the tickets that admit nobody any more.

    `again`: the shop had it already, and nothing was.
    """

    status: str
    voided: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class RefundRows:
    """Writes a refund into the shop's rows, in the caller's transaction."""

    mail: RefundMail

    def lock(self, connection: sa.Connection, intent: RefundIntent) -> Order | None:
        """Return the order of the refund under its row lock; None when it is gone, or its id is another's by now."""
        if not lock_order(connection, intent.order_id):
            return None
        order = read_order(connection, intent.order_id)
        return order if order is not None and order.number == intent.order_number else None

    def write(
        self,
        connection: sa.Connection,
        order: Order,
        intent: RefundIntent,
        told: TransactionAnswer,
        *,
        run_id: str,
        now: datetime,
    ) -> Written:
        """Write down what follows from the refund, and post the mail to the customer.

        Of a payment `beside` the one that bought the tickets nothing follows but a line in the notes: neither a ticket
        nor orders_refund nor the status, so that row 24 does not count it. What the shop has already was finished
        before our records were restored from an older backup: it is neither written nor mailed a second time. That is
        told by the line that is written with it; our role may not read whose the rows of orders_refund are.
        """
        beside = self._is_beside(connection, order, intent)
        whole = told.is_all_back and not beside
        note = f"{show_amount(intent.amount, intent.currency)} refunded, asked for by {intent.who}: {intent.reason}"
        if beside:
            note = f"{note} (payment {intent.checkout_id}, beside the order's own)"
        if again := was_noted(connection, order, note, _begun_after(connection, intent)):
            done = Written(order.status, again=again)
        elif beside:
            note_order(connection, order, note, now)
            done = Written(order.status)
        else:
            done = self._write_into_shop(connection, order, intent, told, note, whole=whole, run_id=run_id, now=now)
        if whole:
            withdraw_mail_of_tickets(connection, order.id)
        made = {ToldKind.REFUND_NOT_MADE}
        told_cases.end(connection, order.id, None, kinds=made, why="it was refunded after all", now=now, run_id=run_id)
        if told.is_all_back:
            told_payments.settle(connection, order.id, run_id, checkout_id=intent.checkout_id)
            why = f"refunded by {intent.who}"
            told_cases.end(connection, order.id, [intent.checkout_id], why=why, now=now, run_id=run_id)
        if not again:
            kept = sum(ticket.status == VALID and ticket.number not in done.voided for ticket in order.tickets)
            self.mail.post(
                connection,
                order,
                dedupe_key=f"refund:{intent.id}",
                refunded=intent.amount,
                currency=intent.currency,
                whole=whole,
                void_tickets=done.voided,
                now=now,
                card=told.card,
                beside=beside,
                kept=kept,
            )
        # The next run sees what else is paid, and closes what can still be paid.
        watches.enrol_order(connection, order.id, now)
        watches.follow(connection, order.id, now)
        return done

    def _write_into_shop(
        self,
        connection: sa.Connection,
        order: Order,
        intent: RefundIntent,
        told: TransactionAnswer,
        note: str,
        *,
        whole: bool,
        run_id: str,
        now: datetime,
    ) -> Written:
        voided: tuple[str, ...] = ()
        if whole or intent.tickets:
            voided = void_tickets(connection, order.id, None if whole else intent.tickets)
        name = told.transaction_code or told.id
        add_refund(connection, order.id, intent.amount, name, reason=intent.reason, who=intent.who, now=now)
        if not whole or order.status == OrderStatus.REFUNDED:
            note_order(connection, order, note, now, in_history=True)
            return Written(order.status, voided)
        set_order_status(connection, order, OrderStatus.REFUNDED, note, now)
        self._close_review(connection, order, intent, run_id, now)
        return Written(OrderStatus.REFUNDED.value, voided)

    def _is_beside(self, connection: sa.Connection, order: Order, intent: RefundIntent) -> bool:
        """Say whether the tickets rest on another payment: as it is now, should they have been issued meanwhile."""
        done = load_records(connection, [order.id])[order.id].fulfilment
        names = {intent.checkout_id, intent.transaction_id}
        return intent.beside if done is None else not done.payment_ids & names

    def _close_review(
        self, connection: sa.Connection, order: Order, intent: RefundIntent, run_id: str, now: datetime
    ) -> None:
        if order.status != OrderStatus.REVIEW:
            return
        forget_told(connection, order.id, "alert:review:", run_id)
        record(
            connection,
            now=now,
            action=ACTION,
            actor=intent.who,
            order_id=order.id,
            order_number=order.number,
            run_id=run_id,
            outcome=Verdict.REFUND.value,
            reason=f"person_{Verdict.REFUND}",
            explanation=intent.reason,
            status_from=order.status,
            status_to=OrderStatus.REFUNDED.value,
        )


def _begun_after(connection: sa.Connection, intent: RefundIntent) -> datetime:
    """Return when no line about the refund can have been written yet.

    Those of a payment are one at a time. The line of the one before may be of a host whose clock is a little ahead.
    """
    before = (
        one.changed_at
        for one in refunds_of(connection, intent.order_id, intent.order_number)
        if one.transaction_id == intent.transaction_id and one.state is RefundState.DONE and one.id < intent.id
    )
    return max([intent.created_at, *before])
