"""What a person has paused is left alone by every run, and named by each, until it is resumed."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from paypoll.admin.pause import Target, pause, resume
from paypoll.admin.recheck import Wanted, find_reviews
from paypoll.cli.render.run import report_lines
from paypoll.database import transaction
from paypoll.errors import NotFoundError, OrderNotFoundError, RefusedError
from paypoll.runs.record import record_run

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk


def stop(desk: "Desk", target: Target) -> None:
    pause(desk.app.engine, target, who="margot", reason="the bank is asking", clock=desk.app.clock)


@pytest.mark.parametrize("target", [Target(order="ORD-1"), Target(event=1), Target()], ids=["order", "event", "all"])
def test_paused_order_is_neither_issued_nor_asked_about_until_it_is_resumed(desk: "Desk", target: Target) -> None:
    order_id = desk.place("ORD-1")
    target = Target(event=desk.event) if target.event else target
    stop(desk, target)
    report = desk.run()
    assert desk.bench.gateway.asked == []
    assert (desk.status(order_id), report.applied) == ("pending_verification", [])
    assert desk.app.dry_run().run([]).applied == []
    (waiting,) = desk.backlog().waiting
    assert waiting.paused
    assert any("the bank is asking" in line and "margot" in line for line in report_lines(report, verbose=False))
    assert resume(desk.app.engine, target, who="ana", clock=desk.app.clock) == ()
    assert desk.run().paused == ()
    assert desk.status(order_id) == "completed"


def test_pause_of_one_order_or_event_leaves_the_others(desk: "Desk") -> None:
    paused, other = desk.place("ORD-1"), desk.place("ORD-2")
    stop(desk, Target(order="ORD-1"))
    desk.run()
    assert (desk.status(paused), desk.status(other)) == ("pending_verification", "completed")
    assert [row["action"] for row in desk.trail(paused)] == ["paused"]


def test_paused_order_does_not_expire_and_is_not_told_to_be_stuck(desk: "Desk") -> None:
    order_id = desk.place("ORD-1", "PENDING")
    desk.run()
    stop(desk, Target(order="ORD-1"))
    desk.bench.clock.move(timedelta(hours=5))
    desk.run()
    assert (desk.status(order_id), desk.subjects()) == ("pending_verification", [])


def test_paused_order_is_looked_at_when_a_person_names_it(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    stop(desk, Target())
    record_run(desk.app, "run-once", only=[order_id])
    assert desk.status(order_id) == "completed"


def test_paused_order_that_is_deleted_in_the_shop_is_resumed_by_its_id(desk: "Desk") -> None:
    order_id = desk.place("ORD-1", "PENDING")
    desk.run()
    stop(desk, Target(order="ORD-1"))
    with transaction(desk.app.engine) as connection:
        for table in ("payments_sumupcheckout", "orders_orderitem", "orders_orderstatushistory"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - ours
        connection.exec_driver_sql("DELETE FROM orders_order")
    with pytest.raises(OrderNotFoundError):
        resume(desk.app.engine, Target(order="ORD-1"), who="ana", clock=desk.app.clock)
    assert resume(desk.app.engine, Target(order=f"id:{order_id}"), who="ana", clock=desk.app.clock) == ()


def test_pause_twice_and_resume_of_what_is_not_paused_are_refused(desk: "Desk") -> None:
    desk.place("ORD-1")
    stop(desk, Target(order="ORD-1"))
    with pytest.raises(RefusedError, match="paused already"):
        stop(desk, Target(order="ord-1"))
    with pytest.raises(RefusedError, match="everything is not paused; order ORD-1 is"):
        resume(desk.app.engine, Target(), who="ana", clock=desk.app.clock)
    with pytest.raises(NotFoundError, match="no event has the id 404"):
        stop(desk, Target(event=404))
    with pytest.raises(NotFoundError, match="no event has the id 404"):  # of `resolve --event`, as of `pause --event`
        find_reviews(desk.app.engine, Wanted(event_id=404), desk.app.clock.now())
    assert find_reviews(desk.app.engine, Wanted(event_id=desk.event), desk.app.clock.now()) == []
    with pytest.raises(OrderNotFoundError):
        stop(desk, Target(order="ORD-404"))
