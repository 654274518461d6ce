"""SumUp's answers become values, or are refused: never half understood."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from paypoll.payments.gateway import BrokenAnswer, CheckoutAnswer, Found, TransactionAnswer
from paypoll.sumup.wire import read_checkout, read_checkouts, read_transaction

ID = "4ebc2ed7-bb8c-4d4d-a110-08fd31301bf2"
ATTEMPT = {
    "id": "tx-1",
    "transaction_code": "TEENSK4W2K",
    "amount": 25.5,
    "currency": "GBP",
    "status": "SUCCESSFUL",
    "timestamp": "2026-05-01T20:10:11.123+02:00",
    "payment_type": "ECOM",
    "entry_mode": "CUSTOMER_ENTRY",
    "auth_code": "012345",
    "merchant_code": "MC1",
    "tip_amount": 0,
}
PAID = {
    "id": ID,
    "status": "PAID",
    "checkout_reference": "ORD-1",
    "amount": 25.5,
    "currency": "GBP",
    "merchant_code": "MC1",
    "transaction_code": "TEENSK4W2K",
    "transaction_id": "tx-1",
    "transactions": [ATTEMPT],
    "purpose": "CHECKOUT",
}
TRANSACTION = {"id": "tx-1", "transaction_code": "T", "status": "SUCCESSFUL", "amount": 25.5, "currency": "GBP"}


def as_bytes(document: object) -> bytes:
    return json.dumps(document).encode()


def checkout_of(document: object) -> CheckoutAnswer:
    look = read_checkout(as_bytes(document), ID)
    assert isinstance(look, Found), look
    return look.value


def transaction_of(**fields: object) -> TransactionAnswer:
    look = read_transaction(as_bytes(TRANSACTION | fields), "tx-1")
    assert isinstance(look, Found), look
    return look.value


def event(kind: str, amount: object, status: str | None = "REFUNDED", *, key: str = "event_type") -> dict[str, object]:
    fields: dict[str, object] = {key: kind, "amount": amount}
    return fields if status is None else fields | {"status": status}


# --- checkouts -------------------------------------------------------------------------------------------


def test_read_checkout_paid_gives_every_field() -> None:
    answer = checkout_of(PAID)
    assert (answer.id, answer.status, answer.reference) == (ID, "PAID", "ORD-1")
    assert (answer.amount, answer.currency, answer.merchant_code) == (Decimal("25.5"), "GBP", "MC1")
    assert (answer.transaction_code, answer.transaction_id) == ("TEENSK4W2K", "tx-1")
    (attempt,) = answer.attempts
    assert attempt.successful
    assert attempt.timestamp == datetime(2026, 5, 1, 18, 10, 11, 123000, tzinfo=UTC)
    assert (attempt.amount, attempt.tip_amount) == (Decimal("25.5"), Decimal(0))
    assert (attempt.payment_type, attempt.entry_mode, attempt.auth_code) == ("ECOM", "CUSTOMER_ENTRY", "012345")
    assert answer.raw == PAID


def test_read_checkout_pending_needs_no_more_than_id_and_status() -> None:
    answer = checkout_of({"id": ID, "status": "PENDING"})
    assert (answer.amount, answer.currency, answer.reference, answer.attempts) == (None, "", "", ())


def test_read_checkout_unknown_status_is_kept() -> None:
    assert checkout_of(PAID | {"status": "ON_HOLD"}).status == "ON_HOLD"


def test_read_checkout_unknown_fields_are_ignored() -> None:
    assert checkout_of(PAID | {"mandate": {"type": "recurrent"}, "new": [1, None, True]}).status == "PAID"


@pytest.mark.parametrize(
    ("written", "amount"),
    [("10.10", "10.10"), ('"10.10"', "10.10"), ("1e1", "10"), ("10.001", "10.001"), ("0", "0"), ("25", "25")],
)
def test_read_checkout_amount_is_read_from_its_text(written: str, amount: str) -> None:
    body = as_bytes(PAID | {"amount": "AMOUNT"}).replace(b'"AMOUNT"', written.encode())
    look = read_checkout(body, ID)
    assert isinstance(look, Found)
    assert look.value.amount == Decimal(amount)


@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        "Infinity",
        "-1",
        "-0.0",
        "true",
        "[]",
        "{}",
        '""',
        '"ten"',
        '"1e1"',
        '" 10.10"',
        '"10,10"',
        '"-10"',
        '"\u0661\u0660"',
        "1e999",
        "1e-999",
        "9" * 90,
        "9" * 5000,
    ],
)
def test_read_checkout_impossible_amount_is_broken(written: str) -> None:
    body = as_bytes(PAID | {"amount": "AMOUNT"}).replace(b'"AMOUNT"', written.encode())
    assert isinstance(read_checkout(body, ID), BrokenAnswer)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another"},
        {"id": None},
        {"id": 7},
        {"id": ID.upper()},
        {"id": ID + "\x00"},
        {"status": ""},
        {"status": None},
        {"status": 1},
        {"status": "P" * 300},
        {"amount": None},
        {"currency": None},
        {"currency": ""},
        {"currency": 826},
        {"checkout_reference": 12},
        {"merchant_code": ["MC1"]},
        {"transaction_id": 5},
        {"transactions": {}},
        {"transactions": "none"},
        {"transactions": [None]},
        {"transactions": [ATTEMPT | {"amount": "much"}]},
        {"transactions": [ATTEMPT | {"amount": -1}]},
        {"transactions": [ATTEMPT | {"tip_amount": "much"}]},
        {"transactions": [ATTEMPT | {"status": True}]},
        {"transactions": [ATTEMPT | {"currency": 1}]},
        {"transactions": [ATTEMPT | {"merchant_code": 1}]},
    ],
)
def test_read_checkout_paid_with_a_flawed_field_that_matters_is_broken(change: dict[str, object]) -> None:
    assert isinstance(read_checkout(as_bytes(PAID | change), ID), BrokenAnswer)


@pytest.mark.parametrize("document", [None, [], [PAID], "PAID", 1, True])
def test_read_checkout_not_an_object_is_broken(document: object) -> None:
    assert isinstance(read_checkout(as_bytes(document), ID), BrokenAnswer)


@pytest.mark.parametrize("field", ["transaction_code", "payment_type", "entry_mode", "auth_code", "timestamp"])
@pytest.mark.parametrize("value", [None, 5, [], {"a": 1}, "x" * 300])
def test_read_checkout_flawed_field_that_does_not_matter_is_absent(field: str, value: object) -> None:
    (attempt,) = checkout_of(PAID | {"transactions": [ATTEMPT | {field: value}]}).attempts
    assert not getattr(attempt, field)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-05-01T18:10:11Z", datetime(2026, 5, 1, 18, 10, 11, tzinfo=UTC)),
        ("2026-05-01T18:10:11.123456789Z", datetime(2026, 5, 1, 18, 10, 11, 123456, tzinfo=UTC)),
        ("2026-05-01T18:10:11", None),
        ("2026-05-01", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_read_checkout_time_is_aware_utc_or_none(written: str, moment: datetime | None) -> None:
    (attempt,) = checkout_of(PAID | {"transactions": [ATTEMPT | {"timestamp": written}]}).attempts
    assert attempt.timestamp == moment


def test_read_checkout_raw_can_be_stored_as_jsonb() -> None:
    raw = checkout_of(PAID | {"note": "a\x00b\ud800", "list": ["\x00"]}).raw
    text = json.dumps(raw, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\x00" not in text
    assert "\\u0000" not in text
    assert raw["note"] == "a\ufffdb\ufffd"


# --- lists -----------------------------------------------------------------------------------------------


def test_read_checkouts_empty_list_is_found_empty() -> None:
    assert read_checkouts(b"[]", "ORD-1") == Found(())


def test_read_checkouts_gives_each_with_its_own_raw() -> None:
    look = read_checkouts(as_bytes([PAID, PAID | {"id": "other", "status": "FAILED"}]), "ORD-1")
    assert isinstance(look, Found)
    assert [(checkout.id, checkout.raw["status"]) for checkout in look.value] == [(ID, "PAID"), ("other", "FAILED")]


@pytest.mark.parametrize(
    "document",
    [
        {"items": []},
        [PAID | {"checkout_reference": "ORD-2"}],
        [{"id": ID, "status": "PENDING"}],
        [PAID, PAID],
        [PAID, {"id": "x"}],
        [PAID, 5],
    ],
)
def test_read_checkouts_one_unusable_item_breaks_the_list(document: object) -> None:
    assert isinstance(read_checkouts(as_bytes(document), "ORD-1"), BrokenAnswer)


# --- transactions ----------------------------------------------------------------------------------------


def test_read_transaction_untouched_gave_nothing_back() -> None:
    answer = transaction_of(transaction_events=[event("PAYOUT", 25.5, "PAID_OUT")], simple_status="PAID_OUT")
    assert (answer.refunded, answer.charged_back, answer.amount) == (Decimal(0), Decimal(0), Decimal("25.5"))


def test_read_transaction_partial_refunds_are_summed() -> None:
    events = [event("REFUND", 5), event("REFUND", "0.50"), event("REFUND", 1, "FAILED"), event("REFUND", 1, "PENDING")]
    assert transaction_of(transaction_events=events).refunded == Decimal("5.50")


def test_read_transaction_refund_listed_in_both_places_counts_once() -> None:
    answer = transaction_of(
        transaction_events=[event("REFUND", 5)], events=[event("REFUND", 5, key="type")], refunded_amount=5
    )
    assert answer.refunded == Decimal(5)


@pytest.mark.parametrize(
    "fields",
    [
        {"transaction_events": [event("REFUND", 5)]},
        {"transaction_events": [event("REFUND", 5, key="type")]},
        {"transaction_events": [event("REFUND", -5)]},
        {"transaction_events": [event("REFUND", 5, "SUCCESSFUL")]},
        {"transaction_events": [event("REFUND", 5, None)]},
        {"events": [event("REFUND", 5, key="type")]},
        {"refunded_amount": 5},
        {"transaction_events": [event("REFUND", 5)], "status": "REFUNDED"},
    ],
)
def test_read_transaction_refund_shows_wherever_it_is_told(fields: dict[str, object]) -> None:
    assert transaction_of(**fields).refunded == Decimal(5)


@pytest.mark.parametrize("field", ["status", "simple_status"])
def test_read_transaction_refunded_by_status_alone_is_refunded_in_full(field: str) -> None:
    assert transaction_of(**{field: "REFUNDED"}).refunded == Decimal("25.5")


@pytest.mark.parametrize("status", ["SUCCESSFUL", "REFUNDED", None])
def test_read_transaction_charge_back_counts_unless_it_failed(status: str | None) -> None:
    answer = transaction_of(transaction_events=[event("CHARGE_BACK", 25.5, status), event("CHARGE_BACK", 9, "FAILED")])
    assert (answer.charged_back, answer.refunded, answer.returning) == (Decimal("25.5"), Decimal(0), Decimal(0))


@pytest.mark.parametrize("kind", ["REFUND", "CHARGE_BACK", "CHARGEBACK", "NON_COLLECTION"])
@pytest.mark.parametrize("status", ["PENDING", "SCHEDULED", "RECONCILED", "SOMETHING_NEW", "pending"])
def test_read_transaction_event_that_is_not_final_is_on_its_way_back(kind: str, status: str) -> None:
    answer = transaction_of(transaction_events=[event(kind, 25.5, status), event(kind, 9, "FAILED")])
    assert (answer.returned, answer.returning) == (Decimal(0), Decimal("25.5"))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *[(word, "SUCCESSFUL") for word in ("SUCCESSFUL", "PAID_OUT", "CANCEL_FAILED", "REFUND_FAILED")],
        *[(word, word) for word in ("PENDING", "FAILED", "CANCELLED", "REFUNDED")],
        *[(word, "CHARGED_BACK") for word in ("CHARGE_BACK", "CHARGEBACK", "NON_COLLECTION")],
        ("SOMETHING_NEW", "UNKNOWN"),
        ("", "ABSENT"),
    ],
)
def test_read_transaction_status_has_one_meaning_for_every_spelling(word: str, status: str) -> None:
    answer = transaction_of(status=word, simple_status=word)
    assert (answer.status, answer.simple_status) == (status, status)
    assert answer.said == (word if status == "UNKNOWN" else "")


def test_read_transaction_currency_in_small_letters_is_the_same_currency() -> None:
    assert transaction_of(currency="gbp").currency == "GBP"


@pytest.mark.parametrize("status", ["CHARGE_BACK", "CHARGEBACK", "NON_COLLECTION"])
def test_read_transaction_charged_back_by_status_alone_is_charged_back_in_full(status: str) -> None:
    assert transaction_of(simple_status=status).charged_back == Decimal("25.5")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "tx-2"},
        {"id": None},
        {"amount": "much"},
        {"currency": 1},
        {"status": 1},
        {"simple_status": []},
        {"transaction_events": {}},
        {"transaction_events": ["REFUND"]},
        {"transaction_events": [event("REFUND", None)]},
        {"transaction_events": [event("REFUND", "all")]},
        {"transaction_events": [{"event_type": 1}]},
        {"events": 5},
        {"refunded_amount": "all"},
        {"status": "REFUNDED", "amount": None},
    ],
)
def test_read_transaction_flawed_where_it_matters_is_broken(change: dict[str, object]) -> None:
    assert isinstance(read_transaction(as_bytes(TRANSACTION | change), "tx-1"), BrokenAnswer)
