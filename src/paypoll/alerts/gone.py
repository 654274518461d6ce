"""What admins are told of orders and listing fees that are gone from the shop."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level
from paypoll.payments.gateway import CheckoutAnswer


def tell_of_gone(
    desk: AlertDesk, connection: sa.Connection, name: str, payments: Iterable[CheckoutAnswer], now: datetime
) -> list[str]:
    """Tell of money for an order that is gone from the shop, once a payment; return the checkouts told of now."""
    return [
        answer.id
        for answer in payments
        if desk.tell(
            connection,
            f"order_gone:{answer.id}",
            level=Level.CRITICAL,
            headline="An order was deleted in the shop, and it was paid",
            found=(
                f"Order {name} is gone from the shop.",
                f"SumUp says PAID for checkout {answer.id}, reference {answer.reference}.",
            ),
            todo=("Refund the payment in SumUp's dashboard, or make the order anew and issue its tickets.",),
            now=now,
        )
    ]


def tell_of_gone_fee(
    desk: AlertDesk, connection: sa.Connection, reference: str, payments: Iterable[CheckoutAnswer], now: datetime
) -> None:
    """Tell of money for a listing fee that is gone from the shop, with its event, once a payment."""
    for answer in payments:
        desk.tell(
            connection,
            f"fee_gone:{answer.id}",
            level=Level.CRITICAL,
            headline="A listing fee was deleted in the shop, and it was paid",
            found=(
                f"Listing fee {reference} is gone from the shop.",
                f"SumUp says PAID for checkout {answer.id}, reference {answer.reference}.",
            ),
            todo=("Refund the payment in SumUp's dashboard, or make the event anew and publish it.",),
            now=now,
        )
