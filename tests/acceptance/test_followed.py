"""Money is followed, not status: second payments, late ones, those that nobody stored, and when paypoll was off.

Time passes by `Stage.let_age`, which moves everything about an order in the database into the past: what is due then
is due by paypoll's own reckoning.
"""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued, check_waiting
from tests.acceptance.stage import PATIENCE, Ended, Placed, Stage
from tests.acceptance.test_contradictions import Refuses
from tests.acceptance.world import World

from paypoll.sandbox.sumup.effects import Hang, Latency, Line, Respond

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SHORT_WHILE = timedelta(minutes=5)
PENNY = Decimal("0.01")


def reasons(world: World, name: str) -> list[str]:
    """Return why it was decided so about an order, look by look, without those that found nothing new."""
    return world.stage.reasons(world[name])


def told(world: World, name: str) -> list[str]:
    """Return the subjects of the alerts about an order."""
    return [subject(alert) for alert in world.stage.alerts(world[name])]


# -- second payments ---------------------------------------------------------------------------------------------------

TWICE = ("stored", "unstored", "before", "order-form", "je-form", "paid-late")
"""Orders paid a second time: by a checkout that the shop stores or does not, before or after completion, or late."""


@pytest.fixture(scope="module")
def followed(new_stage: Callable[[], Stage]) -> World:
    """Completed orders with another checkout, and what becomes of them in their quiet looks."""
    stage = new_stage()
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="PAID") for name in TWICE if name != "paid-late"}
    orders["paid-late"] = stage.order("ORD-PAID-LATE", checkout="FAILED")
    orders["left-open"] = stage.order("ORD-LEFT-OPEN", checkout="PAID")
    orders["late-open"] = stage.order("ORD-LATE-OPEN", checkout="FAILED")
    orders["alone"] = stage.order("ORD-ALONE", checkout="PAID")
    made = World(stage, orders)
    seconds = {"before": second(stage, orders["before"])}
    seconds["left-open"] = second(stage, orders["left-open"], state="PENDING")
    made.run_on()
    for name in ("paid-late", "late-open"):
        stage.sumup.pay(orders[name].checkout, force=True)
    seconds["late-open"] = second(stage, orders["late-open"], state="PENDING")
    stage.let_age(orders["paid-late"], timedelta(minutes=10))
    stage.let_age(orders["late-open"], timedelta(minutes=10))
    made.run_on()
    seconds["stored"] = second(stage, orders["stored"], stored=True)
    seconds["unstored"] = second(stage, orders["unstored"])
    seconds["order-form"] = second(stage, orders["order-form"], reference="order_ORD-ORDER-FORM")
    seconds["je-form"] = second(stage, orders["je-form"], reference="JE-ORD-JE-FORM")
    seconds["paid-late"] = second(stage, orders["paid-late"])
    made.kept["seconds"] = seconds
    made.run_on()  # nothing is due: a quiet look comes when a hosted page is over
    for group in (TWICE[:3], TWICE[3:], ("left-open", "late-open", "alone")):  # few enough for an alert of its own each
        for name in group:
            stage.let_age(orders[name], timedelta(minutes=46))
        made.run_on()
    for order in orders.values():
        stage.let_age(order, 3 * DAY)
    made.run_on()
    made.run_on()
    return made


def second(stage: Stage, order: Placed, *, state: str = "PAID", stored: bool = False, reference: str = "") -> str:
    """Make another checkout of the order, just now, as the hosted flow does unless it says otherwise."""
    return stage.checkout(
        order,
        state,
        reference=reference or f"hosted_order_{order.number}",
        stored=stored,
        age=timedelta(0),
    )


@pytest.mark.parametrize("name", TWICE)
def test_row_12a_second_payment_is_told_once_at_the_next_look(followed: World, name: str) -> None:
    order, stage = followed[name], followed.stage
    check_issued(stage, order, on_paper=False)
    alerts = [alert for alert in stage.alerts(order) if "was paid twice" in subject(alert)]
    assert [subject(alert) for alert in alerts] == [f"[Jersey Events CRITICAL] Order {order.number} was paid twice"]
    assert f"Refund the payment of checkout {followed.kept['seconds'][name]}" in " ".join(body(alerts[0]).split())
    assert len(stage.mails(order)) == (2 if name == "paid-late" else 1)


@pytest.mark.parametrize("name", ["left-open", "late-open"])
def test_row_12a_checkout_that_can_still_be_paid_is_closed(followed: World, name: str) -> None:
    check_issued(followed.stage, followed[name], on_paper=False)
    assert followed.stage.sumup.checkout(followed.kept["seconds"][name]).status == "EXPIRED"
    assert [text for text in told(followed, name) if "twice" in text or "second time" in text] == []


def test_row_12a_order_paid_once_is_looked_at_quietly_and_nobody_hears_of_it(followed: World) -> None:
    looks = [one["reason"] for one in followed.stage.audit(followed["alone"])]
    assert looks == ["paid", "settled", "settled"]
    assert told(followed, "alone") == []
    assert len(followed.stage.mails(followed["alone"])) == 1
    assert followed.runs[2].report["orders"] == []
    assert followed.runs[-1].report["orders"] == []
    assert followed.stage.next_look(followed["alone"]) is None


class Later(Hang):
    """SumUp answers when the fault is cleared."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Wait, and then answer."""
        line.pause(PATIENCE)
        line.send(respond())


def test_row_12a_checkout_that_the_shop_makes_while_sumup_is_asked_is_closed(stage: Stage) -> None:
    order = stage.order("ORD-MEANWHILE", checkout="PAID")
    stage.sumup.fault(Latency(1.0), path="/v2.1/*")
    process = stage.start("run-once", "--json")
    stage.sumup.journal.wait_until(lambda journal: journal.count(path="/v2.1/*") > 0, PATIENCE)
    meanwhile = stage.checkout(order, "PENDING", reference="ORD-MEANWHILE-again", age=timedelta(0))
    process.communicate(timeout=PATIENCE)
    check_issued(stage, order, on_paper=False)
    assert stage.run_once().code == 0  # due at once
    assert stage.sumup.checkout(meanwhile).status == "EXPIRED"
    assert stage.alerts(order) == []


def test_row_12a_second_checkout_that_was_never_closed_is_told_once_when_its_window_ends(stage: Stage) -> None:
    order = stage.order("ORD-OPEN-TWICE", checkout="PAID")
    assert stage.run_once().code == 0
    other = second(stage, order, state="PENDING")
    refusal = Refuses(HTTPStatus.CONFLICT, "CHECKOUT_CANT_BE_DEACTIVATED")
    with stage.sumup.fault(refusal, method="DELETE", path=f"*/{other}"):
        stage.let_age(order, timedelta(minutes=46))
        assert stage.run_once().code == 0
        assert stage.alerts(order) == []  # it is tried again
        stage.let_age(order, 3 * DAY)
        assert stage.run_once().code == 0
    (alert,) = stage.alerts(order)
    assert (
        subject(alert) == f"[Jersey Events Alert] Order {order.number} has its tickets, and may be paid a second time"
    )
    assert f"It has another checkout, {other}: it is PENDING, and SumUp did not close it." in " ".join(
        body(alert).split()
    )
    assert stage.next_look(order) is None


# -- late ones ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def late(new_stage: Callable[[], Stage]) -> World:
    """Orders that are paid late, by windows that paypoll must keep open long enough, and some that never are."""
    stage = new_stage()
    orders = {
        "at-67-h": stage.order("ORD-67H", checkout="FAILED"),
        "on-day-4": stage.order("ORD-DAY4", checkout="FAILED"),
        "off-known": stage.order("ORD-OFF-KNOWN", checkout="FAILED"),
        "off-unseen": stage.order("ORD-OFF-UNSEEN", checkout="", status="failed", age=4 * DAY),
        "off-waiting": stage.order("ORD-OFF-WAITING", checkout="PAID", age=4 * DAY),
        "off-unpaid": stage.order("ORD-OFF-UNPAID", checkout="FAILED", status="failed", age=4 * DAY),
        "declined": stage.order("ORD-DECLINED", checkout="FAILED", status="pending", age=timedelta(minutes=50)),
        "declined-open": stage.order("ORD-DECLINED-OPEN", checkout="FAILED", status="pending", age=SHORT_WHILE * 4),
        "declined-long-ago": stage.order("ORD-DECLINED-LONG", checkout="FAILED", status="pending", age=25 * HOUR),
        "retried": stage.order("ORD-RETRIED", age=3 * HOUR),
        "hosted": stage.order("ORD-HOSTED", checkout="", status="pending"),
        "basket": stage.order("ORD-BASKET", checkout="", status="pending"),
        "basket-404": stage.order("ORD-BASKET-404", status="pending"),
        "made-void": stage.order("ORD-MADE-VOID", status="cancelled"),
    }
    stage.checkout(orders["off-unseen"], "PAID", reference="hosted_order_ORD-OFF-UNSEEN", age=2 * DAY)
    stage.checkout(orders["retried"], "PENDING", reference="ORD-RETRIED-again", age=SHORT_WHILE)
    stage.sumup.forget(orders["basket-404"].checkout)
    made = World(stage, orders)
    made.run_on()
    # The buyer of a hosted basket pays and closes the browser; a cancelled order is paid and set back.
    stage.checkout(orders["hosted"], "PAID", reference="hosted_order_ORD-HOSTED", stored=False, age=timedelta(0))
    stage.sumup.pay(orders["made-void"].checkout, force=True)
    stage.shop.update("orders_order", orders["made-void"].id, status="pending_verification")
    # paypoll is off for four days, and this one is paid on the second.
    stage.let_age(orders["off-known"], 4 * DAY)
    stage.sumup.pay(orders["off-known"].checkout, force=True)
    for name in ("hosted", "basket", "basket-404"):
        stage.let_age(orders[name], HOUR)
    # 66 hours later, and once more before the window ends.
    stage.let_age(orders["at-67-h"], 66 * HOUR)
    made.run_on()
    stage.sumup.pay(orders["at-67-h"].checkout, force=True)
    due = stage.next_look(orders["at-67-h"])
    assert due is not None
    made.kept["at-67-h"] = {"pause": due - datetime.now(UTC)}
    stage.let_age(orders["at-67-h"], made.kept["at-67-h"]["pause"] + SHORT_WHILE)
    # On day 4 the failure mail's link is followed: the shop makes another checkout, and sets the order back to pending.
    stage.let_age(orders["on-day-4"], 71 * HOUR)
    made.run_on()
    stage.let_age(orders["on-day-4"], 25 * HOUR)
    made.run_on()
    made.kept["on-day-4"] = {"reasons": reasons(made, "on-day-4")}
    stage.checkout(orders["on-day-4"], "PAID", reference="ORD-DAY4-again", age=timedelta(0))
    stage.shop.update("orders_order", orders["on-day-4"].id, status="pending")
    for name in ("basket", "basket-404"):
        stage.let_age(orders[name], 73 * HOUR)
    made.run_on()
    made.run_on()
    return made


def test_row_03d_buyer_who_was_declined_and_never_came_back_is_told_once_the_page_is_over(late: World) -> None:
    order, stage = late["declined"], late.stage
    assert (stage.status(order), reasons(late, "declined")[0]) == ("failed", "payment_failed")
    assert [subject(mail) for mail in stage.mails(order)] == ["Your payment did not go through - order ORD-DECLINED"]


@pytest.mark.parametrize(("name", "reason"), [("declined-open", "retrying"), ("declined-long-ago", "abandoned")])
def test_row_03d_buyer_on_a_page_that_takes_cards_or_declined_long_ago_is_left_alone(
    late: World, name: str, reason: str
) -> None:
    assert (late.stage.status(late[name]), reasons(late, name)[0]) == ("pending", reason)
    assert (late.stage.mails(late[name]), told(late, name)) == ([], [])


def test_row_04b_fresh_checkout_of_an_old_order_is_young(late: World) -> None:
    check_waiting(late.stage, late["retried"], reason="still_pending")
    assert {late.stage.sumup.checkout(row["sumup_checkout_id"]).status for row in late.stage.checkout_rows(
        late["retried"])} == {"PENDING"}  # fmt: skip


@pytest.mark.parametrize("name", ["basket", "basket-404"])
def test_row_15b_basket_of_which_sumup_knows_nothing_is_silent_to_its_end(late: World, name: str) -> None:
    assert late.stage.status(late[name]) == "pending"
    assert set(reasons(late, name)) == {"abandoned"}
    assert len(reasons(late, name)) == 3
    assert (late.stage.mails(late[name]), told(late, name)) == ([], [])


def test_row_05a_basket_without_a_checkout_row_that_is_paid_in_the_hosted_flow_is_completed(late: World) -> None:
    assert reasons(late, "hosted")[0] == "abandoned"
    check_completed(late.stage, late["hosted"])


def test_row_20a_payment_in_the_last_hours_is_seen_at_the_windows_end(late: World) -> None:
    assert timedelta(0) < late.kept["at-67-h"]["pause"] < 6 * HOUR  # the end comes sooner than the pause of six hours
    assert reasons(late, "at-67-h") == ["payment_failed", "still_unpaid", "paid_late"]
    check_issued(late.stage, late["at-67-h"], on_paper=False)


def test_row_20a_failure_mails_link_followed_on_day_4_and_paid_is_completed(late: World) -> None:
    assert late.kept["on-day-4"]["reasons"] == ["payment_failed", "still_unpaid", "still_unpaid"]
    check_issued(late.stage, late["on-day-4"], on_paper=False)


@pytest.mark.parametrize(
    ("name", "reason"), [("off-known", "paid_late"), ("off-unseen", "paid_late"), ("off-waiting", "paid_late")]
)
def test_row_20a_order_paid_while_paypoll_was_off_is_completed(late: World, name: str, reason: str) -> None:
    check_issued(late.stage, late[name], on_paper=False)
    assert reasons(late, name)[-1] == reason
    assert any("was paid late" in text for text in told(late, name))


def test_row_20a_order_unpaid_when_first_seen_after_its_window_is_left_without_a_mail(late: World) -> None:
    assert reasons(late, "off-unpaid") == ["before_our_time"]
    assert late.stage.status(late["off-unpaid"]) == "failed"
    assert (late.stage.mails(late["off-unpaid"]), told(late, "off-unpaid")) == ([], [])


def test_row_24b_order_that_was_seen_cancelled_and_is_set_back_gets_no_tickets(late: World) -> None:
    order, stage = late["made-void"], late.stage
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
    assert stage.history(order) == ["manual_review"]  # the shop had written none
    assert reasons(late, "made-void")[:2] == ["void", "refunded"]
    (alert,) = stage.alerts(order)
    assert "it was cancelled or refunded before" in body(alert)


def test_run_again_over_late_orders_changes_nothing(late: World) -> None:
    assert late.shops[-1] == late.shops[-2]
    assert late.mails[-1] == late.mails[-2]


# -- after a person has decided ----------------------------------------------------------------------------------------


def test_row_25c_stale_copy_saved_over_an_order_that_a_person_issued_is_healed(stage: Stage) -> None:
    order = stage.order("ORD-BY-HAND", checkout="")
    stage.checkout(order, "PAID", amount=order.total + PENNY)
    stale = stage.row(order)
    assert stage.run_once().code == 0
    issued = stage.paypoll("resolve", order.number, "--issue", "--override", "--reason", "a penny too much", "--yes")
    assert issued.code == 0, issued.stderr
    before, mails = stage.row(order), len(stage.mails(order))
    assert before["status"] == "completed"
    stage.shop.update("orders_order", order.id, **{name: old for name, old in stale.items() if name != "id"})
    assert stage.run_once().code == 0
    row = stage.row(order)
    for column in ("status", "is_paid", "paid_at", "transaction_id"):
        assert row[column] == before[column]
    assert (len(stage.tickets(order)), len(stage.mails(order))) == (2, mails)
    assert stage.reasons(order)[-1] == "overwritten"


# -- once told, and again ----------------------------------------------------------------------------------------------


def test_row_45_another_wrong_payment_is_told_again_and_the_same_one_is_not(stage: Stage) -> None:
    order = stage.order("ORD-WRONG", checkout="")
    stage.checkout(order, "PAID", amount=order.total + PENNY)
    assert stage.run_once().code == 0
    for _ in range(2):  # the browser sets it back, to the same wrong payment
        stage.shop.update("orders_order", order.id, status="pending_verification")
        assert stage.run_once().code == 0
    assert len(stage.alerts(order)) == 1
    other = stage.checkout(order, "PAID", reference="ORD-WRONG-again", amount=order.total - PENNY)
    stage.shop.update("orders_order", order.id, status="pending_verification")
    assert stage.run_once().code == 0
    first, again = stage.alerts(order)
    assert subject(first) == subject(again)
    assert other in body(again)
    assert other not in body(first)


def test_row_45_order_that_is_stuck_a_second_time_is_told_again(stage: Stage) -> None:
    order = stage.order("ORD-STUCK", age=timedelta(minutes=40))
    for _ in range(2):
        assert stage.run_once().code == 0
    stuck = "waiting for SumUp for too long"
    assert sum(stuck in subject(mail) for mail in stage.sink.messages) == 1
    stage.sumup.expire(order.checkout)
    assert stage.run_once().code == 0
    assert stage.status(order) == "expired"
    stage.checkout(order, "PENDING", reference="ORD-STUCK-again", age=timedelta(minutes=35))
    stage.shop.update("orders_order", order.id, status="pending_verification")
    assert stage.run_once().code == 0
    stage.let_age(order, timedelta(minutes=31))
    for _ in range(2):
        assert stage.run_once().code == 0
    assert sum(stuck in subject(mail) for mail in stage.sink.messages) == 2


# -- a run that was stopped --------------------------------------------------------------------------------------------


def test_row_26a_evidence_older_than_the_lease_is_not_applied(stage: Stage) -> None:
    order = stage.order("ORD-SUSPENDED", age=3 * HOUR)
    with stage.sumup.fault(Later(), method="DELETE") as held:
        process = stage.start("run-once", "--json", verification__lease="1s", mail__message_timeout="500ms")
        stage.sumup.journal.wait_until(lambda journal: journal.count("DELETE") > 0, PATIENCE)
        os.kill(process.pid, signal.SIGSTOP)
        (watched,) = stage.sql("SELECT lease_until FROM paypoll.watch WHERE order_id = :id", id=order.id)
        stage.sql(
            "SELECT pg_sleep(greatest(0, extract(epoch FROM :until - now())) + 1.5)", until=watched["lease_until"]
        )
        os.kill(process.pid, signal.SIGCONT)
        held.clear()
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert Ended(process.wait(), stdout, stderr).report["orders"] == []
    assert (stage.status(order), stage.history(order), stage.audit(order)) == ("pending_verification", [], [])
    assert stage.sql("SELECT 1 FROM paypoll.watch WHERE lease_run IS NOT NULL") == []
    stage.run_once()
    assert stage.status(order) == "expired"
