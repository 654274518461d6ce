"""The payment provider, as the rules see it: what can be asked, and what it can say.

Everything here is frozen. Money is Decimal in major units, times are aware datetimes in UTC. The adapter is
`paypoll.sumup.client`; a fake of it is in `paypoll.testing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


class CheckoutStatus(StrEnum):
    """The states of a SumUp checkout that paypoll knows. Others may come; they mean: keep waiting."""

    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at paying, as listed in a checkout's `transactions`. Absent fields are None or empty."""

    id: str
    transaction_code: str
    status: str
    amount: Decimal | None
    currency: str
    merchant_code: str
    timestamp: datetime | None
    payment_type: str
    entry_mode: str
    auth_code: str
    tip_amount: Decimal

    @property
    def successful(self) -> bool:
        """Whether money was taken in this attempt (it stays so after a refund)."""
        return self.status == "SUCCESSFUL"


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """SumUp's answer about one checkout. Absent fields are None or empty; `raw` is the answer as JSON.

    A PAID answer always has an amount and a currency: without them it is a BrokenAnswer.
    """

    id: str
    status: str
    reference: str
    amount: Decimal | None
    currency: str
    merchant_code: str
    transaction_code: str
    transaction_id: str
    attempts: tuple[Attempt, ...]
    raw: Mapping[str, object]

    @property
    def successful_attempts(self) -> tuple[Attempt, ...]:
        """The attempts in which money was taken; exactly one in a sound PAID answer."""
        return tuple(attempt for attempt in self.attempts if attempt.successful)


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """SumUp's answer about one transaction, with what its events say was given back.

    `refunded` and `charged_back` are sums in major units, zero when nothing was.
    """

    id: str
    transaction_code: str
    status: str
    amount: Decimal | None
    currency: str
    refunded: Decimal
    charged_back: Decimal
    raw: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """SumUp answered, and the answer can be used."""

    value: T


@dataclass(frozen=True, slots=True)
class NotFound:
    """SumUp says 404 with every credential that may apply."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """SumUp says 401 or 403 for good: a person must mend the credential of `merchant_code` (empty: the platform's)."""

    merchant_code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """SumUp could not be asked now: 429, 5xx, time-out, reset. Says nothing about the payment."""

    detail: str


@dataclass(frozen=True, slots=True)
class BrokenAnswer:
    """SumUp answered with something that cannot be used: a wrong id, a missing or impossible amount.

    `garbled`: it was not even JSON, but a proxy's page, a redirect, an endless body. That says something about the
    way to SumUp rather than about this checkout.
    """

    detail: str
    garbled: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """SumUp refused to close a checkout (409: it was processed). No proof of payment: read it again."""

    detail: str = ""


Failure: TypeAlias = NotFound | NotAllowed | NoAnswer | BrokenAnswer
Look: TypeAlias = Found[T] | Failure
Closing: TypeAlias = Found[CheckoutAnswer] | Refused | Failure


class PaymentGateway(Protocol):
    """SumUp. No method raises for what SumUp or the network does: that is what a Look says.

    `merchant_code` picks the credential: the organiser's where that merchant is connected, else the platform's.
    Every method may be called from several threads at once.
    """

    @property
    def halted(self) -> str:
        """Why SumUp is not asked any more in this run, after several failures in a row; empty while it is."""
        ...

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return the checkout's state now. An answer about another id is a BrokenAnswer."""
        ...

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return every checkout with this checkout_reference; an empty tuple when there is none."""
        ...

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return the transaction with what was refunded of it."""
        ...

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Make an unpaid checkout unpayable. Found: closed (EXPIRED). Refused: it was processed, read it again."""
        ...
