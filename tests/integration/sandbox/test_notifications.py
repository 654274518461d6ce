"""What a shop meets at its return_url: SumUp's notifications, and again when it does not take them."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from paypoll.sandbox.serve import Sandbox, serve
from paypoll.sandbox.sumup.notifications import Form, Notification, Outcome
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import MERCHANT, Client, MovableClock


@dataclass
class Shop:
    """A shop's page on loopback. `answers` are its answers in turn, the last from then on; 0 hangs up."""

    url: str
    answers: list[int] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, body in self.got]


class Page(BaseHTTPRequestHandler):
    shop: ClassVar[Shop]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.shop.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.shop.answers.pop(0) if len(self.shop.answers) > 1 else self.shop.answers[0]
        self.shop.came.set()
        if status:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = False
    Page.shop = Shop(f"http://127.0.0.1:{server.server_address[1]}/pay/return")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Page.shop
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def told(sim: Simulator, shop: Shop) -> str:
    """A checkout whose shop is told of changes in the old form."""
    sim.notifier.form = Form.OLD
    return sim.create_checkout(reference="ORD-1", amount=Decimal("10.10"), merchant_code=MERCHANT, return_url=shop.url)


def last(sim: Simulator) -> Notification:
    return sim.notifications[-1]


def test_notify_paid_in_the_old_form_is_unsigned_and_names_the_checkout_alone(
    sim: Simulator, shop: Shop, told: str
) -> None:
    sim.pay(told)
    assert shop.got == []  # nothing goes out by itself

    assert sim.send_notifications() == 1

    ((headers, body),) = shop.got
    assert json.loads(body) == {"event_type": "CHECKOUT_STATUS_CHANGED", "id": told}
    assert headers["content-type"] == "application/json"
    assert "x-sumup-webhook-signature" not in headers
    assert (last(sim).outcome, last(sim).statuses) == (Outcome.TAKEN, (204,))
    assert sim.send_notifications() == 0


def test_notify_declined_then_paid_is_two_and_a_second_decline_none(sim: Simulator, shop: Shop, told: str) -> None:
    # The first declined card is told while the customer is still typing the second.
    sim.decline(told)
    sim.decline(told)
    sim.pay(told)
    sim.refund(told)

    assert sim.send_notifications() == 2
    assert [body["id"] for body in shop.bodies] == [told, told]


@pytest.mark.parametrize("form", [Form.OLD, Form.BOTH])
def test_notify_expired_or_closed_is_not_told(
    sim: Simulator, client: Client, shop: Shop, clock: MovableClock, form: Form
) -> None:
    one, other = (
        sim.create_checkout(reference=name, amount=Decimal(5), merchant_code=MERCHANT, return_url=shop.url, hosted=True)
        for name in ("A", "B")
    )
    sim.notifier.form = form
    client.delete(f"/v0.1/checkouts/{one}")
    clock.move(hours=1)
    assert client.get(f"/v0.1/checkouts/{other}").json()["status"] == "EXPIRED"

    assert sim.send_notifications() == 0


def test_notify_without_a_return_url_or_turned_off_is_nothing(sim: Simulator, shop: Shop, checkout: str) -> None:
    sim.notifier.form = Form.BOTH
    sim.pay(checkout)
    sim.notifier.form = Form.NONE
    sim.pay(sim.create_checkout(reference="B", amount=Decimal(5), merchant_code=MERCHANT, return_url=shop.url))

    assert sim.notifications == ()


@pytest.mark.parametrize("failure", [500, 404, 302, 0])
def test_notify_not_taken_is_sent_again_after_1_5_20_minutes_and_2_hours_and_then_no_more(
    sim: Simulator, shop: Shop, told: str, clock: MovableClock, failure: int
) -> None:
    shop.answers = [failure]
    sim.pay(told)
    sim.send_notifications()
    for minutes in (1, 5, 20, 120):
        clock.move(minutes=minutes, seconds=-1)
        assert sim.send_notifications() == 0
        clock.move(seconds=1)
        assert sim.send_notifications() == 1
    clock.move(days=2)

    assert sim.send_notifications() == 0
    assert len(shop.got) == 5
    assert len({body for _, body in shop.got}) == 1
    assert (last(sim).outcome, last(sim).statuses) == (Outcome.GIVEN_UP, (failure or None,) * 5)


def test_notify_taken_at_the_second_try_is_not_sent_a_third_time(
    sim: Simulator, shop: Shop, told: str, clock: MovableClock
) -> None:
    shop.answers = [503, 200]
    sim.pay(told)
    sim.send_notifications()
    clock.move(minutes=1)
    sim.send_notifications()
    clock.move(days=1)

    assert sim.send_notifications() == 0
    assert (last(sim).outcome, last(sim).statuses) == (Outcome.TAKEN, (503, 200))


def test_notify_in_the_new_form_tells_each_thing_by_name_and_signs_each_try(
    sim: Simulator, shop: Shop, clock: MovableClock
) -> None:
    sim.notifier.form = Form.NEW
    shop.answers = [500, 500, 204]
    checkout = sim.create_checkout(reference="N", amount=Decimal(5), merchant_code=MERCHANT, return_url=shop.url)
    sim.send_notifications()
    clock.move(minutes=1)
    sim.send_notifications()
    sim.decline(checkout)
    sim.pay(checkout)
    sim.send_notifications()

    kinds = [str(body["type"]) for body in shop.bodies]
    assert kinds == [
        "checkouts.created",
        "checkouts.updated",
        "checkouts.created",
        "checkouts.updated",
        "checkouts.updated",
        "checkouts.failed",
        "checkouts.updated",
        "checkouts.paid",
    ]
    assert shop.bodies[0] == shop.bodies[2]  # the same event, by its id
    assert shop.bodies[0]["object"] == {
        "id": checkout,
        "type": "checkout",
        "url": f"{sim.url}/v0.1/checkouts/{checkout}",
    }
    stamps = [headers["x-sumup-webhook-signature"].partition(",")[0] for headers, _ in shop.got]
    assert stamps[2] == f"t={int(clock.now().timestamp())}"
    assert stamps[0] == f"t={int((clock.now() - timedelta(minutes=1)).timestamp())}"


def test_notify_both_forms_sends_both(sim: Simulator, shop: Shop, told: str) -> None:
    sim.notifier.form = Form.BOTH
    sim.pay(told)
    sim.send_notifications()

    assert [body.get("event_type", body.get("type")) for body in shop.bodies] == [
        "CHECKOUT_STATUS_CHANGED",
        "checkouts.updated",
        "checkouts.paid",
    ]


def test_notify_is_listed_and_sent_by_the_control_api(sim: Simulator, client: Client, shop: Shop, told: str) -> None:
    sim.pay(told)

    assert client.post("/sandbox/notifications/send").json() == {"tries": 1}

    (listed,) = client.get("/sandbox/notifications").json()
    assert (listed["url"], listed["outcome"], listed["statuses"]) == (shop.url, "taken", [204])
    assert len(shop.got) == 1


def test_serve_tells_a_shop_that_made_its_checkout_over_http(shop: Shop, tmp_path: Path) -> None:
    stop = threading.Event()

    class Waiting:
        """Waits for nothing, and ends once the shop was told."""

        def wait(self, timeout: float, /) -> bool:
            del timeout
            return shop.came.is_set() or stop.is_set()

    made: list[str] = []

    def visit(running: Sandbox) -> None:
        client = Client(running.sumup_url, running.api_key)
        body = {"checkout_reference": "R", "amount": 5, "currency": "GBP", "merchant_code": running.merchant_code}
        made.append(client.post("/v0.1/checkouts", body | {"return_url": shop.url}).json()["id"])
        client.post(f"/sandbox/checkouts/{made[0]}/pay")
        client.session.close()

    serve(0, 0, tmp_path, Waiting(), visit, notifications=Form.OLD)

    assert shop.bodies == [{"event_type": "CHECKOUT_STATUS_CHANGED", "id": made[0]}]
