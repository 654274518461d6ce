"""What came of holding SumUp's ledger against the orders: lines, JSON, and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal

from paypoll.admin.reconcile import Reconciled
from paypoll.characters import harmless
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.words import headed, more, wrapped
from paypoll.payments.money import exponent, show_amount
from paypoll.state.findings import NewFinding

_MOST_SHOWN = 40
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def reconciled_lines(result: Reconciled, written: int | None) -> list[str]:
    """Return what does not fit, and the sums."""
    lines = [f"SumUp's ledger from {result.since:%Y-%m-%d %H:%M} to {result.until:%Y-%m-%d %H:%M} UTC"]
    lines += wrapped(
        f"{result.payments} online payments: {result.matched} fit an order, {result.foreign} are of something else"
    )
    if result.held:
        lines += wrapped(f"{result.held} are of orders that are void, or have no tickets for them: `paypoll queue`")
    for currency, amount in sorted(result.taken.items()):
        back = show_amount(result.returned.get(currency, Decimal(0)), currency)
        lines += wrapped(f"taken {show_amount(amount, currency)}, given back {back}")
    for merchant, why in result.refused.items():
        lines += wrapped(f"The list of {merchant} may not be read: {why}")
    if not result.found:
        return [*lines, "", "What could be read fits." if result.refused else "Everything fits."]
    lines += headed(f"What does not fit ({len(result.found)})")
    for one in result.found[:_MOST_SHOWN]:
        lines += _found_lines(one)
    lines += more(len(result.found), _MOST_SHOWN)
    if written is None:
        return [*lines, "", "Nothing was written down: --record does, and tells admins."]
    return [*lines, "", f"{written} of them were new, and are written down: `paypoll queue`."]


def _found_lines(one: NewFinding) -> list[str]:
    amount = show_amount(one.amount, one.currency)
    order = f"order {one.order_number}" if one.order_number else "no order"
    payment = one.transaction_code or one.transaction_id or "no payment"
    return wrapped(f"{one.kind.value.replace('_', ' ')}: {amount}, {order}, {payment} at {one.merchant_code}")


def reconciled_json(result: Reconciled, written: int | None) -> str:
    """Return all of it as JSON."""
    return json_text({"schema": SCHEMA, "written": written, **asdict(result)})


def reconciled_csv(result: Reconciled) -> str:
    """Return what does not fit as CSV."""
    rows = [
        (
            one.kind.value, one.order_number, one.merchant_code, one.transaction_id, one.transaction_code,
            _plain(one.amount, one.currency), one.currency, str((one.detail or {}).get("paid_at", "")),
        )
        for one in result.found
    ]  # fmt: skip
    return csv_text(
        ("kind", "order", "merchant", "transaction_id", "transaction_code", "amount", "currency", "paid_at"), rows
    )


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
