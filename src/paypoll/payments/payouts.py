"""Payouts held against the orders: gross, fee and net of each, shared out to the events that it is for. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from paypoll.payments.books import PayoutRecord
from paypoll.payments.money import exponent, same_amount

PAYOUT = "PAYOUT"


@dataclass(frozen=True, slots=True)
class Share:
    """An event's part of an order, by the total of its items."""

    event: str
    organiser: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """The order that a transaction paid for. `amount` is the payment as paypoll verified it."""

    number: str
    amount: Decimal
    currency: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """A line for the bookkeeper: a record of SumUp's, or an event's part of one. Deductions are negative.

    `order` is empty where the record is of nothing that paypoll knows.
    """

    on: str
    kind: str
    merchant_code: str
    order: str
    event: str
    organiser: str
    gross: Decimal
    fee: Decimal
    net: Decimal
    currency: str
    reference: str
    transaction_code: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A payout whose gross is not what the order was paid by."""

    order: str
    transaction_code: str
    paid: Decimal
    gross: Decimal
    currency: str


def lines_of(record: PayoutRecord, merchant_code: str, order: PaidOrder | None) -> list[PayoutLine]:
    """Return the record's lines: one an event of its order, whose sums are the record's to the penny."""
    net, fee = signed(record)
    shares = order.shares if order is not None and order.shares else (Share("", "", Decimal(1)),)
    weights = [share.total for share in shares]
    nets, fees = _split(net, weights, record.currency), _split(fee, weights, record.currency)
    return [
        PayoutLine(
            on=record.on,
            kind=record.kind,
            merchant_code=merchant_code,
            order=order.number if order is not None else "",
            event=share.event,
            organiser=share.organiser,
            gross=part + part_fee,
            fee=part_fee,
            net=part,
            currency=record.currency,
            reference=record.reference,
            transaction_code=record.transaction_code,
        )
        for share, part, part_fee in zip(shares, nets, fees, strict=True)
    ]


def signed(record: PayoutRecord) -> tuple[Decimal, Decimal]:
    """Return net and fee. Whether SumUp writes a deduction with a minus is not documented: it is one either way."""
    if record.kind == PAYOUT:
        return record.amount, record.fee
    return -abs(record.amount), -abs(record.fee)


def difference(record: PayoutRecord, order: PaidOrder | None) -> Difference | None:
    """Return where a payout's gross is not the amount that was paid; None where it is, or nothing is known."""
    if record.kind != PAYOUT or order is None:
        return None
    gross = record.amount + record.fee
    if same_amount(gross, order.amount, order.currency) and record.currency == order.currency:
        return None
    return Difference(order.number, record.transaction_code, order.amount, gross, record.currency)


@dataclass(slots=True)
class Total:
    """What an organiser's event came to."""

    gross: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    net: Decimal = Decimal(0)


def totals(lines: Iterable[PayoutLine]) -> Mapping[tuple[str, str, str], Total]:
    """Return the sums by organiser, event and currency, in the order of their names."""
    sums: dict[tuple[str, str, str], Total] = {}
    for line in lines:
        total = sums.setdefault((line.organiser, line.event, line.currency), Total())
        total.gross += line.gross
        total.fee += line.fee
        total.net += line.net
    return dict(sorted(sums.items()))


def _split(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Share an amount out by weights; what rounding leaves goes to the last."""
    whole = sum(weights, Decimal(0))
    unit = Decimal(1).scaleb(-exponent(currency))
    if len(weights) == 1 or not whole:
        return [amount, *(Decimal(0) for _ in weights[1:])]
    parts = [(amount * weight / whole).quantize(unit, ROUND_HALF_UP) for weight in weights[:-1]]
    return [*parts, amount - sum(parts, Decimal(0))]
