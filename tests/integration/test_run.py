"""One run after the other, on a real PostgreSQL."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.errors import DatabaseUnavailableError
from paypoll.exitcodes import ExitCode
from paypoll.payments.decision import Reason
from paypoll.payments.gateway import CheckoutAnswer, Found, Look, NoAnswer
from paypoll.runs.record import exit_code, record_run
from paypoll.runs.report import RunReport
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.testing import MERCHANT, NOW, FakeGateway, FakeMailer, FakePrinter, an_answer

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


def run(bench: "Bench") -> RunReport:
    return record_run(bench.app, "run-once")


def test_run_paid_order_is_completed_with_tickets_and_one_mail(bench: "Bench", shop: SmallShop, place: "Place") -> None:
    order_id = place("ORD-1")
    report = run(bench)
    order = shop.row("orders_order", order_id)
    assert (order["status"], order["is_paid"], order["transaction_id"]) == ("completed", True, "TCODE1")
    assert order["paid_at"] == NOW - timedelta(minutes=5)
    tickets = shop.rows("events_ticket", order_id=order_id)
    assert len(tickets) == 2
    assert all(ticket["pdf_file"].startswith("tickets/pdfs/ticket_WINTER-CON-") for ticket in tickets)
    ((message, recipients),) = bench.mailer.sent
    assert recipients == ("ord-1@example.org",)
    assert [part.get_filename() for part in message.iter_attachments()] == [
        *(f"ticket-{ticket['ticket_number']}.pdf" for ticket in tickets),
        "tickets.ics",
    ]
    assert report.counts()["tickets"] == 2
    assert [row["status"] for row in shop.rows("orders_orderstatushistory")] == ["completed"]
    assert shop.rows("payments_sumupcheckout")[0]["status"] == "paid"


def test_run_again_changes_nothing(bench: "Bench", shop: SmallShop, place: "Place") -> None:
    place("ORD-1")
    run(bench)
    before = {table: shop.rows(table) for table in ("orders_order", "events_ticket", "payments_sumupcheckout")}
    bench.clock.move(timedelta(minutes=5))
    assert run(bench).applied == []
    assert {table: shop.rows(table) for table in before} == before
    assert len(bench.mailer.sent) == 1


class Warming(FakePrinter):
    """Notes how many questions SumUp had been asked when it was told to get ready."""

    def __init__(self, gateway: FakeGateway) -> None:
        super().__init__()
        self.gateway = gateway
        self.told: list[int] = []

    def get_ready(self) -> None:
        self.told.append(len(self.gateway.asked))


def test_run_has_the_printer_get_ready_when_a_checkout_is_paid_and_not_before(bench: "Bench", place: "Place") -> None:
    bench.app.printer = printer = Warming(bench.gateway)
    place("ORD-1", "PENDING")
    run(bench)
    assert printer.told == []
    bench.clock.move(timedelta(minutes=5))
    asked = len(bench.gateway.asked)
    place("ORD-2")
    run(bench)
    assert len(printer.told) == 1
    assert asked < printer.told[0] < len(bench.gateway.asked)


def test_run_claims_in_batches_the_new_order_behind_twenty_stuck_ones(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    for number in range(25):
        place(f"STUCK-{number}", "PENDING")
    run(bench)
    bench.clock.move(timedelta(minutes=5))
    new = place("NEW-1", created_at=NOW + timedelta(minutes=1))
    report = run(bench)
    assert report.applied[0].order_id == new
    assert shop.row("orders_order", new)["status"] == "completed"
    assert len(report.applied) == 26


def test_run_order_whose_apply_fails_does_not_stop_the_others(
    bench: "Bench", shop: SmallShop, place: "Place", engine: sa.Engine
) -> None:
    broken, fine = place("ORD-1"), place("ORD-2")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'boom'; END $$;"
            f"CREATE TRIGGER boom BEFORE UPDATE ON orders_order FOR EACH ROW WHEN (OLD.id = {broken}) "
            "EXECUTE FUNCTION boom()"
        )
    report = run(bench)
    assert report.incomplete
    assert shop.row("orders_order", fine)["status"] == "completed"
    assert shop.row("orders_order", broken)["status"] == "pending_verification"
    assert shop.rows("events_ticket", order_id=broken) == []


def test_run_order_held_by_the_shop_is_left_for_the_next_run(
    bench: "Bench", shop: SmallShop, place: "Place", engine: sa.Engine
) -> None:
    held, fine = place("ORD-1"), place("ORD-2")
    with engine.connect() as page, page.begin():
        page.execute(sa.text("SELECT 1 FROM orders_order WHERE id = :id FOR UPDATE"), {"id": held})
        report = run(bench)
    assert not report.incomplete
    assert [error.order for error in report.order_errors] == ["ORD-1"]
    assert shop.row("orders_order", fine)["status"] == "completed"
    bench.clock.move(timedelta(minutes=5))
    run(bench)
    assert shop.row("orders_order", held)["status"] == "completed"


def be_patient(bench: "Bench") -> None:
    """The clock of these tests is moved by questions that take no time: evidence would look older than it is."""
    settings = bench.app.settings
    patient = settings.verification.model_copy(update={"lease": timedelta(hours=1)})
    bench.app.settings = replace(settings, verification=patient)


def test_row_42_time_is_up_what_is_left_is_the_next_runs(bench: "Bench", shop: SmallShop, place: "Place") -> None:
    for number in range(50):
        place(f"ORD-{number:02}")

    class Slow(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            bench.clock.move(timedelta(seconds=10))
            return super().read_checkout(checkout_id, merchant_code)

    bench.app.gateway = Slow(bench.gateway.checkouts, bench.gateway.transactions)
    be_patient(bench)
    report = run(bench)
    assert report.ended == "out_of_time"
    assert 20 <= len(report.applied) <= 25  # what was begun when the time was up, and no batch more
    bench.app.gateway = bench.gateway
    run(bench)
    assert {order["status"] for order in shop.rows("orders_order")} == {"completed"}
    assert len(bench.mailer.sent) == 50


def test_row_43_told_to_stop_gives_back_what_it_holds(bench: "Bench", place: "Place", engine: sa.Engine) -> None:
    for number in range(50):
        place(f"ORD-{number:02}")

    class Terminated(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            if checkout_id >= "chk-ORD-40":  # asked about when the first twenty are through
                bench.app.stop.set()
            return super().read_checkout(checkout_id, merchant_code)

    bench.app.gateway = Terminated(bench.gateway.checkouts, bench.gateway.transactions)
    report = run(bench)
    assert report.ended == "stopped"
    assert 20 <= len(report.applied) < 50
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM paypoll.watch WHERE lease_run IS NOT NULL")) == 0
        assert connection.scalar(sa.text("SELECT count(*) FROM paypoll.outbox WHERE lease_run IS NOT NULL")) == 0


def test_row_19_sumup_is_down_the_run_stops_asking_and_nothing_expires(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    for number in range(30):
        place(f"ORD-{number:02}", created_at=NOW - timedelta(days=2))
        bench.gateway.checkouts[f"chk-ORD-{number:02}"] = NoAnswer("503")
    bench.gateway.halted = "SumUp is not answering"
    report = run(bench)
    assert len(report.applied) == 20
    assert exit_code(report) == ExitCode.TRY_LATER
    assert {order["status"] for order in shop.rows("orders_order")} == {"pending_verification"}


@pytest.mark.parametrize("status", ["cancelled", "pending"])
def test_order_found_by_reference_alone_stays_under_watch_when_the_shop_changes_it(
    bench: "Bench", shop: SmallShop, place: "Place", status: str
) -> None:
    order_id = place("ORD-1")
    (checkout,) = shop.rows("payments_sumupcheckout", order_id=order_id)
    shop.update("payments_sumupcheckout", checkout["id"], order_id=None)
    answer, bench.gateway.checkouts["chk-ORD-1"] = bench.gateway.checkouts["chk-ORD-1"], NoAnswer("503")
    bench.gateway.searches = {name: NoAnswer("503") for name in ("ORD-1", "hosted_order_ORD-1")}
    run(bench)
    shop.update("orders_order", order_id, status=status)
    bench.gateway.checkouts["chk-ORD-1"] = answer
    bench.gateway.searches = {}
    report = run(bench)
    expected = Reason.PAID_BUT_VOID if status == "cancelled" else Reason.PAID
    assert [applied.reason for applied in report.applied] == [expected]


def test_row_14_checkout_that_failed_before_is_closed_when_another_is_paid(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    shop.add_checkout(order_id, "ORD-1-again", "chk-ORD-1-again", merchant_code=MERCHANT)
    place.set_status("ORD-1-again", "PAID")
    run(bench)
    assert shop.row("orders_order", order_id)["status"] == "completed"
    assert ("close", "chk-ORD-1") in bench.gateway.asked


def test_alerts_leave_although_the_time_is_up(bench: "Bench", place: "Place") -> None:
    for number in range(25):
        place(f"ORD-{number:02}")
    look = bench.gateway.checkouts["chk-ORD-00"]
    assert isinstance(look, Found)
    bench.gateway.checkouts["chk-ORD-00"] = Found(replace(look.value, amount=Decimal(1)))

    class Slow(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            bench.clock.move(timedelta(seconds=12.5))  # twenty of them: past the budget, within mail's reserve
            return super().read_checkout(checkout_id, merchant_code)

    bench.app.gateway = Slow(bench.gateway.checkouts, bench.gateway.transactions)
    be_patient(bench)
    report = run(bench)
    assert (report.ended, len(report.applied)) == ("out_of_time", 20)
    assert len([m for m, _ in bench.mailer.sent if "ORD-00 needs a person" in str(m["Subject"])]) == 1
    assert len(bench.mailer.sent) == 20


def test_alerts_leave_although_a_customers_mail_took_all_the_time(bench: "Bench", place: "Place") -> None:
    class Tarpit(FakeMailer):
        def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
            if recipients != ("admin@shop.example",):
                bench.clock.move(timedelta(minutes=6))
            super().send(message, recipients)

    mailer = bench.app.mailer = Tarpit()
    place("ORD-1")
    place("ORD-2")
    look = bench.gateway.checkouts["chk-ORD-2"]
    assert isinstance(look, Found)
    bench.gateway.checkouts["chk-ORD-2"] = Found(replace(look.value, amount=Decimal(1)))
    run(bench)
    assert [to for _, to in mailer.sent] == [("ord-1@example.org",), ("admin@shop.example",)]


@pytest.mark.parametrize(("others", "told"), [("PENDING", 0), (None, 1)])
def test_row_19_sumup_counts_as_silent_only_when_nothing_is_heard(
    bench: "Bench", place: "Place", others: str | None, told: int
) -> None:
    place("ORD-1", "PENDING")
    place("ORD-2", "PENDING")
    bench.gateway.checkouts["chk-ORD-1"] = NoAnswer("503")
    if others is None:
        bench.gateway.checkouts["chk-ORD-2"] = NoAnswer("503")
    for _ in range(10):
        run(bench)
        bench.clock.move(timedelta(minutes=5))
    assert len([m for m, _ in bench.mailer.sent if "SumUp has not been answering" in str(m["Subject"])]) == told
    bench.gateway.checkouts["chk-ORD-1"] = Found(an_answer("PENDING", id="chk-ORD-1", reference="ORD-1"))
    run(bench)
    assert len([m for m, _ in bench.mailer.sent if "SumUp is answering again" in str(m["Subject"])]) == told


def test_run_that_cannot_go_on_does_not_ask_about_the_orders_behind(bench: "Bench", place: "Place") -> None:
    """Organisers' tokens are read from the database while SumUp is asked; there it may turn out to be gone."""
    run_thread = threading.get_ident()

    def wait_until_the_run_waits() -> None:
        # For what is under way, that is: what nobody has begun is taken back before.
        deadline = time.monotonic() + 60
        while True:
            frame = sys._current_frames()[run_thread]
            while frame.f_back is not None and frame.f_code is not threading.Thread.join.__code__:
                frame = frame.f_back
            if frame.f_back is not None:
                return
            assert time.monotonic() < deadline
            time.sleep(0.001)

    class Gone(FakeGateway):
        def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
            self.asked.append(("read", checkout_id))
            if checkout_id == "chk-ORD-00":
                raise DatabaseUnavailableError("the database is out of reach")
            wait_until_the_run_waits()
            return self.checkouts[checkout_id]

    for number in range(20):
        place(f"ORD-{number:02}")
    gone = bench.app.gateway = Gone(bench.gateway.checkouts, bench.gateway.transactions)
    with pytest.raises(DatabaseUnavailableError):
        run(bench)
    asked = {subject for question, subject in gone.asked if question == "read"}
    assert len(asked) <= bench.app.settings.sumup.parallel_requests + 1
