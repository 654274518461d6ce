"""SumUp's transaction endpoints, where alone a refund shows."""

from decimal import Decimal

import pytest

from paypoll.payments.gateway import Found, TransactionAnswer
from paypoll.sandbox.sumup.ledger import CheckoutStateError
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sandbox.sumup.tampering import Contradiction
from paypoll.sumup import wire

from .conftest import MERCHANT, OTHER_KEY, OTHER_MERCHANT, Client, MakeClient

PATH = f"/v2.1/merchants/{MERCHANT}/transactions"


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

    refunds = [event for event in found["transaction_events"] if event["event_type"] == "REFUND"]
    assert [(event["status"], event["amount"]) for event in refunds] == [("REFUNDED", 4), ("REFUNDED", 6.1)]
    assert (found["status"], found["simple_status"]) == ("SUCCESSFUL", "SUCCESSFUL")
    assert understood(client, transaction).refunded == Decimal("10.10")


def test_read_events_stand_in_both_lists_of_the_schema(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.refund(checkout, Decimal("4.00"))

    found = client.get(PATH, id=transaction).json()

    full = [(event["event_type"], event["status"], event["amount"]) for event in found["transaction_events"]]
    compact = [(event["type"], event["status"], event["amount"]) for event in found["events"]]
    assert full == compact == [("PAYOUT", "SCHEDULED", 10.1), ("REFUND", "REFUNDED", 4)]
    assert not any("type" in event for event in found["transaction_events"])
    # One account of the same money, not two.
    assert understood(client, transaction).refunded == Decimal("4.00")


def test_read_pending_refund_is_none_yet_and_settled_is_one(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.refund(checkout, status="PENDING")
    assert understood(client, transaction).refunded == 0

    sim.settle_returns(checkout)

    assert understood(client, transaction).refunded == Decimal("10.10")


def test_read_sale_without_a_checkout_is_found_by_its_foreign_id(sim: Simulator, client: Client) -> None:
    sale = sim.sell(amount=Decimal("3.20"), merchant_code=MERCHANT, foreign_transaction_id="till-7")

    found = client.get(PATH, foreign_transaction_id="till-7").json()

    assert (found["id"], found["payment_type"], found["entry_mode"]) == (sale.id, "POS", "CHIP")
    assert client.get("/v0.1/checkouts").json() == []


@pytest.mark.parametrize("contradiction", list(Contradiction))
def test_contradict_says_two_things_that_cannot_both_be_true_until_untampered(
    sim: Simulator, client: Client, checkout: str, transaction: str, contradiction: Contradiction
) -> None:
    def told() -> tuple[str, list[str] | None, str, str]:
        seen = client.get(f"/v0.1/checkouts/{checkout}").json()
        attempts = [attempt["status"] for attempt in seen["transactions"]] if "transactions" in seen else None
        one = client.get(PATH, id=transaction).json()
        return seen["status"], attempts, one["status"], one["simple_status"]

    truth = ("PAID", ["SUCCESSFUL"], "SUCCESSFUL", "SUCCESSFUL")
    assert told() == truth
    sim.contradict(checkout, contradiction)

    expected = {
        Contradiction.FAILED_BUT_PAID: ("FAILED", *truth[1:]),
        Contradiction.EXPIRED_BUT_PAID: ("EXPIRED", *truth[1:]),
        Contradiction.PENDING_BUT_PAID: ("PENDING", *truth[1:]),
        Contradiction.PAID_BUT_TRANSACTION_PENDING: (*truth[:2], "PENDING", "PENDING"),
        Contradiction.PAID_BUT_TRANSACTION_FAILED: (*truth[:2], "FAILED", "FAILED"),
        Contradiction.PAID_WITHOUT_TRANSACTIONS: ("PAID", None, *truth[2:]),
        Contradiction.SIMPLE_STATUS_CANCELLED: (*truth[:3], "CANCELLED"),
        Contradiction.SIMPLE_STATUS_FAILED: (*truth[:3], "FAILED"),
        Contradiction.SIMPLE_STATUS_NON_COLLECTION: (*truth[:3], "NON_COLLECTION"),
    }
    assert told() == expected[contradiction]
    sim.untamper(checkout)
    assert told() == truth


def test_contradict_unpaid_is_refused(sim: Simulator, checkout: str) -> None:
    with pytest.raises(ValueError, match="not paid"):
        sim.contradict(checkout, Contradiction.FAILED_BUT_PAID)


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
    assert client.get(PATH, foreign_transaction_id="nobody's").status_code == 404
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
