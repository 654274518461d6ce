"""The simulator's answers, held against the tables of SumUp's published document."""

from decimal import Decimal
from typing import Any

import pytest
import requests

from paypoll.sandbox.sumup.keyring import Scope
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import KEY, MERCHANT, Merchant
from .published import TABLES, differences, example, fields_of

TRANSACTIONS = f"/v2.1/merchants/{MERCHANT}/transactions"
PAYOUTS = f"/v1.0/merchants/{MERCHANT}/payouts?start_date=2026-11-01&end_date=2026-11-30"


class Asking:
    """Asks the simulator, and reads what it says with Decimals."""

    def __init__(self, sim: Simulator, session: requests.Session) -> None:
        self.url, self.session = sim.url, session

    def __call__(self, method: str, path: str, status: int = 200, body: object = None, key: str = KEY) -> Any:
        answer = self.session.request(
            method, self.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10
        )
        assert answer.status_code == status, answer.text
        return answer.json(parse_float=Decimal, parse_int=Decimal)


@pytest.fixture
def ask(sim: Simulator, session: requests.Session) -> Asking:
    return Asking(sim, session)


def test_checkouts_read_in_every_state_fit_the_table(ask: Asking, merchant: Merchant) -> None:
    found = [ask("GET", f"/v0.1/checkouts/{one}") for one in merchant.checkouts]

    assert [each for one in found for each in differences(one, "CheckoutSuccess")] == []
    assert {one["status"] for one in found} == set(fields_of("CheckoutSuccess")["status"].values)


def test_checkouts_listed_created_and_closed_fit_the_table(ask: Asking, merchant: Merchant) -> None:
    body = {"checkout_reference": "NEW", "amount": 10.1, "currency": "GBP", "merchant_code": MERCHANT}
    whole = body | {
        "checkout_reference": "WHOLE",
        "description": "Two places",
        "valid_until": "2026-12-24T10:00:00Z",
        "redirect_url": "https://shop.example/done",
        "return_url": "https://shop.example/told",
        "hosted_checkout": {"enabled": True},
    }

    made = [ask("POST", "/v0.1/checkouts", 201, one) for one in (body, whole)]
    made.append(ask("DELETE", f"/v0.1/checkouts/{merchant.pending}"))

    assert [each for one in made for each in differences(one, "Checkout")] == []
    assert [each for one in ask("GET", "/v0.1/checkouts") for each in differences(one, "CheckoutSuccess")] == []


@pytest.mark.usefixtures("merchant")
def test_history_and_every_transaction_in_it_fit_the_tables(ask: Asking) -> None:
    page = ask("GET", f"{TRANSACTIONS}/history?limit=100")

    assert differences(page, "HistoryPage") == []
    kinds = {(item["type"], item["payment_type"], item["status"]) for item in page["items"]}
    assert {("PAYMENT", "ECOM", "PENDING"), ("PAYMENT", "ECOM", "FAILED"), ("PAYMENT", "POS", "SUCCESSFUL")} <= kinds
    assert {("REFUND", "ECOM", "REFUNDED"), ("CHARGE_BACK", "ECOM", "SUCCESSFUL")} <= kinds
    found = [ask("GET", f"{TRANSACTIONS}?id={one}") for one in {item["transaction_id"] for item in page["items"]}]
    assert [each for one in found for each in differences(one, "TransactionFull")] == []
    assert {event["event_type"] for one in found for event in one["transaction_events"]} == {
        "PAYOUT",
        "REFUND",
        "CHARGE_BACK",
    }
    assert differences(ask("GET", f"{TRANSACTIONS}/history?limit=1"), "HistoryPage") == []


@pytest.mark.usefixtures("merchant")
def test_payouts_of_every_kind_fit_the_table(sim: Simulator, ask: Asking) -> None:
    sim.add_payout(MERCHANT, Decimal("7.00"), kind="BALANCE_DEDUCTION", status="FAILED", transaction_code="T")

    found = ask("GET", PAYOUTS)

    assert [each for one in found for each in differences(one, "Payout")] == []
    kinds = {"PAYOUT", "REFUND_DEDUCTION", "CHARGE_BACK_DEDUCTION", "BALANCE_DEDUCTION"}
    assert {one["type"] for one in found} == kinds


def test_account_fits_the_tables(ask: Asking) -> None:
    assert differences(ask("GET", "/v0.1/memberships"), "Memberships") == []
    assert differences(ask("GET", f"/v1/merchants/{MERCHANT}"), "Merchant") == []


def test_refusals_fit_the_tables(sim: Simulator, ask: Asking, merchant: Merchant) -> None:
    sim.add_merchant(MERCHANT, "sup_sk_narrow", scopes=frozenset())
    sim.add_merchant(MERCHANT, "sup_sk_reader", scopes=frozenset({Scope.HISTORY}))
    payment = sim.checkout(merchant.paid).payment
    assert payment is not None
    refunds = f"/v1.0/merchants/{MERCHANT}/payments/{payment.id}/refunds"
    twice = {"checkout_reference": "PAID", "amount": 1, "currency": "GBP", "merchant_code": MERCHANT}
    paths = ("/v0.1/checkouts", "/v0.1/memberships", f"{TRANSACTIONS}/history", PAYOUTS, f"/v1/merchants/{MERCHANT}")
    refusals: dict[tuple[str, str, int, Any, str], str] = {
        **{("GET", path, 401, None, "wrong"): "Problem" for path in paths},
        ("POST", "/v0.1/checkouts", 400, (), KEY): "ErrorExtended",
        ("POST", "/v0.1/checkouts", 409, tuple(twice.items()), KEY): "Error",
        ("POST", "/v0.1/checkouts", 403, tuple((twice | {"merchant_code": "MX"}).items()), KEY): "ErrorForbidden",
        ("GET", "/v0.1/checkouts/nobody", 404, None, KEY): "Error",
        ("DELETE", f"/v0.1/checkouts/{merchant.paid}", 409, None, KEY): "Error",
        ("DELETE", f"/v0.1/checkouts/{merchant.under_way}", 409, None, KEY): "Error",
        ("GET", f"{TRANSACTIONS}?id=nobody", 404, None, KEY): "Error",
        ("GET", f"{TRANSACTIONS}/history", 403, None, "sup_sk_narrow"): "ErrorForbidden",
        ("GET", "/v1/merchants/MX", 404, None, KEY): "Problem",
        ("POST", refunds, 400, (("amount", 0),), KEY): "Problem",
        ("POST", refunds, 403, None, "sup_sk_reader"): "Problem",
        ("POST", refunds, 422, (("amount", 99),), KEY): "Problem",
        ("POST", refunds.replace(payment.id, "nobody"), 404, None, KEY): "Problem",
    }
    for (method, path, status, body, key), table in refusals.items():
        said = ask(method, path, status, None if body is None else dict(body), key)
        assert differences(said, table) == [], (method, path, status)
    # `param` is of the extended form: the history's 400 has it besides.
    assert differences(ask("GET", f"{TRANSACTIONS}/history?limit=0", 400), "ErrorExtended") == []
    errors = ask("GET", PAYOUTS.partition("?")[0], 400)
    assert [each for one in errors for each in differences(one, "ErrorExtended")] == []


@pytest.mark.parametrize("table", list(TABLES))
def test_differences_of_its_own_example_are_none_and_each_fault_is_one(table: str) -> None:
    whole = example(table)
    assert differences(whole, table) == []

    for name, field in fields_of(table).items():
        if field.kind not in {"anything", "list of Anything"}:
            assert differences(whole | {name: object()}, table), name
        if field.required:
            assert differences({key: value for key, value in whole.items() if key != name}, table), name
        if field.values:
            assert differences(whole | {name: "A_VALUE_OF_THE_FUTURE"}, table), name
    assert table == "Anything" or differences(whole | {"a_new_field": 1}, table)
