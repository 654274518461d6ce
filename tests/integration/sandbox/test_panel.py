"""The simulator's own pages and HTTP control API."""

from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from paypoll.sandbox.sumup.effects import KINDS
from paypoll.sandbox.sumup.ledger import CARD_THAT_DECLINES, CARD_THAT_PAYS
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sandbox.sumup.tampering import Contradiction

from .conftest import LONG, MERCHANT, Client, MakeClient

NASTY = "\"><script>alert(1)</script>&'🎻"


@pytest.fixture
def shopper(sim: Simulator) -> Client:
    """Somebody without any credential."""
    return Client(sim.url, "")


def test_page_lists_checkouts_with_their_buttons(sim: Simulator, shopper: Client, checkout: str) -> None:
    paid = sim.create_checkout(reference="ORD-7", amount=Decimal("12.50"), merchant_code=MERCHANT)
    sim.pay(paid)

    page = shopper.get("/").text

    assert f'action="/sandbox/checkouts/{checkout}/pay"' in page
    assert f'action="/sandbox/checkouts/{checkout}/cancel"' in page
    assert f'action="/sandbox/checkouts/{paid}/refund"' in page
    assert f'action="/sandbox/checkouts/{paid}/pay"' not in page
    assert "12.50 GBP" in page
    shopper.session.close()


def test_page_shows_texts_as_text(sim: Simulator, shopper: Client) -> None:
    nasty = sim.create_checkout(
        reference=NASTY,
        amount=Decimal(1),
        currency="<b>",
        merchant_code=NASTY,
        checkout_id=NASTY,
        redirect_url='https://shop.example/"><script>',
    )

    pages = [shopper.get("/"), shopper.get("/pay/" + quote(nasty, safe=""))]
    shopper.session.close()

    for page in pages:
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "<b>" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("action", "status"),
    [("pay", "PAID"), ("decline", "FAILED"), ("expire", "EXPIRED"), ("cancel", "EXPIRED")],
)
def test_button_changes_the_checkout_and_leads_back(
    sim: Simulator, client: Client, checkout: str, action: str, status: str
) -> None:
    answer = client.submit(f"/sandbox/checkouts/{checkout}/{action}")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert sim.checkout(checkout).status == status


def test_button_refund_gives_all_back(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)

    assert client.submit(f"/sandbox/checkouts/{checkout}/refund").status_code == 303
    assert sim.checkout(checkout).refunded == Decimal("10.10")
    assert "refunded 10.10" in client.get("/").text


@pytest.mark.parametrize("path", ["/sandbox/checkouts/{}/pay", "/sandbox/requests/reset", "/sandbox/faults/clear"])
def test_change_by_get_is_refused(sim: Simulator, client: Client, checkout: str, path: str) -> None:
    assert client.get(path.format(checkout)).status_code == 404
    assert sim.checkout(checkout).status == "PENDING"


def test_payment_page_pays_and_leads_back_to_the_shop(sim: Simulator, client: Client) -> None:
    back = "https://shop.example/return?order=1"
    checkout = sim.create_checkout(
        reference="ORD-8", amount=Decimal(5), merchant_code=MERCHANT, redirect_url=back, hosted=True
    )
    assert CARD_THAT_DECLINES in client.get(f"/pay/{checkout}").text

    declined = client.submit(f"/pay/{checkout}", card=CARD_THAT_DECLINES)
    assert (declined.status_code, "try again" in declined.text) == (200, True)
    assert sim.checkout(checkout).status == "FAILED"

    paid = client.submit(f"/pay/{checkout}", card=CARD_THAT_PAYS)
    assert (paid.status_code, paid.headers["Location"]) == (303, back)
    assert sim.checkout(checkout).status == "PAID"


def test_payment_page_without_redirect_says_thank_you(sim: Simulator, client: Client, checkout: str) -> None:
    answer = client.submit(f"/pay/{checkout}", card="5555 4444 3333 1111")

    assert (answer.status_code, "Paid" in answer.text) == (200, True)
    assert sim.checkout(checkout).status == "PAID"


def test_payment_page_of_an_expired_checkout_takes_no_money(sim: Simulator, client: Client, checkout: str) -> None:
    sim.expire(checkout)

    assert "<form" not in client.get(f"/pay/{checkout}").text
    assert "EXPIRED" in client.submit(f"/pay/{checkout}", card=CARD_THAT_PAYS).text
    assert sim.checkout(checkout).status == "EXPIRED"


def test_unknown_checkout_is_404(client: Client) -> None:
    assert client.get("/pay/nobody").status_code == 404
    assert client.post("/sandbox/checkouts/nobody/pay").status_code == 404
    assert client.post("/sandbox/checkouts/nobody/tamper", {"set": {}}).status_code == 404


def test_api_creates_reads_and_pays(sim: Simulator, client: Client) -> None:
    body = {"checkout_reference": "R", "amount": 5.5, "currency": "GBP", "merchant_code": "ANY", "id": "chosen"}
    made = client.post("/sandbox/checkouts", body)
    assert (made.status_code, made.json()["id"]) == (201, "chosen")
    assert client.post("/sandbox/checkouts", body).status_code == 409

    assert client.post("/sandbox/checkouts/chosen/pay").json()["status"] == "PAID"
    assert client.post("/sandbox/checkouts/chosen/pay").status_code == 409
    assert client.post("/sandbox/checkouts/chosen/refund", {"amount": 2.5}).json()["refunded"] == 2.5
    assert client.post("/sandbox/checkouts/chosen/charge-back").status_code == 200

    assert sim.checkout("chosen").left == 0
    assert [found["id"] for found in client.get("/sandbox/checkouts").json()] == ["chosen"]
    assert client.post("/sandbox/checkouts/chosen/forget").status_code == 200
    assert client.get("/sandbox/checkouts").json() == []


def test_api_tampers_with_the_answer_of_sumup(client: Client, checkout: str) -> None:
    own, theirs = f"/sandbox/checkouts/{checkout}", f"/v0.1/checkouts/{checkout}"
    client.post(f"{own}/tamper", {"set": {"amount": "10.1", "currency": "EUR"}, "remove": ["status"]})
    found = client.get(theirs).json()
    assert (found["amount"], found["currency"], "status" in found) == ("10.1", "EUR", False)

    client.post(f"{own}/tamper", {"body": "<html>"})
    assert client.get(theirs).text == "<html>"

    client.post(f"{own}/untamper")
    assert client.get(theirs).json()["amount"] == 10.1


def test_api_merchant_is_let_in(client: Client, make_client: MakeClient) -> None:
    assert client.post("/sandbox/merchants", {"code": "MNEW", "api_key": "key-of-mnew"}).status_code == 201

    assert make_client("key-of-mnew").get("/v0.1/checkouts").status_code == 200


def test_api_faults_are_dialled_in_listed_and_cleared(client: Client) -> None:
    made = client.post(
        "/sandbox/faults", {"kind": "status", "status": 429, "retry_after": 7.5, "path": "/v0.1/*", "times": 9}
    )
    client.post("/sandbox/faults", {"kind": "latency", "seconds": 0.001, "probability": 0.5})
    assert made.status_code == 201
    answer = client.get("/v0.1/checkouts")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7.5")

    first, second = client.get("/sandbox/faults").json()
    assert (first["hits"], first["times"], first["path"]) == (1, 9, "/v0.1/*")
    assert second["effect"] == "Latency(seconds=0.001)"

    assert client.post(f"/sandbox/faults/{first['number']}/clear").status_code == 200
    assert client.get("/v0.1/checkouts").status_code == 200
    assert client.post("/sandbox/faults/clear").status_code == 200
    assert client.get("/sandbox/faults").json() == []
    assert client.post(f"/sandbox/faults/{first['number']}/clear").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "flood"},
        {},
        {"kind": "status", "status": "503"},
        {"kind": "status", "status": True},
        {"kind": "hang", "seconds": 3},
        {"kind": "latency", "seconds": -1},
        {"kind": "oversized", "size": 1.5},
        {"kind": "hang", "times": "two"},
        {"kind": "hang", "times": True},
        ["hang"],
    ],
)
def test_api_fault_that_makes_no_sense_is_400(sim: Simulator, client: Client, body: object) -> None:
    assert client.post("/sandbox/faults", body).status_code == 400
    assert sim.faults.all() == ()


def test_api_shows_and_forgets_the_requests_to_sumup(client: Client, checkout: str) -> None:
    client.get(f"/v0.1/checkouts/{checkout}")

    log = client.get("/sandbox/requests").json()

    assert log["max_in_flight"] == 1
    [seen] = log["requests"]
    assert (seen["method"], seen["status"], seen["auth"]) == ("GET", 200, "api_key")
    client.post("/sandbox/requests/reset")
    assert client.get("/sandbox/requests").json() == {"max_in_flight": 0, "requests": []}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "["},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_change_from_another_site_is_refused(
    sim: Simulator, client: Client, checkout: str, headers: dict[str, str]
) -> None:
    answer = client.post(f"/sandbox/checkouts/{checkout}/pay", **headers)

    assert answer.status_code == 403
    assert sim.checkout(checkout).status == "PENDING"


def test_change_from_its_own_page_is_allowed(sim: Simulator, client: Client, checkout: str) -> None:
    assert client.post(f"/sandbox/checkouts/{checkout}/pay", Origin=sim.url).status_code == 200


def test_page_by_a_foreign_name_is_refused(sim: Simulator) -> None:
    answer = requests.get(sim.url + "/", headers={"Host": "rebound.example"}, timeout=LONG)

    assert answer.status_code == 403


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b"[" * 100_000])
def test_api_body_that_is_no_object_is_400(client: Client, body: bytes) -> None:
    answer = client.session.post(f"{client.url}/sandbox/merchants", data=body, timeout=LONG)

    assert answer.status_code == 400


def test_api_json_that_curl_announces_as_a_form_is_read_as_json(sim: Simulator, client: Client, checkout: str) -> None:
    sim.pay(checkout)
    path = f"{client.url}/sandbox/checkouts/{checkout}/refund"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = client.session.post(path, data=b'{"amount": 4.00}', headers=headers, timeout=LONG)

    assert answer.status_code == 200
    assert sim.checkout(checkout).refunded == 4


def test_api_begins_and_ends_a_payment(sim: Simulator, client: Client, checkout: str) -> None:
    path = f"/sandbox/checkouts/{checkout}"

    assert client.post(f"{path}/begin-payment").json()["transactions"][0]["status"] == "PENDING"
    assert client.post(f"{path}/begin-payment").status_code == 409
    assert client.post(f"{path}/expire").status_code == 409
    assert client.post(f"{path}/end-payment").json()["status"] == "PAID"
    assert client.post(f"{path}/end-payment").status_code == 409
    assert sim.checkout(checkout).status == "PAID"


def test_api_contradicts_and_tells_the_truth_again(sim: Simulator, client: Client, checkout: str) -> None:
    path = f"/sandbox/checkouts/{checkout}"
    assert client.post(f"{path}/contradict", {"kind": "failed-but-paid"}).status_code == 400
    sim.pay(checkout)
    assert client.post(f"{path}/contradict", {"kind": "everything"}).status_code == 400

    assert client.post(f"{path}/contradict", {"kind": "failed-but-paid"}).status_code == 200

    assert client.get(f"/v0.1/checkouts/{checkout}").json()["status"] == "FAILED"
    client.post(f"{path}/untamper")
    assert client.get(f"/v0.1/checkouts/{checkout}").json()["status"] == "PAID"


def test_docs_name_every_contradiction_and_every_kind_of_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")

    assert [one for one in (*Contradiction, *KINDS) if f"`{one}`" not in page] == []


def test_api_sells_and_pays_out(sim: Simulator, client: Client) -> None:
    sale = client.post("/sandbox/sales", {"merchant_code": MERCHANT, "amount": 20}).json()
    assert (sale["payment_type"], sale["amount"]) == ("POS", 20)

    made = client.post("/sandbox/payouts", {"merchant_code": MERCHANT, "date": "2026-05-09", "fee_rate": 0.1}).json()

    assert made == [{"type": "PAYOUT", "amount": 18, "fee": 2}]
    assert [str(payout.on) for payout in sim.ledger.payouts(MERCHANT)] == ["2026-05-09"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/sales", {"merchant_code": MERCHANT}),
        ("/sandbox/sales", {"merchant_code": MERCHANT, "amount": -1}),
        ("/sandbox/sales", {"amount": 1}),
        ("/sandbox/payouts", {}),
        ("/sandbox/payouts", {"merchant_code": MERCHANT, "date": "soon"}),
        ("/sandbox/payouts", {"merchant_code": MERCHANT, "fee_rate": "high"}),
    ],
)
def test_api_sale_or_payout_that_makes_no_sense_is_400(client: Client, path: str, body: object) -> None:
    assert client.post(path, body).status_code == 400
