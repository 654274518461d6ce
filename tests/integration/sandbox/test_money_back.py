"""Refunds by the API, and payouts: what goes back, what is deducted, and what is refused how."""

from decimal import Decimal
from typing import Any

import pytest

from paypoll.sandbox.sumup.entries import PayoutKind
from paypoll.sandbox.sumup.keyring import Scope
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import KEY, MERCHANT, OTHER_KEY, OTHER_MERCHANT, Client, MakeClient, MovableClock

PAYOUTS = f"/v1.0/merchants/{MERCHANT}/payouts"
MAY = {"start_date": "2026-05-01", "end_date": "2026-05-31"}


def refunds(transaction: str, merchant: str = MERCHANT) -> str:
    return f"/v1.0/merchants/{merchant}/payments/{transaction}/refunds"


# --- refunds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "left"), [({"amount": 4.05}, "6.05"), ({}, "0.00"), (None, "0.00")])
def test_refund_gives_the_amount_or_all_back(
    sim: Simulator, client: Client, checkout: str, transaction: str, body: object, left: str
) -> None:
    answer = client.post(refunds(transaction), body)

    assert (answer.status_code, answer.json()) == (201, {})
    assert sim.checkout(checkout).left == Decimal(left)
    assert sim.checkout(checkout).status == "PAID"


def test_refund_twice_is_two_refunds_as_there_is_no_key_against_it(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    for _ in range(2):
        assert client.post(refunds(transaction), {"amount": 2}).status_code == 201

    assert sim.checkout(checkout).refunded == 4


def test_refund_begins_and_ends_as_it_was_dialled(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.ledger.refunds_begin_as = "PENDING"
    client.post(refunds(transaction))
    path = f"/v2.1/merchants/{MERCHANT}/transactions"
    assert client.get(path, id=transaction).json()["transaction_events"][1]["status"] == "PENDING"

    sim.settle_returns(checkout, status="FAILED")

    assert client.get(path, id=transaction).json()["transaction_events"][1]["status"] == "FAILED"
    assert sim.checkout(checkout).left == Decimal("10.10")


def test_refund_of_more_than_is_left_is_422_and_names_what_is_left(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.refund(checkout, Decimal("4.00"))

    answer = client.post(refunds(transaction), {"amount": 6.11})

    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    # In minor units, unlike all else.
    assert (error["code"], error["max_refundable_amount"]) == ("INVALID_AMOUNT", 610)
    assert sim.checkout(checkout).refunded == 4


@pytest.mark.parametrize("body", [{"amount": 0}, {"amount": -1}, {"amount": "1"}, {"amount": True}, []])
def test_refund_of_no_amount_is_400(
    sim: Simulator, client: Client, checkout: str, transaction: str, body: object
) -> None:
    answer = client.post(refunds(transaction), body)

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert sim.checkout(checkout).refunded == 0


def test_refund_of_what_went_back_or_never_came_is_409(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.charge_back(checkout)
    failed = sim.create_checkout(reference="F", amount=Decimal(5), merchant_code=MERCHANT)

    for one in (transaction, sim.decline(failed).attempts[0].id):
        answer = client.post(refunds(one))
        assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")


def test_refund_of_another_merchants_or_of_none_is_404(
    sim: Simulator, make_client: MakeClient, checkout: str, transaction: str
) -> None:
    other = make_client(OTHER_KEY)

    assert make_client().post(refunds("nobody")).status_code == 404
    assert other.post(refunds(transaction)).status_code == 404
    assert other.post(refunds(transaction, OTHER_MERCHANT)).status_code == 404
    assert make_client().post(refunds(transaction, OTHER_MERCHANT)).status_code == 404
    assert sim.checkout(checkout).refunded == 0


def test_refund_without_the_scope_is_403(
    sim: Simulator, make_client: MakeClient, checkout: str, transaction: str
) -> None:
    sim.add_merchant(MERCHANT, "sup_sk_reader", scopes=frozenset({Scope.HISTORY}))

    answer = make_client("sup_sk_reader").post(refunds(transaction))

    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert sim.checkout(checkout).refunded == 0


# --- payouts ---------------------------------------------------------------------------------------------


def paid_out(client: Client, **params: str) -> list[dict[str, Any]]:
    answer = client.get(PAYOUTS, **{**MAY, **params})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


@pytest.mark.usefixtures("transaction")
def test_pay_out_gives_each_sale_less_its_fee_once(sim: Simulator, client: Client) -> None:
    sim.sell(amount=Decimal("20.00"), merchant_code=MERCHANT)
    sim.sell(amount=Decimal("3.00"), merchant_code=MERCHANT, payment_type="CASH")
    sim.sell(amount=Decimal("7.00"), merchant_code=OTHER_MERCHANT)
    assert len(sim.pay_out(MERCHANT)) == 2
    assert sim.pay_out(MERCHANT) == ()

    found = paid_out(client)

    assert [(one["type"], one["amount"], one["fee"]) for one in found] == [
        ("PAYOUT", 9.93, 0.17),
        ("PAYOUT", 19.66, 0.34),
    ]
    assert {(one["date"], one["currency"], one["status"]) for one in found} == {("2026-05-01", "GBP", "SUCCESSFUL")}


def test_pay_out_later_deducts_what_went_back_since(
    sim: Simulator, client: Client, checkout: str, transaction: str, clock: MovableClock
) -> None:
    sim.pay_out(MERCHANT)
    sim.refund(checkout, Decimal("4.00"))
    sim.refund(checkout, Decimal("1.00"), status="FAILED")
    sim.charge_back(checkout)
    clock.move(days=1)
    sim.pay_out(MERCHANT)
    assert sim.pay_out(MERCHANT) == ()

    found = paid_out(client, start_date="2026-05-02")

    assert [(one["type"], one["amount"]) for one in found] == [
        ("REFUND_DEDUCTION", 4),
        ("CHARGE_BACK_DEDUCTION", 6.1),
    ]
    told = client.get(f"/v2.1/merchants/{MERCHANT}/transactions", id=transaction).json()
    assert (told["simple_status"], told["payouts_received"], told["payout_date"]) == ("PAID_OUT", 1, "2026-05-01")
    assert told["transaction_events"][0]["status"] == "PAID_OUT"


def test_payouts_by_order_limit_and_period(sim: Simulator, client: Client, clock: MovableClock) -> None:
    for amount in (1, 2, 3):
        sim.add_payout(MERCHANT, Decimal(amount), kind=PayoutKind.BALANCE_DEDUCTION, transaction_code="T")
        clock.move(days=1)

    def amounts(**params: str) -> list[int]:
        return [one["amount"] for one in paid_out(client, **params)]

    assert amounts() == [1, 2, 3]
    assert amounts(order="desc") == [3, 2, 1]
    assert amounts(order="desc", limit="1") == [3]
    assert amounts(start_date="2026-05-02", end_date="2026-05-02") == [2]


def test_payouts_as_csv_have_the_documented_columns(sim: Simulator, client: Client) -> None:
    sim.add_payout(MERCHANT, Decimal("132.45"), fee=Decimal("3.12"), transaction_code="TEENSK4W2K")

    answer = client.get(PAYOUTS, **MAY, format="csv")

    assert answer.headers["Content-Type"] == "text/plain"
    head, line = answer.text.splitlines()
    assert head == "id,type,amount,date,currency,fee,status,reference,transaction_code"
    assert line.endswith("PAYOUT,132.45,2026-05-01,GBP,3.12,SUCCESSFUL,payout-2026-05-01,TEENSK4W2K")


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({}, [("MISSING", "start_date"), ("MISSING", "end_date")]),
        ({"start_date": "2026-05-01"}, [("MISSING", "end_date")]),
        ({"start_date": "2026-05-02", "end_date": "2026-05-01"}, [("INVALID", None)]),
        ({"start_date": "May", "end_date": "2026-05-01"}, [("INVALID", "start_date")]),
        ({**MAY, "limit": "10000"}, [("INVALID", "limit")]),
        ({**MAY, "limit": "0", "order": "ascending"}, [("INVALID", "limit"), ("INVALID", "order")]),
        ({**MAY, "format": "xml"}, [("INVALID", "format")]),
    ],
)
def test_payouts_with_bad_parameters_is_400_with_a_list(
    client: Client, params: dict[str, str], errors: list[tuple[str, str | None]]
) -> None:
    answer = client.get(PAYOUTS, **params)

    assert answer.status_code == 400
    assert [(one["error_code"], one.get("param")) for one in answer.json()] == errors


def test_scopes_of_a_connection_show_transactions_and_no_payouts_unless_given(
    sim: Simulator, make_client: MakeClient
) -> None:
    usual = make_client(sim.issue_access_token(MERCHANT))
    wide = make_client(sim.issue_access_token(MERCHANT, scopes=frozenset({Scope.PAYOUTS})))
    history = f"/v2.1/merchants/{MERCHANT}/transactions/history"

    assert (usual.get(history).status_code, usual.get(PAYOUTS, **MAY).status_code) == (200, 403)
    assert (wide.get(history).status_code, wide.get(PAYOUTS, **MAY).status_code) == (403, 200)


def test_payouts_without_the_scope_or_of_another_merchant_are_not_told(sim: Simulator, make_client: MakeClient) -> None:
    sim.add_merchant(MERCHANT, "sup_sk_narrow", scopes=frozenset({Scope.PAYMENTS}))

    assert make_client("sup_sk_narrow").get(PAYOUTS, **MAY).status_code == 403
    assert make_client("wrong").get(PAYOUTS, **MAY).status_code == 401
    assert make_client(OTHER_KEY).get(PAYOUTS, **MAY).status_code == 404


# --- whose key it is -------------------------------------------------------------------------------------


def test_memberships_name_the_merchant_of_the_key(sim: Simulator, make_client: MakeClient) -> None:
    sim.add_merchant(MERCHANT, KEY, name="Jersey Events")

    mine, other = (make_client(key).get("/v0.1/memberships").json() for key in (KEY, OTHER_KEY))

    assert [one["resource"]["id"] for one in mine["items"] + other["items"]] == [MERCHANT, OTHER_MERCHANT]
    assert (mine["total_count"], mine["items"][0]["resource"]["name"]) == (1, "Jersey Events")


@pytest.mark.parametrize(
    ("params", "status", "count"),
    [({"offset": "1"}, 200, 0), ({"resource.type": "organization"}, 200, 0), ({"limit": "26"}, 400, None)],
)
def test_memberships_by_page_and_kind(client: Client, params: dict[str, str], status: int, count: int | None) -> None:
    answer = client.get("/v0.1/memberships", **params)

    assert answer.status_code == status
    assert count is None or len(answer.json()["items"]) == count


def test_merchant_is_told_to_its_own_key_alone(make_client: MakeClient) -> None:
    mine, other = (make_client(key).get(f"/v1/merchants/{MERCHANT}") for key in (KEY, OTHER_KEY))

    assert mine.json()["default_currency"] == "GBP"
    assert (other.status_code, other.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/v0.1/memberships", f"/v1/merchants/{MERCHANT}"])
def test_account_without_a_good_key_is_401_as_a_problem(make_client: MakeClient, path: str) -> None:
    answer = make_client("wrong").get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
