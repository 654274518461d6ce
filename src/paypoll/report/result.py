"""What a report says: the sums, as every form of it shows them. Pure.

Amounts are exact Decimals in major units, durations are seconds, times are aware.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from paypoll.report.period import Period


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample of durations in seconds: how many, the median, what one in twenty exceeds, the longest."""

    number: int
    median: float
    most: float
    longest: float


@dataclass(frozen=True, slots=True)
class OrderSums:
    """The orders that were placed in the period, by what they are now, and column by column."""

    placed: int
    by_status: Mapping[str, int]
    placed_by_column: tuple[int, ...]
    completed_by_column: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """What came in for an event, and what went back of it. An order for two events counts in both rows.

    Of one name there may be several: `starts`, `event_id` and `organiser_id` tell them apart; see `words.told_apart`.
    """

    currency: str
    organiser: str
    event: str
    starts: str
    event_id: int | None
    organiser_id: int | None
    orders: int
    places: int
    taken: Decimal
    returned: Decimal

    @property
    def kept(self) -> Decimal:
        """What stayed."""
        return self.taken - self.returned


@dataclass(frozen=True, slots=True)
class WordSums:
    """The orders whose tickets a person issued without a payment that SumUp shows, and what they would have cost."""

    orders: int
    places: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class MoneySums:
    """All money of a currency: its rows add up to `taken` and `returned`, to the penny. The largest row comes first.

    `here_again`, what had gone back and is here again, is taken off `returned`. `on_word` is in none of it.
    """

    currency: str
    orders: int
    places: int
    taken: Decimal
    returned: Decimal
    taken_by_column: tuple[Decimal, ...]
    returned_by_column: tuple[Decimal, ...]
    rows: tuple[MoneyRow, ...]
    here_again: Decimal
    on_word: WordSums

    @property
    def kept(self) -> Decimal:
        """What stayed."""
        return self.taken - self.returned


@dataclass(frozen=True, slots=True)
class WaitSums:
    """How long it took from the payment to the tickets that a run issued. `within`: seconds, and how many took them."""

    spread: Spread | None
    within: tuple[tuple[float, int], ...]
    by_person: int
    by_shop: int


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """So many orders were decided upon so."""

    outcome: str
    reason: str
    orders: int


@dataclass(frozen=True, slots=True)
class CaseSums:
    """Reviews: opened and closed in the period, how long those took that were closed, and what is open now."""

    opened: int
    closed: int
    took: Spread | None
    open_now: int
    oldest_open: datetime | None
    opened_by_reason: Mapping[str, int]
    closed_by_how: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Findings of a kind in SumUp's ledger."""

    kind: str
    opened: int
    closed: int
    open_now: int


@dataclass(frozen=True, slots=True)
class BadHour:
    """An hour in which something went wrong: so many of so many."""

    at: datetime
    failed: int
    of: int


@dataclass(frozen=True, slots=True)
class ServiceSums:
    """How SumUp, or the mail server, kept up: what was asked of it, what failed, column by column and hour by hour."""

    asked: int
    failed: int
    failed_by_column: tuple[int, ...]
    bad_hours: tuple[BadHour, ...]


@dataclass(frozen=True, slots=True)
class RunSums:
    """The runs: how many, how many failed or were killed, and the longest time without any (in seconds)."""

    number: int
    failed: int
    killed: int
    errors: int
    longest_pause: float
    pause_since: datetime | None


@dataclass(frozen=True, slots=True)
class OpenTrouble:
    """An incident that lasts: what kind, and since when."""

    kind: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """All sums of a period, as they were at `made_at`."""

    period: Period
    made_at: datetime
    orders: OrderSums
    money: tuple[MoneySums, ...]
    waits: WaitSums
    outcomes: tuple[OutcomeRow, ...]
    cases: CaseSums
    findings: tuple[FindingRow, ...]
    sumup: ServiceSums
    mail: ServiceSums
    undeliverable: int
    runs: RunSums
    troubles: tuple[OpenTrouble, ...]
