"""Money in and back, by currency, organiser and event: exact, so that the rows add up to the whole. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from paypoll.payments.shares import shares, shares_back
from paypoll.report.facts import Line, Payment, ReturnSeen
from paypoll.report.period import Period
from paypoll.report.result import MoneyRow, MoneySums, WordSums

_GONE = Line(None, "(order gone from the shop)", None, "", Decimal(0), 0)

_NO_WORD = WordSums(0, 0, Decimal(0))

_Key = tuple[int | None, str, int | None, str]


@dataclass(slots=True)
class _Row:
    orders: int = 0
    places: int = 0
    taken: Decimal = Decimal(0)
    returned: Decimal = Decimal(0)
    starts: str = ""


@dataclass(slots=True)
class _Currency:
    orders: int = 0
    places: int = 0
    taken: dict[datetime, Decimal] = field(default_factory=dict)
    returned: dict[datetime, Decimal] = field(default_factory=dict)
    rows: dict[_Key, _Row] = field(default_factory=dict)
    here_again: Decimal = Decimal(0)
    on_word: WordSums = _NO_WORD


class MoneyBooks:
    """Takes payments and returns, one after the other, and says what they come to."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self._currencies: dict[str, _Currency] = {}

    def take(self, payment: Payment) -> None:
        """Enter a payment, at the time at which it bought tickets."""
        book = self._currencies.setdefault(payment.currency, _Currency())
        if payment.on_word:
            known, places = book.on_word, sum(line.places for line in payment.lines)
            book.on_word = WordSums(known.orders + 1, known.places + places, known.amount + payment.amount)
            return
        book.orders += 1
        _add(book.taken, self._period.column_of(payment.fulfilled_at), payment.amount)
        lines = payment.lines or (_GONE,)
        entered = set()
        for line, share in zip(lines, _split(payment.amount, lines, payment.currency), strict=True):
            row = book.rows.setdefault(_key(line), _Row(starts=line.starts))
            row.orders += _key(line) not in entered
            row.places += line.places
            row.taken += share
            book.places += line.places
            entered.add(_key(line))

    def give_back(self, seen: Iterable[ReturnSeen]) -> None:
        """Enter what went back in the period: of each payment, what is known by its end less what was before it.

        That is less than nothing where more is here again than went back.
        """
        sightings: dict[int, list[ReturnSeen]] = {}
        for one in seen:
            sightings.setdefault(one.order, []).append(one)
        for of_one in sightings.values():
            self._give_back_one(sorted(of_one, key=lambda one: (one.at, one.here_again)))

    def _give_back_one(self, sightings: Sequence[ReturnSeen]) -> None:
        known = Decimal(0)
        for one in sightings:
            # An older sighting of more counts, unless SumUp said that money is here again: its list may lag behind.
            back = one.of_payment if one.here_again else max(known, one.of_payment)
            if one.at in self._period and back != known:
                self._return(one, known)
            known = back

    def _return(self, seen: ReturnSeen, before: Decimal) -> None:
        book = self._currencies.setdefault(seen.currency, _Currency())
        _add(book.returned, self._period.column_of(seen.at), seen.of_payment - before)
        book.here_again += max(before - seen.of_payment, Decimal(0))
        lines = seen.lines or (_GONE,)
        # Shared out is what went back in all, so that nothing is left of an order that went back in parts.
        parts = _split(seen.paid, lines, seen.currency)
        now, then = (shares_back(back, parts, seen.currency) for back in (seen.of_payment, before))
        for line, share, known in zip(lines, now, then, strict=True):
            book.rows.setdefault(_key(line), _Row(starts=line.starts)).returned += share - known

    def sums(self) -> tuple[MoneySums, ...]:
        """Return what was entered, the currency with the most orders first."""
        found = [self._sums_of(currency, book) for currency, book in self._currencies.items()]
        return tuple(sorted(found, key=lambda sums: (-sums.orders, sums.currency)))

    def _sums_of(self, currency: str, book: _Currency) -> MoneySums:
        columns = self._period.columns
        rows = [
            MoneyRow(
                currency=currency,
                organiser=organiser,
                event=event,
                starts=row.starts,
                event_id=event_id,
                organiser_id=organiser_id,
                orders=row.orders,
                places=row.places,
                taken=row.taken,
                returned=row.returned,
            )
            for (event_id, event, organiser_id, organiser), row in book.rows.items()
        ]
        rows.sort(key=lambda row: (-row.taken, -row.returned, row.organiser, row.event, row.starts))
        return MoneySums(
            currency=currency,
            orders=book.orders,
            places=book.places,
            taken=sum(book.taken.values(), Decimal(0)),
            returned=sum(book.returned.values(), Decimal(0)),
            taken_by_column=tuple(book.taken.get(column, Decimal(0)) for column in columns),
            returned_by_column=tuple(book.returned.get(column, Decimal(0)) for column in columns),
            rows=tuple(rows),
            here_again=book.here_again,
            on_word=book.on_word,
        )


def _split(amount: Decimal, lines: Sequence[Line], currency: str) -> list[Decimal]:
    return shares(amount, [line.total for line in lines], currency)


def _key(line: Line) -> _Key:
    # An event that the shop has deleted is known by the title that its items keep.
    return line.event_id, line.event, line.organiser_id, line.organiser


def _add(sums: dict[datetime, Decimal], column: datetime, amount: Decimal) -> None:
    sums[column] = sums.get(column, Decimal(0)) + amount
