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


class TransactionStatus(StrEnum):
    """What became of a transaction, in one vocabulary for all of SumUp's spellings (`paypoll.sumup.wire` maps them).

    Its `status` has five words, `simple_status` ten, and they name the same things differently.
    """

    SUCCESSFUL = "SUCCESSFUL"
    """The money was taken; paid out, or a refund or cancellation that came to nothing, is successful still."""
    PENDING = "PENDING"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"
    CHARGED_BACK = "CHARGED_BACK"
    """By the card's holder, or never collected from the bank: either way the money is not there any more."""
    ABSENT = "ABSENT"
    """SumUp did not say."""
    UNKNOWN = "UNKNOWN"
    """A word of the future."""


class EventKind(StrEnum):
    """What an event of a transaction is about."""

    REFUND = "REFUND"
    CHARGE_BACK = "CHARGE_BACK"
    PAYOUT = "PAYOUT"
    PAYOUT_DEDUCTION = "PAYOUT_DEDUCTION"
    UNKNOWN = "UNKNOWN"


class EventStatus(StrEnum):
    """How far an event has come: three ends, and all the rest is under way."""

    DONE = "DONE"
    FAILED = "FAILED"
    UNDER_WAY = "UNDER_WAY"
    """PENDING, SCHEDULED, RECONCILED, or a word of the future: it may still come to nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at paying, as listed in a checkout's `transactions`. Absent fields are None or empty."""

    id: str
    transaction_code: str
    status: TransactionStatus
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
        return self.status == TransactionStatus.SUCCESSFUL


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """SumUp's answer about one checkout. Absent fields are None or empty; `raw` is the answer as JSON.

    A PAID answer always has an amount and a currency: without them it is a BrokenAnswer. `made_at` is when the checkout
    was made, `valid_until` when its page ends, `answered_at` what SumUp's own clock said with the answer.
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
    made_at: datetime | None = None
    valid_until: datetime | None = None
    answered_at: datetime | None = None

    @property
    def newest_attempt(self) -> Attempt | None:
        """The last attempt by SumUp's time; without times, or of several at once, the last of the list."""
        times = [attempt.timestamp for attempt in self.attempts if attempt.timestamp is not None]
        if times and len(times) == len(self.attempts):
            return self.attempts[max(range(len(times)), key=lambda i: (times[i], i))]
        return self.attempts[-1] if self.attempts else None

    @property
    def successful_attempts(self) -> tuple[Attempt, ...]:
        """The attempts in which money was taken; exactly one in a sound PAID answer."""
        return tuple(attempt for attempt in self.attempts if attempt.successful)

    @property
    def payment_ids(self) -> frozenset[str]:
        """The checkout's id and that of its payment: under two checkouts it is one payment all the same."""
        paid_by = self.transaction_id or next((attempt.id for attempt in self.successful_attempts), "")
        return frozenset({self.id, paid_by} - {""})

    @property
    def payment_names(self) -> frozenset[str]:
        """All that SumUp, or the shop, may name this payment by: the checkout's id, transaction ids and codes."""
        attempts = (name for attempt in self.attempts for name in (attempt.id, attempt.transaction_code))
        return frozenset({self.id, self.transaction_id, self.transaction_code, *attempts} - {""})


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """SumUp's answer about one transaction, with what its events say was given back.

    `refunded` and `charged_back` are sums in major units of what has gone back, `returning` of what is on its way back;
    zero when nothing is; `failed` is the sum of refunds that SumUp began and that came to nothing. `amount` includes
    `tip_amount`. `said` is SumUp's own word for a status that is UNKNOWN. `card` is what a customer knows the card by,
    such as `VISA ending 3456`, or empty.
    """

    id: str
    transaction_code: str
    status: TransactionStatus
    amount: Decimal | None
    currency: str
    refunded: Decimal
    charged_back: Decimal
    raw: Mapping[str, object]
    simple_status: TransactionStatus = TransactionStatus.ABSENT
    merchant_code: str = ""
    tip_amount: Decimal = Decimal(0)
    returning: Decimal = Decimal(0)
    failed: Decimal = Decimal(0)
    timestamp: datetime | None = None
    said: str = ""
    card: str = ""

    @property
    def returned(self) -> Decimal:
        """What has gone back to the customer, by refund or charge-back."""
        return self.refunded + self.charged_back

    @property
    def net(self) -> Decimal:
        """What was paid, without the tip."""
        return (self.amount or Decimal(0)) - self.tip_amount

    @property
    def is_all_back(self) -> bool:
        """Whether all that was paid has gone back, be it with the tip or without."""
        return self.returned >= self.net > 0

    @property
    def left(self) -> Decimal:
        """What could still be given back: what was paid, less what has gone back or is on its way."""
        return (self.amount or Decimal(0)) - self.returned - self.returning


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
    """SumUp says 401 or 403 for good: a person must mend the credential of `merchant_code` (empty: the platform's).

    `about_client`: it is not that merchant's connection but the platform's OAuth client, on which all of them rest.
    """

    merchant_code: str
    detail: str = ""
    about_client: bool = False


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """SumUp could not be asked now: 429, 5xx, time-out, reset. Says nothing about the payment."""

    detail: str


@dataclass(frozen=True, slots=True)
class BrokenAnswer:
    """SumUp answered with something that cannot be used: a wrong id, a missing or impossible amount.

    `garbled`: it was not even JSON, but a proxy's page, a redirect, an endless body. That says something about the
    way to SumUp rather than about this checkout. `too_long`: it was longer than what is read of any answer.
    """

    detail: str
    garbled: bool = field(default=False, compare=False)
    too_long: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """SumUp refused to close a checkout (409). No proof of payment: read it again.

    `processed`: it says that the checkout was processed. Otherwise a payment may be under way just now.
    """

    detail: str = ""
    processed: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """SumUp took the request for a refund. Whether the money goes back, the transaction says."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request never left: SumUp was not asked for anything."""

    detail: str


@dataclass(frozen=True, slots=True)
class RefundRefused:
    """SumUp refused the refund (400, 409, 422, 429): this request gave nothing back."""

    detail: str


Failure: TypeAlias = NotFound | NotAllowed | NoAnswer | BrokenAnswer
Look: TypeAlias = Found[T] | Failure
Closing: TypeAlias = Found[CheckoutAnswer] | Refused | Failure
Refunding: TypeAlias = Accepted | NotSent | RefundRefused | Failure
"""NotFound and NotAllowed are refusals as well. After NoAnswer and BrokenAnswer the money may be on its way back."""


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

    def refund(self, transaction_id: str, merchant_code: str, amount: Decimal, currency: str) -> Refunding:
        """Ask for this much of a transaction to be given back, in major units. Sent once and never again.

        SumUp has no idempotency key for refunds: after anything but a refusal, only reading the transaction tells.
        """
        ...

    def read_merchants(self) -> Look[frozenset[str]]:
        """Return the codes of the merchants that the platform's credential belongs to; `paypoll check` asks."""
        ...
