"""An order whose money went back in full loses its tickets: so the shop's scanner refuses them."""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.digest import Judged
from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.order_lines import order_lines
from paypoll.mail.content.refund_context import RefundContext
from paypoll.payments.ledger import LedgerPayment, Role
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.runs.load import load_order
from paypoll.settings.model import SiteSettings
from paypoll.shop.changes import set_order_status
from paypoll.shop.find import lock_order
from paypoll.shop.refunds import void_tickets
from paypoll.state import outbox
from paypoll.state.audit import record
from paypoll.state.findings import note
from paypoll.state.ledger import note_entries
from paypoll.state.pauses import is_paused
from paypoll.state.watches import note_void


@dataclass(frozen=True, slots=True)
class Tell:
    """Tells customers that their tickets are void. `domain` is that of our Message-IDs."""

    site: SiteSettings
    domain: str

    def customer(
        self, connection: sa.Connection, order: Order, payment: LedgerPayment, void: tuple[str, ...], now: datetime
    ) -> None:
        """Post the mail of a refund, in the caller's transaction."""
        context = RefundContext(
            order_number=order.number,
            customer_name=order.customer_name,
            email=order.email,
            total=order.total,
            currency=payment.currency,
            lines=order_lines(order, self.site),
            refunded=payment.net if not payment.taken else payment.returned,
            whole=True,
            void_tickets=void,
            charged_back=payment.charged_back > 0,
        )
        outbox.post(
            connection,
            kind="refund",
            dedupe_key=f"void:{order.id}:{payment.transaction_id}",
            recipients=[order.email],
            content=context.to_json(),
            message_id=new_message_id(self.domain),
            now=now,
            order_id=order.id,
        )


def void_order(
    engine: sa.Engine, judged: Judged, run_id: str, now: datetime, *, tell: Tell | None = None
) -> int | None:
    """Set the order's valid tickets and its status to refunded, with history and trail, in one transaction.

    Return how many tickets were voided. None: nothing was done, because the order is another one by now than when the
    payment was judged, or a person has paused it: a later sweep does it then. What admins are told is written in the
    same transaction, and so is the customer's mail with `tell`.
    """
    owner, found = judged.owner, judged.finding
    if owner is None or found is None or owner.role is not Role.FULFILLED:
        return None
    with transaction(engine) as connection:
        if not lock_order(connection, owner.order_id) or is_paused(connection, owner.order_id):
            return None
        order = load_order(connection, owner.order_id)
        if order is None or order.status != OrderStatus.COMPLETED or order.fulfilment is None:
            return None
        why = f"the payment {judged.payment.transaction_code or judged.payment.transaction_id} went back in full"
        outbox.withdraw(connection, order.id, "confirmation", "late_confirmation", "under_review")
        numbers = void_tickets(connection, order.id)
        voided = len(numbers)
        set_order_status(connection, order, OrderStatus.REFUNDED, why, now)
        note_void(connection, order.id, OrderStatus.REFUNDED.value, now)
        detail = {**(found.detail or {}), "voided": str(voided)}
        note(connection, [replace(found, detail=detail)], now)
        note_entries(connection, [judged.entry], now)
        if tell is not None:
            tell.customer(connection, order, judged.payment, numbers, now)
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
