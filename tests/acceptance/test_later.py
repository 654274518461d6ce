"""What happens to an order after it was decided upon: late payments, replays, stale copies, cancellations."""

from collections.abc import Callable
from datetime import time, timedelta
from http import HTTPStatus

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued
from tests.acceptance.stage import PATIENCE, PRICE, Stage
from tests.acceptance.test_contradictions import Refuses
from tests.acceptance.world import World

from paypoll.sandbox.sumup.effects import Latency

UNKNOWN = Refuses(HTTPStatus.NOT_FOUND, "NOT_FOUND")
LATE = "Payment received after all: your tickets for"


@pytest.fixture(scope="module")
def late(new_stage: Callable[[], Stage]) -> World:
    """Orders that failed or expired, and were paid afterwards."""
    stage = new_stage()
    begun = stage.event("Begun Concert", starts_in=timedelta(0))
    stage.shop.update("events_event", begun, event_time=time(0, 0))
    full = stage.event("Full Concert", capacity=3)
    last = stage.event("Last Places", capacity=2)
    orders = {
        "failed": stage.order("ORD-FAILED", checkout="FAILED"),
        "expired": stage.order("ORD-EXPIRED", checkout="EXPIRED"),
        "closed": stage.order("ORD-CLOSED", age=timedelta(hours=3)),
        "begun": stage.order("ORD-BEGUN", places=[(begun, 1, PRICE)], checkout="FAILED"),
        "full": stage.order("ORD-FULL", places=[(full, 2, PRICE)], checkout="FAILED"),
        "last": stage.order("ORD-LAST", places=[(last, 2, PRICE)], checkout="FAILED"),
        "other": stage.order("ORD-OTHER", places=[(full, 2, PRICE)], checkout="PAID"),
        "window": stage.order("ORD-WINDOW", checkout="FAILED"),
    }
    made = World(stage, orders)
    made.run()
    for name, order in orders.items():
        if name not in {"other", "window"}:
            stage.sumup.pay(order.checkout, force=True)
    made.run()
    # Its window is over, and the last look at it was answered.
    stage.let_age(orders["window"], timedelta(hours=73))
    made.run()
    stage.sumup.pay(orders["window"].checkout, force=True)
    made.run()
    return made


@pytest.mark.parametrize("name", ["failed", "expired", "closed", "last"])
def test_row_20_late_payment_is_honoured_and_admins_told(late: World, name: str) -> None:
    order, stage = late[name], late.stage
    check_issued(stage, order)
    assert subject(stage.mails(order)[-1]).startswith(LATE)
    assert stage.history(order)[-1] == "completed"
    assert "was paid late; its tickets are issued" in subject(stage.alerts(order)[-1])
    assert stage.reasons(order)[-1] == "paid_late"


@pytest.mark.parametrize(("name", "reason"), [("begun", "too_late"), ("full", "hall_full")])
def test_row_20_late_payment_that_cannot_be_honoured_goes_to_review(late: World, name: str, reason: str) -> None:
    order, stage = late[name], late.stage
    assert stage.status(order) == "requires_manual_review"
    assert stage.tickets(order) == []
    (alert,) = stage.alerts(order)
    assert subject(alert).startswith("[Jersey Events CRITICAL] ")
    assert "refund or admit" in body(alert)
    assert stage.reasons(order)[-1] == reason


def test_row_20_payment_after_the_window_is_not_asked_for(late: World) -> None:
    assert late.stage.status(late["window"]) == "failed"
    assert [one["reason"] for one in late.stage.audit(late["window"])] == ["payment_failed"] + ["still_unpaid"] * 2


def test_run_again_over_late_orders_changes_nothing(late: World) -> None:
    assert late.shops[-1] == late.shops[-2]
    assert late.mails[-1] == late.mails[-2]


# -- tickets exist -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def issued(new_stage: Callable[[], Stage]) -> World:
    """Orders with all their tickets that were set back to waiting, in one way or another; and cancelled ones."""
    stage = new_stage()
    names = ("replayed", "stale", "cancelled", "refunded", "cancelled-unpaid", "twice")
    orders = {
        name: stage.order(
            f"ORD-{name.upper()}",
            checkout="PENDING" if name == "cancelled-unpaid" else "PAID",
            status=name.split("-")[0]
            if name in {"cancelled", "refunded", "cancelled-unpaid"}
            else "pending_verification",
        )
        for name in names
    }
    shop_issued = orders["shop-issued"] = stage.order("ORD-SHOPISSUED", checkout="PAID")
    stage.issue_as_the_shop(shop_issued, places=2)
    stage.sumup.refund(orders["refunded"].checkout)
    unstored = stage.checkout(orders["cancelled"], "PAID", stored=False)
    stale = stage.row(orders["stale"])
    made = World(stage, orders)
    made.run()
    made.kept = {name: stage.row(orders[name]) for name in ("replayed", "stale")}
    made.kept["cancelled"] = {"unstored": unstored}
    spent = orders["spent"] = stage.order("ORD-SPENT", checkout="PAID")
    (payment,) = stage.sumup.checkout(orders["replayed"].checkout).attempts
    attempt = {"id": payment.id, "status": "SUCCESSFUL", "amount": payment.amount, "currency": "GBP"}
    stage.sumup.tamper(spent.checkout, transaction_id=payment.id, transactions=[attempt])
    for name in ("replayed", "twice"):
        stage.shop.update("orders_order", orders[name].id, status="pending_verification")
    made.kept["twice"] = {"second": stage.checkout(orders["twice"], "PAID", reference="ORD-TWICE-b")}
    stage.sumup.fault(UNKNOWN, path=f"*/{orders['twice'].checkout}")
    # A page of the shop that had read the order before, saves the whole row after.
    stage.shop.update("orders_order", orders["stale"].id, **{name: old for name, old in stale.items() if name != "id"})
    made.run()
    stage.shop.update("orders_order", orders["replayed"].id, status="pending_verification")
    made.run()
    made.run()
    return made


def test_row_22_cancelled_order_that_is_paid_gets_no_ticket_and_one_critical_alert(issued: World) -> None:
    order, stage = issued["cancelled"], issued.stage
    assert (stage.status(order), stage.tickets(order), stage.mails(order)) == ("cancelled", [], [])
    (alert,) = stage.alerts(order)
    assert subject(alert) == (
        "[Jersey Events CRITICAL] Order ORD-CANCELLED is cancelled, but its payment was not given back"
    )
    unstored = issued.kept["cancelled"]["unstored"]
    for checkout_id in (order.checkout, unstored):
        assert checkout_id in body(alert)
    # One of both goes back: what is left was told, and is listed in place of both.
    stage.sumup.refund(unstored)
    for _ in range(2):
        stage.sql("UPDATE paypoll.watch SET next_check_at = now() WHERE order_id = :id", id=order.id)
        stage.let_time_pass()
        assert stage.run_once().code == 0
    assert len(stage.alerts(order)) == 1
    (listed,) = [one for one in stage.paypoll("queue", "--json").report["findings"] if one["order_id"] == order.id]
    assert listed["detail"]["checkouts"] == [order.checkout]


@pytest.mark.parametrize("name", ["refunded", "cancelled-unpaid"])
def test_row_22_refund_that_sumup_shows_is_how_it_ends(issued: World, name: str) -> None:
    order, stage = issued[name], issued.stage
    assert stage.status(order) == name.split("-", maxsplit=1)[0]
    assert (stage.tickets(order), stage.mails(order), stage.alerts(order)) == ([], [], [])


def test_row_23_order_with_its_tickets_set_back_is_completed_again_without_new_ones(issued: World) -> None:
    order, stage = issued["replayed"], issued.stage
    check_completed(stage, order)
    row, before = stage.row(order), issued.kept["replayed"]
    for column in ("is_paid", "paid_at", "transaction_id"):
        assert row[column] == before[column]
    (alert,) = stage.alerts(order)
    assert "was set back to waiting; its tickets stand" in subject(alert)
    assert stage.reasons(order) == ["paid", "replayed", "replayed"]
    assert stage.history(order) == ["completed"] * 3


def test_row_12a_second_payment_is_told_also_while_sumup_does_not_show_the_first(issued: World) -> None:
    order, stage = issued["twice"], issued.stage
    check_completed(stage, order)
    (told,) = [body(alert) for alert in stage.alerts(order) if "was paid twice" in subject(alert)]
    assert f"Refund the payment of checkout {issued.kept['twice']['second']}" in " ".join(told.split())
    assert order.checkout in told


def test_row_25a_stale_copy_saved_by_the_shop_is_healed_in_silence(issued: World) -> None:
    order, stage = issued["stale"], issued.stage
    check_completed(stage, order)
    row, before = stage.row(order), issued.kept["stale"]
    for column in ("status", "is_paid", "paid_at", "transaction_id", "user_id"):
        assert row[column] == before[column]
    assert row["user_id"] is not None  # a guest's: the old copy had none
    assert stage.alerts(order) == []
    assert stage.reasons(order) == ["paid", "overwritten"]


def test_row_25b_tickets_issued_by_the_shop_are_left_and_the_order_completed(issued: World) -> None:
    order, stage = issued["shop-issued"], issued.stage
    assert (stage.status(order), stage.row(order)["is_paid"]) == ("completed", True)
    assert [ticket["ticket_number"][:4] for ticket in stage.tickets(order)] == ["OLD-", "OLD-"]
    assert stage.mails(order) == []
    (alert,) = stage.alerts(order)
    assert "the shop issued the tickets itself" in subject(alert)


def test_payment_that_has_paid_for_another_order_goes_to_review(issued: World) -> None:
    order, stage = issued["spent"], issued.stage
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
    assert stage.reasons(order) == ["spent_elsewhere"]
    (alert,) = stage.alerts(order)
    assert "has already paid for another order" in body(alert)


def test_run_again_over_issued_orders_changes_nothing(issued: World) -> None:
    assert issued.shops[-1] == issued.shops[-2]
    assert issued.mails[-1] == issued.mails[-2]


# -- the shop, or SumUp, changes its mind in mid-run ---------------------------------------------------------


@pytest.mark.parametrize("status", ["cancelled", "completed"])
def test_row_26_status_changed_while_sumup_is_asked_stands_and_the_money_is_told(stage: Stage, status: str) -> None:
    order = stage.order("ORD-RACE", checkout="PAID")
    stage.sumup.fault(Latency(1.0), path="/v2.1/*")
    process = stage.start("run-once")
    stage.sumup.journal.wait_until(lambda journal: journal.count(path="/v2.1/*") > 0, PATIENCE)
    stage.shop.update("orders_order", order.id, status=status)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert (stage.status(order), stage.tickets(order), stage.mails(order)) == (status, [], [])
    (alert,) = stage.alerts(order)
    assert subject(alert).startswith(f"[Jersey Events CRITICAL] Order ORD-RACE is {status}, ")
    assert order.checkout in body(alert)


def test_row_14_pending_checkout_that_is_paid_while_it_is_closed_is_told_as_paid_twice(stage: Stage) -> None:
    order = stage.order("ORD-BOTH", checkout="PAID")
    second = stage.checkout(order, "PENDING", reference="ORD-BOTH-again")
    stage.sumup.fault(Latency(1.0), method="DELETE")
    process = stage.start("run-once")
    stage.sumup.journal.wait_until(lambda journal: journal.count("DELETE") > 0, PATIENCE)
    stage.sumup.pay(second)
    process.communicate(timeout=PATIENCE)
    check_completed(stage, order)
    (alert,) = stage.alerts(order)
    assert subject(alert) == "[Jersey Events CRITICAL] Order ORD-BOTH was paid twice"
    assert f"Refund the payment of checkout {second}" in " ".join(body(alert).split())


@pytest.mark.fast("payments")
def test_row_04_pending_checkout_that_is_paid_while_it_is_closed_completes_the_order(stage: Stage) -> None:
    order = stage.order("ORD-LASTMINUTE", age=timedelta(hours=3))
    stage.sumup.fault(Latency(1.0), method="DELETE")
    process = stage.start("run-once")
    stage.sumup.journal.wait_until(lambda journal: journal.count("DELETE") > 0, PATIENCE)
    stage.sumup.pay(order.checkout)
    process.communicate(timeout=PATIENCE)
    stage.run_once()
    check_completed(stage, order)
