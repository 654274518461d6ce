"""What tickets rest on when a person issues them although SumUp's answer does not match: never a VerifiedPayment.

Only `paypoll.admin.resolve` makes one, for `paypoll resolve --issue --override`; no run can come here.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.matching import FlawedPayment, UncheckedPayment
from paypoll.payments.order import Order

_WORD = "override:"
"""So begins the checkout of a payment that rests on a person's word alone."""

# The column that keeps it has nine digits before the point; what is more is no payment of anybody's.
_ABSURD = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class OverriddenPayment:
    """A person's word for a payment, with as much of it as SumUp shows.

    Where SumUp shows a payment that does not match, it is that one, so that it can pay for no other order. Where SumUp
    shows none at all (paid in cash, a guest of the house), `answer` is None and the checkout's id is made up of the
    order's: the order is then marked as paid with `override:<order id>` as its transaction.
    """

    checkout_id: str
    amount: Decimal
    currency: str
    merchant_code: str = ""
    transaction_id: str = ""
    transaction_code: str = ""
    paid_at: datetime | None = None
    answer: CheckoutAnswer | None = None


def is_a_word(checkout_id: str) -> bool:
    """Say whether this is no checkout of SumUp's, but a person's word for a payment."""
    return checkout_id.startswith(_WORD)


def rest_on(order: Order, shown: FlawedPayment | UncheckedPayment | None, currency: str) -> OverriddenPayment:
    """Return what the order's tickets rest on, given the payment that SumUp shows. `currency` is the site's."""
    if shown is None:
        return OverriddenPayment(f"{_WORD}{order.id}", order.total, currency)
    answer = shown.answer
    attempt = next(iter(answer.successful_attempts), None)
    known = answer.amount is not None and abs(answer.amount) < _ABSURD
    return OverriddenPayment(
        checkout_id=answer.id,
        amount=answer.amount if known and answer.amount is not None else order.total,
        currency=answer.currency,
        merchant_code=answer.merchant_code,
        transaction_id=answer.transaction_id or (attempt.id if attempt else ""),
        transaction_code=answer.transaction_code or (attempt.transaction_code if attempt else ""),
        paid_at=attempt.timestamp if attempt else None,
        answer=answer,
    )
