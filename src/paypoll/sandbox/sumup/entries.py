"""What stands in the ledger of the simulated SumUp: checkouts, transactions, what went back of them, payouts.

Everything is frozen. Amounts are Decimals in major units, times are aware datetimes in UTC; texts that were not given
are empty.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from paypoll.payments.gateway import CheckoutStatus

CARD_THAT_PAYS: Final = "5555444433331111"
CARD_THAT_DECLINES: Final = "4000000000000002"
DECLINED_AMOUNTS: Final = frozenset(map(Decimal, ("11.00", "42.01", "42.76", "42.91")))
"""Amounts whose payment fails in SumUp's own sandbox."""

HOSTED_PAGE_LIFE: Final = timedelta(minutes=30)

SUCCESSFUL: Final = "SUCCESSFUL"
FAILED: Final = "FAILED"
PENDING: Final = "PENDING"


class LedgerError(Exception):
    """The ledger refuses. The text says why."""


class NoCheckoutError(LedgerError):
    """There is no such checkout, or it was forgotten."""


class NoTransactionError(LedgerError):
    """There is no such transaction."""


class CheckoutStateError(LedgerError):
    """The checkout or the transaction is not in a state in which this can be done."""


class PaymentUnderWayError(CheckoutStateError):
    """A payment of the checkout is being authorised just now."""


class TooMuchError(CheckoutStateError):
    """More would go back than is left of the payment. `left` is what is left, in major units."""

    def __init__(self, wanted: Decimal, left: Decimal) -> None:
        super().__init__(f"{wanted} cannot go back: {left} is left of the payment")
        self.left = left


class DuplicateError(LedgerError):
    """The merchant has a checkout with this id or reference already."""


class Kind(StrEnum):
    """How money went back."""

    REFUND = "REFUND"
    CHARGE_BACK = "CHARGE_BACK"


class PayoutKind(StrEnum):
    """What a record of the payouts is about."""

    PAYOUT = "PAYOUT"
    REFUND_DEDUCTION = "REFUND_DEDUCTION"
    CHARGE_BACK_DEDUCTION = "CHARGE_BACK_DEDUCTION"
    DD_RETURN_DEDUCTION = "DD_RETURN_DEDUCTION"
    BALANCE_DEDUCTION = "BALANCE_DEDUCTION"


@dataclass(frozen=True, slots=True)
class Merchant:
    """An account at SumUp."""

    code: str
    name: str = ""
    country: str = "GB"
    currency: str = "GBP"
    locale: str = "en-GB"


@dataclass(frozen=True, slots=True)
class Return:
    """Money that went back, or is about to: an event of its transaction, and an item of the history.

    `shown_from` is when SumUp begins to tell of it. `deducted`: a payout was less by it.
    """

    id: str
    number: int
    kind: Kind
    status: str
    amount: Decimal
    at: datetime
    shown_from: datetime
    changed_at: datetime
    deducted: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """An attempt at paying a checkout, or a sale without one. `status` is SUCCESSFUL, FAILED, PENDING or CANCELLED."""

    id: str
    number: int
    code: str
    status: str
    amount: Decimal
    currency: str
    merchant_code: str
    at: datetime
    changed_at: datetime
    card: str = CARD_THAT_PAYS
    description: str = ""
    payment_type: str = "ECOM"
    entry_mode: str = "CUSTOMER_ENTRY"
    foreign_transaction_id: str = ""
    client_transaction_id: str = ""
    returns: tuple[Return, ...] = ()
    paid_out_on: date | None = None

    @property
    def successful(self) -> bool:
        """Whether money was taken."""
        return self.status == SUCCESSFUL

    @property
    def refunded(self) -> Decimal:
        """The sum of the refunds that did not fail."""
        return self._sum(Kind.REFUND)

    @property
    def left(self) -> Decimal:
        """What is left of the money; 0 when none was taken."""
        return self.amount - self.refunded - self._sum(Kind.CHARGE_BACK) if self.successful else Decimal(0)

    def _sum(self, kind: Kind) -> Decimal:
        counted = (back.amount for back in self.returns if back.kind is kind and back.status != FAILED)
        return sum(counted, Decimal(0))


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout. `valid_until` is None when it never expires; `attempts` are the attempts at paying it."""

    id: str
    reference: str
    amount: Decimal
    currency: str
    merchant_code: str
    created_at: datetime
    valid_until: datetime | None = None
    description: str = ""
    redirect_url: str = ""
    return_url: str = ""
    hosted: bool = False
    status: str = CheckoutStatus.PENDING
    attempts: tuple[Transaction, ...] = ()

    @property
    def payment(self) -> Transaction | None:
        """The attempt in which money was taken."""
        return next((attempt for attempt in self.attempts if attempt.successful), None)

    @property
    def under_way(self) -> Transaction | None:
        """The attempt that is being authorised."""
        return next((attempt for attempt in self.attempts if attempt.status == PENDING), None)

    @property
    def refunded(self) -> Decimal:
        """The sum of the refunds that did not fail."""
        return self.payment.refunded if self.payment is not None else Decimal(0)

    @property
    def left(self) -> Decimal:
        """What is left of the payment; 0 when there was none."""
        return self.payment.left if self.payment is not None else Decimal(0)


@dataclass(frozen=True, slots=True)
class Payout:
    """A record of what a merchant was paid, or of what was kept back. `amount` is what reached the bank account."""

    number: int
    merchant_code: str
    kind: str
    amount: Decimal
    fee: Decimal
    currency: str
    on: date
    reference: str
    transaction_code: str
    status: str = SUCCESSFUL
