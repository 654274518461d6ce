"""SumUp's history of a merchant: filters, pages, and what went back as lines of its own."""

from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import MERCHANT, OTHER_MERCHANT, Client, MakeClient, MovableClock

HISTORY = f"/v2.1/merchants/{MERCHANT}/transactions/history"


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


def listed(client: Client, **params: str | list[str]) -> list[tuple[str, str, float]]:
    """Return type, status and amount of the lines that the history shows."""
    answer = client.get(HISTORY, **params)
    assert answer.status_code == 200, answer.text
    return [(item["type"], item["status"], item["amount"]) for item in answer.json()["items"]]


@pytest.fixture
def till(sim: Simulator, clock: MovableClock) -> str:
    """A day of a merchant: a decline and a payment at 12:00, a card reader's sale, cash, refund and charge-back later.

    Returns the code of the payment.
    """
    checkout = sim.create_checkout(reference="ORD-1", amount=Decimal("10.10"), merchant_code=MERCHANT)
    sim.decline(checkout)
    payment = sim.pay(checkout).payment
    assert payment is not None
    sim.create_checkout(reference="X", amount=Decimal(1), merchant_code=OTHER_MERCHANT)
    clock.move(hours=1)
    sim.sell(amount=Decimal("3.20"), merchant_code=MERCHANT, entry_mode="CONTACTLESS")
    sim.sell(amount=Decimal("4.00"), merchant_code=MERCHANT, payment_type="CASH", entry_mode="NONE")
    sim.sell(amount=Decimal("9.99"), merchant_code=OTHER_MERCHANT)
    clock.move(hours=1)
    sim.refund(checkout, Decimal("4.00"))
    clock.move(hours=1)
    sim.charge_back(checkout)
    return payment.code


FAILED = ("PAYMENT", "FAILED", 10.1)
PAID = ("PAYMENT", "SUCCESSFUL", 10.1)
READER = ("PAYMENT", "SUCCESSFUL", 3.2)
CASH = ("PAYMENT", "SUCCESSFUL", 4)
REFUND = ("REFUND", "REFUNDED", 4)
CHARGE_BACK = ("CHARGE_BACK", "SUCCESSFUL", 6.1)
DAY = [FAILED, PAID, READER, CASH, REFUND, CHARGE_BACK]


@pytest.mark.usefixtures("till")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, DAY),
        ({"order": "descending"}, DAY[::-1]),
        ({"limit": "2"}, DAY[:2]),
        ({"limit": "5000"}, DAY),
        ({"types[]": "REFUND"}, [REFUND]),
        ({"types[]": ["REFUND", "CHARGE_BACK"]}, [REFUND, CHARGE_BACK]),
        ({"types[]": "PAYMENT"}, [FAILED, PAID, READER, CASH]),
        ({"statuses[]": "SUCCESSFUL"}, [PAID, READER, CASH]),
        ({"statuses[]": ["FAILED", "REFUNDED"]}, [FAILED, REFUND]),
        ({"statuses[]": "CHARGE_BACK"}, [CHARGE_BACK]),
        ({"payment_types[]": "ECOM"}, [FAILED, PAID, REFUND, CHARGE_BACK]),
        ({"payment_types[]": ["POS", "CASH"]}, [READER, CASH]),
        ({"entry_modes[]": "CONTACTLESS"}, [READER]),
        ({"users[]": "mplatform@merchant.example"}, DAY),
        ({"users[]": "else@merchant.example"}, []),
        ({"oldest_time": "2026-05-01T13:00:00Z"}, DAY[2:]),
        ({"newest_time": "2026-05-01T13:00:00Z"}, DAY[:2]),
        ({"oldest_time": "2026-05-01T15:00:00+02:00", "newest_time": "2026-05-01T14:00:00Z"}, DAY[2:4]),
        # The payment is older, and has changed since: that is what a cursor needs.
        ({"changes_since": "2026-05-01T14:30:00Z"}, [PAID, CHARGE_BACK]),
        ({"changes_since": "2026-05-01T15:00:00Z"}, [PAID, CHARGE_BACK]),
        ({"changes_since": "2026-05-01T15:00:01Z"}, []),
        ({"payment_types[]": "ECOM", "types[]": "PAYMENT", "statuses[]": "SUCCESSFUL"}, [PAID]),
    ],
)
def test_history_filtered_gives_those(
    client: Client, params: dict[str, str | list[str]], expected: list[tuple[str, str, float]]
) -> None:
    assert listed(client, **params) == expected


def test_history_of_a_transaction_code_gives_its_lines(client: Client, till: str) -> None:
    assert listed(client, transaction_code=till) == [PAID, REFUND, CHARGE_BACK]


def test_history_sum_of_the_refunds_stands_at_the_payment_alone(client: Client, till: str) -> None:
    items = client.get(HISTORY, transaction_code=till).json()["items"]

    assert [item["refunded_amount"] for item in items] == [4, 0, 0]
    assert len({item["transaction_id"] for item in items}) == 1
    assert len({item["id"] for item in items}) == 3


@pytest.mark.usefixtures("till")
def test_history_references_supersede_the_times(client: Client) -> None:
    ids = [item["id"] for item in client.get(HISTORY).json()["items"]]

    assert listed(client, oldest_ref=ids[1], oldest_time="2030-01-01T00:00:00Z") == DAY[2:]
    assert listed(client, newest_ref=ids[3], newest_time="2020-01-01T00:00:00Z") == DAY[:3]
    assert listed(client, oldest_ref=ids[0], newest_ref=ids[3]) == DAY[1:3]


@pytest.mark.usefixtures("till")
def test_history_next_page_is_a_query_string_alone_that_keeps_every_filter(client: Client) -> None:
    wanted = {"types[]": ["PAYMENT", "REFUND"], "statuses[]": ["SUCCESSFUL", "REFUNDED"], "limit": "2"}
    first = client.get(HISTORY, **wanted).json()  # type: ignore[arg-type]  # both kinds of values are taken

    (link,) = first["links"]
    assert not link["href"].startswith(("http", "/", "?"))
    second = client.session.get(f"{client.url}{HISTORY}?{link['href']}", timeout=10).json()

    found = [(item["type"], item["status"], item["amount"]) for item in first["items"] + second["items"]]
    assert found == [PAID, READER, CASH, REFUND]
    assert second["links"] == []


def test_history_hidden_payment_is_not_listed_and_can_still_be_read(
    sim: Simulator, client: Client, checkout: str, transaction: str
) -> None:
    sim.hide_from_history(checkout)

    assert listed(client) == []
    assert client.get(HISTORY.removesuffix("/history"), id=transaction).status_code == 200
    sim.untamper(checkout)
    assert listed(client) == [PAID]


def test_history_refund_that_shows_late_is_told_when_it_shows(
    sim: Simulator, client: Client, checkout: str, transaction: str, clock: MovableClock
) -> None:
    del transaction
    sim.ledger.refunds_show_after = timedelta(minutes=1)
    sim.refund(checkout)
    assert listed(client) == [PAID]

    clock.move(minutes=1)

    assert listed(client) == [PAID, ("REFUND", "REFUNDED", 10.1)]
    assert listed(client, changes_since="2026-05-01T12:01:00Z") == [PAID, ("REFUND", "REFUNDED", 10.1)]


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "x"},
        {"oldest_time": "soon"},
        {"changes_since": "yesterday"},
        {"order": "asc"},
        {"types[]": "PAYOUT"},
        {"statuses[]": "PAID"},
        {"payment_types[]": ["ECOM", "CARD"]},
    ],
)
def test_history_with_bad_parameters_is_400(client: Client, bad: dict[str, str | list[str]]) -> None:
    answer = client.get(HISTORY, **bad)

    assert answer.status_code == 400
    assert answer.json() == {"message": "Validation error", "error_code": "INVALID", "param": next(iter(bad))}


def test_history_of_another_merchant_is_not_told(make_client: MakeClient, sim: Simulator) -> None:
    sim.sell(amount=Decimal(1), merchant_code=OTHER_MERCHANT)

    assert listed(make_client()) == []
    assert make_client().get(HISTORY.replace(MERCHANT, OTHER_MERCHANT)).status_code == 404
