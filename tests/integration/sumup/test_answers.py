"""What each of SumUp's answers means, by status and body."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from paypoll import __version__
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed, NotFound, Refused
from paypoll.sumup.client import SumUpClient

if TYPE_CHECKING:
    from tests.integration.sumup.conftest import FaultyServer, MakeClient, ManualClock

    from paypoll.sumup.retry import RequestSeen

CHECKOUT = {
    "id": "co-1",
    "status": "PAID",
    "checkout_reference": "ORD-1",
    "amount": 25.5,
    "currency": "GBP",
    "merchant_code": "MC1",
    "transaction_id": "tx-1",
    "transactions": [{"id": "tx-1", "status": "SUCCESSFUL", "amount": 25.5, "currency": "GBP"}],
}
TRANSACTION = {"id": "tx-1", "status": "SUCCESSFUL", "amount": 25.5, "currency": "GBP"}
PROBLEM = {"type": "https://developer.sumup.com/problem/not-found", "title": "Not Found", "status": 404}
BLOCKED = {"type": "https://developer.sumup.com/problem/request-blocked", "title": "Request blocked.", "status": 403}


def test_read_checkout_found_asks_as_sumup_documents_it(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json(CHECKOUT))
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, Found)
    assert look.value.status == "PAID"
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/v0.1/checkouts/co-1")
    assert asked.headers["authorization"] == "Bearer sup_sk_made_up"
    assert asked.headers["user-agent"] == f"paypoll/{__version__}"
    assert "application/json" in asked.headers["accept"]
    assert "cookie" not in asked.headers


def test_find_checkouts_odd_reference_is_quoted_into_the_query(server: "FaultyServer", client: SumUpClient) -> None:
    reference = "ORD-1&status=PAID#/../ü 🎭"
    server.says(server.json([CHECKOUT | {"checkout_reference": reference}]))
    look = client.find_checkouts(reference, "MC1")
    assert isinstance(look, Found)
    assert [answer.id for answer in look.value] == ["co-1"]
    assert server.asked[0].path == "/v0.1/checkouts"
    assert server.asked[0].query == {"checkout_reference": reference}


def test_find_checkouts_none_is_found_empty(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json([]))
    assert client.find_checkouts("ORD-1", "MC1") == Found(())


def test_read_transaction_found_asks_the_merchant(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json(TRANSACTION))
    look = client.read_transaction("tx-1", "MC1")
    assert isinstance(look, Found)
    assert (server.asked[0].path, server.asked[0].query) == ("/v2.1/merchants/MC1/transactions", {"id": "tx-1"})


def test_close_checkout_closed_is_found(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json(CHECKOUT | {"status": "EXPIRED"}))
    closing = client.close_checkout("co-1", "MC1")
    assert isinstance(closing, Found)
    assert closing.value.status == "EXPIRED"
    assert (server.asked[0].method, server.asked[0].target) == ("DELETE", "/v0.1/checkouts/co-1")


def test_close_checkout_processed_is_refused(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json({"error_code": "CHECKOUT_PROCESSED", "message": "…"}, status=409))
    closing = client.close_checkout("co-1", "MC1")
    assert isinstance(closing, Refused)
    assert "CHECKOUT_PROCESSED" in closing.detail


@pytest.mark.parametrize("status", ["PENDING", "PAID", "FAILED"])
def test_close_checkout_answered_with_another_state_is_not_closed(
    server: "FaultyServer", client: SumUpClient, status: str
) -> None:
    server.says(server.json(CHECKOUT | {"status": status}))
    assert isinstance(client.close_checkout("co-1", "MC1"), BrokenAnswer)


def test_read_checkout_missing_is_not_found(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json(PROBLEM, status=404))
    assert client.read_checkout("co-1", "MC1") == NotFound("SumUp answered 404 not-found")
    assert len(server.asked) == 1


def test_read_checkout_missing_by_a_page_of_html_is_broken(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.http(404, b"<html>no such site</html>"))
    assert isinstance(client.read_checkout("co-1", "MC1"), BrokenAnswer)


@pytest.mark.parametrize("status", [401, 403])
def test_read_checkout_refused_with_a_key_is_not_allowed(
    server: "FaultyServer", client: SumUpClient, status: int
) -> None:
    server.says(server.json({"error_code": "NOT_AUTHORIZED"}, status=status))
    assert client.read_checkout("co-1", "MC1") == NotAllowed("", f"SumUp answered {status} NOT_AUTHORIZED")
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["html", "problem"])
def test_read_checkout_blocked_by_a_firewall_is_no_answer_and_makes_all_wait(
    server: "FaultyServer", client: SumUpClient, clock: "ManualClock", kind: str
) -> None:
    answer = server.http(403, b"<html>blocked</html>") if kind == "html" else server.json(BLOCKED, status=403)
    server.says(answer, server.json(CHECKOUT))
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, NoAnswer)
    assert "firewall" in look.detail
    assert (len(server.asked), clock.slept) == (1, [])
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert clock.slept == [5.0]


def test_read_checkout_blocked_again_and_again_gives_sumup_up(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    server.says(server.json(BLOCKED, status=403))
    client = make_client(breaker_after=3)
    for _ in range(6):
        assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"[]",
        b'{"id": "co-2", "status": "PAID", "amount": 1, "currency": "GBP"}',
        b'{"id": "co-1", "status": "PAID"}',
        b'{"id": "co-1", "status": "PAID", "amount": NaN, "currency": "GBP"}',
        b'{"id": "co-1", "status": "PAI',
    ],
)
def test_read_checkout_unusable_body_is_broken_and_not_asked_again(
    server: "FaultyServer", client: SumUpClient, body: bytes
) -> None:
    server.says(server.http(200, body))
    assert isinstance(client.read_checkout("co-1", "MC1"), BrokenAnswer)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [201, 204, 400, 402, 409, 410, 422])
def test_read_checkout_unexpected_status_is_broken(server: "FaultyServer", client: SumUpClient, status: int) -> None:
    server.says(server.http(status) if status == 204 else server.json(CHECKOUT, status=status))
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert str(status) in look.detail


@pytest.mark.parametrize("location", ["{url}/v0.1/checkouts/co-1", "http://[broken", "/v0.1/checkouts/co-1"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_read_checkout_redirect_is_broken_and_the_token_goes_nowhere_else(
    server: "FaultyServer", client: SumUpClient, status: int, location: str
) -> None:
    server.says(server.http(status, Location=location.format(url=server.url)), server.json(CHECKOUT))
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert "redirect" in look.detail
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "checkout_id",
    ["", ".", "..", "../v0.1/me", "a/b", "a?b", "a#b", "a%2Fb", "a b", "a\n", "a\r\nX: y", "ü", "\ud800", "a" * 129],
)
def test_checkout_id_that_is_no_plain_token_is_never_sent(
    server: "FaultyServer", client: SumUpClient, checkout_id: str
) -> None:
    server.says(server.json(CHECKOUT))
    assert isinstance(client.read_checkout(checkout_id, "MC1"), BrokenAnswer)
    assert isinstance(client.close_checkout(checkout_id, "MC1"), BrokenAnswer)
    assert isinstance(client.read_transaction(checkout_id, "MC1"), BrokenAnswer)
    assert isinstance(client.read_transaction("tx-1", checkout_id), BrokenAnswer)
    assert server.asked == []


@pytest.mark.parametrize("reference", ["", "\ud800", "x" * 256])
def test_reference_that_cannot_be_asked_for_is_never_sent(
    server: "FaultyServer", client: SumUpClient, reference: str
) -> None:
    server.says(server.json([]))
    assert isinstance(client.find_checkouts(reference, "MC1"), BrokenAnswer)
    assert server.asked == []


def test_environment_of_the_process_changes_no_request(
    server: "FaultyServer", client: SumUpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.says(server.json(CHECKOUT))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert server.asked[0].headers["authorization"] == "Bearer sup_sk_made_up"


def test_requests_are_logged_and_observed_without_ids_or_secrets(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    server.says(server.http(503), server.json(CHECKOUT))
    seen: list[RequestSeen] = []
    client = make_client(seen=seen)
    with structlog.testing.capture_logs() as logs:
        client.read_checkout("co-1", "MC1")
    assert [(one.method, one.template, one.status, one.attempt) for one in seen] == [
        ("GET", "/v0.1/checkouts/{id}", 503, 1),
        ("GET", "/v0.1/checkouts/{id}", 200, 2),
    ]
    assert [(line["event"], line["path"], line["status"], line["attempt"]) for line in logs] == [
        ("sumup_request", "/v0.1/checkouts/{id}", 503, 1),
        ("sumup_request", "/v0.1/checkouts/{id}", 200, 2),
    ]
    assert "sup_sk_made_up" not in str(logs) + str(seen) + repr(client)
