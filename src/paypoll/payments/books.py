"""SumUp's own books as a port: its list of transactions, and its payouts.

What a payment that stands there means for an order: `payments.ledger`; what payouts come to: `payments.payouts`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from paypoll.payments.gateway import Look

ONLINE = "ECOM"
"""SumUp's `payment_type` of online payments; the others are card readers: somebody else's till."""


@dataclass(frozen=True, slots=True)
class LedgerItem:
    """A line of SumUp's history: a payment, or what went back of one. Absent texts are empty.

    `kind` is PAYMENT, REFUND or CHARGE_BACK, `status` SumUp's word in capitals; `refunded` what the line of a payment
    says was refunded of it.
    """

    transaction_id: str
    transaction_code: str
    kind: str
    status: str
    amount: Decimal
    currency: str
    refunded: Decimal
    at: datetime | None
    payment_type: str
    summary: str

    @classmethod
    def again(cls, transaction_id: str, transaction_code: str, currency: str) -> "LedgerItem":
        """Return a line for a payment that is to be looked at again: something went back of it, and no more is said."""
        nothing = Decimal(0)
        return cls(transaction_id, transaction_code, "REFUND", "", nothing, currency, nothing, None, ONLINE, "")


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A page of the history. `next_page` is where it goes on; empty at its end."""

    items: tuple[LedgerItem, ...]
    next_page: str


@dataclass(frozen=True, slots=True)
class Period:
    """Which part of the history is read: all that changed since, or what was made between two times."""

    changed_since: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutRecord:
    """A record of SumUp's payouts: what reached the bank for a payment, or what was kept back for what went back.

    `kind` and `status` are SumUp's words in capitals, `on` is an ISO date.
    """

    id: str
    kind: str
    amount: Decimal
    fee: Decimal
    currency: str
    on: str
    status: str
    reference: str
    transaction_code: str


class LedgerSource(Protocol):
    """SumUp's books. No method raises for what SumUp or the network does; `merchant_code` picks the credential."""

    def list_transactions(self, merchant_code: str, period: Period, page: str) -> Look[LedgerPage]:
        """Return a page of the merchant's online transactions, the oldest first; `page` is empty for the first."""
        ...

    def list_payouts(self, merchant_code: str, first: date, last: date) -> Look[tuple[PayoutRecord, ...]]:
        """Return the records of these days, both included: all of them, or the failure, which may be of one day."""
        ...
