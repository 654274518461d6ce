"""SumUp's answers: from bytes to the values that decisions rest on.

SumUp's published schema makes nearly every field optional, and fields are added and removed. So an unknown field is
ignored, an absent one is None or empty, and a field of the wrong type counts as absent where no decision depends on
it. Where one does (id, status, reference, money, merchant, attempts), the whole answer is a BrokenAnswer: no decision
may rest on a part of an answer. No function here raises, whatever the bytes.
"""

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final, TypeVar

from paypoll.payments.gateway import (
    Attempt,
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    EventKind,
    EventStatus,
    Found,
    TransactionAnswer,
    TransactionStatus,
)
from paypoll.sumup import document
from paypoll.sumup import fields as field
from paypoll.sumup.document import UnreadableError

T = TypeVar("T")

_CARD_KIND: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,30}")
_CARD_DIGITS: Final = re.compile(r"[0-9]{4}")

# `status` and `simple_status` of a transaction, by SumUp's published schema, and the spellings that were seen.
_TRANSACTION_STATUS: Final = {
    "": TransactionStatus.ABSENT,
    "SUCCESSFUL": TransactionStatus.SUCCESSFUL,
    "PAID_OUT": TransactionStatus.SUCCESSFUL,
    "CANCEL_FAILED": TransactionStatus.SUCCESSFUL,
    "REFUND_FAILED": TransactionStatus.SUCCESSFUL,
    "PENDING": TransactionStatus.PENDING,
    "FAILED": TransactionStatus.FAILED,
    "CANCELLED": TransactionStatus.CANCELLED,
    "CANCELED": TransactionStatus.CANCELLED,
    "REFUNDED": TransactionStatus.REFUNDED,
    "CHARGE_BACK": TransactionStatus.CHARGED_BACK,
    "CHARGEBACK": TransactionStatus.CHARGED_BACK,
    "CHARGED_BACK": TransactionStatus.CHARGED_BACK,
    "NON_COLLECTION": TransactionStatus.CHARGED_BACK,
    "NON_COLLECTED": TransactionStatus.CHARGED_BACK,
}
_EVENT_KIND: Final = {
    "REFUND": EventKind.REFUND,
    "CHARGE_BACK": EventKind.CHARGE_BACK,
    "CHARGEBACK": EventKind.CHARGE_BACK,
    "NON_COLLECTION": EventKind.CHARGE_BACK,
    "PAYOUT": EventKind.PAYOUT,
    "PAYOUT_DEDUCTION": EventKind.PAYOUT_DEDUCTION,
}
# REFUNDED is what SumUp documents for refunds, SUCCESSFUL is its generic end.
_EVENT_STATUS: Final = {
    "": EventStatus.DONE,
    "REFUNDED": EventStatus.DONE,
    "SUCCESSFUL": EventStatus.DONE,
    "PAID_OUT": EventStatus.DONE,
    "FAILED": EventStatus.FAILED,
}


def read_checkout(body: bytes, asked_id: str) -> Found[CheckoutAnswer] | BrokenAnswer:
    """Return the checkout that the body describes; it must be the one that was asked for."""

    def build(answer: object) -> CheckoutAnswer:
        checkout = _checkout(field.mapping(answer, "the answer"))
        if checkout.id != asked_id:
            raise UnreadableError(f"the answer is about {_quoted(checkout.id)}, not about {_quoted(asked_id)}")
        return checkout

    return _read(body, build)


def read_checkouts(body: bytes, asked_reference: str) -> Found[tuple[CheckoutAnswer, ...]] | BrokenAnswer:
    """Return the checkouts that the body lists; each must have the reference that was asked for.

    If one of them cannot be used, neither can the list: it might be the paid one.
    """

    def build(answer: object) -> tuple[CheckoutAnswer, ...]:
        checkouts = tuple(_checkout(field.mapping(item, "a checkout")) for item in field.items(answer, "the answer"))
        for checkout in checkouts:
            if checkout.reference != asked_reference:
                raise UnreadableError(f"the list holds a checkout of {_quoted(checkout.reference or 'no reference')}")
        if len({checkout.id for checkout in checkouts}) != len(checkouts):
            raise UnreadableError("the list names the same checkout twice")
        return checkouts

    return _read(body, build)


def read_transaction(body: bytes, asked_id: str) -> Found[TransactionAnswer] | BrokenAnswer:
    """Return the transaction that the body describes, with what was given back of it.

    What SumUp gave back is told in `transaction_events` (the kind is `event_type`) and again in `events` (there it is
    `type`), by their published schema, and the history calls the sum `refunded_amount`. As these describe the
    same money, the largest counts, not their sum.
    """

    def build(answer: object) -> TransactionAnswer:
        fields = field.mapping(answer, "the answer")
        transaction_id = field.needed(fields, "id")
        if transaction_id != asked_id:
            raise UnreadableError(f"the answer is about {_quoted(transaction_id)}, not about {_quoted(asked_id)}")
        amount = field.amount(fields, "amount")
        words = [field.weighty(fields, name) for name in ("status", "simple_status")]
        status, simple_status = (_TRANSACTION_STATUS.get(word.upper(), TransactionStatus.UNKNOWN) for word in words)
        states = {status, simple_status}
        refunded = max(
            _event_sum(fields, {EventKind.REFUND}, EventStatus.DONE),
            abs(field.number(fields, "refunded_amount") or Decimal(0)),
        )
        charged_back = _event_sum(fields, {EventKind.CHARGE_BACK}, EventStatus.DONE)
        goes_back = {EventKind.REFUND, EventKind.CHARGE_BACK}
        return TransactionAnswer(
            id=transaction_id,
            transaction_code=field.text(fields, "transaction_code"),
            status=status,
            amount=amount,
            currency=field.currency(fields),
            refunded=_at_least(refunded, amount, returned=TransactionStatus.REFUNDED in states),
            charged_back=_at_least(charged_back, amount, returned=TransactionStatus.CHARGED_BACK in states),
            raw=_raw(fields),
            simple_status=simple_status,
            merchant_code=field.weighty(fields, "merchant_code"),
            tip_amount=field.amount(fields, "tip_amount") or Decimal(0),
            returning=_event_sum(fields, goes_back, EventStatus.UNDER_WAY),
            failed=_event_sum(fields, {EventKind.REFUND}, EventStatus.FAILED),
            timestamp=field.moment(fields, "timestamp"),
            said=next((word for word in words if word and word.upper() not in _TRANSACTION_STATUS), ""),
            card=_card(fields),
        )

    return _read(body, build)


def read_memberships(body: bytes) -> Found[frozenset[str]] | BrokenAnswer:
    """Return the codes of the merchants that the body lists; a list that goes on elsewhere is a BrokenAnswer."""

    def build(answer: object) -> frozenset[str]:
        fields = field.mapping(answer, "the answer")
        items = [field.mapping(item, "a membership") for item in field.items(fields.get("items"), "items")]
        total = field.number(fields, "total_count")
        if total is not None and total > len(items):
            raise UnreadableError(f"{total} memberships, of which {len(items)} are listed")
        return frozenset(
            field.needed(item, "resource_id") for item in items if field.weighty(item, "type") in ("", "merchant")
        )

    return _read(body, build)


def _read(body: bytes, build: Callable[[object], T]) -> Found[T] | BrokenAnswer:
    try:
        return Found(build(document.parse(body)))
    except UnreadableError as error:
        return BrokenAnswer(str(error), garbled=error.garbled)


def _checkout(fields: Mapping[str, object]) -> CheckoutAnswer:
    status = field.needed(fields, "status")
    amount, currency = field.amount(fields, "amount"), field.currency(fields)
    if status == CheckoutStatus.PAID and (amount is None or not currency):
        raise UnreadableError("the answer says PAID without an amount and a currency")
    attempts = fields.get("transactions")
    return CheckoutAnswer(
        id=field.needed(fields, "id"),
        status=status,
        reference=field.weighty(fields, "checkout_reference"),
        amount=amount,
        currency=currency,
        merchant_code=field.weighty(fields, "merchant_code"),
        transaction_code=field.text(fields, "transaction_code"),
        transaction_id=field.weighty(fields, "transaction_id"),
        attempts=tuple(
            _attempt(field.mapping(item, "a transaction"))
            for item in ([] if attempts is None else field.items(attempts, "transactions"))
        ),
        raw=_raw(fields),
        made_at=field.moment(fields, "date"),
        valid_until=field.moment(fields, "valid_until"),
    )


def _attempt(fields: Mapping[str, object]) -> Attempt:
    return Attempt(
        id=field.weighty(fields, "id"),
        transaction_code=field.text(fields, "transaction_code"),
        status=_TRANSACTION_STATUS.get(field.weighty(fields, "status").upper(), TransactionStatus.UNKNOWN),
        amount=field.amount(fields, "amount"),
        currency=field.currency(fields),
        merchant_code=field.weighty(fields, "merchant_code"),
        timestamp=field.moment(fields, "timestamp"),
        payment_type=field.text(fields, "payment_type"),
        entry_mode=field.text(fields, "entry_mode"),
        auth_code=field.text(fields, "auth_code"),
        # A tip is taken off before the amounts are compared, so it is money like the rest.
        tip_amount=field.amount(fields, "tip_amount") or Decimal(0),
    )


# --- what was given back ---------------------------------------------------------------------------------


def _event_sum(fields: Mapping[str, object], kinds: Collection[EventKind], status: EventStatus) -> Decimal:
    return max(_list_sum(fields, name, kinds, status) for name in ("transaction_events", "events"))


def _list_sum(fields: Mapping[str, object], name: str, kinds: Collection[EventKind], status: EventStatus) -> Decimal:
    total, events = Decimal(0), fields.get(name)
    for item in [] if events is None else field.items(events, name):
        event = field.mapping(item, "an event")
        words = {field.weighty(event, "event_type").upper(), field.weighty(event, "type").upper()}
        kind = next((_EVENT_KIND[word] for word in sorted(words) if word in _EVENT_KIND), EventKind.UNKNOWN)
        if kind not in kinds:
            continue
        if _EVENT_STATUS.get(field.weighty(event, "status").upper(), EventStatus.UNDER_WAY) is not status:
            continue
        amount = field.number(event, "amount")
        if amount is None:
            raise UnreadableError(f"a {kind} event has no amount")
        # Whether money that goes back is written with a minus is not documented; it goes back either way.
        total += abs(amount)
    return total


def _at_least(known: Decimal, amount: Decimal | None, *, returned: bool) -> Decimal:
    """Return what is known to have gone back, or the whole amount if only the status says that it did.

    A status alone cannot tell a partial refund from a full one (SumUp's glossary uses REFUNDED for both).
    """
    if known or not returned:
        return known
    if amount is None:
        raise UnreadableError("the transaction was given back, but has no amount")
    return amount


# --- how they are kept and said ---------------------------------------------------------------------------


def _raw(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: document.storable(value) for name, value in fields.items()}


def _quoted(text: str) -> str:
    return repr(text[:64])


def _card(fields: Mapping[str, object]) -> str:
    """Return what a customer knows the card by; empty unless it is named as SumUp documents it."""
    card = fields.get("card")
    if not isinstance(card, dict):
        return ""
    kind, digits = field.text(card, "type"), field.text(card, "last_4_digits")
    known = _CARD_DIGITS.fullmatch(digits) and _CARD_KIND.fullmatch(kind)
    return f"{kind.replace('_', ' ')} ending {digits}" if known else ""
