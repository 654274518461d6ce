"""Payouts held against what was paid: the lines of each record, what was paid out otherwise than paid, sums. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from paypoll.payments.books import PayoutRecord
from paypoll.payments.money import same_amount
from paypoll.payments.shares import shares, shares_back

K = TypeVar("K")

PAYOUT = "PAYOUT"
SUCCESSFUL = "SUCCESSFUL"
DEDUCTIONS = frozenset({"REFUND_DEDUCTION", "CHARGE_BACK_DEDUCTION", "DD_RETURN_DEDUCTION", "BALANCE_DEDUCTION"})


@dataclass(frozen=True, slots=True)
class Share:
    """An item of an order, for the share of its event. `event_id` is None where the shop has deleted the event.

    `event_date` and `event_time` are as PostgreSQL writes them: 2026-12-12, 19:30.
    """

    event_id: int | None
    event: str
    event_date: str
    event_time: str
    organiser_id: int | None
    organiser: str
    total: Decimal


GONE = Share(None, "(order gone from the shop)", "", "", None, "", Decimal(1))
"""What an order was for that is not in the shop any more; `paypoll report` calls it the same."""
_NOTHING = Share(None, "", "", "", None, "", Decimal(1))


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that paypoll knows: of the order `number`, or of the listing fee `fee`.

    `amount` is without a tip. `shares` is empty where the order is gone from the shop.
    """

    number: str
    fee: str
    amount: Decimal
    currency: str
    transaction_id: str
    paid_at: datetime | None
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """A line for the bookkeeper: a record of SumUp's, or an event's part of one. Deductions are negative.

    `order` and `listing_fee` are empty where the record is of nothing that paypoll knows. `tip` is a part of `gross`.
    What is not `counted` is in no sum: it did not happen, or paypoll does not know what it is (its sign is SumUp's).
    """

    on: str
    kind: str
    status: str
    counted: bool
    merchant_code: str
    order: str
    listing_fee: str
    event_id: int | None
    event: str
    event_date: str
    event_time: str
    organiser_id: int | None
    organiser: str
    gross: Decimal
    fee: Decimal
    net: Decimal
    tip: Decimal
    currency: str
    reference: str
    transaction_code: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What was paid out for a payment, or `deducted`, in `records` records, where that does not fit what was paid."""

    order: str
    listing_fee: str
    transaction_code: str
    deducted: bool
    paid: Decimal
    tip: Decimal
    paid_currency: str
    gross: Decimal
    currency: str
    records: int


@dataclass(frozen=True, slots=True)
class Before:
    """What records before one had paid out of its payment, and deducted. `again`: it pays out what was deducted."""

    out: Decimal = Decimal(0)
    back: Decimal = Decimal(0)
    again: bool = False


def is_known(kind: str) -> bool:
    """Say whether paypoll knows which way a record of this kind moves money."""
    return kind == PAYOUT or kind in DEDUCTIONS


def is_counted(record: PayoutRecord) -> bool:
    """Say whether the record moved money, and paypoll knows which way."""
    return record.status == SUCCESSFUL and is_known(record.kind)


def lines_of(
    record: PayoutRecord,
    merchant_code: str,
    paid: Paid | None = None,
    *,
    tip: Decimal = Decimal(0),
    before: Before = Before(),
) -> list[PayoutLine]:
    """Return the record's lines: one an event of its order, whose sums are the record's to the penny.

    `tip` is that of the payment. The first record of it has the tip; of what goes back the price goes first.
    """
    net, fee = signed(record)
    events = _by_event(record, net + fee, paid, tip, before)
    # The fee goes by what each event got: so no part of it is more than that.
    fees = shares(fee, [abs(one.gross) for one in events], record.currency)
    return [
        PayoutLine(
            on=record.on,
            kind=record.kind,
            status=record.status,
            counted=is_counted(record),
            merchant_code=merchant_code,
            order=paid.number if paid is not None else "",
            listing_fee=paid.fee if paid is not None else "",
            event_id=one.share.event_id,
            event=one.share.event,
            event_date=one.share.event_date,
            event_time=one.share.event_time,
            organiser_id=one.share.organiser_id,
            organiser=one.share.organiser,
            gross=one.gross,
            fee=part,
            net=one.gross - part,
            tip=one.tip if is_counted(record) else Decimal(0),
            currency=record.currency,
            reference=record.reference,
            transaction_code=record.transaction_code,
            paid_at=paid.paid_at if paid is not None else None,
        )
        for one, part in zip(events, fees, strict=True)
    ]


@dataclass(slots=True)
class _Event:
    """What of a record is an event's."""

    share: Share
    gross: Decimal = Decimal(0)
    tip: Decimal = Decimal(0)


def _by_event(record: PayoutRecord, gross: Decimal, paid: Paid | None, tip: Decimal, before: Before) -> list[_Event]:
    items = (_NOTHING,) if paid is None or paid.fee else paid.shares or (GONE,)
    weights = [item.total for item in items]
    # As `paypoll report` shares out the payment, by items, and what went back of it: part for part, so that the parts
    # of a whole are the same as the whole.
    parts = shares(paid.amount if paid is not None else gross, weights, record.currency)
    tips = shares(tip, parts, record.currency)
    grosses = shares(gross, weights, record.currency)
    gone = before.back - gross  # by then; less than before, where it is here again
    if record.kind == PAYOUT and not before.again:
        whole = [part + part_tip for part, part_tip in zip(parts, tips, strict=True)]
        if _is_of(record, paid) and 0 <= before.out <= before.out + gross <= sum(whole):
            grosses = _moved((before.out, before.out + gross), whole, record.currency)
        tips = tips if not before.out else [Decimal(0)] * len(tips)
    elif paid is not None and _is_of(record, paid) and min(before.back, gone) >= 0 and gone <= paid.amount + tip:
        of_price = min(before.back, paid.amount), min(gone, paid.amount)
        price = _moved(of_price, parts, record.currency)
        beside = _moved((before.back - of_price[0], gone - of_price[1]), tips, record.currency)
        tips = [-one for one in beside]
        grosses = [part_tip - part for part, part_tip in zip(price, tips, strict=True)]
    else:
        tips = [Decimal(0)] * len(tips)
    found: dict[tuple[int | None, str, int | None], _Event] = {}
    for item, part, part_tip in zip(items, grosses, tips, strict=True):
        event = found.setdefault((item.event_id, item.event, item.organiser_id), _Event(item))
        event.gross += part
        event.tip += part_tip
    return list(found.values())


def _is_of(record: PayoutRecord, paid: Paid | None) -> bool:
    return paid is not None and record.currency == paid.currency


def _moved(sizes: tuple[Decimal, Decimal], parts: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Return how much more of each part is in the second of these sizes than in the first."""
    then, since = (shares_back(size, parts, currency) for size in sizes)
    return [one - other for one, other in zip(since, then, strict=True)]


def signed(record: PayoutRecord) -> tuple[Decimal, Decimal]:
    """Return net and fee. Whether SumUp writes a deduction with a minus is not documented: it is one either way."""
    if record.kind in DEDUCTIONS:
        return -abs(record.amount), -abs(record.fee)
    return record.amount, record.fee


@dataclass(slots=True)
class Total:
    """What lines, or records, come to."""

    gross: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    number: int = 0

    def add(self, gross: Decimal, fee: Decimal) -> None:
        """Add one."""
        self.gross += gross
        self.fee += fee
        self.net += gross - fee
        self.number += 1


def summed(lines: Iterable[PayoutLine], key: Callable[[PayoutLine], K]) -> dict[K, Total]:
    """Return the sums of the lines that count, by what `key` says of each."""
    sums: dict[K, Total] = defaultdict(Total)
    for line in lines:
        if line.counted:
            sums[key(line)].add(line.gross, line.fee)
    return sums


class SoFar:
    """How much was paid out of each transaction, and deducted, as its records come, the oldest first."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Before] = defaultdict(Before)

    def add(self, record: PayoutRecord, whole: Decimal | None = None) -> Before:
        """Add a record of a payment of so much, if that is known, and return what there was before it.

        What is paid out beyond the whole is what was deducted, and is here again: a charge-back that was reversed.
        """
        which = record.transaction_code, record.currency
        before, gross = self._known[which], sum(signed(record), Decimal(0))
        again = record.kind == PAYOUT and whole is not None and before.out >= whole and 0 < gross <= before.back
        if is_counted(record):
            is_out = record.kind == PAYOUT and not again
            out, back = (before.out + gross, before.back) if is_out else (before.out, before.back - gross)
            self._known[which] = Before(out, back)
        return replace(before, again=again)


class Records:
    """The records of a merchant, by transaction and currency: a payment may be paid out in parts, and twice."""

    def __init__(self) -> None:
        self._out: dict[str, dict[str, Total]] = defaultdict(lambda: defaultdict(Total))
        self._back: dict[str, dict[str, Total]] = defaultdict(lambda: defaultdict(Total))
        self._deducted: dict[tuple[str, str], list[Decimal]] = defaultdict(list)

    def add(self, records: Iterable[PayoutRecord]) -> None:
        """Add the records that count."""
        for record in filter(is_counted, records):
            net, fee = signed(record)
            side = self._out if record.kind == PAYOUT else self._back
            side[record.transaction_code][record.currency].add(net + fee, fee)
            if side is self._back:
                self._deducted[record.transaction_code, record.currency].append(-net)

    @property
    def paid_out(self) -> Collection[str]:
        """The codes of the transactions of which something was paid out."""
        return self._out.keys()

    def is_plain(self, code: str, paid: Paid) -> bool:
        """Say whether it was paid out as it was paid, and no more deducted: then there was no tip."""
        out, back = self._out.get(code, {}), self._back.get(code, {})
        return (
            {*out, *back} <= {paid.currency}
            and all(same_amount(total.gross, paid.amount, currency) for currency, total in out.items())
            and all(-total.net <= paid.amount for total in back.values())
        )

    def differences(self, code: str, paid: Paid, tip: Decimal) -> list[Difference]:
        """Return where the transaction was paid out otherwise than paid, or more was deducted of it.

        What was deducted may be paid out again, as a charge-back that was reversed, and deducted once more.
        """
        expected = paid.amount + tip
        out, found = self._out.get(code, {}), []
        for currency, total in out.items():
            again = self._without_deductions(total.gross - expected, code, currency)
            if not (currency == paid.currency and same_amount(again, Decimal(0), currency)):
                found.append(_difference(code, paid, tip, total, currency, deducted=False))
        for currency, total in self._back.get(code, {}).items():
            most = max(expected, out[currency].gross if currency in out else Decimal(0))
            if not (currency == paid.currency and -total.net <= most):
                found.append(_difference(code, paid, tip, total, currency, deducted=True))
        return found

    def _without_deductions(self, amount: Decimal, code: str, currency: str) -> Decimal:
        """Return what is left of the amount without those of the deductions that may be in it."""
        for one in sorted(self._deducted.get((code, currency), ()), reverse=True):
            amount -= one if one <= amount else 0
        return amount


def _difference(code: str, paid: Paid, tip: Decimal, total: Total, currency: str, *, deducted: bool) -> Difference:
    return Difference(
        order=paid.number,
        listing_fee=paid.fee,
        transaction_code=code,
        deducted=deducted,
        paid=paid.amount,
        tip=tip,
        paid_currency=paid.currency,
        gross=-total.net if deducted else total.gross,
        currency=currency,
        records=total.number,
    )
