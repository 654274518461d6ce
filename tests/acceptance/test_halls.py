"""Halls with fewer places than were sold: the shop's cart reserves none."""

from collections.abc import Callable

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued, check_review
from tests.acceptance.stage import ADMIN, PRICE, Placed, Stage
from tests.acceptance.world import World

from paypoll.sandbox.mail.sink import Mail


def told_of_halls(stage: Stage) -> list[Mail]:
    """Return the mails to the admins about halls that are fuller than full."""
    return [mail for mail in stage.sink.messages if "More tickets than places" in subject(mail)]


@pytest.fixture(scope="module")
def oversold(new_stage: Callable[[], Stage]) -> World:
    """Three orders of two places each for a hall of two, and two late ones for halls that the cart has sold."""
    stage = new_stage()
    stage.environ["verification__failed_grace"] = "0s"
    hall = stage.event("Chamber Music", capacity=2, tickets_sold=0)
    roomy = stage.event("Brass Band", capacity=50, tickets_sold=7)
    counted = stage.event("Jazz Night", capacity=10, tickets_sold=9)
    uncounted = stage.event("Folk Night", capacity=10, tickets_sold=8)
    orders = {
        **{f"in-time-{n}": stage.order(f"ORD-INTIME{n}", places=[(hall, 2, PRICE)], checkout="PAID") for n in "123"},
        "roomy": stage.order("ORD-ROOMY", places=[(roomy, 2, PRICE)], checkout="PAID"),
        "late": stage.order("ORD-LATE", places=[(counted, 2, PRICE)], checkout="FAILED"),
        "late-fits": stage.order("ORD-LATEFITS", places=[(uncounted, 2, PRICE)], checkout="FAILED"),
    }
    made = World(stage, orders)
    made.run()
    for name in ("late", "late-fits"):
        stage.sumup.pay(orders[name].checkout, force=True)
    made.run()
    made.run()
    made.kept = {
        name: stage.shop.row("events_event", event)
        for name, event in {"hall": hall, "roomy": roomy, "counted": counted, "uncounted": uncounted}.items()
    }
    return made


def test_row_28a_orders_paid_in_time_for_more_places_than_there_are_are_issued_and_told_once(oversold: World) -> None:
    for number in "123":
        check_completed(oversold.stage, oversold[f"in-time-{number}"])
    (alert,) = told_of_halls(oversold.stage)
    assert (alert.recipients, subject(alert)[:24]) == ((ADMIN,), "[Jersey Events CRITICAL]")
    assert "Chamber Music has 2 places, 2 have tickets already, and order ORD-INTIME" in " ".join(body(alert).split())


def test_row_28a_count_of_sold_is_raised_to_the_tickets_and_never_lowered(oversold: World) -> None:
    assert oversold.kept["hall"]["tickets_sold"] == 6  # what the shop's "sold out" goes by
    assert oversold.kept["roomy"]["tickets_sold"] == 7  # two tickets: the cart is ahead


def test_row_20b_late_payment_for_places_that_the_cart_has_sold_goes_to_review(oversold: World) -> None:
    order, stage = oversold["late"], oversold.stage
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
    (alert,) = stage.alerts(order)
    assert "Jazz Night has 10 places and 9 are taken: refund or admit." in " ".join(body(alert).split())
    assert oversold.kept["counted"]["tickets_sold"] == 9


def test_row_20b_late_payment_for_places_that_are_left_is_honoured(oversold: World) -> None:
    check_issued(oversold.stage, oversold["late-fits"])
    assert oversold.kept["uncounted"]["tickets_sold"] == 8


def test_row_28a_orders_beyond_the_places_go_to_review_if_the_settings_say_so(stage: Stage) -> None:
    stage.environ["tickets__when_full"] = "review"
    hall = stage.event("Chamber Music", capacity=3)
    orders: list[Placed] = [stage.order(f"ORD-{n}", places=[(hall, 2, PRICE)], checkout="PAID") for n in "12"]
    stage.run_once()
    by_status = {stage.status(order): order for order in orders}
    check_completed(stage, by_status["completed"])
    check_review(stage, by_status["requires_manual_review"], reason="hall_full", found="has 3 places, 2 have tickets")
    assert told_of_halls(stage) == []
    number = by_status["requires_manual_review"].number
    refused = stage.paypoll("resolve", number, "--issue", "--reason", "they may stand", "--yes")
    assert (refused.code, "--override" in refused.stderr) == (65, True)
    admitted = stage.paypoll("resolve", number, "--issue", "--override", "--reason", "they may stand", "--yes")
    assert admitted.code == 0
    check_issued(stage, by_status["requires_manual_review"])
    assert stage.shop.row("events_event", hall)["tickets_sold"] == 4
