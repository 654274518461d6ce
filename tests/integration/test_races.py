"""Two runs at once, and a shop that works meanwhile: the lease, the row lock, and deciding again under it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

import paypoll.runs.apply
import paypoll.runs.load
import paypoll.shop.accounts
import paypoll.state.watches
from paypoll.app import App
from paypoll.database import transaction
from paypoll.payments.decision import Reason
from paypoll.payments.gateway import CheckoutAnswer, Found, Look
from paypoll.payments.order import Account, Order
from paypoll.runs.record import record_run
from paypoll.runs.report import RunReport
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.settings.load import load_settings
from paypoll.shop.accounts import accounts_with
from paypoll.shop.capacity import with_places_taken
from paypoll.state.tables import outbox, watch
from paypoll.testing import NOW, FakeGateway, an_attempt

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

ORDERS = 60


@pytest.fixture
def apps(bench: "Bench", settings_file: Path) -> Iterator[Callable[[], App]]:
    """Other hosts that run paypoll on the same database, SumUp and mail server."""
    made: list[App] = []

    def make() -> App:
        app = App(load_settings(settings_file, {}), clock=bench.clock)
        app.gateway, app.printer, app.mailer = bench.gateway, bench.printer, bench.mailer
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def run_together(apps: list[App], *orders: int) -> list[RunReport]:
    """Let several hosts run paypoll at once, over what is due or each over its own one of the orders."""
    start = threading.Barrier(len(apps))
    reports: list[RunReport] = []

    def run(app: App, *only: int) -> None:
        start.wait(timeout=10)
        reports.append(record_run(app, "run-once", only=only))

    shares: list[tuple[int, ...]] = [(order,) for order in orders] or [()] * len(apps)
    threads = [threading.Thread(target=run, args=(app, *only)) for app, only in zip(apps, shares, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(reports) == len(apps)
    return reports


class Meddler(FakeGateway):
    """A SumUp during whose answer something happens in the shop."""

    def __init__(self, plain: FakeGateway, deed: Callable[[], None]) -> None:
        super().__init__(plain.checkouts, plain.transactions)
        self._deed: Callable[[], None] | None = deed

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        if self._deed is not None:
            self._deed()
            self._deed = None
        return super().read_checkout(checkout_id, merchant_code)


def test_row_40_runs_at_once_share_the_work_and_nothing_is_done_twice(
    bench: "Bench", shop: SmallShop, place: "Place", apps: Callable[[], App]
) -> None:
    for number in range(ORDERS):
        place(f"ORD-{number}")
    reports = run_together([apps() for _ in range(4)])
    assert sum(report.counts()["tickets"] for report in reports) == 2 * ORDERS
    assert sum(len(report.order_errors) for report in reports) == 0
    assert len(shop.rows("events_ticket")) == 2 * ORDERS
    assert {order["status"] for order in shop.rows("orders_order")} == {"completed"}
    assert len(bench.mailer.sent) == ORDERS
    assert len({message["Message-ID"] for message, _ in bench.mailer.sent}) == ORDERS


@pytest.mark.parametrize(
    ("status", "told"),
    [("cancelled", 1), ("refunded", 1), ("completed", 1), ("requires_manual_review", 1), ("processing", 1)],
)
def test_row_26_order_changed_between_answer_and_transaction_keeps_its_new_status(
    bench: "Bench", shop: SmallShop, place: "Place", status: str, told: int
) -> None:
    order_id = place("ORD-1")
    bench.app.gateway = Meddler(bench.gateway, lambda: shop.update("orders_order", order_id, status=status))
    record_run(bench.app, "run-once")
    assert shop.row("orders_order", order_id)["status"] == status
    assert shop.rows("events_ticket") == []
    assert len([message for message, _ in bench.mailer.sent if "CRITICAL" in message["Subject"]]) == told


def test_total_changed_between_answer_and_transaction_waits_and_then_goes_to_review(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1")
    bench.app.gateway = Meddler(bench.gateway, lambda: shop.update("orders_order", order_id, total=Decimal("50.00")))
    record_run(bench.app, "run-once")
    assert shop.rows("events_ticket") == []
    record_run(bench.app, "run-once")
    assert shop.row("orders_order", order_id)["status"] == "requires_manual_review"
    assert shop.rows("events_ticket") == []


def test_lease_lost_while_asking_leaves_the_order_to_the_other_run(
    bench: "Bench", shop: SmallShop, place: "Place", apps: Callable[[], App]
) -> None:
    order_id = place("ORD-1")
    other = apps()

    def take_over() -> None:
        bench.clock.move(timedelta(minutes=4))  # longer than the lease
        record_run(other, "run-once")

    bench.app.gateway = Meddler(bench.gateway, take_over)
    report = record_run(bench.app, "run-once")
    assert report.taken_over == 1
    assert len(shop.rows("events_ticket", order_id=order_id)) == 2
    assert len(bench.mailer.sent) == 1


def test_order_of_a_killed_run_is_taken_up_when_its_lease_is_over(
    bench: "Bench", shop: SmallShop, place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1")

    def die() -> None:
        raise KeyboardInterrupt

    plain = bench.app.gateway
    bench.app.gateway = Meddler(bench.gateway, die)
    with pytest.raises(KeyboardInterrupt):
        record_run(bench.app, "run-once")
    bench.app.gateway = plain
    with transaction(engine) as connection:
        assert connection.scalar(sa.select(watch.c.lease_run)) is not None
    assert record_run(bench.app, "run-once").applied == []
    bench.clock.move(timedelta(minutes=5))
    record_run(bench.app, "run-once")
    assert shop.row("orders_order", order_id)["status"] == "completed"


def test_payment_shown_for_two_orders_fulfils_one_of_them(bench: "Bench", shop: SmallShop, place: "Place") -> None:
    """The second order's own checkout claims the same transaction: SumUp gone mad, or somebody clever."""
    first, second = place("ORD-1"), place("ORD-2")
    look = bench.gateway.checkouts["chk-ORD-2"]
    assert isinstance(look, Found)
    stolen = replace(look.value, transaction_id="txn-ORD-1", attempts=(an_attempt(id="txn-ORD-1"),))
    bench.gateway.checkouts["chk-ORD-2"] = Found(stolen)
    record_run(bench.app, "run-once")
    statuses = {shop.row("orders_order", order_id)["status"] for order_id in (first, second)}
    assert statuses == {"completed", "requires_manual_review"}
    assert len(shop.rows("events_ticket")) == 2


def test_row_25a_stale_copy_saved_by_the_shop_is_healed(
    bench: "Bench", shop: SmallShop, place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1")
    stale = shop.row("orders_order", order_id)
    record_run(bench.app, "run-once")
    written = shop.row("orders_order", order_id)
    shop.update("orders_order", order_id, **{key: value for key, value in stale.items() if key != "id"})
    bench.clock.move(timedelta(minutes=5))
    record_run(bench.app, "run-once")
    healed = shop.row("orders_order", order_id)
    for column in ("status", "is_paid", "paid_at", "transaction_id"):
        assert healed[column] == written[column]
    assert len(shop.rows("events_ticket")) == 2
    with transaction(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(outbox)) == 1


@pytest.mark.parametrize(
    ("is_locked", "patience", "ends", "tickets"),
    [
        pytest.param(True, 1.0, ["completed", "requires_manual_review"], 2, id="as it is"),
        pytest.param(False, 30.0, ["completed", "completed"], 4, id="control: without the lock"),
    ],
)
def test_row_20_two_late_payments_do_not_both_take_the_last_places_thanks_to_the_events_lock(
    shop: SmallShop,
    place: "Place",
    apps: Callable[[], App],
    monkeypatch: pytest.MonkeyPatch,
    is_locked: bool,
    patience: float,
    ends: list[str],
    tickets: int,
) -> None:
    """Two runs, each with one of the orders, meet when both have counted; with the lock they cannot."""
    late = [place("ORD-1", status="failed"), place("ORD-2", status="expired")]
    shop.update("events_event", shop.rows("events_event")[0]["id"], capacity=3)
    both = threading.Barrier(2)

    def count_and_meet(order: Order, taken: Mapping[int, int]) -> Order:
        counted = with_places_taken(order, taken)
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=patience)
        return counted

    monkeypatch.setattr(paypoll.runs.load, "with_places_taken", count_and_meet)
    if not is_locked:
        monkeypatch.setattr(paypoll.runs.load, "lock_events", lambda *_: None)
        monkeypatch.setattr(paypoll.state.watches, "_HOLD_WITH_HALLS", paypoll.state.watches._HOLD)
    run_together([apps(), apps()], *late)
    assert sorted(order["status"] for order in shop.rows("orders_order")) == ends
    assert len(shop.rows("events_ticket")) == tickets


@pytest.mark.parametrize(
    ("is_locked", "patience", "made"),
    [
        pytest.param(True, 1.0, 1, id="as it is"),
        pytest.param(False, 30.0, 2, id="control: without the lock"),
    ],
)
def test_row_27_two_orders_of_one_new_guest_in_two_runs_make_one_account_thanks_to_the_guests_lock(
    shop: SmallShop,
    place: "Place",
    apps: Callable[[], App],
    monkeypatch: pytest.MonkeyPatch,
    is_locked: bool,
    patience: float,
    made: int,
) -> None:
    """The orders are for two events, whose locks keep nobody apart, and spell the address in two ways."""
    orders = [place("ORD-1", email="New.Guest@example.org")]
    place.event = shop.add_event(shop.rows("accounts_user")[0]["id"], "Spring Concert", starts=NOW + timedelta(days=90))
    orders.append(place("ORD-2", email="new.guest@Example.org"))
    both = threading.Barrier(2)

    def look_and_meet(connection: sa.Connection, emails: Iterable[str]) -> list[Account]:
        found = accounts_with(connection, emails)
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=patience)
        return found

    monkeypatch.setattr(paypoll.shop.accounts, "accounts_with", look_and_meet)
    if not is_locked:
        monkeypatch.setattr(paypoll.shop.accounts, "_LOCK_GUEST", sa.select(sa.bindparam("guest")))
    run_together([apps(), apps()], *orders)
    accounts = [row for row in shop.rows("accounts_user") if row["email"].lower() == "new.guest@example.org"]
    assert len(accounts) == made
    rows = shop.rows("orders_order")
    assert [row["status"] for row in rows] == ["completed", "completed"]
    assert {row["user_id"] for row in rows} == {account["id"] for account in accounts}


def test_row_40_waiting_order_is_not_handed_to_and_fro_between_runs_at_once(
    bench: "Bench", place: "Place", apps: Callable[[], App]
) -> None:
    """Each look at a waiting order leaves it due: without the bound, two runs would go on until their time is up."""
    for number in range(3):
        place(f"ORD-{number}", "PENDING")

    class Slow(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            bench.clock.move(timedelta(seconds=1))
            return super().read_checkout(checkout_id, merchant_code)

    bench.gateway = bench.app.gateway = Slow(bench.gateway.checkouts, bench.gateway.transactions)
    reports = run_together([bench.app, apps(), apps()])
    looks = [applied.order_number for report in reports for applied in report.applied]
    assert set(looks) == {"ORD-0", "ORD-1", "ORD-2"}
    # On a busy machine a run may begin after another's looks, and then takes one of its own: never more than that.
    assert len(looks) <= 3 * len(reports)
    assert len(record_run(bench.app, "run-once").applied) == 3


@pytest.mark.parametrize("status", ["pending", "pending_verification"])
def test_row_48_order_that_the_shop_changes_while_sumup_is_asked_is_counted_before_it_goes_to_review(
    bench: "Bench", engine: sa.Engine, place: "Place", status: str
) -> None:
    """A basket of which SumUp knows nothing is no matter for the brake, until its customer comes back."""
    for number in range(4):
        place(f"ORD-{number}", status="pending_verification")
    last = place("ORD-LAST", status=status)
    bench.gateway.checkouts.clear()

    class ComesBack(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            if checkout_id == "chk-ORD-LAST":
                with transaction(engine) as connection:
                    query = "UPDATE orders_order SET status = 'pending_verification' WHERE id = :id"
                    connection.execute(sa.text(query), {"id": last})
            return super().read_checkout(checkout_id, merchant_code)

    bench.gateway = bench.app.gateway = ComesBack(bench.gateway.checkouts, bench.gateway.transactions)
    for _ in range(2):
        report = record_run(bench.app, "run-once")
        assert report.held_back == 5
        assert {applied.reason for applied in report.applied} == {Reason.HELD_BACK}
        bench.clock.move(timedelta(minutes=10))
