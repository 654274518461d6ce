"""The ledger as SumUp writes it: the fields of its published schema, in major units and ISO 8601.

PENDING has no attempts (or one under way), FAILED the failed one and no `transaction_id`, PAID exactly one successful
attempt. A refund shows in the events of the transaction and in the history, never in the checkout or in the
transaction's own status.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from paypoll.sandbox.sumup.entries import FAILED, Checkout, Kind, Merchant, Return, Transaction

_CARD_TYPES: Final = {"4": "VISA", "5": "MASTERCARD"}
_SIMPLE_TYPES: Final = {"ECOM": "CC_CUSTOMER_ENTERED", "POS": "EMV", "CASH": "CASH"}


class HistoryItem(Protocol):
    """What the history adds to a transaction."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def at(self) -> datetime: ...


def checkout(entry: Checkout, merchant: Merchant, pay_url: str) -> dict[str, object]:
    """Return the checkout as SumUp's answer. `pay_url` is the address of its payment page."""
    optional = {
        "description": entry.description,
        "return_url": entry.return_url,
        "redirect_url": entry.redirect_url,
        "valid_until": _date(entry.valid_until) if entry.valid_until is not None else "",
        "hosted_checkout_url": pay_url if entry.hosted else "",
    }
    payment = entry.payment
    paid = {"transaction_code": payment.code, "transaction_id": payment.id} if payment is not None else {}
    return {
        "checkout_reference": entry.reference,
        "amount": entry.amount,
        "currency": entry.currency,
        "merchant_code": entry.merchant_code,
        "merchant_country": merchant.country,
        "merchant_name": merchant.name,
        "id": entry.id,
        "status": str(entry.status),
        "date": _date(entry.created_at),
        "purpose": "CHECKOUT",
        **{name: value for name, value in optional.items() if value},
        **({"hosted_checkout": {"enabled": True}} if entry.hosted else {}),
        "transactions": [_attempt(attempt) for attempt in entry.attempts],
        **paid,
    }


def transaction(one: Transaction) -> dict[str, object]:
    """Return the transaction as SumUp's answer, with its events in both lists that the schema has."""
    return {
        **_attempt(one),
        **_payout_fields(one),
        **_foreign_names(one),
        "username": user(one),
        "simple_payment_type": _SIMPLE_TYPES.get(one.payment_type, "CARD"),
        "verification_method": "none",
        "card": {"last_4_digits": one.card[-4:], "type": _card_type(one)},
        "payout_type": "BANK_ACCOUNT",
        "simple_status": "PAID_OUT" if one.successful and one.paid_out_on is not None else one.status,
        "transaction_events": _events(one, "event_type") if one.successful else [],
        "events": _compact_events(one) if one.successful else [],
    }


def history_item(one: Transaction, item: HistoryItem) -> dict[str, object]:
    """Return a line of the history: the payment, or what went back of it."""
    return {
        "id": item.id,
        "transaction_id": one.id,
        "transaction_code": one.code,
        "amount": item.amount,
        "currency": one.currency,
        "timestamp": timestamp(item.at),
        "status": item.status,
        "type": item.type,
        "payment_type": one.payment_type,
        "installments_count": 1,
        "merchant_code": one.merchant_code,
        "user": user(one),
        "card_type": _card_type(one),
        "payout_type": "BANK_ACCOUNT",
        "refunded_amount": one.refunded if item.type == "PAYMENT" else Decimal(0),
        **_payout_fields(one),
        **({"client_transaction_id": one.client_transaction_id} if one.client_transaction_id else {}),
    }


def user(one: Transaction) -> str:
    """Return the e-mail address of the merchant's user; there is one for each."""
    return f"{one.merchant_code.lower()}@merchant.example"


def timestamp(moment: datetime) -> str:
    """Return the time as transactions write it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attempt(one: Transaction) -> Mapping[str, object]:
    return {
        "id": one.id,
        "transaction_code": one.code,
        "amount": one.amount,
        "currency": one.currency,
        "timestamp": timestamp(one.at),
        "status": one.status,
        "payment_type": one.payment_type,
        "installments_count": 1,
        "merchant_code": one.merchant_code,
        "vat_amount": 0,
        "tip_amount": 0,
        "entry_mode": one.entry_mode,
        **({"auth_code": f"{one.number % 1_000_000:06d}"} if one.successful else {}),
        "internal_id": one.number,
    }


def _payout_fields(one: Transaction) -> Mapping[str, object]:
    return {
        "product_summary": one.description,
        "payouts_total": 1 if one.successful else 0,
        "payouts_received": 0 if one.paid_out_on is None else 1,
        "payout_plan": "SINGLE_PAYMENT",
        **({"payout_date": one.paid_out_on.isoformat()} if one.paid_out_on is not None else {}),
    }


def _foreign_names(one: Transaction) -> Mapping[str, object]:
    names = {
        "foreign_transaction_id": one.foreign_transaction_id,
        "client_transaction_id": one.client_transaction_id,
    }
    return {name: value for name, value in names.items() if value}


def _card_type(one: Transaction) -> str:
    return _CARD_TYPES.get(one.card[:1], "UNKNOWN")


def _events(one: Transaction, kind: str) -> list[Mapping[str, object]]:
    # The payout is what every sound payment has: an event is not in itself a refund.
    paid_out = one.paid_out_on is not None
    due = one.paid_out_on or one.at.date()
    payout: dict[str, object] = {
        "id": one.number,
        kind: "PAYOUT",
        "status": "PAID_OUT" if paid_out else "SCHEDULED",
        "amount": one.amount,
        "due_date": due.isoformat(),
        "installment_number": 1,
        "timestamp": timestamp(one.at),
    }
    if paid_out:
        payout["date"] = due.isoformat()
    return [payout, *(_returned(back, kind) for back in one.returns)]


def _returned(back: Return, kind: str) -> Mapping[str, object]:
    return {
        "id": back.number,
        kind: back.kind.value,
        "status": back.status,
        "amount": back.amount,
        "date": back.at.date().isoformat(),
        "timestamp": timestamp(back.at),
    }


def _compact_events(one: Transaction) -> list[Mapping[str, object]]:
    """Return the same events as the other list has them: the kind is called `type`, and what was deducted stands by."""
    compact: list[Mapping[str, object]] = []
    for event in _events(one, "type"):
        kept = {name: value for name, value in event.items() if name not in {"due_date", "date"}}
        deducted = event["amount"] if event["type"] in set(Kind) and event["status"] != FAILED else 0
        compact.append({**kept, "transaction_id": one.id, "deducted_amount": deducted, "fee_amount": 0})
    return compact


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
