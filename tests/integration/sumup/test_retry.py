"""Asking again: when, how often, how long, and when no more."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer
from paypoll.sumup.client import SumUpClient

if TYPE_CHECKING:
    import socket

    from tests.integration.sumup.conftest import Asked, FaultyServer, MakeClient, ManualClock

    from paypoll.sumup.retry import RequestSeen

CHECKOUT = {"id": "co-1", "status": "PENDING"}
LONG = 10.0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_read_checkout_passing_trouble_is_asked_again_with_growing_pauses(
    server: "FaultyServer", client: SumUpClient, clock: "ManualClock", status: int
) -> None:
    server.says(server.http(status), server.http(status), server.json(CHECKOUT))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert len(server.asked) == 3
    first, second = clock.slept
    assert 0.5 <= first <= 1.0 <= second <= 1.5


def test_read_checkout_lasting_trouble_is_no_answer_after_the_tries(
    server: "FaultyServer", client: SumUpClient
) -> None:
    server.says(server.http(502, b"<html>bad gateway</html>"))
    assert client.read_checkout("co-1", "MC1") == NoAnswer("SumUp answered 502 (tries: 3)")
    assert len(server.asked) == 3


def test_read_checkout_budget_spent_is_not_asked_again(server: "FaultyServer", make_client: "MakeClient") -> None:
    server.says(server.http(503, Retry_After="20"))
    client = make_client(tries=9, retry_budget=50, retry_after_cap=30)
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    # At 0, 20 and 40 seconds; the next would be at 60.
    assert len(server.asked) == 3


@pytest.mark.parametrize(("retry_after", "slept"), [("7", 7.0), ("0007", 7.0), ("9999999999999", 30.0), ("date", 12.0)])
def test_read_checkout_retry_after_is_obeyed_up_to_the_cap(
    server: "FaultyServer", client: SumUpClient, clock: "ManualClock", retry_after: str, slept: float
) -> None:
    if retry_after == "date":
        retry_after = format_datetime(clock.now() + timedelta(seconds=12), usegmt=True)
    server.says(server.http(429, Retry_After=retry_after), server.json(CHECKOUT))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert clock.slept == [slept]


@pytest.mark.parametrize(
    "retry_after", ["", "-5", "soon", "1.5", "²", "Thu, 99 Foo 2026", "Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_read_checkout_retry_after_that_makes_no_sense_is_ignored(
    server: "FaultyServer", client: SumUpClient, clock: "ManualClock", retry_after: str
) -> None:
    server.says(server.http(429, Retry_After=retry_after), server.json(CHECKOUT))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert len(clock.slept) == 1
    assert clock.slept[0] <= 1.0


def test_retry_after_of_one_call_makes_the_others_wait_too(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    server.says(server.http(429, Retry_After="20"), server.json(CHECKOUT))
    client = make_client(tries=1)
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert clock.slept == []
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert clock.slept == [20.0]


def test_close_checkout_answer_lost_is_asked_again(server: "FaultyServer", client: SumUpClient) -> None:
    def hang_up(connection: "socket.socket") -> None:
        connection.close()

    server.says(hang_up, server.json(CHECKOUT | {"status": "EXPIRED"}))
    assert isinstance(client.close_checkout("co-1", "MC1"), Found)
    assert [asked.method for asked in server.asked] == ["DELETE", "DELETE"]


def test_requests_of_a_run_keep_to_the_rate(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    server.says(server.json(CHECKOUT))
    client = make_client(requests_per_second=2)
    for _ in range(4):
        client.read_checkout("co-1", "MC1")
    assert clock.seconds == 1.5


def test_stop_before_a_request_sends_none(server: "FaultyServer", client: SumUpClient, clock: "ManualClock") -> None:
    server.says(server.json(CHECKOUT))
    clock.stopping = True
    assert client.read_checkout("co-1", "MC1") == NoAnswer("stopped")
    assert server.asked == []


def test_stop_while_waiting_for_the_next_try_ends_the_call_and_blames_nobody(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    def told_to_stop_in_the_long_pause(seconds: float) -> bool:
        clock.sleep(seconds)
        return seconds >= 0.1

    server.says(server.http(503))
    client = make_client(breaker_after=1, wait=told_to_stop_in_the_long_pause)
    assert client.read_checkout("co-1", "MC1") == NoAnswer("stopped")
    assert len(server.asked) == 1
    assert not client.breaker.open


def test_breaker_calls_without_an_answer_give_sumup_up_for_the_run(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    server.says(server.http(500))
    client = make_client(breaker_after=3, tries=2)
    for _ in range(3):
        assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert client.breaker.open
    given_up = NoAnswer("SumUp is not answering; not asked again in this run")
    assert client.read_checkout("co-1", "MC1") == given_up
    assert client.find_checkouts("ORD-1", "MC1") == given_up
    assert client.read_transaction("tx-1", "MC1") == given_up
    assert client.close_checkout("co-1", "MC1") == given_up
    assert len(server.asked) == 6


def test_breaker_an_answer_in_between_starts_the_count_anew(server: "FaultyServer", make_client: "MakeClient") -> None:
    lost, missing = server.http(500), server.json({"error_code": "NOT_FOUND"}, status=404)
    server.says(lost, lost, missing, lost, lost, missing)
    client = make_client(breaker_after=3, tries=1)
    for _ in range(6):
        client.read_checkout("co-1", "MC1")
    assert not client.breaker.open


def test_breaker_unusable_answers_neither_count_nor_excuse(server: "FaultyServer", make_client: "MakeClient") -> None:
    lost, odd = server.http(500), server.http(200, b"<html>")
    server.says(odd, odd, odd, lost, odd, lost)
    client = make_client(breaker_after=2, tries=1)
    open_after = []
    for _ in range(6):
        client.read_checkout("co-1", "MC1")
        open_after.append(client.breaker.open)
    assert open_after == [False] * 5 + [True]


def test_breaker_opened_by_others_ends_the_tries_of_a_call_under_way(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    client = make_client(tries=9, breaker_after=1)

    def answer(_: "Asked") -> bytes:
        client.breaker.lost()
        return server.http(500)

    server.answer = answer
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, NoAnswer)
    assert "not asked again" in look.detail
    assert len(server.asked) == 1


def test_breaker_open_a_call_does_not_even_wait_for_its_turn(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    server.says(server.http(429, Retry_After="20"))
    client = make_client(tries=1, breaker_after=1)
    client.read_checkout("co-1", "MC1")
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert (len(server.asked), clock.slept) == (1, [])


def test_breaker_opened_while_a_call_waits_for_its_turn_ends_it(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    def others_get_no_answer(_: float) -> bool:
        client.breaker.lost()
        return False

    server.says(server.json(CHECKOUT))
    client = make_client(breaker_after=1, wait=others_get_no_answer)
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert server.asked == []


def test_client_many_threads_never_more_in_flight_than_allowed(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    lock, running, most = threading.Lock(), 0, 0
    # All places are taken at least once, or the test would prove nothing.
    full = threading.Barrier(4)

    def answer(asked: "Asked") -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait(LONG)
        with lock:
            running -= 1
        return server.json({"id": asked.path.rpartition("/")[2], "status": "PENDING"})

    server.answer = answer
    seen: list[RequestSeen] = []
    client = make_client(parallel_requests=4, seen=seen)
    ids = [f"co-{number}" for number in range(40)]
    with ThreadPoolExecutor(12) as pool:
        looks = list(pool.map(lambda checkout_id: client.read_checkout(checkout_id, "MC1"), ids))
    assert [look.value.id for look in looks if isinstance(look, Found)] == ids
    assert most == 4
    assert len(seen) == 40


def test_client_connection_is_kept_for_the_next_request_of_whatever_thread(
    server: "FaultyServer", client: SumUpClient
) -> None:
    body = b'{"id": "co-1", "status": "PENDING"}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    requests: list[bytes] = []

    def serve(connection: "socket.socket") -> None:
        connection.sendall(head + body)
        requests.append(connection.recv(65_536))
        connection.sendall(head + body)

    server.says(serve)
    for _ in range(2):
        # A pool of its own for each: its thread ends before the next begins.
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(client.read_checkout, "co-1", "MC1").result(), Found)
    assert len(server.asked) == 1
    assert requests[0].startswith(b"GET /v0.1/checkouts/co-1 ")


def test_client_kept_connection_that_was_closed_meanwhile_is_replaced(
    server: "FaultyServer", client: SumUpClient
) -> None:
    body = b'{"id": "co-1", "status": "PENDING"}'
    # No "Connection: close": the client is left to find out.
    server.says(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    for _ in range(3):
        assert isinstance(client.read_checkout("co-1", "MC1"), Found)


def test_client_closed_can_be_closed_again_and_used_again(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.json(CHECKOUT))
    client.close()
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    client.close()
    client.close()


def test_oversized_answer_is_not_asked_again(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.http(500, b" " * 1_048_577))
    assert isinstance(client.read_checkout("co-1", "MC1"), BrokenAnswer)
    assert len(server.asked) == 1
