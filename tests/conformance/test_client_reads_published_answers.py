"""paypoll's reading of SumUp, on answers made from the tables: whole, with a field absent, null, or of the future.

Nothing that the published schema allows may be misread: it is understood, or refused as a whole.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest

from paypoll.payments.gateway import Attempt, BrokenAnswer, CheckoutAnswer, Found, TransactionAnswer, TransactionStatus
from paypoll.sandbox.sumup.jsontext import dumps
from paypoll.sumup import wire

from .published import example, variations

ATTEMPT: Final[dict[str, Any]] = example("Attempt") | {
    "id": "tx-1",
    "transaction_code": "TCODE",
    "status": "SUCCESSFUL",
}
CHECKOUT: Final[dict[str, Any]] = example("CheckoutSuccess") | {
    "id": "co-1",
    "status": "PAID",
    "checkout_reference": "ORD-1",
    "transaction_id": "tx-1",
    "transaction_code": "TCODE",
    "transactions": [ATTEMPT],
}
TRANSACTION: Final[dict[str, Any]] = example("TransactionFull") | {
    "id": "tx-1",
    "status": "SUCCESSFUL",
    "simple_status": "SUCCESSFUL",
    "transaction_events": [],
    "events": [],
}
# What a field is called in paypoll, and what stands there without it.
CHECKOUT_FIELDS: Final[dict[str, tuple[str, object]]] = {
    "checkout_reference": ("reference", ""),
    "merchant_code": ("merchant_code", ""),
    "transaction_code": ("transaction_code", ""),
    "transaction_id": ("transaction_id", ""),
    "transactions": ("attempts", ()),
    "date": ("made_at", None),
    "valid_until": ("valid_until", None),
}
ATTEMPT_FIELDS: Final[dict[str, tuple[str, object]]] = {
    "id": ("id", ""),
    "transaction_code": ("transaction_code", ""),
    "status": ("status", TransactionStatus.ABSENT),
    "amount": ("amount", None),
    "currency": ("currency", ""),
    "merchant_code": ("merchant_code", ""),
    "timestamp": ("timestamp", None),
    "payment_type": ("payment_type", ""),
    "entry_mode": ("entry_mode", ""),
    "auth_code": ("auth_code", ""),
    "tip_amount": ("tip_amount", Decimal(0)),
}
STATUS: Final = {word: TransactionStatus(word) for word in ("SUCCESSFUL", "CANCELLED", "FAILED", "PENDING", "REFUNDED")}
NEEDED: Final = frozenset({"id", "status", "amount", "currency"})
"""Without one of these, nothing can be decided upon a PAID checkout."""


def read(document: object) -> Found[CheckoutAnswer] | BrokenAnswer:
    return wire.read_checkout(dumps(document).encode(), "co-1")


def understood(document: object) -> CheckoutAnswer:
    look = read(document)
    assert isinstance(look, Found), look
    return replace(look.value, raw={})


def transaction(document: object) -> TransactionAnswer:
    look = wire.read_transaction(dumps(document).encode(), "tx-1")
    assert isinstance(look, Found), look
    return replace(look.value, raw={})


def test_checkout_whole_is_understood() -> None:
    answer = understood(CHECKOUT)

    assert (answer.id, answer.status, answer.reference) == ("co-1", "PAID", "ORD-1")
    assert (answer.amount, answer.currency, answer.transaction_id) == (Decimal("10.10"), "GBP", "tx-1")
    assert [attempt.id for attempt in answer.successful_attempts] == ["tx-1"]


@pytest.mark.parametrize(
    "variation", list(variations(CHECKOUT, "CheckoutSuccess")), ids=lambda one: f"{one.field}-{one.how}"
)
def test_checkout_varied_differs_in_that_field_alone_or_is_refused(variation: Any) -> None:
    field, how = variation.field, variation.how
    if how in {"absent", "null"} and field in NEEDED:
        assert isinstance(read(variation.document), BrokenAnswer)
        return
    expected = understood(CHECKOUT)
    if how in {"absent", "null"} and field in CHECKOUT_FIELDS:
        name, without = CHECKOUT_FIELDS[field]
        changed: dict[str, Any] = {name: without}
        expected = replace(expected, **changed)
    elif field == "status":
        expected = replace(expected, status=how)
    assert understood(variation.document) == expected


@pytest.mark.parametrize("variation", list(variations(ATTEMPT, "Attempt")), ids=lambda one: f"{one.field}-{one.how}")
def test_checkout_with_a_varied_attempt_differs_in_that_field_alone(variation: Any) -> None:
    field, how = variation.field, variation.how
    (expected,) = understood(CHECKOUT).attempts
    if field in ATTEMPT_FIELDS:
        name, without = ATTEMPT_FIELDS[field]
        given = STATUS.get(how, TransactionStatus.UNKNOWN) if field == "status" else how
        changed: dict[str, Any] = {name: without if how in {"absent", "null"} else given}
        expected = replace(expected, **changed)

    found: tuple[Attempt, ...] = understood(CHECKOUT | {"transactions": [variation.document]}).attempts

    assert found == (expected,)
    assert expected.successful == (expected.status == "SUCCESSFUL")


def test_checkouts_listed_with_a_varied_one_are_understood_or_refused_as_a_whole() -> None:
    other = CHECKOUT | {"id": "co-2"}
    for variation in variations(CHECKOUT, "CheckoutSuccess"):
        look = wire.read_checkouts(dumps([other, variation.document]).encode(), "ORD-1")
        if isinstance(look, Found):
            assert [one.id for one in look.value] == ["co-2", "co-1"]
        else:
            assert variation.field in {*NEEDED, "checkout_reference"}, variation
            assert variation.how in {"absent", "null"}, variation


@pytest.mark.parametrize(
    "variation", list(variations(TRANSACTION, "TransactionFull")), ids=lambda one: f"{one.field}-{one.how}"
)
def test_transaction_varied_is_understood_or_refused(variation: Any) -> None:
    look = wire.read_transaction(dumps(variation.document).encode(), "tx-1")

    if not isinstance(look, Found):
        assert (variation.field, variation.how) in {("id", "absent"), ("id", "null")}
        return
    told = {"REFUNDED", "CHARGEBACK", "NON_COLLECTION"}
    went_back = variation.field in {"status", "simple_status"} and variation.how in told
    assert (look.value.refunded + look.value.charged_back > 0) == went_back


@pytest.mark.parametrize("variation", list(variations(example("TransactionEvent"), "TransactionEvent")))
def test_transaction_with_a_varied_refund_event_never_gives_back_more_than_the_event_says(variation: Any) -> None:
    event = variation.document | ({} if variation.field == "event_type" else {"event_type": "REFUND"})
    look = wire.read_transaction(dumps(TRANSACTION | {"transaction_events": [event]}).encode(), "tx-1")

    if isinstance(look, BrokenAnswer):
        assert variation.field == "amount"
        return
    assert look.value.refunded + look.value.charged_back in {Decimal(0), Decimal("10.10")}


@pytest.mark.parametrize("kind", ["REFUND", "CHARGE_BACK"])
def test_transaction_given_back_by_either_list_is_counted_once(kind: str) -> None:
    done = {"REFUND": "REFUNDED", "CHARGE_BACK": "SUCCESSFUL"}[kind]
    full = example("TransactionEvent") | {"event_type": kind, "status": done, "amount": Decimal("4.00")}
    compact = example("Event") | {"type": kind, "status": done, "amount": Decimal("4.00")}

    for lists in (
        {"transaction_events": [full]},
        {"events": [compact]},
        {"transaction_events": [full], "events": [compact]},
    ):
        answer = transaction(TRANSACTION | lists)
        assert answer.refunded + answer.charged_back == Decimal("4.00")


@pytest.mark.parametrize("kind", ["PAYOUT", "PAYOUT_DEDUCTION", "A_VALUE_OF_THE_FUTURE"])
def test_transaction_with_an_event_of_another_kind_gives_nothing_back(kind: str) -> None:
    answer = transaction(TRANSACTION | {"transaction_events": [example("TransactionEvent") | {"event_type": kind}]})

    assert answer.refunded + answer.charged_back == 0
