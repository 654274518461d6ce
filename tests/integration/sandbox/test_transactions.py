"""SumUp's transaction endpoints, where alone a refund shows."""

from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from paypoll.payments.gateway import Found, TransactionAnswer
from paypoll.sandbox.sumup.ledger import CheckoutStateError
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sumup import wire

from .conftest import MERCHANT, OTHER_KEY, OTHER_MERCHANT, Client, MakeClient, MovableClock

PATH = f"/v2.1/merchants/{MERCHANT}/transactions"
HISTORY = f"{PATH}/history"


@pytest.fixture
def transaction(sim: Simulator, checkout: str) -> str:
    """The transaction of the checkout over 10.10 GBP, which is paid."""
    payment = sim.pay(checkout).payment
    assert payment is not None
    return payment.id


def understood(client: Client, transaction: str) -> TransactionAnswer:
    look = wire.read_transaction(client.get(PATH, id=transaction).content, transaction)
    assert isinstance(look, Found)
    return look.value


def test_read_by_id_or_code_is_the_transaction(sim: Simulator, client: Client, checkout: str, transaction: str) -> None:
    payment = sim.checkout(checkout).payment
    assert payment is not None

    by_id = client.get(PATH, id=transaction).json()
    by_code = client.get(PATH, transaction_code=payment.code).json()

    assert by_id == by_code
    assert (by_id["id"], by_id["status"], by_id["simple_status"]) == (transaction, "SUCCESSFUL", "SUCCESSFUL")
    assert understood(client, transaction).amount == Decimal("10.10")


def test_read_not_refunded_shows_no_refund(client: Client, transaction: str) -> None:
    answer = understood(client, transaction)

    assert (answer.refunded, answer.charged_back) == (Decimal(0), Decimal(0))


def test_read_refunded_shows_only_in_events(sim: Simulator, client: Client, checkout: str, transaction: str) -> None:
    sim.refund(checkout, Decimal("4.00"))
    sim.refund(checkout)

    found = client.get(PATH, id=transaction).json()

    refunds = [event for event in found["transaction_events"] if event["type"] == "REFUND"]
    assert [(event["status"], event["amount"]) for event in refunds] == [("REFUNDED", 4), ("REFUNDED", 6.1)]
    assert (found["status"], found["simple_status"]) == ("SUCCESSFUL", "SUCCESSFUL")
    assert understood(client, transaction).refunded == Decimal("10.10")


def test_read_charged_back_shows_in_events(sim: Simulator, client: Client, checkout: str, transaction: str) -> None:
    sim.charge_back(checkout)

    assert understood(client, transaction).charged_back == Decimal("10.10")


def test_refund_more_than_is_left_is_refused(sim: Simulator, checkout: str, transaction: str) -> None:
    del transaction
    sim.refund(checkout, Decimal("10.00"))
    with pytest.raises(CheckoutStateError):
        sim.refund(checkout, Decimal("0.11"))

    sim.charge_back(checkout)
    with pytest.raises(CheckoutStateError):
        sim.refund(checkout)


def test_refund_failed_leaves_the_money_there(sim: Simulator, checkout: str, transaction: str) -> None:
    del transaction
    sim.refund(checkout, status="FAILED")

    assert sim.checkout(checkout).left == Decimal("10.10")


def test_refund_unpaid_is_refused(sim: Simulator, checkout: str) -> None:
    with pytest.raises(CheckoutStateError):
        sim.refund(checkout)


def test_read_unknown_or_unnamed_is_refused(client: Client, transaction: str) -> None:
    assert client.get(PATH, id="nobody").status_code == 404
    assert client.get(PATH, id=transaction, transaction_code="another").status_code == 404
    assert client.get(PATH).status_code == 400


def test_read_with_another_merchants_key_is_404(make_client: MakeClient, transaction: str) -> None:
    other = make_client(OTHER_KEY)

    assert other.get(PATH, id=transaction).status_code == 404
    assert other.get(f"/v2.1/merchants/{OTHER_MERCHANT}/transactions", id=transaction).status_code == 404


def test_tamper_with_the_transaction_leaves_the_checkout(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.tamper_transaction(checkout, simple_status="REFUNDED")

    assert client.get(PATH, id=transaction).json()["simple_status"] == "REFUNDED"
    assert "REFUNDED" not in client.get(f"/v0.1/checkouts/{checkout}").text
    sim.untamper(checkout)
    assert client.get(PATH, id=transaction).json()["simple_status"] == "SUCCESSFUL"


def make_history(sim: Simulator, clock: MovableClock, count: int) -> list[str]:
    ids = []
    for number in range(count):
        checkout = sim.create_checkout(reference=f"H-{number}", amount=Decimal(5), merchant_code=MERCHANT)
        payment = sim.pay(checkout).payment
        assert payment is not None
        ids.append(payment.id)
        clock.move(minutes=1)
    return ids


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_history_page_by_page_gives_every_transaction_once(
    sim: Simulator, client: Client, clock: MovableClock, order: str
) -> None:
    ids = make_history(sim, clock, 7)
    seen: list[str] = []
    params = {"limit": "3", "order": order}
    pages = 0
    while True:
        page = client.get(HISTORY, **params).json()
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if not page["links"]:
            break
        assert page["links"][0]["rel"] == "next"
        params = dict(parse_qsl(page["links"][0]["href"]))

    assert seen == (ids if order == "ascending" else ids[::-1])
    assert pages == 3


def test_history_within_times_gives_those(sim: Simulator, client: Client, clock: MovableClock) -> None:
    ids = make_history(sim, clock, 4)

    page = client.get(HISTORY, oldest_time="2026-05-01T12:01:00Z", newest_time="2026-05-01T14:02:00+02:00").json()

    assert [item["id"] for item in page["items"]] == ids[1:3]


def test_history_shows_failed_attempts_and_refunded_sums(
    sim: Simulator, client: Client, clock: MovableClock, checkout: str
) -> None:
    sim.decline(checkout)
    clock.move(minutes=1)
    sim.pay(checkout)
    sim.refund(checkout, Decimal("1.10"))
    sim.refund(checkout, Decimal("2.00"))

    items = client.get(HISTORY).json()["items"]

    assert [(item["status"], item["refunded_amount"]) for item in items] == [("FAILED", 0), ("SUCCESSFUL", 3.1)]


@pytest.mark.parametrize("bad", [{"limit": "0"}, {"limit": "x"}, {"oldest_time": "soon"}, {"order": "any"}])
def test_history_with_bad_parameters_is_400(client: Client, bad: dict[str, str]) -> None:
    assert client.get(HISTORY, **bad).status_code == 400
