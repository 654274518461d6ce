"""What can be made to go wrong, seen from a client on the other end of a real connection."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, JSONDecodeError, ReadTimeout

from paypoll.sandbox.sumup import effects
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import KEY, LONG, MERCHANT, OTHER_MERCHANT, Client, MakeClient, MovableClock

LIST = "/v0.1/checkouts"


@contextmanager
def asking(client: Client, path: str) -> Iterator[threading.Thread]:
    """Ask in another thread, whatever comes of it."""

    def ask() -> None:
        with pytest.raises(requests.RequestException):
            client.get(path)

    thread = threading.Thread(target=ask)
    thread.start()
    yield thread
    thread.join(LONG)
    assert not thread.is_alive()


def connection_of(answer: requests.Response) -> socket.socket:
    connection = answer.raw.connection
    assert connection is not None
    assert isinstance(connection.sock, socket.socket)
    return connection.sock


def test_keep_alive_many_requests_use_one_connection(sim: Simulator, checkout: str) -> None:
    del checkout
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        ports = set()
        for _ in range(3):
            with session.get(sim.url + LIST, timeout=LONG, stream=True) as answer:
                ports.add(connection_of(answer).getsockname()[1])
                assert len(answer.json()) == 1

    assert len(ports) == 1


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504, 520])
def test_status_answers_with_it(sim: Simulator, client: Client, status: int) -> None:
    sim.fault(effects.Status(status))

    answer = client.get(LIST)

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("after", "header"),
    [(5, "5"), (2.5, "2.5"), (datetime(2026, 5, 1, 12, 1, tzinfo=UTC), "Fri, 01 May 2026 12:01:00 GMT")],
)
def test_status_429_says_when_to_come_back(
    sim: Simulator, client: Client, after: float | datetime, header: str
) -> None:
    sim.fault(effects.Status(429, retry_after=after))

    assert client.get(LIST).headers["Retry-After"] == header


def test_html_and_blocked_are_pages(sim: Simulator, client: Client) -> None:
    for effect, status, text in (
        (effects.Html(502), 502, "Bad Gateway"),
        (effects.Html(), 200, "OK"),
        (effects.Blocked(), 403, "request-blocked"),
    ):
        with sim.fault(effect):
            answer = client.get(LIST)
        assert answer.status_code == status
        assert text in answer.text
        assert answer.headers["Content-Type"].startswith("text/html")


def test_blocked_as_problem_names_its_type(sim: Simulator, client: Client) -> None:
    sim.fault(effects.Blocked(html=False))

    assert client.get(LIST).json()["type"].endswith("/request-blocked")


def test_redirect_leads_away(sim: Simulator, client: Client) -> None:
    sim.fault(effects.Redirect("http://elsewhere.example/v0.1/checkouts", 307))

    answer = client.get(LIST)

    assert (answer.status_code, answer.headers["Location"]) == (307, "http://elsewhere.example/v0.1/checkouts")


def test_reset_breaks_the_connection(sim: Simulator, client: Client) -> None:
    sim.fault(effects.Reset(), times=1)

    with pytest.raises(requests.ConnectionError) as caught:
        client.get(LIST)

    assert "Connection reset by peer" in str(caught.value)
    assert [seen.status for seen in sim.requests] == [None]
    assert client.get(LIST).status_code == 200


def test_hang_lasts_until_the_client_gives_up(sim: Simulator, client: Client) -> None:
    client.patience = 0.1
    sim.fault(effects.Hang())

    with pytest.raises(ReadTimeout):
        client.get(LIST)

    sim.journal.wait_until(lambda journal: journal.in_flight == 0)
    assert sim.requests[0].status is None


def test_hang_cleared_lets_go(sim: Simulator, client: Client) -> None:
    fault = sim.fault(effects.Hang())
    with asking(client, LIST):
        sim.journal.wait_until(lambda journal: journal.in_flight == 1)
        fault.clear()

    assert client.get(LIST).status_code == 200


def test_close_lets_go_of_what_hangs(clock: MovableClock) -> None:
    sim = Simulator(clock=clock)
    sim.start()
    sim.fault(effects.Hang())
    client = Client(sim.url)
    with asking(client, LIST):
        sim.journal.wait_until(lambda journal: journal.in_flight == 1)
        sim.close()
    client.session.close()


def test_truncated_announces_more_than_comes(sim: Simulator, client: Client, checkout: str) -> None:
    sim.fault(effects.Truncated())

    with pytest.raises(ChunkedEncodingError):
        client.get(f"{LIST}/{checkout}")


def test_oversized_is_true_but_long(sim: Simulator, client: Client, checkout: str) -> None:
    sim.fault(effects.Oversized())

    answer = client.get(f"{LIST}/{checkout}")

    assert len(answer.content) == 3 * 1024 * 1024
    assert answer.json()["id"] == checkout


def test_invalid_json_cannot_be_read(sim: Simulator, client: Client) -> None:
    sim.fault(effects.InvalidJson())

    with pytest.raises(JSONDecodeError):
        client.get(LIST).json()


def test_wrong_type_swaps_list_and_object(sim: Simulator, client: Client, checkout: str) -> None:
    sim.fault(effects.WrongType())

    assert client.get(LIST).json() == {}
    assert client.get(f"{LIST}/{checkout}").json() == []


def test_unknown_status_stands_in_read_and_list(sim: Simulator, client: Client, checkout: str) -> None:
    sim.fault(effects.UnknownStatus("ON_ITS_WAY"))

    one = client.get(f"{LIST}/{checkout}")

    assert one.json()["status"] == "ON_ITS_WAY"
    assert b'"amount":10.10' in one.content
    assert [found["status"] for found in client.get(LIST).json()] == ["ON_ITS_WAY"]


def test_unknown_status_of_a_broken_answer_leaves_it(sim: Simulator, client: Client, checkout: str) -> None:
    sim.tamper_body(checkout, b"{")
    sim.fault(effects.UnknownStatus())

    assert client.get(f"{LIST}/{checkout}").content == b"{"


def test_drip_comes_byte_by_byte_and_whole(sim: Simulator, client: Client, checkout: str) -> None:
    sim.fault(effects.Drip(pause=0.0005))

    begun = time.monotonic()
    answer = client.get(f"{LIST}/{checkout}")

    assert answer.json()["id"] == checkout
    assert time.monotonic() - begun >= 0.0005 * len(answer.content)


def test_drip_given_up_ends_the_request(sim: Simulator, client: Client) -> None:
    sim.fault(effects.Drip(pause=0.02))
    with client.session.get(sim.url + LIST, timeout=LONG, stream=True) as answer:
        answer.raw.read(1)
        connection_of(answer).close()

    client.session.close()
    sim.journal.wait_until(lambda journal: journal.in_flight == 0)


def test_latency_comes_on_top_of_another_fault(sim: Simulator, client: Client) -> None:
    latency = sim.fault(effects.Latency(0.15))
    sim.fault(effects.Status(503), times=1)

    begun = time.monotonic()
    statuses = [client.get(LIST).status_code for _ in range(2)]

    assert time.monotonic() - begun >= 0.3
    assert statuses == [503, 200]
    assert latency.hits == 2


def test_latency_cleared_answers_at_once(sim: Simulator, client: Client) -> None:
    fault = sim.fault(effects.Latency(3600))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, LIST)
        sim.journal.wait_until(lambda journal: journal.in_flight == 1)
        fault.clear()
        assert answer.result(LONG).status_code == 200


def test_fault_meets_only_its_method_and_path(sim: Simulator, client: Client, checkout: str) -> None:
    fault = sim.fault(effects.Status(500), method="DELETE", path="/v0.1/checkouts/*")

    assert client.get(f"{LIST}/{checkout}").status_code == 200
    assert fault.hits == 0
    assert client.delete(f"{LIST}/{checkout}").status_code == 500
    assert fault.hits == 1
    assert sim.checkout(checkout).status == "PENDING"


def test_fault_next_n_requests_only(sim: Simulator, client: Client) -> None:
    fault = sim.fault(effects.Status(503), times=2)

    assert [client.get(LIST).status_code for _ in range(4)] == [503, 503, 200, 200]
    assert fault.hits == 2


def test_fault_cleared_is_over(sim: Simulator, client: Client) -> None:
    with sim.fault(effects.Status(503)):
        assert client.get(LIST).status_code == 503
    sim.fault(effects.Status(500))
    sim.faults.clear()

    assert client.get(LIST).status_code == 200
    assert sim.faults.all() == ()


def test_fault_by_chance_falls_the_same_for_the_same_seed(sim: Simulator, client: Client) -> None:
    def statuses(seed: int) -> list[int]:
        with sim.fault(effects.Status(503), probability=0.5, seed=seed):
            return [client.get(LIST).status_code for _ in range(20)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 503}


@pytest.mark.parametrize(("processed", "status"), [(True, "EXPIRED"), (False, "PENDING")])
def test_reset_delete_is_carried_out_only_if_processed(
    sim: Simulator, client: Client, checkout: str, processed: bool, status: str
) -> None:
    sim.fault(effects.Reset(), processed=processed)

    with pytest.raises(requests.ConnectionError):
        client.delete(f"{LIST}/{checkout}")

    assert sim.checkout(checkout).status == status


def test_processed_refresh_whose_answer_is_lost_burns_the_token(sim: Simulator, client: Client) -> None:
    sim.keyring.rotate = True
    sim.add_client("c", "s", MERCHANT)
    form = {"grant_type": "refresh_token", "client_id": "c", "client_secret": "s"}
    token = sim.connect_merchant(OTHER_MERCHANT, "c")
    with sim.fault(effects.Status(504), path="/token", processed=True):
        assert client.submit("/token", **form, refresh_token=token).status_code == 504

    assert client.submit("/token", **form, refresh_token=token).json()["error"] == "invalid_grant"


def test_log_counts_what_is_under_way_at_once(sim: Simulator, make_client: MakeClient) -> None:
    fault = sim.fault(effects.Latency(3600))
    clients = [make_client() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(client.get, LIST) for client in clients]
        sim.journal.wait_until(lambda journal: journal.in_flight == 5)
        fault.clear()
        assert {answer.result(LONG).status_code for answer in answers} == {200}

    assert sim.max_in_flight == 5
    assert sorted(seen.in_flight for seen in sim.requests) == [1, 2, 3, 4, 5]


def test_log_one_after_the_other_is_never_two_at_once(sim: Simulator, make_client: MakeClient) -> None:
    # Each from a new connection, as fast as it goes: a request must have ended before its answer is known.
    for _ in range(100):
        make_client().get(LIST)

    assert sim.max_in_flight == 1
    assert sim.count() == 100


def test_log_tells_method_path_status_and_seconds(
    sim: Simulator, client: Client, clock: MovableClock, checkout: str
) -> None:
    fault = sim.fault(effects.Latency(3600))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, LIST, checkout_reference="ORD-1")
        sim.journal.wait_until(lambda journal: journal.in_flight == 1)
        assert (sim.requests[0].status, sim.requests[0].seconds) == (None, None)
        clock.move(seconds=4)
        fault.clear()
        answer.result(LONG)
    client.delete(f"{LIST}/{checkout}")

    first, second = sim.requests
    assert (first.method, first.path, first.query) == ("GET", LIST, "checkout_reference=ORD-1")
    assert (first.status, first.seconds, first.merchant_code) == (200, 4.0, MERCHANT)
    assert (second.method, second.status) == ("DELETE", 200)
    assert sim.count(method="DELETE", path=f"{LIST}/*") == 1
    assert (sim.count(status=200), sim.count(status=404)) == (2, 0)


def test_reset_log_forgets(sim: Simulator, client: Client) -> None:
    client.get(LIST)

    sim.reset_log()

    assert (sim.requests, sim.max_in_flight) == ((), 0)


def test_wait_until_what_never_comes_times_out(sim: Simulator) -> None:
    with pytest.raises(TimeoutError):
        sim.journal.wait_until(lambda journal: journal.count() == 1, timeout=0.01)


def test_ledger_from_many_threads_pays_each_once(sim: Simulator) -> None:
    ids = [sim.create_checkout(reference=f"R{n}", amount=Decimal(1), merchant_code=MERCHANT) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sim.pay, ids))

    codes = {payment.code for payment in (sim.checkout(checkout).payment for checkout in ids) if payment}
    assert len(codes) == 40


def test_constructor_other_than_loopback_is_refused() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host="0.0.0.0")  # noqa: S104 - to be refused


def test_start_on_a_taken_port_is_an_error(sim: Simulator) -> None:
    port = int(sim.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Simulator(port=port).start()


def test_oversized_request_is_413(client: Client) -> None:
    answer = client.session.post(client.url + LIST, data=b" " * (1024 * 1024 + 1), timeout=LONG)

    assert answer.status_code == 413


def test_close_hangs_up_in_the_middle_of_a_long_answer(clock: MovableClock) -> None:
    sim = Simulator(clock=clock)
    sim.add_merchant(MERCHANT, KEY)
    sim.start()
    sim.fault(effects.Oversized(size=64 * 1024 * 1024))
    client = Client(sim.url)
    with client.session.get(sim.url + LIST, timeout=LONG, stream=True, headers={"Authorization": f"Bearer {KEY}"}):
        sim.close()
    client.session.close()

    assert sim.count() == 1
