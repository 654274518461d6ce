"""What SumUp's API says of the truth, as JSON that paypoll's own reader takes in, and how it contradicts itself."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from paypoll.payments.gateway import BrokenAnswer, CheckoutAnswer, Found, TransactionAnswer
from paypoll.sumup import wire

if TYPE_CHECKING:
    from tests.simulation.sumup_entries import Payment, RealCheckout

_DONE = {"REFUND": "REFUNDED", "CHARGE_BACK": "SUCCESSFUL"}
_PAGE = 3  # lines: so that a sweep has several pages
_LAG = timedelta(minutes=4)  # for so long the list does not show what SumUp's single answers do


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
    events = [
        {"event_type": back.kind, "status": _DONE[back.kind], "amount": float(back.amount)} for back in payment.refunds
    ]
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
        "product_summary": payment.summary,
        **(said.transaction if said is not None else {}),
    }


def history_json(payments: Iterable["Payment"], since: datetime | None, page: str, now: datetime) -> tuple[bytes, str]:
    """Return a page of the history, and the link to the next. What changed shows a while later."""
    begin = parse_qs(page) if page else {}
    changed = datetime.fromisoformat(begin["changes_since"][0]) if begin else since
    lines = sorted((line for one in payments for line in _lines(one, now)), key=lambda line: (line.at, line.id))
    found = [line for line in lines if changed is None or line.changed_at >= changed]
    place = next((number for number, line in enumerate(found, 1) if line.id == begin.get("oldest_ref", [""])[0]), 0)
    if begin and not place:  # it has changed meanwhile: what comes behind it in the list
        found = [line for line in found if line.id > begin["oldest_ref"][0]]
    shown, rest = found[place : place + _PAGE], found[place + _PAGE :]
    link = ""
    if rest and changed is not None:
        link = urlencode({"changes_since": changed.isoformat(), "oldest_ref": shown[-1].id})
    links = [{"rel": "next", "href": link}] if link else []
    return json.dumps({"items": [line.item for line in shown], "links": links}).encode(), link


@dataclass(frozen=True)
class _Line:
    id: str
    at: datetime
    changed_at: datetime
    item: Mapping[str, object]


def _lines(payment: "Payment", now: datetime) -> Iterator[_Line]:
    """Return the lines of a payment that can be seen by now."""
    seen = [back for back in payment.refunds if back.at + _LAG <= now]
    about = {
        "transaction_id": payment.id,
        "transaction_code": payment.code,
        "currency": payment.currency,
        "payment_type": payment.kind,
        "product_summary": payment.summary,
    }
    times = [payment.at, *(back.at for back in seen), *([payment.touched] if payment.touched else [])]
    if payment.at + _LAG <= now:
        line = about | {
            "id": payment.id, "type": "PAYMENT", "status": payment.simple_status, "amount": float(payment.amount),
            "timestamp": payment.at.isoformat(),
            "refunded_amount": float(sum(back.amount for back in seen if back.kind == "REFUND")),
        }  # fmt: skip
        yield _Line(payment.id, payment.at, max(times), line)
    for number, back in enumerate(seen):
        line = about | {
            "id": f"{payment.id}-{number}", "type": back.kind, "amount": float(back.amount),
            "status": "REFUNDED" if back.kind == "REFUND" else "SUCCESSFUL", "timestamp": back.at.isoformat(),
        }  # fmt: skip
        yield _Line(f"{payment.id}-{number}", back.at, back.at, line)


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
