"""The request for a refund, the one that gives money away: what arrives, how often, and what each answer means."""

import socket
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from paypoll.payments.gateway import (
    Accepted,
    BrokenAnswer,
    NoAnswer,
    NotAllowed,
    NotFound,
    NotSent,
    Refunding,
    RefundRefused,
)
from paypoll.sumup.auth import ClientCredentials
from paypoll.sumup.client import SumUpClient

if TYPE_CHECKING:
    from tests.integration.sumup.conftest import FaultyServer, MakeClient, ManualClock

PAGE = b"<html>bad gateway</html>"
PROBLEM = {"type": "https://developer.sumup.com/problem/conflict", "title": "Conflict"}


def reset(connection: socket.socket) -> None:
    """End the connection so that the other side is told of a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def refund(client: SumUpClient, amount: str = "12.50", currency: str = "GBP") -> Refunding:
    """Ask for a refund."""
    return client.refund("txn-1", "MC1", Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amount", "currency", "body"), [("12.5", "GBP", b'{"amount": 12.50}'), ("1250", "JPY", b'{"amount": 1250}')]
)
def test_refund_asks_for_the_amount_in_major_units_to_the_last_digit(
    server: "FaultyServer", client: SumUpClient, amount: str, currency: str, body: bytes
) -> None:
    server.says(server.json({}, status=201))
    assert refund(client, amount, currency) == Accepted()
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1.0/merchants/MC1/payments/txn-1/refunds")
    assert (asked.body, asked.headers["content-type"]) == (body, "application/json")


@pytest.mark.parametrize("status", [103, 408, 500, 502, 503, 504])
def test_refund_without_an_answer_that_tells_is_sent_once(
    server: "FaultyServer", client: SumUpClient, status: int
) -> None:
    server.says(server.json(PROBLEM, status=status, Retry_After="1"))
    assert isinstance(refund(client), NoAnswer)
    assert len(server.asked) == 1


def test_refund_whose_connection_breaks_is_sent_once(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(reset)
    assert isinstance(refund(client), NoAnswer)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefundRefused),
        (409, RefundRefused),
        (422, RefundRefused),
        (429, RefundRefused),
        (404, NotFound),
        (401, NotAllowed),
        (403, NotAllowed),
    ],
)
def test_refund_that_sumup_refuses_gave_nothing_back(
    server: "FaultyServer", client: SumUpClient, status: int, kind: type[Refunding]
) -> None:
    server.says(server.json(PROBLEM, status=status))
    assert isinstance(refund(client), kind)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [302, 400, 404, 409, 422, 429])
def test_refund_that_somebody_else_answers_proves_nothing(
    server: "FaultyServer", client: SumUpClient, status: int
) -> None:
    server.says(server.http(status, PAGE, Location="http://127.0.0.1:9/"))
    assert isinstance(refund(client), BrokenAnswer)
    assert len(server.asked) == 1


def test_refund_with_a_token_that_is_refused_is_sent_again_with_a_new_one(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    tokens = [server.json({"access_token": f"token-{n}", "expires_in": 3599}) for n in (1, 2)]
    server.says(tokens[0], server.json(PROBLEM, status=401), tokens[1], server.json({}, status=201))
    assert refund(make_client(credential=ClientCredentials("client-1", "secret", clock))) == Accepted()
    assert [asked.headers.get("authorization") for asked in server.asked][1::2] == ["Bearer token-1", "Bearer token-2"]


def test_refund_for_which_there_is_no_connection_was_not_sent(make_client: "MakeClient", clock: "ManualClock") -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nowhere = make_client(base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert isinstance(refund(nowhere), NotSent)
    clock.stopping = True
    assert isinstance(refund(make_client()), NotSent)


def test_refund_that_a_firewall_blocks_was_not_sent_on(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.http(403, PAGE))
    assert isinstance(refund(client), NotSent)


def test_refund_of_what_is_no_plain_token_is_not_asked_for(server: "FaultyServer", client: SumUpClient) -> None:
    for transaction, merchant in (("../x", "MC1"), ("", "MC1"), ("txn-1", "M/C")):
        assert isinstance(client.refund(transaction, merchant, Decimal(1), "GBP"), NotSent)
    assert server.asked == []
