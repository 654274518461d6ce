"""What the database holds about a period, as the sums take it. Pure.

No customer's name, address or order number is among it: what is not read cannot be shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """An item of an order: what it is for, and its share. `event_id` is None where the shop has deleted the event.

    `starts` is the event's day and time as the shop has them, such as 2026-12-12 19:30.
    """

    event_id: int | None
    event: str
    organiser_id: int | None
    organiser: str
    total: Decimal
    places: int
    starts: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that bought tickets. `by_shop`: a page of the shop had issued them; `by_person`: a person did.

    `on_word`: on a person's word alone, and SumUp shows no payment; `amount` is what the order would have cost.

    `order` tells payments of one order from those of another within a report, and is shown nowhere. `lines` is empty
    where the order is gone from the shop.
    """

    order: int
    paid_at: datetime
    fulfilled_at: datetime
    amount: Decimal
    currency: str
    by_shop: bool
    by_person: bool
    on_word: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ReturnSeen:
    """How much of the payment that bought an order's tickets had gone back in all, when somebody looked.

    `paid` is what is counted as paid: without a tip, which `returned` may hold. `here_again`: more had gone back
    before, and SumUp said that some of it is here again.
    """

    order: int
    at: datetime
    returned: Decimal
    paid: Decimal
    currency: str
    lines: tuple[Line, ...]
    here_again: bool = False

    @property
    def of_payment(self) -> Decimal:
        """What had gone back of what is counted as paid."""
        return min(self.returned, self.paid)


@dataclass(frozen=True, slots=True)
class Placed:
    """So many orders were placed within a quarter of an hour, and have this status now."""

    at: datetime
    status: str
    orders: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Looks at SumUp within a quarter of an hour: how many there were, and how many had no answer or a refusal."""

    at: datetime
    looks: int
    unanswered: int
    refused: int


@dataclass(frozen=True, slots=True)
class Decided:
    """So many orders were decided upon so."""

    outcome: str
    reason: str
    orders: int


@dataclass(frozen=True, slots=True)
class CaseStep:
    """A review was opened (for a `reason`), or ended (`how`). `case` is the order's id; the steps come in time."""

    case: int
    at: datetime
    reason: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """What SumUp's ledger and the orders did not agree about."""

    kind: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run. `ended` is empty when it was killed, or is under way."""

    started_at: datetime
    ended: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TroubleSeen:
    """An incident that lasts: what kind, and since when."""

    kind: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. The iterables are gone through once, so that a year need not fit the memory."""

    placed: Iterable[Placed]
    payments: Iterable[Payment]
    returns: Iterable[ReturnSeen]
    decided: Iterable[Decided]
    steps: Iterable[CaseStep]
    open_cases: Mapping[int, datetime]
    """The orders whose review is open now, and since when."""
    findings: Iterable[FindingSeen]
    asked: Iterable[Asked]
    runs: Iterable[RunSeen]
    troubles: Iterable[TroubleSeen]
