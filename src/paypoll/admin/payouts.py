"""SumUp's payouts held against the orders, for whoever keeps the books. Read-only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.errors import TooMuchError, TryLaterError
from paypoll.payments.books import LedgerSource
from paypoll.payments.gateway import BrokenAnswer, Found, NotAllowed, NotFound
from paypoll.payments.payouts import PAYOUT, Difference, PayoutLine, difference, lines_of
from paypoll.state.paid_orders import find_paid_between, find_paid_orders

_AT_ONCE = 1000


@dataclass(slots=True)
class PaidOut:
    """The payouts of a period, whose times are in the site's zone: a payout has a day, and no time of day.

    `to_come`: payments of the period that no payout in it names, by currency.

    `unknown` counts the records of nothing that paypoll knows: card readers, another shop, an order of before.
    """

    since: datetime
    until: datetime
    lines: list[PayoutLine] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    to_come: dict[str, Decimal] = field(default_factory=dict)
    unknown: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def first_day(self) -> date:
        """The first day of the period."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """The last day of the period, which ends with a midnight or within a day."""
        return (self.until - datetime.resolution).date()


def hold_payouts(
    engine: sa.Engine, source: LedgerSource, merchants: Sequence[str], since: datetime, until: datetime
) -> PaidOut:
    """Return what SumUp paid out to these merchants, against the orders; times in the site's zone.

    Raise TryLaterError, TooMuchError.
    """
    result = PaidOut(since, until)
    for merchant_code in merchants:
        look = source.list_payouts(merchant_code, result.first_day, result.last_day)
        if isinstance(look, NotAllowed | NotFound):
            result.refused[merchant_code] = look.detail
            continue
        if not isinstance(look, Found):
            why = f"SumUp's payouts of {merchant_code} could not be read: {look.detail}"
            raise TooMuchError(why) if isinstance(look, BrokenAnswer) and look.too_long else TryLaterError(why)
        for begin in range(0, len(look.value), _AT_ONCE):
            records = look.value[begin : begin + _AT_ONCE]
            with transaction(engine) as connection:
                orders = find_paid_orders(connection, {one.transaction_code for one in records} - {""})
            for record in records:
                order = orders.get(record.transaction_code)
                result.unknown += order is None
                result.lines += lines_of(record, merchant_code, order)
                if (odd := difference(record, order)) is not None:
                    result.differences.append(odd)
        _add_to_come(engine, result, merchant_code, {one.transaction_code for one in look.value if one.kind == PAYOUT})
    return result


def _add_to_come(engine: sa.Engine, result: PaidOut, merchant_code: str, paid_out: Iterable[str]) -> None:
    with transaction(engine) as connection:
        paid = find_paid_between(connection, merchant_code, result.since, result.until)
    for code in paid.keys() - set(paid_out):
        _, amount, currency = paid[code]
        result.to_come[currency] = result.to_come.get(currency, Decimal(0)) + amount
