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
    TransactionStatus,
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
    """A PAID checkout that fits as far as is known, but something is not known yet; `why` is a clause that says what.

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
    attempts = _successful_attempts(answer, transaction)
    flaws = [
        *_reference_flaws(order, answer, policy),
        *_money_flaws(order, checkout, answer, policy),
        *_merchant_flaws(order, checkout, answer, policy),
        *(flaw for attempt in attempts for flaw in _attempt_flaws(answer, attempt)),
        *_transaction_flaws(answer, transaction),
        *_refund_flaws(answer, transaction),
    ]
    if flaws:
        returned = isinstance(transaction, Found) and transaction.value.is_all_back
        return FlawedPayment(answer, tuple(flaws), returned=returned)
    if transaction is not None and not isinstance(transaction, Found) and _may_still_be_told(transaction):
        broken = isinstance(transaction, BrokenAnswer) and not transaction.garbled
        why = f"SumUp did not say whether it was refunded: {transaction.detail}"
        return UncheckedPayment(answer, why, broken)
    if _is_under_way(answer, transaction):  # 2a
        return UncheckedPayment(answer, "SumUp says that its transaction is still PENDING")
    if len(attempts) != 1:
        found = f"{len(attempts)} successful transactions in the checkout, not one"
        return FlawedPayment(answer, ((Flaw.TRANSACTION, found),))
    return VerifiedPayment(answer, attempts[0], checkout, order.total, refund_checked=isinstance(transaction, Found))


def _successful_attempts(answer: CheckoutAnswer, transaction: Look[TransactionAnswer] | None) -> tuple[Attempt, ...]:
    """Return the attempts that took money: those of the checkout, or where it lists none, the transaction itself (1a).

    The transaction is the authoritative record; a checkout may leave its `transactions` out.
    """
    if answer.attempts or not isinstance(transaction, Found):
        return answer.successful_attempts
    told = transaction.value
    if told.status != TransactionStatus.SUCCESSFUL:
        return ()
    attempt = Attempt(
        id=told.id,
        transaction_code=told.transaction_code,
        status=told.status,
        amount=told.amount,
        currency=told.currency,
        merchant_code=told.merchant_code,
        timestamp=told.timestamp,
        payment_type="",
        entry_mode="",
        auth_code="",
        tip_amount=told.tip_amount,
    )
    return (attempt,)


def _is_under_way(answer: CheckoutAnswer, transaction: Look[TransactionAnswer] | None) -> bool:
    """Say whether the payment is still being made, by the transaction or, where that is not told, by its attempt."""
    if isinstance(transaction, Found):
        return TransactionStatus.PENDING in {transaction.value.status, transaction.value.simple_status}
    newest = answer.newest_attempt
    return not answer.successful_attempts and newest is not None and newest.status == TransactionStatus.PENDING


def _reference_flaws(order: Order, answer: CheckoutAnswer, policy: Policy) -> list[tuple[Flaw, str]]:
    if answer.status != CheckoutStatus.PAID:
        # Unreachable by way of `assess`; here so that no later caller can turn another state into tickets.
        return [(Flaw.TRANSACTION, f"SumUp's status is {answer.status}, not PAID")]
    if answer.reference in policy.references_of(order):
        return []
    return [
        (Flaw.REFERENCE, f"SumUp's reference is {answer.reference or 'missing'}, which is none of this {policy.what}'s")
    ]


def _money_flaws(
    order: Order, checkout: Checkout | None, answer: CheckoutAnswer, policy: Policy
) -> list[tuple[Flaw, str]]:
    flaws = []
    expected = {policy.currency.upper()} | ({checkout.currency.upper()} if checkout else set())
    if expected != {answer.currency.upper()}:
        flaws.append((Flaw.CURRENCY, f"paid in {answer.currency or 'no currency'}, expected {' and '.join(expected)}"))
    if answer.amount is None or not same_amount(answer.amount, order.total, policy.currency):
        paid = "an unknown amount" if answer.amount is None else show_amount(answer.amount, answer.currency)
        flaws.append(
            (Flaw.AMOUNT, f"paid {paid}, the {policy.what}'s total is {show_amount(order.total, policy.currency)}")
        )
    return flaws


def _merchant_flaws(
    order: Order, checkout: Checkout | None, answer: CheckoutAnswer, policy: Policy
) -> list[tuple[Flaw, str]]:
    if checkout is not None and checkout.merchant_code:
        expected = {checkout.merchant_code}
    else:
        organisers = {item.event.merchant_code for item in order.items if item.event is not None}
        # 13a: of several organisers none may be paid for the others.
        expected = ({policy.merchant_code} | (organisers if len(organisers) == 1 else set())) - {""}
    if answer.merchant_code and answer.merchant_code in expected:
        return []
    wanted = " or ".join(sorted(expected)) or "unknown (set sumup.merchant_code)"
    return [(Flaw.MERCHANT, f"paid to merchant {answer.merchant_code or '(not named)'}, expected {wanted}")]


def _attempt_flaws(answer: CheckoutAnswer, attempt: Attempt) -> list[tuple[Flaw, str]]:
    """Hold a successful attempt against its checkout, which is held against the order elsewhere."""
    flaws = []
    # A tip is part of what the attempt took and not of what the order costs.
    if attempt.amount is not None and not _is_sum(attempt.amount, answer, attempt.tip_amount):
        flaws.append((Flaw.AMOUNT, f"the transaction's amount is {show_amount(attempt.amount, attempt.currency)}"))
    if attempt.currency and attempt.currency.upper() != answer.currency.upper():
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
    if told.returning:  # 9d
        going = show_amount(told.returning, answer.currency)
        flaws.append((Flaw.REFUNDED, f"{going} is on its way back at SumUp, and that is not final yet"))
    if told.refunded:
        flaws.append((Flaw.REFUNDED, f"{show_amount(told.refunded, answer.currency)} was refunded at SumUp"))
    if told.charged_back:
        flaws.append((Flaw.REFUNDED, f"{show_amount(told.charged_back, answer.currency)} was charged back"))
    return flaws


_TAKEN = frozenset({TransactionStatus.SUCCESSFUL, TransactionStatus.REFUNDED, TransactionStatus.CHARGED_BACK})
"""Money was taken; what became of it is told by the events."""
_WAITS = frozenset({TransactionStatus.PENDING, TransactionStatus.ABSENT})


def _transaction_flaws(answer: CheckoutAnswer, transaction: Look[TransactionAnswer] | None) -> list[tuple[Flaw, str]]:
    """Hold the transaction against the checkout: it is the record of the money (9b, 9c)."""
    if not isinstance(transaction, Found):
        return []
    told = transaction.value
    flaws = []
    if told.status not in _TAKEN | _WAITS:
        flaws.append((Flaw.TRANSACTION, f"the transaction's status is {told.said or told.status}, not SUCCESSFUL"))
    elif told.simple_status not in _TAKEN | _WAITS:
        word = told.said or told.simple_status
        flaws.append((Flaw.TRANSACTION, f"the transaction's simple_status is {word}, its status {told.status}"))
    # A tip may be told in the attempt, in the transaction, or in both.
    tips = {told.tip_amount, *(attempt.tip_amount for attempt in answer.attempts), Decimal(0)}
    if told.amount is not None and not any(_is_sum(told.amount, answer, tip) for tip in tips):
        flaws.append((Flaw.AMOUNT, f"the transaction's amount is {show_amount(told.amount, told.currency)}"))
    if told.currency and told.currency.upper() != answer.currency.upper():
        flaws.append((Flaw.CURRENCY, f"the transaction's currency is {told.currency}"))
    if told.merchant_code and answer.merchant_code and told.merchant_code != answer.merchant_code:
        flaws.append((Flaw.MERCHANT, f"the transaction's merchant is {told.merchant_code}"))
    return flaws


def _may_still_be_told(look: Look[TransactionAnswer]) -> bool:
    # NoAnswer mends itself. NotAllowed and NotFound are what client credentials and foreign merchants get: there the
    # transaction can never be read. A BrokenAnswer waits: something is odd about just this payment.
    return isinstance(look, NoAnswer | BrokenAnswer)
