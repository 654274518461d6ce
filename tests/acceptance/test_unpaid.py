"""Orders without a payment, each of its own kind: waiting, failing, expiring, and told of once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.acceptance.papers import attachments, body, subject
from tests.acceptance.promises import admin_link, check_waiting
from tests.acceptance.stage import ADMIN, Placed, Stage
from tests.acceptance.world import World, waves

from paypoll.sandbox.sumup.jsontext import JsonText
from paypoll.sandbox.sumup.tampering import ABSENT

LONG_AGO = timedelta(hours=3)
STUCK = timedelta(minutes=40)
BASKETS = timedelta(hours=25)
BROKEN: dict[str, dict[str, Any]] = {
    "no-amount": {"amount": ABSENT},
    "no-currency": {"currency": ABSENT},
    "no-status": {"status": ABSENT},
    "negative": {"amount": Decimal("-25.00")},
    "nan": {"amount": JsonText("NaN")},
    "words": {"amount": "twenty-five"},
    "other-id": {"id": "another"},
}


@pytest.fixture(scope="module")
def world(new_stage: Callable[[], Stage]) -> World:
    stage = new_stage()
    orders = {
        "young": stage.order("ORD-YOUNG"),
        "future": stage.order("ORD-FUTURE", age=-timedelta(hours=5)),
        "stuck-1": stage.order("ORD-STUCK1", age=STUCK),
        "stuck-2": stage.order("ORD-STUCK2", age=STUCK),
        "failed": stage.order("ORD-FAILED", checkout="FAILED"),
        "too-old": stage.order("ORD-TOOOLD", age=LONG_AGO),
        "expired": stage.order("ORD-EXPIRED", checkout="EXPIRED"),
        "expired-old": stage.order("ORD-EXPIREDOLD", checkout="EXPIRED", age=timedelta(days=2)),
        "failed-pending": stage.order("ORD-AGAIN1", checkout="FAILED"),
        "expired-pending": stage.order("ORD-AGAIN2", checkout="EXPIRED"),
        **{f"basket-{state}": basket(stage, state) for state in ("PENDING", "FAILED", "EXPIRED")},
        "basket-gone": stage.order("ORD-BASKETGONE", status="pending", age=timedelta(hours=73)),
        "basket-unknown": stage.order("ORD-BASKETUNKNOWN", status="pending", age=timedelta(hours=73), checkout=""),
    }
    for name in ("failed-pending", "expired-pending"):
        stage.checkout(orders[name], "PENDING", reference=f"{orders[name].number}-again")
    made = World(stage, orders)
    for names in waves(BROKEN):  # five alerts of one kind in a run would become a summary
        for name in names:
            orders[name] = stage.order(f"ORD-{name.upper()}", checkout="PAID")
            stage.sumup.tamper(orders[name].checkout, **BROKEN[name])
        made.run()
    made.run()
    return made


def basket(stage: Stage, state: str) -> Placed:
    """An order whose customer never came back to the shop."""
    # One who was declined within the last day would be told (row 3d).
    return stage.order(f"ORD-BASKET-{state}", checkout=state, status="pending", age=BASKETS)


def test_row_02_pending_and_young_is_unchanged_and_the_look_noted(world: World) -> None:
    order, stage = world["young"], world.stage
    check_waiting(stage, order, reason="still_pending")
    (checkout,) = stage.checkout_rows(order)
    assert (checkout["status"], checkout["poll_count"], checkout["should_poll"]) == ("pending", len(world.runs), True)
    assert checkout["polling_started_at"] < checkout["last_polled_at"]
    assert stage.sumup.checkout(order.checkout).status == "PENDING"
    assert stage.alerts(order) == []


def test_row_02_order_from_the_future_counts_as_new(world: World) -> None:
    check_waiting(world.stage, world["future"], reason="still_pending")


def test_row_03_failed_is_failed_with_one_mail_that_links_to_another_try(world: World) -> None:
    order, stage = world["failed"], world.stage
    row = stage.row(order)
    assert (row["status"], row["is_paid"], row["paid_at"], row["transaction_id"]) == ("failed", False, None, "")
    assert (stage.history(order), stage.tickets(order), stage.alerts(order)) == (["failed"], [], [])
    (mail,) = stage.mails(order)
    assert subject(mail) == "Your payment did not go through - order ORD-FAILED"
    assert "https://shop.example/orders/ORD-FAILED/" in body(mail)
    assert attachments(mail) == {}
    assert stage.checkout_rows(order)[0]["status"] == "failed"


def test_row_03_failed_keeps_being_watched(world: World) -> None:
    assert [one["reason"] for one in world.stage.audit(world["failed"])] == [
        "payment_failed",
        "still_unpaid",
        "still_unpaid",
    ]


def test_row_04_pending_at_the_limit_is_closed_at_sumup_and_expired(world: World) -> None:
    order, stage = world["too-old"], world.stage
    assert stage.sumup.checkout(order.checkout).status == "EXPIRED"
    assert stage.sumup.count("DELETE", f"*/{order.checkout}") == 1
    check_expired(stage, order, reason="too_old")
    assert [one["reason"] for one in stage.audit(order)] == ["too_old", "still_unpaid", "still_unpaid"]


@pytest.mark.parametrize("name", ["expired", "expired-old"])
def test_row_05_expired_is_expired_and_admins_told(world: World, name: str) -> None:
    check_expired(world.stage, world[name], reason="checkout_expired")


def check_expired(stage: Stage, order: Placed, *, reason: str) -> None:
    assert (stage.status(order), stage.row(order)["is_paid"]) == ("expired", False)
    assert (stage.history(order), stage.tickets(order), stage.mails(order)) == (["expired"], [], [])
    (alert,) = stage.alerts(order)
    assert subject(alert) == f"[Jersey Events Alert] Order {order.number} expired unpaid"
    assert admin_link(order) in body(alert)
    assert stage.audit(order)[0]["reason"] == reason


@pytest.mark.parametrize("state", ["PENDING", "FAILED", "EXPIRED"])
def test_row_05b_abandoned_basket_is_left_as_it_is_and_nobody_told(world: World, state: str) -> None:
    order, stage = world[f"basket-{state}"], world.stage
    assert stage.status(order) == "pending"
    assert (stage.history(order), stage.mails(order), stage.alerts(order)) == ([], [], [])
    assert stage.sumup.checkout(order.checkout).status == state
    assert stage.audit(order)[0]["reason"] == "abandoned"


def test_row_05b_abandoned_basket_is_asked_for_with_growing_pauses_until_the_window_ends(world: World) -> None:
    stage = world.stage
    due = stage.next_look(world["basket-PENDING"])
    assert due is not None
    pause = due - datetime.now(UTC)
    assert timedelta(hours=5) < pause < timedelta(hours=6)  # a quarter of its 25 hours, but never over six
    # The end is a look: this one was seen after its window for the first time.
    gone = world["basket-gone"]
    assert [one["reason"] for one in stage.audit(gone)] == ["before_our_time"]
    assert stage.next_look(gone) is None
    assert (stage.status(gone), stage.mails(gone), stage.alerts(gone)) == ("pending", [], [])
    # Of this one SumUp knows nothing: a key of another account would say so as well, and it is asked once more.
    unknown = world["basket-unknown"]
    assert [one["reason"] for one in stage.audit(unknown)] == ["before_our_time", "abandoned"]
    assert stage.next_look(unknown) is None
    assert (stage.status(unknown), stage.mails(unknown), stage.alerts(unknown)) == ("pending", [], [])


@pytest.mark.parametrize("name", list(BROKEN))
def test_row_10_paid_answer_that_cannot_be_used_leaves_the_order_and_tells_admins_once(world: World, name: str) -> None:
    order, stage = world[name], world.stage
    check_waiting(stage, order, reason="broken_answer")
    (alert,) = stage.alerts(order)
    assert "SumUp's answer cannot be used" in subject(alert)


@pytest.mark.parametrize("name", ["failed-pending", "expired-pending"])
def test_row_11a_second_try_that_is_still_pending_leaves_the_order_and_the_buyer_alone(world: World, name: str) -> None:
    check_waiting(world.stage, world[name], reason="still_pending")
    assert world.stage.alerts(world[name]) == []


def test_row_21_stuck_orders_are_listed_in_one_alert_and_not_again(world: World) -> None:
    listed = [mail for mail in world.stage.sink.messages if "waiting for SumUp for too long" in subject(mail)]
    assert [subject(mail) for mail in listed] == ["[Jersey Events Alert] 2 orders waiting for SumUp for too long"]
    assert listed[0].recipients == (ADMIN,)
    for name in ("stuck-1", "stuck-2"):
        assert world[name].number in body(listed[0])
        assert admin_link(world[name]) in body(listed[0])
        check_waiting(world.stage, world[name], reason="still_pending")


def test_run_again_over_unpaid_orders_changes_nothing_but_the_polling_columns(world: World) -> None:
    assert [run.code for run in world.runs] == [0] * len(world.runs)
    assert world.shops[-1] == world.shops[-2]
    assert world.mails[-1] == world.mails[-2]
