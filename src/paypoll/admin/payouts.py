"""SumUp's payouts held against the orders, for whoever keeps the books. Read-only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.clock import Days
from paypoll.database import transaction
from paypoll.errors import TooMuchError, TryLaterError
from paypoll.payments.books import LedgerSource, PayoutRecord
from paypoll.payments.gateway import BrokenAnswer, Found, Look, NoAnswer, NotAllowed, NotFound, PaymentGateway
from paypoll.payments.payouts import (
    PAYOUT,
    Before,
    Difference,
    Paid,
    PayoutLine,
    Records,
    SoFar,
    is_counted,
    lines_of,
)
from paypoll.state.paid_orders import find_paid, find_paid_between

_AT_ONCE = 1000
_AROUND = timedelta(days=92)
"""A payment's other parts are looked for so long before and after the period that was asked for."""


@dataclass(slots=True)
class PaidOut:
    """The payouts of a period of days; amounts are by currency.

    Of the payments that completed orders in the period, those in none of its payouts are in `paid_out_later`, or in
    `to_come`: in no payout until `looked_until`. `paid_before` is the gross of the period's payouts for payments from
    before it; `tips` are in the gross, less those that were deducted.

    `unknown` counts the records of nothing that paypoll knows: card readers, another shop, an order of before.
    """

    first_day: date
    last_day: date
    looked_until: date
    lines: list[PayoutLine] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    to_come: dict[str, Decimal] = field(default_factory=dict)
    paid_out_later: dict[str, Decimal] = field(default_factory=dict)
    paid_before: dict[str, Decimal] = field(default_factory=dict)
    tips: dict[str, Decimal] = field(default_factory=dict)
    unknown: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def not_counted(self) -> list[PayoutLine]:
        """What is shown, and in no sum: payouts that failed, and records of a kind that paypoll does not know."""
        return [line for line in self.lines if not line.counted]


def hold_payouts(
    engine: sa.Engine, source: LedgerSource, gateway: PaymentGateway, merchants: Sequence[str], days: Days
) -> PaidOut:
    """Return what SumUp paid out to these merchants, against the orders. Raise TryLaterError, TooMuchError."""
    result = PaidOut(days.first, days.last, min(days.today, days.last + _AROUND))
    for merchant_code in merchants:
        look = source.list_payouts(merchant_code, days.first, days.last)
        if isinstance(look, NotAllowed | NotFound):
            result.refused[merchant_code] = look.detail
            continue
        _Merchant(engine, source, gateway, merchant_code, days, result).hold(_read(look, merchant_code))
    return result


def _read(look: Look[tuple[PayoutRecord, ...]], merchant_code: str) -> tuple[PayoutRecord, ...]:
    if isinstance(look, Found):
        return look.value
    why = f"SumUp's payouts of {merchant_code} could not be read: {look.detail}"
    raise TooMuchError(why) if isinstance(look, BrokenAnswer) and look.too_long else TryLaterError(why)


class _Merchant:
    """Holds one merchant's payouts against what was paid, into the result of all."""

    def __init__(
        self,
        engine: sa.Engine,
        source: LedgerSource,
        gateway: PaymentGateway,
        code: str,
        days: Days,
        result: PaidOut,
    ) -> None:
        self._engine = engine
        self._source = source
        self._gateway = gateway
        self._code = code
        self._days = days
        self._result = result

    def hold(self, records: Sequence[PayoutRecord]) -> None:
        """Hold the records of the period against the payments."""
        known = self._known({record.transaction_code for record in records} - {""})
        books = Records()
        books.add(records)
        in_period = set(books.paid_out)
        earlier, later = self._records_around(known.values())
        books.add([*earlier, *later])
        tips = self._hold_amounts(books, known)
        so_far = SoFar()
        for number, record in enumerate([*earlier, *records]):
            paid, tip = known.get(record.transaction_code), tips.get(record.transaction_code, Decimal(0))
            before = so_far.add(record, paid.amount + tip if paid is not None else None)
            if number >= len(earlier):
                self._result.unknown += paid is None
                self._enter(record, paid, tip=tip, before=before)
        self._enter_not_paid_out(in_period, books.paid_out)

    def _known(self, codes: Collection[str]) -> dict[str, Paid]:
        known: dict[str, Paid] = {}
        listed = sorted(codes)
        for begin in range(0, len(listed), _AT_ONCE):
            with transaction(self._engine) as connection:
                known |= find_paid(connection, listed[begin : begin + _AT_ONCE])
        return {code: _in_zone(paid, self._days) for code, paid in known.items()}

    def _records_around(self, known: Collection[Paid]) -> tuple[Sequence[PayoutRecord], Sequence[PayoutRecord]]:
        """Return what was paid out before and after the period: a payment's parts may be on either side."""
        days, one = self._days, timedelta(days=1)
        oldest = min((paid.paid_at.date() for paid in known if paid.paid_at is not None), default=days.first)
        earlier = self._list(max(oldest, days.first - _AROUND), days.first - one)
        return earlier, self._list(days.last + one, self._result.looked_until)

    def _list(self, first: date, last: date) -> Sequence[PayoutRecord]:
        return _read(self._source.list_payouts(self._code, first, last), self._code) if first <= last else ()

    def _hold_amounts(self, books: Records, known: Mapping[str, Paid]) -> dict[str, Decimal]:
        """Enter what was paid out otherwise than paid, and return the tips that explain such a payout."""
        tips: dict[str, Decimal] = {}
        for code, paid in sorted(known.items()):
            if not books.is_plain(code, paid):
                tips[code] = self._tip_of(paid)
                self._result.differences += books.differences(code, paid, tips[code])
        return tips

    def _tip_of(self, paid: Paid) -> Decimal:
        """Return what was paid beside the price, as SumUp has it now; nothing where it does not say."""
        if not paid.transaction_id:
            return Decimal(0)
        look = self._gateway.read_transaction(paid.transaction_id, self._code)
        if isinstance(look, NoAnswer):
            raise TryLaterError(f"SumUp could not be asked for the tip of {paid.transaction_id}: {look.detail}")
        return look.value.tip_amount if isinstance(look, Found) else Decimal(0)

    def _enter(self, record: PayoutRecord, paid: Paid | None, *, tip: Decimal, before: Before) -> None:
        lines = lines_of(record, self._code, paid, tip=tip, before=before)
        self._result.lines += lines
        for line in lines:
            _add(self._result.tips, line.currency, line.tip)
        paid_at = paid.paid_at if paid is not None else None
        if record.kind == PAYOUT and is_counted(record) and paid_at is not None and paid_at < self._days.begin:
            _add(self._result.paid_before, record.currency, record.amount + record.fee)

    def _enter_not_paid_out(self, in_period: Collection[str], by_now: Collection[str]) -> None:
        with transaction(self._engine) as connection:
            paid = find_paid_between(connection, self._code, self._days.begin, self._days.end)
        for code in paid.keys() - set(in_period):
            amount, currency = paid[code]
            _add(self._result.paid_out_later if code in by_now else self._result.to_come, currency, amount)


def _in_zone(paid: Paid, days: Days) -> Paid:
    return replace(paid, paid_at=paid.paid_at.astimezone(days.zone)) if paid.paid_at is not None else paid


def _add(sums: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    if amount:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
