"""SumUp's checkout endpoints, as the simulator answers them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from paypoll.payments.gateway import Found
from paypoll.sandbox.sumup.jsontext import JsonText
from paypoll.sandbox.sumup.ledger import CARD_THAT_DECLINES, CheckoutStateError, DuplicateError, NoCheckoutError
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sandbox.sumup.tampering import ABSENT
from paypoll.sumup import wire

from .conftest import MERCHANT, OTHER_KEY, OTHER_MERCHANT, Client, MakeClient, MovableClock

NEW = {"checkout_reference": "ORD-2", "amount": 12.5, "currency": "GBP", "merchant_code": MERCHANT}


def path(checkout: str) -> str:
    return f"/v0.1/checkouts/{checkout}"


def read(client: Client, checkout: str) -> dict[str, Any]:
    answer = client.get(path(checkout))
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_read_pending_has_no_transactions(client: Client, checkout: str) -> None:
    found = read(client, checkout)

    assert (found["id"], found["status"], found["checkout_reference"]) == (checkout, "PENDING", "ORD-1")
    assert found["transactions"] == []
    assert found["merchant_code"] == MERCHANT
    assert found["date"] == "2026-05-01T12:00:00.000+00:00"
    assert not {"transaction_id", "transaction_code", "valid_until"} & set(found)


def test_read_amount_is_a_number_digit_for_digit(client: Client, checkout: str) -> None:
    assert b'"amount":10.10,' in client.get(path(checkout)).content


def test_read_paid_has_one_successful_attempt(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)

    found = read(client, checkout)

    assert found["status"] == "PAID"
    [attempt] = found["transactions"]
    assert attempt["status"] == "SUCCESSFUL"
    assert (attempt["id"], attempt["transaction_code"]) == (found["transaction_id"], found["transaction_code"])
    assert (attempt["amount"], attempt["currency"], attempt["merchant_code"]) == (10.1, "GBP", MERCHANT)


def test_read_failed_has_the_failed_attempt_and_no_transaction_id(
    sim: Simulator, client: Client, checkout: str
) -> None:
    sim.decline(checkout)

    found = read(client, checkout)

    assert found["status"] == "FAILED"
    assert [attempt["status"] for attempt in found["transactions"]] == ["FAILED"]
    assert not {"transaction_id", "transaction_code"} & set(found)


def test_read_failed_then_paid_is_paid(sim: Simulator, client: Client, checkout: str) -> None:
    sim.decline(checkout)
    sim.pay(checkout)

    found = read(client, checkout)

    assert found["status"] == "PAID"
    assert [attempt["status"] for attempt in found["transactions"]] == ["FAILED", "SUCCESSFUL"]
    assert found["transaction_id"] == found["transactions"][1]["id"]


@pytest.mark.parametrize("amount", ["11.00", "42.01", "42.76", "42.91", "11"])
def test_pay_amount_of_the_sandbox_is_declined(sim: Simulator, amount: str) -> None:
    checkout = sim.create_checkout(reference="ORD-9", amount=Decimal(amount), merchant_code=MERCHANT)

    assert sim.pay(checkout).status == "FAILED"
    assert sim.pay(checkout, force=True).status == "PAID"


def test_pay_declining_card_is_declined(sim: Simulator, checkout: str) -> None:
    assert sim.pay(checkout, card=CARD_THAT_DECLINES).status == "FAILED"


def test_pay_paid_or_expired_is_refused(sim: Simulator, checkout: str) -> None:
    sim.expire(checkout)
    with pytest.raises(CheckoutStateError):
        sim.pay(checkout)

    assert sim.pay(checkout, force=True).status == "PAID"
    with pytest.raises(CheckoutStateError):
        sim.pay(checkout, force=True)
    with pytest.raises(CheckoutStateError):
        sim.expire(checkout)


def test_read_refunded_stays_paid_and_successful(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)
    before = client.get(path(checkout)).content
    sim.refund(checkout)

    assert client.get(path(checkout)).content == before


@pytest.mark.parametrize("hosted", [True, False])
def test_read_after_half_an_hour_only_a_hosted_one_is_expired(
    sim: Simulator, client: Client, clock: MovableClock, hosted: bool
) -> None:
    checkout = sim.create_checkout(reference="ORD-9", amount=Decimal(5), merchant_code=MERCHANT, hosted=hosted)
    clock.move(minutes=29, seconds=59)
    assert read(client, checkout)["status"] == "PENDING"

    clock.move(seconds=1)

    assert read(client, checkout)["status"] == ("EXPIRED" if hosted else "PENDING")


def test_read_after_valid_until_an_unpaid_one_is_expired(sim: Simulator, client: Client, clock: MovableClock) -> None:
    until = clock.time.replace(hour=13)
    unpaid, paid = (
        sim.create_checkout(reference=name, amount=Decimal(5), merchant_code=MERCHANT, valid_until=until)
        for name in ("A", "B")
    )
    sim.pay(paid)
    clock.move(hours=1)

    assert read(client, unpaid)["status"] == "EXPIRED"
    assert read(client, paid)["status"] == "PAID"


def test_read_other_merchants_is_404(make_client: MakeClient, checkout: str) -> None:
    answer = make_client(OTHER_KEY).get(path(checkout))

    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


def test_delete_other_merchants_is_404_and_leaves_it(sim: Simulator, make_client: MakeClient, checkout: str) -> None:
    assert make_client(OTHER_KEY).delete(path(checkout)).status_code == 404
    assert sim.checkout(checkout).status == "PENDING"


def test_read_forgotten_is_404_and_in_no_list(sim: Simulator, client: Client, checkout: str) -> None:
    sim.forget(checkout)

    assert client.get(path(checkout)).status_code == 404
    assert client.get("/v0.1/checkouts", checkout_reference="ORD-1").json() == []
    with pytest.raises(NoCheckoutError):
        sim.checkout(checkout)


@pytest.mark.parametrize("trail", ["/v0.1/checkouts/", "/v0.1/checkouts/{id}/", "/token/", "/v0.1/nothing"])
def test_any_trailing_slash_or_unknown_path_is_404(client: Client, checkout: str, trail: str) -> None:
    answer = client.get(trail.format(id=checkout), checkout_reference="ORD-1")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic x"])
def test_read_without_a_good_key_is_401(sim: Simulator, checkout: str, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.get(sim.url + path(checkout), headers=headers, timeout=10)

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/json"
    said = answer.json()
    assert (said["title"], said["status"], said["detail"]) == ("Unauthorized", 401, "Unauthorized.")
    assert said["type"] == "https://developer.sumup.com/problem/unauthorized"


def test_list_by_reference_gives_the_merchants_own(sim: Simulator, make_client: MakeClient, checkout: str) -> None:
    twin = sim.create_checkout(reference="ORD-1", amount=Decimal(5), merchant_code=MERCHANT)
    theirs = sim.create_checkout(reference="ORD-1", amount=Decimal(5), merchant_code=OTHER_MERCHANT)

    def ids(client: Client, **params: str) -> list[str]:
        return [found["id"] for found in client.get("/v0.1/checkouts", **params).json()]

    assert ids(make_client(), checkout_reference="ORD-1") == [checkout, twin]
    assert ids(make_client(), checkout_reference="ord-1") == []
    assert ids(make_client(OTHER_KEY), checkout_reference="ORD-1") == [theirs]
    assert ids(make_client(OTHER_KEY)) == [theirs]


def test_delete_unpaid_is_expired_and_cannot_be_paid(sim: Simulator, client: Client, checkout: str) -> None:
    answer = client.delete(path(checkout))

    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, checkout, "EXPIRED")
    with pytest.raises(CheckoutStateError):
        sim.pay(checkout)


def test_delete_failed_is_expired(sim: Simulator, client: Client, checkout: str) -> None:
    sim.decline(checkout)

    assert client.delete(path(checkout)).json()["status"] == "EXPIRED"


def test_delete_paid_is_409_and_stays_paid(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)

    answer = client.delete(path(checkout))

    assert (answer.status_code, answer.json()["error_code"]) == (409, "CHECKOUT_PROCESSED")
    assert read(client, checkout)["status"] == "PAID"


def test_delete_while_a_payment_is_under_way_is_another_409_and_the_payment_goes_on(
    sim: Simulator, client: Client, checkout: str
) -> None:
    sim.begin_payment(checkout)

    answer = client.delete(path(checkout))

    assert (answer.status_code, answer.json()["error_code"]) == (409, "CHECKOUT_CANT_BE_DEACTIVATED")
    found = read(client, checkout)
    assert (found["status"], [attempt["status"] for attempt in found["transactions"]]) == ("PENDING", ["PENDING"])
    sim.end_payment(checkout)
    assert read(client, checkout)["status"] == "PAID"


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_delete_after_a_payment_under_way_came_to_nothing_is_expired(
    sim: Simulator, client: Client, checkout: str, status: str
) -> None:
    sim.begin_payment(checkout)
    sim.end_payment(checkout, status=status)
    assert read(client, checkout)["status"] == "FAILED"

    assert client.delete(path(checkout)).json()["status"] == "EXPIRED"


def test_read_past_its_time_with_a_payment_under_way_is_not_yet_expired(
    sim: Simulator, client: Client, clock: MovableClock
) -> None:
    hosted = sim.create_checkout(reference="H", amount=Decimal(5), merchant_code=MERCHANT, hosted=True)
    sim.begin_payment(hosted)
    clock.move(hours=1)
    assert read(client, hosted)["status"] == "PENDING"

    sim.end_payment(hosted, status="FAILED")

    assert read(client, hosted)["status"] == "EXPIRED"


def test_read_date_header_is_the_simulators_clock_with_the_skew(sim: Simulator, client: Client, checkout: str) -> None:
    assert client.get(path(checkout)).headers["Date"] == "Fri, 01 May 2026 12:00:00 GMT"

    sim.date_skew = timedelta(minutes=-15)
    assert client.get(path(checkout)).headers["Date"] == "Fri, 01 May 2026 11:45:00 GMT"

    sim.date_skew = None
    assert "Date" not in client.get(path(checkout)).headers


def test_delete_method_not_known_is_405(client: Client) -> None:
    assert client.delete("/v0.1/checkouts").status_code == 405


def test_create_makes_a_pending_checkout(client: Client) -> None:
    answer = client.post(
        "/v0.1/checkouts", NEW | {"description": "Two places", "redirect_url": "https://shop.example/a?b"}
    )

    assert answer.status_code == 201
    made = read(client, answer.json()["id"])
    assert made == answer.json()
    assert (made["status"], made["amount"], made["description"]) == ("PENDING", 12.5, "Two places")
    assert made["redirect_url"] == "https://shop.example/a?b"


def test_create_reference_of_64_characters_is_made_and_a_longer_one_only_by_the_control_api(client: Client) -> None:
    assert client.post("/v0.1/checkouts", NEW | {"checkout_reference": "x" * 64}).status_code == 201

    old = client.post("/sandbox/checkouts", NEW | {"checkout_reference": "x" * 90})

    assert read(client, old.json()["id"])["checkout_reference"] == "x" * 90


def test_create_keeps_the_amounts_digits(client: Client) -> None:
    body = b'{"checkout_reference":"R","amount":0.30,"currency":"GBP","merchant_code":"MPLATFORM"}'
    answer = client.session.post(f"{client.url}/v0.1/checkouts", data=body, timeout=10)

    assert b'"amount":0.30,' in answer.content


def test_create_hosted_has_a_payment_page(sim: Simulator, client: Client) -> None:
    made = client.post("/v0.1/checkouts", NEW | {"hosted_checkout": {"enabled": True}}).json()

    assert made["hosted_checkout_url"] == f"{sim.url}/pay/{made['id']}"
    assert made["valid_until"] == "2026-05-01T12:30:00.000+00:00"


def test_create_second_with_the_reference_is_409_in_any_state(sim: Simulator, client: Client) -> None:
    first = client.post("/v0.1/checkouts", NEW).json()["id"]
    sim.expire(first)

    answer = client.post("/v0.1/checkouts", NEW)

    assert (answer.status_code, answer.json()["error_code"]) == (409, "DUPLICATED_CHECKOUT")


def test_create_same_reference_of_another_merchant_is_made(make_client: MakeClient, client: Client) -> None:
    client.post("/v0.1/checkouts", NEW)
    answer = make_client(OTHER_KEY).post("/v0.1/checkouts", NEW | {"merchant_code": OTHER_MERCHANT})

    assert answer.status_code == 201


def test_create_for_another_merchant_is_403(sim: Simulator, client: Client) -> None:
    answer = client.post("/v0.1/checkouts", NEW | {"merchant_code": OTHER_MERCHANT})

    assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")
    assert sim.ledger.all() == ()


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"amount": None}, "amount", "MISSING"),
        ({"amount": "12.50"}, "amount", "INVALID"),
        ({"amount": -1}, "amount", "INVALID"),
        ({"amount": True}, "amount", "INVALID"),
        ({"checkout_reference": ""}, "checkout_reference", "MISSING"),
        ({"checkout_reference": "x" * 65}, "checkout_reference", "INVALID"),
        ({"currency": "pounds"}, "currency", "INVALID"),
        ({"merchant_code": 7}, "merchant_code", "INVALID"),
        ({"valid_until": "tomorrow"}, "valid_until", "INVALID"),
        ({"redirect_url": "javascript:alert(1)"}, "redirect_url", "INVALID"),
        ({"redirect_url": "https://shop.example/\r\nSet-Cookie: a=b"}, "redirect_url", "INVALID"),
        ({"redirect_url": "https://["}, "redirect_url", "INVALID"),
    ],
)
def test_create_with_a_bad_field_is_400(client: Client, change: dict[str, object], param: str, code: str) -> None:
    answer = client.post("/v0.1/checkouts", NEW | change)

    assert answer.status_code == 400
    assert (answer.json()["param"], answer.json()["error_code"]) == (param, code)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"amount": NaN}', b"\xff", b"[" * 100_000])
def test_create_without_a_json_object_is_400(client: Client, body: bytes) -> None:
    answer = client.session.post(f"{client.url}/v0.1/checkouts", data=body, timeout=10)

    assert (answer.status_code, answer.json()["param"]) == (400, "body")


def test_create_checkout_with_a_taken_id_is_refused(sim: Simulator, checkout: str) -> None:
    with pytest.raises(DuplicateError):
        sim.create_checkout(reference="X", amount=Decimal(1), merchant_code=MERCHANT, checkout_id=checkout)


def test_create_checkout_with_the_same_seed_gives_the_same_ids() -> None:
    def made(seed: int | None) -> str:
        return Simulator(seed=seed).create_checkout(reference="X", amount=Decimal(1), merchant_code=MERCHANT)

    assert made(7) == made(7)
    assert made(None) != made(None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount": "10.10"}, b'"amount":"10.10"'),
        ({"amount": Decimal("NaN")}, b'"amount":NaN'),
        ({"amount": Decimal("10.100")}, b'"amount":10.100,'),
        ({"amount": JsonText("1e999999")}, b'"amount":1e999999'),
        ({"id": "another"}, b'"id":"another"'),
        ({"merchant_code": OTHER_MERCHANT}, b'"merchant_code":"MORGANISER"'),
        ({"status": "A_NEW_ONE"}, b'"status":"A_NEW_ONE"'),
        ({"transactions": None}, b'"transactions":null'),
    ],
)
def test_tamper_with_a_field_shows_in_read_and_list(
    sim: Simulator, client: Client, checkout: str, change: dict[str, object], text: bytes
) -> None:
    sim.tamper(checkout, **change)

    assert text in client.get(path(checkout)).content
    assert text in client.get("/v0.1/checkouts", checkout_reference="ORD-1").content


def test_tamper_absent_leaves_the_field_out_and_adds_up(sim: Simulator, client: Client, checkout: str) -> None:
    sim.tamper(checkout, amount=ABSENT)
    sim.tamper(checkout, currency="EUR")
    found = read(client, checkout)
    assert "amount" not in found
    assert found["currency"] == "EUR"

    sim.untamper(checkout)

    assert (read(client, checkout)["amount"], read(client, checkout)["currency"]) == (10.1, "GBP")


def test_tamper_body_replaces_the_answer(sim: Simulator, client: Client, checkout: str) -> None:
    sim.tamper_body(checkout, b"\xff\x00nonsense")

    assert client.get(path(checkout)).content == b"\xff\x00nonsense"


def test_paid_answer_is_understood_by_paypoll(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)

    look = wire.read_checkout(client.get(path(checkout)).content, checkout)

    assert isinstance(look, Found)
    assert (look.value.status, look.value.amount, look.value.reference) == ("PAID", Decimal("10.10"), "ORD-1")
    assert [attempt.id for attempt in look.value.successful_attempts] == [look.value.transaction_id]
