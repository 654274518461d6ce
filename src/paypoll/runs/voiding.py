"""An order whose money went back in full loses its tickets: so the shop's scanner refuses them."""

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.judging import Judged
from paypoll.ledger.refund_mail import RefundMail, withdraw_mail_of_tickets
from paypoll.payments.ledger import Role
from paypoll.payments.order_statuses import MADE_VOID, OrderStatus
from paypoll.runs.load import load_order
from paypoll.shop.changes import set_order_status
from paypoll.shop.find import lock_order
from paypoll.shop.refunds import void_tickets
from paypoll.state.audit import record
from paypoll.state.findings import note, renew
from paypoll.state.ledger import note_entries
from paypoll.state.pauses import is_paused
from paypoll.state.posted_alerts import forget_told
from paypoll.state.waiting_voids import is_left, say_void, tell_anew
from paypoll.state.watches import note_void


def void_order(
    engine: sa.Engine, judged: Judged, run_id: str, now: datetime, *, mail: RefundMail | None = None
) -> int | None:
    """Set the order's valid tickets and its status to refunded, with history and trail, in one transaction.

    Return how many tickets were voided. None: nothing was done, because the order is another one by now than when the
    payment was judged, or a person has paused it, or has decided that its tickets stay. What admins are told is
    written in the same transaction, and so is the customer's `mail`, if there is to be one.
    """
    owner, found = judged.owner, judged.finding
    if owner is None or found is None or owner.role is not Role.FULFILLED:
        return None
    with transaction(engine) as connection:
        if not lock_order(connection, owner.order_id) or is_paused(connection, owner.order_id):
            return None
        order = load_order(connection, owner.order_id)
        if order is None or order.status not in MADE_VOID or order.fulfilment is None:
            return None
        if is_left(connection, found, order.id, now):
            return None
        why = f"the payment {judged.payment.transaction_code or judged.payment.transaction_id} went back in full"
        withdraw_mail_of_tickets(connection, order.id)
        numbers = void_tickets(connection, order.id)
        voided = len(numbers)
        set_order_status(connection, order, OrderStatus.REFUNDED, why, now)
        note_void(connection, order.id, OrderStatus.REFUNDED.value, now)
        forget_told(connection, order.id, "alert:review:", run_id)  # which has ended, if it was in review
        detail = {**(found.detail or {}), "voided": str(voided)}
        is_void = replace(found, detail=detail)
        tell_anew(connection, [is_void], now, run_id)
        note(connection, [is_void], now)
        renew(connection, [is_void])
        say_void(connection, order.id, voided)
        note_entries(connection, [judged.entry], now, run_id)
        if mail is not None:
            paid = judged.payment
            mail.post(
                connection,
                order,
                dedupe_key=f"void:{order.id}:{paid.transaction_id}",
                # Where a part was refunded before, the bank took the rest alone.
                refunded=paid.charged_back or paid.back,
                currency=paid.currency,
                whole=True,
                void_tickets=numbers,
                now=now,
                charged_back=paid.charged_back > 0,
            )
        record(
            connection,
            now=now,
            action="voided",
            order_id=order.id,
            order_number=order.number,
            run_id=run_id,
            reason=found.kind.value,
            explanation=f"{why}; {voided} tickets are void",
            status_from=order.status,
            status_to=OrderStatus.REFUNDED.value,
            evidence=detail,
        )
        return voided
