"""The optional mail to a customer whose payment arrived, but needs a person's look first."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.admin.resolve import Resolution
from paypoll.app import App
from paypoll.database import transaction
from paypoll.runs.record import record_run
from paypoll.settings.load import load_settings
from paypoll.shop.tables import orders
from paypoll.state.resolutions import Verdict
from paypoll.state.tables import outbox

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


@pytest.fixture
def telling(bench: "Bench", settings_file: Path) -> Iterator[App]:
    """An app like the bench's, with mail.tell_of_review on."""
    app = App(load_settings(settings_file, {"PAYPOLL_MAIL__TELL_OF_REVIEW": "true"}), clock=bench.clock)
    app.gateway, app.printer, app.mailer = bench.gateway, bench.printer, bench.mailer
    yield app
    app.close()


def told(bench: "Bench", number: str) -> list[str]:
    """Return the subjects of what this order's customer was sent."""
    to = f"{number.lower()}@example.org"
    return [str(message["Subject"]) for message, recipients in bench.mailer.sent if to in recipients]


def set_status(engine: sa.Engine, order_id: int, status: str) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.update(orders).where(orders.c.id == order_id).values(status=status))


CHECKED = "Your payment is being checked - order ORD-1"


def test_review_of_a_paid_order_with_the_setting_on_tells_the_customer_once(
    telling: App, bench: "Bench", place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1", total=24)
    record_run(telling, "run-once")
    assert told(bench, "ORD-1") == [CHECKED]
    set_status(engine, order_id, "pending_verification")  # the browser calls the return URL again
    record_run(telling, "run-once")
    assert told(bench, "ORD-1") == [CHECKED]


def test_review_of_a_paid_order_with_the_setting_off_tells_the_customer_nothing(bench: "Bench", place: "Place") -> None:
    place("ORD-1", total=24)
    record_run(bench.app, "run-once")
    assert told(bench, "ORD-1") == []


def test_review_without_a_paid_answer_tells_the_customer_nothing(telling: App, bench: "Bench", place: "Place") -> None:
    place("ORD-1", "FAILED", total=0)
    record_run(telling, "run-once")
    assert told(bench, "ORD-1") == []


def test_paid_order_with_the_setting_on_gets_its_tickets_alone(telling: App, bench: "Bench", place: "Place") -> None:
    place("ORD-1")
    record_run(telling, "run-once")
    assert told(bench, "ORD-1") == ["Your tickets for Winter Concert - order ORD-1"]


def test_review_of_an_order_that_has_its_tickets_tells_the_customer_nothing_more(
    telling: App, bench: "Bench", place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1")
    record_run(telling, "run-once")
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE events_ticket SET status = 'refunded'")
    set_status(engine, order_id, "pending_verification")
    record_run(telling, "run-once")
    with transaction(engine) as connection:
        status = connection.scalar(sa.select(orders.c.status).where(orders.c.id == order_id))
    assert status == "requires_manual_review"
    assert told(bench, "ORD-1") == ["Your tickets for Winter Concert - order ORD-1"]


def test_review_that_was_told_and_not_sent_yet_is_withdrawn_by_the_tickets(
    telling: App, bench: "Bench", place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1", total=24)
    bench.mailer.down = "connection refused"
    record_run(telling, "run-once")
    with transaction(engine) as connection:
        connection.execute(sa.update(orders).values(total=25, status="pending_verification"))
    record_run(telling, "run-once")
    with transaction(engine) as connection:
        query = sa.select(outbox.c.kind, outbox.c.state).where(outbox.c.order_id == order_id)
        states = {row.kind: row.state for row in connection.execute(query)}
    assert states["under_review"] == "withdrawn"
    assert states["confirmation"] == "waiting"


def test_review_that_was_told_and_not_sent_yet_does_not_leave_once_the_payment_has_failed(
    telling: App, bench: "Bench", place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1", total=24)
    bench.mailer.down = "connection refused"
    record_run(telling, "run-once")
    set_status(engine, order_id, "failed")
    bench.mailer.down = ""
    bench.clock.move(timedelta(hours=1))
    telling.deliver("a run", lambda: False)
    assert told(bench, "ORD-1") == []


def test_row_09a_review_that_was_told_and_not_sent_yet_is_withdrawn_by_a_verdict(
    telling: App, bench: "Bench", place: "Place", engine: sa.Engine
) -> None:
    place("ORD-1", total=24)
    bench.mailer.down = "connection refused"
    record_run(telling, "run-once")
    found = telling.resolver.find_in_review("ORD-1")
    telling.resolver.settle(found, Resolution(Verdict.REJECT, "margot", "not for us"))
    with transaction(engine) as connection:
        states = connection.scalars(sa.select(outbox.c.state).where(outbox.c.kind == "under_review")).all()
    assert states == ["withdrawn"]
