"""When is a SumUp answer the payment of this order? Only when everything fits.

`VerifiedPayment` can be had from `compare` alone, and nothing but a VerifiedPayment leads to tickets. Rows 1 and 6
to 9 of the acceptance table (docs/outcomes.md) are decided here.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from paypoll.payments.gateway import (
    Attempt,
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    Found,
    Look,
    NoAnswer,
    TransactionAnswer,
)
from paypoll.payments.money import minor_units, same_amount, show_amount
from paypoll.payments.order import Checkout, Order
from paypoll.payments.policy import Policy


@dataclass(frozen=True, slots=True)
class VerifiedPayment:
    """A payment that SumUp confirms in every respect.

    `checkout` is the shop's row, None when the checkout was found by reference only. `refund_checked` says that the
    transaction was read and nothing of it was given back; some credentials may not read transactions.
    """

    answer: CheckoutAnswer
    attempt: Attempt
    checkout: Checkout | None
    amount: Decimal
    refund_checked: bool

    @property
    def checkout_id(self) -> str:
        """SumUp's id of the checkout."""
        return self.answer.id

    @property
    def transaction_id(self) -> str:
        """SumUp's id of the transaction, or an empty text if SumUp sent none."""
        return self.answer.transaction_id or self.attempt.id

    @property
    def sumup_ids(self) -> frozenset[str]:
        """Every id by which SumUp names this payment: none of them may have paid for another order."""
        return frozenset({self.answer.id, self.answer.transaction_id, self.attempt.id} - {""})

    @property
    def transaction_code(self) -> str:
        """The code that people see on receipts, or an empty text if SumUp sent none."""
        return self.answer.transaction_code or self.attempt.transaction_code

    @property
    def currency(self) -> str:
        """The currency that was paid in."""
        return self.answer.currency

    @property
    def merchant_code(self) -> str:
        """The merchant that was paid."""
        return self.answer.merchant_code

    @property
    def paid_at(self) -> datetime | None:
        """When the money was taken, if SumUp said so."""
        return self.attempt.timestamp


class Flaw(StrEnum):
    """Why a PAID checkout is not simply the payment of this order."""

    REFERENCE = "reference"
    AMOUNT = "amount"
    CURRENCY = "currency"
    MERCHANT = "merchant"
    TRANSACTION = "transaction"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class FlawedPayment:
    """A PAID checkout with what does not fit, a sentence a flaw. `returned` says that all of the money went back."""

    answer: CheckoutAnswer
    flaws: tuple[tuple[Flaw, str], ...]
    returned: bool = False

    @property
    def sentences(self) -> tuple[str, ...]:
        """What does not fit, a whole sentence each."""
        return tuple(f"Checkout {self.answer.id} is PAID, but {sentence}." for _, sentence in self.flaws)


@dataclass(frozen=True, slots=True)
class UncheckedPayment:
    """A PAID checkout that fits, but SumUp could not say now whether it was refunded.

    `broken`: SumUp did answer, with something that cannot be used, and may go on like that.
    """

    answer: CheckoutAnswer
    why: str
    broken: bool = False


def compare(
    order: Order,
    checkout: Checkout | None,
    answer: CheckoutAnswer,
    transaction: Look[TransactionAnswer] | None,
    policy: Policy,
) -> VerifiedPayment | FlawedPayment | UncheckedPayment:
    """Hold a PAID answer against the order it is said to pay.

    `transaction` is None when SumUp sent nothing to look the transaction up by. A credential that may not read
    transactions (NotAllowed, NotFound) does not stand in the way: the checkout's own state is what decides.
    """
    flaws = [
        *_reference_flaws(order, answer),
        *_money_flaws(order, checkout, answer, policy),
        *_merchant_flaws(order, checkout, answer, policy),
        *_attempt_flaws(answer),
        *_refund_flaws(answer, transaction),
    ]
    if flaws:
        return FlawedPayment(answer, tuple(flaws), returned=_all_returned(answer, transaction))
    if transaction is not None and not isinstance(transaction, Found) and _may_still_be_told(transaction):
        broken = isinstance(transaction, BrokenAnswer) and not transaction.garbled
        return UncheckedPayment(answer, transaction.detail, broken)
    (attempt,) = answer.successful_attempts
    return VerifiedPayment(answer, attempt, checkout, order.total, refund_checked=isinstance(transaction, Found))


def _reference_flaws(order: Order, answer: CheckoutAnswer) -> list[tuple[Flaw, str]]:
    if answer.status != CheckoutStatus.PAID:
        # Unreachable by way of `assess`; here so that no later caller can turn another state into tickets.
        return [(Flaw.TRANSACTION, f"SumUp's status is {answer.status}, not PAID")]
    if answer.reference in order.references:
        return []
    return [(Flaw.REFERENCE, f"SumUp's reference is {answer.reference or 'missing'}, which is none of this order's")]


def _money_flaws(
    order: Order, checkout: Checkout | None, answer: CheckoutAnswer, policy: Policy
) -> list[tuple[Flaw, str]]:
    flaws = []
    expected = {policy.currency} | ({checkout.currency} if checkout else set())
    if expected != {answer.currency}:
        flaws.append((Flaw.CURRENCY, f"paid in {answer.currency or 'no currency'}, expected {' and '.join(expected)}"))
    if answer.amount is None or not same_amount(answer.amount, order.total, policy.currency):
        paid = "an unknown amount" if answer.amount is None else show_amount(answer.amount, answer.currency)
        flaws.append((Flaw.AMOUNT, f"paid {paid}, the order's total is {show_amount(order.total, policy.currency)}"))
    return flaws


def _merchant_flaws(
    order: Order, checkout: Checkout | None, answer: CheckoutAnswer, policy: Policy
) -> list[tuple[Flaw, str]]:
    if checkout is not None and checkout.merchant_code:
        expected = {checkout.merchant_code}
    else:
        organisers = {item.event.merchant_code for item in order.items if item.event is not None}
        expected = (organisers | {policy.merchant_code}) - {""}
    if answer.merchant_code and answer.merchant_code in expected:
        return []
    wanted = " or ".join(sorted(expected)) or "unknown (set sumup.merchant_code)"
    return [(Flaw.MERCHANT, f"paid to merchant {answer.merchant_code or '(not named)'}, expected {wanted}")]


def _attempt_flaws(answer: CheckoutAnswer) -> list[tuple[Flaw, str]]:
    """Hold the successful attempt against its checkout, which is held against the order elsewhere."""
    if len(answer.successful_attempts) != 1:
        return [
            (Flaw.TRANSACTION, f"{len(answer.successful_attempts)} successful transactions in the checkout, not one")
        ]
    (attempt,) = answer.successful_attempts
    flaws = []
    # A tip is part of what the attempt took and not of what the order costs.
    if attempt.amount is not None and not _is_sum(attempt.amount, answer, attempt.tip_amount):
        flaws.append((Flaw.AMOUNT, f"the transaction's amount is {show_amount(attempt.amount, attempt.currency)}"))
    if attempt.currency and attempt.currency != answer.currency:
        flaws.append((Flaw.CURRENCY, f"the transaction's currency is {attempt.currency}"))
    if attempt.merchant_code and attempt.merchant_code != answer.merchant_code:
        flaws.append((Flaw.MERCHANT, f"the transaction's merchant is {attempt.merchant_code}"))
    return flaws


def _is_sum(paid: Decimal, answer: CheckoutAnswer, tip: Decimal) -> bool:
    units = [minor_units(amount, answer.currency) for amount in (paid, answer.amount or Decimal(0), tip)]
    whole, price, extra = units
    return whole is not None and price is not None and extra is not None and whole == price + extra


def _refund_flaws(answer: CheckoutAnswer, transaction: Look[TransactionAnswer] | None) -> list[tuple[Flaw, str]]:
    if not isinstance(transaction, Found):
        return []
    told = transaction.value
    flaws = []
    if told.refunded:
        flaws.append((Flaw.REFUNDED, f"{show_amount(told.refunded, answer.currency)} was refunded at SumUp"))
    if told.charged_back:
        flaws.append((Flaw.REFUNDED, f"{show_amount(told.charged_back, answer.currency)} was charged back"))
    if told.status and told.status not in {"SUCCESSFUL", "REFUNDED", "CHARGE_BACK"}:
        flaws.append((Flaw.TRANSACTION, f"the transaction's status is {told.status}, not SUCCESSFUL"))
    return flaws


def _all_returned(answer: CheckoutAnswer, transaction: Look[TransactionAnswer] | None) -> bool:
    if not isinstance(transaction, Found) or answer.amount is None:
        return False
    return transaction.value.refunded + transaction.value.charged_back >= answer.amount


def _may_still_be_told(look: Look[TransactionAnswer]) -> bool:
    # NoAnswer mends itself. NotAllowed and NotFound are what client credentials and foreign merchants get: there the
    # transaction can never be read. A BrokenAnswer waits: something is odd about just this payment.
    return isinstance(look, NoAnswer | BrokenAnswer)
