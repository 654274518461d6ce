"""The mail that tells a customer what money went back, and which tickets are no longer valid."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.order_lines import order_lines
from paypoll.mail.content.refund_context import RefundContext
from paypoll.payments.order import Order
from paypoll.settings.model import SiteSettings
from paypoll.state import outbox


@dataclass(frozen=True, slots=True)
class RefundMail:
    """Posts it, in the caller's transaction. `domain` is that of our Message-IDs."""

    site: SiteSettings
    domain: str

    def post(
        self,
        connection: sa.Connection,
        order: Order,
        *,
        dedupe_key: str,
        refunded: Decimal,
        currency: str,
        whole: bool,
        void_tickets: tuple[str, ...],
        now: datetime,
        card: str = "",
        beside: bool = False,
        kept: int = 0,
        charged_back: bool = False,
    ) -> None:
        """Tell the customer of the order. The rest is as `RefundContext` says."""
        context = RefundContext(
            order_number=order.number,
            customer_name=order.customer_name,
            email=order.email,
            total=order.total,
            currency=currency,
            lines=order_lines(order, self.site),
            refunded=refunded,
            card=card,
            whole=whole,
            beside=beside,
            void_tickets=void_tickets,
            kept=kept,
            charged_back=charged_back,
        )
        outbox.post(
            connection,
            kind="refund",
            dedupe_key=dedupe_key,
            recipients=[order.email],
            content=context.to_json(),
            message_id=new_message_id(self.domain),
            now=now,
            order_id=order.id,
        )


def withdraw_mail_of_tickets(connection: sa.Connection, order_id: int) -> None:
    """Withdraw what has not left and speaks of tickets to come: they would be refused at the door."""
    outbox.withdraw(connection, order_id, *outbox.WITH_TICKETS, "under_review")
