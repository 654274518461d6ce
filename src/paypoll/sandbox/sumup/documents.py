"""The ledger as SumUp writes it: the fields of its published schema, in major units and ISO 8601.

PENDING has no attempts, FAILED the failed one and no `transaction_id`, PAID exactly one successful attempt. A refund
shows in the `transaction_events` of the transaction and as `refunded_amount` in the history, never in the checkout or
in the transaction's own status.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from paypoll.sandbox.sumup.ledger import Attempt, Checkout

_CARD_TYPES: Final = {"4": "VISA", "5": "MASTERCARD"}


def checkout(entry: Checkout, pay_url: str) -> dict[str, object]:
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
        "id": entry.id,
        "status": str(entry.status),
        "date": _date(entry.created_at),
        "purpose": "CHECKOUT",
        **{name: value for name, value in optional.items() if value},
        **({"hosted_checkout": {"enabled": True}} if entry.hosted else {}),
        "transactions": [_attempt(entry, attempt) for attempt in entry.attempts],
        **paid,
    }


def transaction(entry: Checkout, attempt: Attempt) -> dict[str, object]:
    """Return the transaction as SumUp's answer, with its events."""
    return {
        **_attempt(entry, attempt),
        "product_summary": entry.description,
        "payouts_total": 1 if attempt.successful else 0,
        "payouts_received": 0,
        "payout_plan": "SINGLE_PAYMENT",
        "simple_payment_type": "CC_CUSTOMER_ENTERED",
        "verification_method": "none",
        "card": {"last_4_digits": attempt.card[-4:], "type": _CARD_TYPES.get(attempt.card[:1], "UNKNOWN")},
        "payout_type": "BANK_ACCOUNT",
        "simple_status": attempt.status,
        "transaction_events": _events(entry, attempt) if attempt.successful else [],
    }


def history_item(entry: Checkout, attempt: Attempt) -> dict[str, object]:
    """Return the transaction as an item of the history."""
    return {
        "id": attempt.id,
        "transaction_id": attempt.id,
        "transaction_code": attempt.code,
        "amount": attempt.amount,
        "currency": entry.currency,
        "timestamp": _timestamp(attempt.at),
        "status": attempt.status,
        "type": "PAYMENT",
        "payment_type": "ECOM",
        "installments_count": 1,
        "product_summary": entry.description,
        "refunded_amount": entry.refunded if attempt.successful else Decimal(0),
        "payouts_total": 1 if attempt.successful else 0,
        "payouts_received": 0,
        "payout_plan": "SINGLE_PAYMENT",
    }


def _attempt(entry: Checkout, attempt: Attempt) -> Mapping[str, object]:
    return {
        "id": attempt.id,
        "transaction_code": attempt.code,
        "amount": attempt.amount,
        "currency": entry.currency,
        "timestamp": _timestamp(attempt.at),
        "status": attempt.status,
        "payment_type": "ECOM",
        "installments_count": 1,
        "merchant_code": entry.merchant_code,
        "vat_amount": 0,
        "tip_amount": 0,
        "entry_mode": "CUSTOMER_ENTRY",
        **({"auth_code": f"{attempt.number % 1_000_000:06d}"} if attempt.successful else {}),
        "internal_id": attempt.number,
    }


def _events(entry: Checkout, attempt: Attempt) -> list[Mapping[str, object]]:
    # The payout is what every sound payment has: an event is not in itself a refund.
    payout = {
        "id": attempt.number,
        "type": "PAYOUT",
        "status": "SCHEDULED",
        "amount": attempt.amount,
        "timestamp": _timestamp(attempt.at),
    }
    backs = (
        {
            "id": back.number,
            "type": back.kind.value,
            "status": back.status,
            "amount": back.amount,
            "timestamp": _timestamp(back.at),
        }
        for back in entry.returns
    )
    return [payout, *backs]


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
