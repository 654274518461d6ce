"""What admins are told of orders and listing fees that are gone from the shop."""

from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level, OrderAlert
from paypoll.payments.gateway import CheckoutAnswer

_LOOK = ("paypoll asks about it no more. Look for that checkout in SumUp's dashboard; if it was paid, refund it.",)


def order_gone(number: str, payment: CheckoutAnswer) -> OrderAlert:
    """Word the alert about an order that is gone."""
    return OrderAlert(
        key=f"order_gone:{payment.id}",
        level=Level.CRITICAL,
        headline="An order was deleted in the shop, and it was paid",
        found=(f"Order {number} is gone from the shop.", _says_paid(payment)),
        todo=("Refund the payment in SumUp's dashboard, or make the order anew and issue its tickets.",),
    )


def fee_gone(reference: str, payment: CheckoutAnswer) -> OrderAlert:
    """Word the alert about a listing fee that is gone, with its event."""
    return OrderAlert(
        key=f"fee_gone:{payment.id}",
        level=Level.CRITICAL,
        headline="A listing fee was deleted in the shop, and it was paid",
        found=(f"Listing fee {reference} is gone from the shop.", _says_paid(payment)),
        todo=("Refund the payment in SumUp's dashboard, or make the event anew and publish it.",),
    )


def order_gone_open(number: str, checkout_id: str, why: str) -> OrderAlert:
    """Word the alert about a checkout of an order that is gone, which may be paid, or may have been."""
    return OrderAlert(
        key=f"order_gone_open:{checkout_id}",
        level=Level.CRITICAL,
        headline="An order was deleted in the shop, and may be paid",
        found=(f"Order {number} is gone from the shop.", f"Of its checkout {checkout_id} SumUp says: {why}."),
        todo=_LOOK,
    )


def fee_gone_open(reference: str, checkout_id: str, why: str) -> OrderAlert:
    """Word the alert about a checkout of a listing fee that is gone, which may be paid, or may have been."""
    return OrderAlert(
        key=f"fee_gone_open:{checkout_id}",
        level=Level.CRITICAL,
        headline="A listing fee was deleted in the shop, and may be paid",
        found=(f"Listing fee {reference} is gone from the shop.", f"Of its checkout {checkout_id} SumUp says: {why}."),
        todo=_LOOK,
    )


def tell_of_gone(
    desk: AlertDesk,
    connection: sa.Connection,
    word: Callable[[str, CheckoutAnswer], OrderAlert],
    name: str,
    payments: Iterable[CheckoutAnswer],
    now: datetime,
) -> list[str]:
    """Tell of money for what is gone from the shop, once a payment; return the checkouts told of now."""
    return [
        payment.id
        for payment in payments
        if desk.tell_of_one_gone(connection, word(name, payment), name, now, payment=payment)
    ]


def _says_paid(payment: CheckoutAnswer) -> str:
    return f"SumUp says PAID for checkout {payment.id}, reference {payment.reference}."
