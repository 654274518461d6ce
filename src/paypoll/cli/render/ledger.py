"""What came of holding SumUp's payouts against the orders: lines, JSON, and the bookkeeper's CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal

from paypoll.admin.payouts import PaidOut
from paypoll.characters import harmless
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.table import Column, Table
from paypoll.cli.render.words import headed, more, wrapped
from paypoll.payments.money import exponent, show_amount
from paypoll.payments.payouts import totals

_MOST_SHOWN = 40
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def paid_out_parts(result: PaidOut) -> list[str | Table]:
    """Return the payouts' sums by organiser and event, and what does not fit."""
    lines: list[str | Table] = [f"Payouts from {result.first_day} to {result.last_day}"]
    for merchant, why in result.refused.items():
        lines += wrapped(f"The payouts of {merchant} may not be read: {why}")
    if result.lines:
        lines += headed("By organiser and event")
        rows = []
        for (organiser, event, currency), total in totals(result.lines).items():
            name = f"{organiser}, {event}" if event else "(of no order that paypoll knows)"
            rows.append((name, *(show_amount(one, currency) for one in (total.gross, total.fee, total.net))))
        numbers = (Column(title, right=True) for title in ("gross", "fee", "net"))
        lines.append(Table((Column("organiser, event"), *numbers), rows, indent=2))
    for currency, amount in sorted(result.to_come.items()):
        lines += wrapped(f"still to come: {show_amount(amount, currency)}")
    if result.differences:
        lines += headed(f"Paid out otherwise than paid ({len(result.differences)})")
        for one in result.differences[:_MOST_SHOWN]:
            paid, gross = show_amount(one.paid, one.currency), show_amount(one.gross, one.currency)
            lines += wrapped(f"{one.order}: paid {paid}, in the payout {gross} ({one.transaction_code})")
        lines += more(len(result.differences), _MOST_SHOWN)
    return lines if len(lines) > 1 else [*lines, "  none"]


def paid_out_json(result: PaidOut) -> str:
    """Return all of it as JSON."""
    sums = [
        {"organiser": organiser, "event": event, "currency": currency, **asdict(total)}
        for (organiser, event, currency), total in totals(result.lines).items()
    ]
    return json_text({"schema": SCHEMA, **asdict(result), "totals": sums})


def paid_out_csv(result: PaidOut) -> str:
    """Return a line for each record, or each event's part of one, as a bookkeeper's program reads it."""
    rows = [
        (
            one.on, one.order, one.event, one.organiser, _plain(one.gross, one.currency),
            _plain(one.fee, one.currency), _plain(one.net, one.currency), one.currency, one.reference, one.kind,
            one.transaction_code, one.merchant_code,
        )
        for one in result.lines
    ]  # fmt: skip
    names = ("date", "order", "event", "organiser", "gross", "fee", "net", "currency", "payout_reference", "type")
    return csv_text((*names, "transaction_code", "merchant"), rows)


def csv_text(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return CSV, a line a row, whose texts no spreadsheet takes for a formula, and no terminal for a command."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


def _guarded(cell: str) -> str:
    harm = cell.startswith(_FORMULAS) and not _is_number(cell)
    return harmless(f"'{cell}" if harm else cell)


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal() and cell.isascii()


def _plain(amount: Decimal, currency: str) -> str:
    return f"{amount:.{exponent(currency)}f}"
