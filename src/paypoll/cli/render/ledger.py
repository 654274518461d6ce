"""What came of holding SumUp's ledger against the orders: lines, JSON, and CSV."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from paypoll.admin.ledger_sums import Purpose, Sum, WentBack
from paypoll.admin.reconcile import Reconciled
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.words import headed, more, numbered, said_digits, wrapped
from paypoll.payments.ledger import FindingKind
from paypoll.payments.money import digits, show_amount
from paypoll.report.spreadsheet import csv_text
from paypoll.state.findings import NewFinding

_MOST_SHOWN = 40
_OF_RETURNS = frozenset({FindingKind.RETURNED, FindingKind.FEE_RETURNED})
_AMOUNTS = frozenset({"paid", "returned", "charged_back", "expected"})
_PURPOSES = {
    Purpose.TICKETS: "bought tickets",
    Purpose.GONE: "bought tickets of orders that are gone from the shop",
    Purpose.TIPS: "tips with them",
    Purpose.BY_SHOP: "of orders that the shop has completed by itself",
    Purpose.NOTHING: "of orders, and bought no tickets: second payments, reviews",
    Purpose.FEES: "listing fees",
    Purpose.UNPLACED: "nobody can place it",
    Purpose.OTHERS: "of something else",
}


def reconciled_lines(result: Reconciled, written: int | None, zone: tzinfo) -> list[str]:
    """Return what does not fit, and the sums; times in the site's zone."""
    since, until = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (result.since, result.until))
    lines = wrapped(f"SumUp's ledger from {since} to {until} ({zone})", 0)
    payments = numbered(result.payments, "online payment")
    lines += wrapped(f"{payments}: {result.matched} fit an order, {result.foreign} are of something else")
    if result.held:
        lines += wrapped(f"{result.held} are of orders that are void, or have no tickets for them: `paypoll queue`")
    if result.young:
        lines += wrapped(f"{result.young} of the last half hour fit no order yet: too young to be judged")
    if result.earlier:
        lines += wrapped(f"something went back of {numbered(result.earlier, 'earlier payment')}")
    for currency in result.sums.currencies:
        lines += _sum_lines(result, currency)
    for merchant, why in result.refused.items():
        lines += wrapped(f"The list of {merchant} may not be read: {why}")
    if not result.found:
        what = "What could be read fits" if result.refused else "Everything fits"
        return [*lines, "", f"{what}, but for what is too young." if result.young else f"{what}."]
    lines += headed(f"What does not fit ({len(result.found)})")
    for one in result.found[:_MOST_SHOWN]:
        lines += _found_lines(one, result, zone)
    lines += more(len(result.found), _MOST_SHOWN)
    if written is None:
        return [*lines, "", "Nothing was written down: --record does, and tells admins."]
    return [*lines, "", f"{written} of them were new, and are written down: `paypoll queue`."]


def _sum_lines(result: Reconciled, currency: str) -> Iterator[str]:
    def said(one: Sum) -> str:
        return f"taken {show_amount(one.taken, currency)}, given back {show_amount(one.returned, currency)}"

    total = result.sums.total(currency)
    yield from wrapped(said(total))
    for purpose, words in _PURPOSES.items():
        if (one := result.sums.by_purpose.get((currency, purpose))) is not None:
            yield from wrapped(f"{words}: {said(one)}", 4)
    if total.returned_since:
        yield from wrapped(
            f"of what was taken, {show_amount(total.returned_since, currency)} went back after this time"
        )


def _found_lines(one: NewFinding, result: Reconciled, zone: tzinfo) -> list[str]:
    amount = show_amount(one.amount, one.currency)
    order = f"order {one.order_number}" if one.order_number else "no order"
    payment = one.transaction_code or one.transaction_id or "no payment"
    text = f"{one.kind.value.replace('_', ' ')}: {amount}, {order}, {payment} at {one.merchant_code}"
    if one.transaction_id in result.sums.not_taken:
        text += "; SumUp took none of it after all"
    elif one.kind in _OF_RETURNS:
        backs = _went_back(one, result)
        within = show_amount(_total(backs), one.currency) if backs else "none"
        days = dict.fromkeys(f"{back.at.astimezone(zone):%Y-%m-%d}" for back in backs if back.at is not None)
        text += f"; {within} of it within this time" + (f", on {', '.join(days)}" if days else "")
    return wrapped(text)


def _went_back(one: NewFinding, result: Reconciled) -> list[WentBack]:
    return result.sums.went_back.get(one.transaction_id, []) if one.kind in _OF_RETURNS else []


def _total(backs: list[WentBack]) -> Decimal:
    return sum((back.amount for back in backs), Decimal(0))


def reconciled_json(result: Reconciled, written: int | None) -> str:
    """Return all of it as JSON."""
    totals = {currency: result.sums.total(currency) for currency in result.sums.currencies}
    document = {
        "schema": SCHEMA,
        "written": written,
        **{name: getattr(result, name) for name in ("since", "until", "payments", "earlier")},
        **{name: getattr(result, name) for name in ("matched", "held", "young", "foreign", "refused")},
        "taken": {currency: digits(one.taken, currency) for currency, one in totals.items()},
        "returned": {currency: digits(one.returned, currency) for currency, one in totals.items()},
        "returned_since": {currency: digits(one.returned_since, currency) for currency, one in totals.items()},
        "sums": [
            {"currency": currency, "purpose": purpose.value}
            | {name: digits(amount, currency) for name, amount in asdict(one).items()}
            for (currency, purpose), one in sorted(result.sums.by_purpose.items())
        ],
        "found": [_found_document(one, result) for one in result.found],
    }
    return json_text(document)


def _found_document(one: NewFinding, result: Reconciled) -> dict[str, Any]:
    backs = [{"amount": digits(back.amount, one.currency), "at": back.at} for back in _went_back(one, result)]
    return {
        **asdict(one),
        "amount": digits(one.amount, one.currency),
        "detail": _with_amounts(one.detail or {}, one.currency),
        "went_back": backs,
    }


def _with_amounts(detail: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return what is known of a finding, its amounts with the digits of their currency."""
    return {name: said_digits(value, currency) if name in _AMOUNTS else value for name, value in detail.items()}


def reconciled_csv(result: Reconciled, zone: tzinfo) -> str:
    """Return what does not fit as CSV; times in the site's zone, with their distance from UTC."""
    rows = []
    for one in result.found:
        backs, paid_at = _went_back(one, result), (one.detail or {}).get("paid_at", "")
        days = [back.at for back in backs if back.at is not None]
        rows.append(
            (
                one.kind.value, one.order_number, one.merchant_code, one.transaction_id, one.transaction_code,
                digits(one.amount, one.currency), one.currency,
                _local(datetime.fromisoformat(paid_at), zone) if paid_at else "",
                digits(_total(backs), one.currency) if one.kind in _OF_RETURNS else "",
                _local(max(days), zone) if days else "",
            )
        )  # fmt: skip
    names = ("kind", "order", "merchant", "transaction_id", "transaction_code", "amount", "currency", "paid_at")
    return csv_text((*names, "back_in_period", "back_at"), rows)


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat()
