"""What came of holding SumUp's payouts against the orders: tables, JSON, and the bookkeeper's CSV."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, NamedTuple

from paypoll.admin.payouts import PaidOut
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.table import Column, Table
from paypoll.cli.render.words import headed, more, numbered, wrapped
from paypoll.payments.money import digits, show_amount
from paypoll.payments.payouts import Difference, PayoutLine, Total, is_known, summed
from paypoll.report.spreadsheet import csv_text
from paypoll.report.words import told_apart

_MOST_SHOWN = 40


class _Row(NamedTuple):
    """What is summed up: an event of an organiser in a currency, or what is of no event."""

    organiser: str
    event: str
    event_date: str
    event_time: str
    organiser_id: int | None
    event_id: int | None
    listing_fees: bool
    currency: str

    @property
    def starts(self) -> str:
        """The event's day and time, as the rows of the report have them."""
        return f"{self.event_date} {self.event_time}".strip()


class _Payout(NamedTuple):
    """What reaches the bank as one payment."""

    merchant_code: str
    currency: str
    on: str
    reference: str


def _row_of(line: PayoutLine) -> _Row:
    return _Row(
        line.organiser,
        line.event,
        line.event_date,
        line.event_time,
        line.organiser_id,
        line.event_id,
        bool(line.listing_fee),
        line.currency,
    )


def _payout_of(line: PayoutLine) -> _Payout:
    return _Payout(line.merchant_code, line.currency, line.on, line.reference)


def paid_out_parts(result: PaidOut) -> list[str | Table]:
    """Return the payouts' sums by day, and by organiser and event, and how they stand to the period's payments."""
    lines: list[str | Table] = [f"Payouts from {result.first_day} to {result.last_day}"]
    for merchant, why in result.refused.items():
        lines += wrapped(f"The payouts of {merchant} may not be read: {why}")
    if result.lines:
        lines += _by_day(result.lines)
        lines += headed("By organiser and event")
        sums = summed(result.lines, _row_of)
        rows = []
        for currency, grouped in groupby(sorted(sums, key=_sorting), key=lambda row: row.currency):
            of_currency = list(grouped)
            rows += [(name, currency, sums[row]) for row, name in zip(of_currency, _names(of_currency), strict=True)]
        lines.append(_table("organiser: event", rows))
    for words, amounts in (
        ("tips in it: {}", result.tips),
        ("of it for payments from before this period: {} gross", result.paid_before),
        ("paid in this period, and paid out after it: {}", result.paid_out_later),
        (f"still to come: {{}} (paid in this period, in no payout until {result.looked_until})", result.to_come),
    ):
        for currency, amount in sorted((currency, amount) for currency, amount in amounts.items() if amount):
            lines += wrapped(words.format(show_amount(amount, currency)))
    return lines if len(lines) > 1 else [*lines, "  none"]


def misfit_lines(result: PaidOut) -> list[str]:
    """Return what is in no sum, and what was paid out otherwise than paid."""
    lines = []
    if result.not_counted:
        lines += headed(f"In no sum ({len(result.not_counted)})")
        for line in result.not_counted[:_MOST_SHOWN]:
            lines += wrapped(_why_not_counted(line))
        lines += more(len(result.not_counted), _MOST_SHOWN)
    if result.differences:
        lines += headed(f"Paid out otherwise than paid ({len(result.differences)})")
        for one in result.differences[:_MOST_SHOWN]:
            lines += wrapped(_said(one))
        lines += more(len(result.differences), _MOST_SHOWN)
    return lines


def _why_not_counted(line: PayoutLine) -> str:
    what = f"{show_amount(line.net, line.currency)} on {line.on}, {_name_of(line)}"
    if is_known(line.kind):
        return f"{line.kind} of {what}: SumUp says {line.status or 'nothing of its status'}"
    kind = line.kind or "a record without a type"
    return f"{kind}, which paypoll does not know: {what}"


def _said(one: Difference) -> str:
    paid = show_amount(one.paid, one.paid_currency)
    if one.tip:
        paid += f" and a tip of {show_amount(one.tip, one.paid_currency)}"
    payouts = "in the payout" if one.records == 1 else f"in {one.records} payouts"
    what = "deducted" if one.deducted else payouts
    name = one.order or f"listing fee {one.listing_fee}"
    return f"{name}: paid {paid}, {what} {show_amount(one.gross, one.currency)} ({one.transaction_code})"


def _name_of(line: PayoutLine) -> str:
    name = line.order or (f"listing fee {line.listing_fee}" if line.listing_fee else "of nothing that paypoll knows")
    return f"{name} ({line.transaction_code})" if line.transaction_code else name


def _by_day(lines: Iterable[PayoutLine]) -> list[str | Table]:
    """Return what reached the bank: by merchant, and by the days on which it did."""
    days: dict[tuple[str, str, str], Total] = {}
    wholes: dict[tuple[str, str], Total] = {}
    references: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for payout, total in sorted(summed(lines, _payout_of).items()):
        day = payout.merchant_code, payout.currency, payout.on
        references[day].append(payout.reference)
        days.setdefault(day, Total()).add(total.gross, total.fee)
        wholes.setdefault(day[:2], Total()).add(total.gross, total.fee)
    rows: list[tuple[str, str, Total]] = []
    for (merchant, currency), whole in wholes.items():
        of_merchant = [day for day in days if day[:2] == (merchant, currency)]
        rows += [
            (f"{merchant}, {day[2]}, {_one_or_number(references[day])}".removesuffix(", "), currency, days[day])
            for day in of_merchant[-_MOST_SHOWN:]
        ]
        left = len(of_merchant) - _MOST_SHOWN
        rows.append((f"{merchant} in all" + (f", with {left} days before" if left > 0 else ""), currency, whole))
    return [*headed("By day of the payout: net is what reaches the bank"), _table("merchant, day, reference", rows)]


def _one_or_number(references: Sequence[str]) -> str:
    return references[0] if len(references) == 1 else numbered(len(references), "reference")


def _table(title: str, rows: Iterable[tuple[str, str, Total]]) -> Table:
    cells = [
        (name, *(show_amount(one, currency) for one in (total.gross, total.fee, total.net)))
        for name, currency, total in rows
    ]
    return Table((Column(title), *(Column(name, right=True) for name in ("gross", "fee", "net"))), cells, indent=2)


def _sorting(row: _Row) -> tuple[str, str, int, str, str, int, bool]:
    organiser = row.currency, row.organiser, row.organiser_id or 0
    return *organiser, row.event, row.starts, row.event_id or 0, row.listing_fees


def _names(rows: Sequence[_Row]) -> list[str]:
    """Return what to call each row, as `paypoll report` calls it."""
    names = []
    for row, (organiser, mark) in zip(rows, told_apart(rows), strict=True):
        if row.listing_fees:
            names.append("(listing fees)")
        elif not row.event:
            names.append("(of no order that paypoll knows)")
        else:
            name = f"{organiser}: {row.event}" if organiser else row.event
            names.append(f"{name}, {mark}" if mark else name)
    return names


def paid_out_json(result: PaidOut) -> str:
    """Return all of it as JSON."""
    return json_text(
        {
            "schema": SCHEMA,
            **asdict(result),
            "lines": [_with_digits(asdict(line)) for line in result.lines],
            "differences": [_with_digits(asdict(one)) for one in result.differences],
            **{
                name: {currency: digits(amount, currency) for currency, amount in getattr(result, name).items()}
                for name in ("to_come", "paid_out_later", "paid_before", "tips")
            },
            "totals": _sums(result.lines, _row_of, _sorting),
            "payouts": _sums(result.lines, _payout_of, tuple),
        }
    )


def _sums(lines: Iterable[PayoutLine], key: Callable[[PayoutLine], Any], order: Callable[[Any], Any]) -> list[Any]:
    sums: Mapping[Any, Total] = summed(lines, key)
    return [
        _with_digits({**row._asdict(), "gross": one.gross, "fee": one.fee, "net": one.net})
        for row, one in sorted(sums.items(), key=lambda entry: order(entry[0]))
    ]


def _with_digits(found: dict[str, Any]) -> dict[str, Any]:
    """Return it with amounts in the digits of their currencies."""
    own, paid = found["currency"], found.get("paid_currency", found["currency"])
    currencies = {"paid": paid, "tip": paid, "gross": own, "fee": own, "net": own}
    amounts = {name: digits(found[name], currency) for name, currency in currencies.items() if name in found}
    return found | amounts


def paid_out_csv(result: PaidOut) -> str:
    """Return a line for each record, or each event's part of one, as a bookkeeper's program reads it."""
    rows = [
        (
            one.on, one.order, one.event, one.organiser,
            *(digits(amount, one.currency) for amount in (one.gross, one.fee, one.net)),
            one.currency, one.reference, one.kind, one.transaction_code, one.merchant_code,
            one.status, "yes" if one.counted else "no", digits(one.tip, one.currency), one.listing_fee,
            one.paid_at.isoformat(timespec="seconds") if one.paid_at is not None else "",
            str(one.event_id or ""), str(one.organiser_id or ""), one.event_date, one.event_time,
        )
        for one in result.lines
    ]  # fmt: skip
    names = (
        "date", "order", "event", "organiser", "gross", "fee", "net", "currency", "payout_reference", "type",
        "transaction_code", "merchant", "status", "counted", "tip", "listing_fee", "paid_at",
        "event_id", "organiser_id", "event_date", "event_time",
    )  # fmt: skip
    return csv_text(names, rows)
