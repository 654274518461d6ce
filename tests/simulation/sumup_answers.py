"""What SumUp's API says of the truth, as JSON that paypoll's own reader takes in, and how it contradicts itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from paypoll.payments.gateway import BrokenAnswer, CheckoutAnswer, Found, TransactionAnswer
from paypoll.sumup import wire

if TYPE_CHECKING:
    from tests.simulation.sumup_model import Payment, RealCheckout


@dataclass(frozen=True)
class Contradiction:
    """What SumUp says about a checkout against the truth, before `until` or for ever.

    `status`: what the checkout is said to be; `listed`: what the look-up by reference alone says that it is.
    `attempt`: the status of an attempt that it is said to hold besides, as its newest.
    `without_attempts`: its `transactions` are absent.
    `transaction`: fields of the transaction that are said otherwise; `is_unanswered`: nothing is said of it at all.
    `closing`: what an attempt to close it is answered with.
    """

    status: str = ""
    listed: str = ""
    attempt: str = ""
    without_attempts: bool = False
    transaction: Mapping[str, object] = field(default_factory=dict)
    is_unanswered: bool = False
    closing: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        """Return what differs from the truth."""
        said = {name: value for name, value in vars(self).items() if value and name != "until"}
        return ", ".join(f"{name}={value}" for name, value in said.items())


def checkout_json(real: "RealCheckout", said: Contradiction | None, *, listed: bool) -> dict[str, Any]:
    """Return what SumUp says about a checkout."""
    status = real.status
    if said is not None:
        status = (said.listed or real.status) if listed else (said.status or real.status)
    # What the look-up by reference alone admits, the checkout itself does not show.
    paid = None if said is not None and said.listed and not listed else real.payment
    attempts = [
        _attempt(f"{real.id}-declined-{number}", "FAILED", real, None, at) for number, at in enumerate(real.declined_at)
    ]
    if paid is not None:
        attempts.append(_attempt(paid.id, "SUCCESSFUL", real, paid, paid.at))
    elif said is not None and said.attempt:
        newest = max([real.made_at, *real.declined_at]) + timedelta(seconds=1)
        attempts.append(_attempt(f"txn-{real.id}-tried", said.attempt, real, None, newest))
    answer: dict[str, Any] = {
        "id": real.id,
        "status": status,
        "checkout_reference": real.reference,
        "amount": float(real.amount),
        "currency": real.currency,
        "merchant_code": real.merchant,
        "date": real.made_at.isoformat(),
        "transactions": attempts,
    }
    if paid is not None and status == "PAID":
        answer |= {"transaction_code": paid.code, "transaction_id": paid.id}
    if said is not None and said.without_attempts:
        del answer["transactions"]
    return answer


def transaction_json(payment: "Payment", said: Contradiction | None) -> dict[str, Any]:
    """Return what SumUp says about a transaction."""
    events = [{"event_type": "REFUND", "status": "REFUNDED", "amount": float(amount)} for _, amount in payment.refunds]
    events += [
        {"event_type": "REFUND", "status": status, "amount": float(amount)} for _, amount, status in payment.on_the_way
    ]
    return {
        "id": payment.id,
        "transaction_code": payment.code,
        "status": "SUCCESSFUL",
        "simple_status": payment.simple_status,
        "amount": float(payment.amount),
        "currency": payment.currency,
        "merchant_code": payment.merchant,
        "timestamp": payment.at.isoformat(),
        "transaction_events": events,
        **(said.transaction if said is not None else {}),
    }


def read_checkout(answer: Mapping[str, Any], now: datetime) -> Found[CheckoutAnswer] | BrokenAnswer:
    """Return the answer as paypoll reads it, with SumUp's own clock in its `Date`."""
    look = wire.read_checkout(json.dumps(answer).encode(), str(answer["id"]))
    return Found(replace(look.value, answered_at=now)) if isinstance(look, Found) else look


def read_checkouts(answers: list[dict[str, Any]], reference: str) -> Found[tuple[CheckoutAnswer, ...]] | BrokenAnswer:
    """Return the list as paypoll reads it."""
    return wire.read_checkouts(json.dumps(answers).encode(), reference)


def read_transaction(answer: Mapping[str, Any]) -> Found[TransactionAnswer] | BrokenAnswer:
    """Return the answer as paypoll reads it."""
    return wire.read_transaction(json.dumps(answer).encode(), str(answer["id"]))


def _attempt(
    attempt_id: str, status: str, real: "RealCheckout", paid: "Payment | None", at: datetime
) -> dict[str, Any]:
    return {
        "id": attempt_id,
        "transaction_code": paid.code if paid else "",
        "status": status,
        "amount": float(real.amount),
        "currency": real.currency,
        "merchant_code": real.merchant,
        "timestamp": at.isoformat(),
        "payment_type": "ECOM",
        "entry_mode": "CUSTOMER_ENTRY",
    }
