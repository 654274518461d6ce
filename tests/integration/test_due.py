"""When an order is looked at again: after a new checkout, and after a clock was wrong."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.payments.decision import Reason
from paypoll.payments.gateway import Found, NotAllowed
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state import ledger, watches
from paypoll.state.runs import SOME, SWEEP
from paypoll.state.tables import outbox
from paypoll.testing import MERCHANT, NOW, a_transaction, an_answer

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

_DAY = timedelta(days=1)


def reasons(bench: "Bench") -> list[Reason]:
    """Run once, and return what was found about each order that was looked at."""
    return [applied.reason for applied in record_run(bench.app, SWEEP).applied]


def issue_as_the_shop(shop: SmallShop, order_id: int) -> None:
    """Issue a ticket for every place, as a page of the shop does."""
    (item,) = shop.rows("orders_orderitem", order_id=order_id)
    buyer = shop.add_user("buyer@example.org")
    for place in range(item["quantity"]):
        shop.insert("events_ticket", ticket_number=f"OLD-{place}", order_id=order_id, event_id=item["event_id"],
                    customer_id=buyer, status="valid")  # fmt: skip


def look_until_the_end(bench: "Bench") -> None:
    """Let the window of every order pass, with a look at its end."""
    reasons(bench)
    bench.clock.move(4 * _DAY)
    assert reasons(bench)
    bench.clock.move(_DAY)
    assert reasons(bench) == []


def test_row_20a_new_checkout_of_an_order_that_was_not_followed_any_more_is_seen_when_paid(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    look_until_the_end(bench)
    made = bench.clock.now() - timedelta(hours=1)
    shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
    place.set_status("ORD-1-2", "PENDING")
    assert reasons(bench) == [Reason.STILL_UNPAID]
    bench.clock.move(timedelta(hours=7))
    place.set_status("ORD-1-2", "PAID")
    assert reasons(bench) == [Reason.PAID_LATE]
    assert shop.row("orders_order", order_id)["status"] == "completed"


def test_row_20a_checkout_that_the_shop_committed_after_the_last_look_is_seen_though_it_is_dated_before(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    reasons(bench)
    bench.clock.move(4 * _DAY)
    made = bench.clock.now() - timedelta(seconds=1)
    assert reasons(bench) == [Reason.STILL_UNPAID]
    shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
    place.set_status("ORD-1-2", "PAID")
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == [Reason.PAID_LATE]


def test_row_20a_checkout_made_while_paypoll_was_off_for_a_week_is_seen_though_a_person_had_one_order_looked_at_first(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id, other = place("ORD-1", "FAILED"), place("ORD-2", "PENDING", status="pending")
    look_until_the_end(bench)
    made = bench.clock.now() + timedelta(hours=1)
    shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
    place.set_status("ORD-1-2", "PAID")
    bench.clock.move(7 * _DAY)
    record_run(bench.app, SOME, only=[other])
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == [Reason.PAID_LATE]


def test_row_20a_last_look_with_the_key_of_another_account_is_none_and_is_made_again(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    reasons(bench)
    bench.clock.move(4 * _DAY)
    known = bench.gateway.checkouts.pop("chk-ORD-1")
    assert reasons(bench) == [Reason.STILL_UNPAID]
    bench.gateway.checkouts["chk-ORD-1"] = known
    place.set_status("ORD-1", "PAID")
    bench.clock.move(timedelta(hours=7))
    assert reasons(bench) == [Reason.PAID_LATE]
    assert shop.row("orders_order", order_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("days", "pause", "end"), [(0, timedelta(0), "completed"), (60, _DAY, "requires_manual_review")]
)
def test_row_20a_row_that_the_shop_uses_again_after_the_window_is_seen_and_followed_for_another_window(
    bench: "Bench", shop: SmallShop, place: "Place", days: int, pause: timedelta, end: str
) -> None:
    """Rows of the last thirty days are looked through in every run, older ones by the first of a day."""
    order_id = place("ORD-1", "FAILED")
    look_until_the_end(bench)
    bench.clock.move(days * _DAY)
    assert reasons(bench) == []
    (row,) = shop.rows("payments_sumupcheckout", order_id=order_id)
    again = bench.clock.now() - timedelta(minutes=1)
    shop.update("payments_sumupcheckout", row["id"], sumup_checkout_id="chk-again", updated_at=again)
    bench.gateway.checkouts["chk-again"] = Found(an_answer("PENDING", id="chk-again", reference="ORD-1", made_at=again))
    bench.clock.move(pause)
    assert reasons(bench) == [Reason.STILL_UNPAID]
    bench.clock.move(2 * _DAY - pause)
    bench.gateway.checkouts["chk-again"] = Found(an_answer(id="chk-again", reference="ORD-1", made_at=again))
    bench.gateway.transactions["txn-1"] = Found(a_transaction())
    assert len(reasons(bench)) == 1
    assert shop.row("orders_order", order_id)["status"] == end


def test_row_that_the_shop_saves_again_with_the_ids_that_were_seen_makes_nobody_look(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    look_until_the_end(bench)
    (row,) = shop.rows("payments_sumupcheckout", order_id=order_id)
    shop.update("payments_sumupcheckout", row["id"], updated_at=bench.clock.now() - timedelta(minutes=1))
    assert reasons(bench) == []


def test_row_that_the_shop_uses_again_with_an_id_that_sumup_does_not_know_is_looked_at_once(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    look_until_the_end(bench)
    (row,) = shop.rows("payments_sumupcheckout", order_id=order_id)
    again = bench.clock.now() - timedelta(minutes=1)
    shop.update("payments_sumupcheckout", row["id"], sumup_checkout_id="chk-nobodys", updated_at=again)
    assert len(reasons(bench)) == 1
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == []


def test_row_20a_hosted_checkout_that_the_shop_never_stored_has_a_window_of_its_own(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "FAILED")
    reasons(bench)
    bench.clock.move(2 * _DAY)
    hosted: dict[str, Any] = {
        "id": "chk-hosted",
        "reference": "hosted_order_ORD-1",
        "made_at": bench.clock.now() - timedelta(minutes=1),
    }
    bench.gateway.checkouts["chk-hosted"] = Found(an_answer("FAILED", **hosted))
    assert reasons(bench) == [Reason.STILL_UNPAID]
    bench.clock.move(timedelta(hours=71))  # the shop's own checkout is five days old
    assert reasons(bench) == [Reason.STILL_UNPAID]
    bench.gateway.checkouts["chk-hosted"] = Found(an_answer(**hosted))
    bench.gateway.transactions["txn-1"] = Found(a_transaction())
    bench.clock.move(timedelta(hours=2))
    assert reasons(bench) == [Reason.PAID_LATE]
    assert shop.row("orders_order", order_id)["status"] == "completed"


@pytest.mark.parametrize("status", ["failed", "pending", "cancelled", "pending_verification"])
def test_row_20a_order_of_long_ago_that_is_tried_anew_or_waits_is_looked_at_though_it_was_never_seen(
    bench: "Bench", shop: SmallShop, place: "Place", status: str
) -> None:
    order_id = place("ORD-1", "FAILED", status=status, created_at=NOW - 60 * _DAY)
    (row,) = shop.rows("payments_sumupcheckout", order_id=order_id)
    shop.update("payments_sumupcheckout", row["id"], created_at=NOW - 60 * _DAY, updated_at=NOW - 60 * _DAY)
    place("ORD-2", "FAILED", status="failed", created_at=NOW - 60 * _DAY)
    shop.update("payments_sumupcheckout", row["id"] + 1, created_at=NOW - 60 * _DAY, updated_at=NOW - 60 * _DAY)
    if status != "pending_verification":
        assert reasons(bench) == []  # nothing has happened to either since paypoll was installed
        made = NOW - timedelta(minutes=1)
        shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
        place.set_status("ORD-1-2", "PENDING")
        with transaction(bench.app.engine) as connection:
            assert watches.peek(connection, bench.app.watch_rules, NOW, limit=9) == [order_id]
    bench.clock.move(timedelta(minutes=5))
    assert len(reasons(bench)) == 1
    place.set_status("ORD-1", "PAID")
    bench.clock.move(timedelta(hours=7))
    (found,) = reasons(bench)
    assert found in {Reason.PAID, Reason.PAID_LATE, Reason.PAID_BUT_VOID}


def test_row_22_order_taken_out_of_a_review_of_long_ago_has_a_last_look(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    """While its review was open, what SumUp did not close was a person's to look at; nobody was told of it."""
    order_id = place("ORD-1", "PENDING", status="requires_manual_review")
    bench.gateway.closings["chk-ORD-1"] = NotAllowed("")
    look_until_the_end(bench)
    bench.clock.move(40 * _DAY)
    assert reasons(bench) == []
    shop.update("orders_order", order_id, status="cancelled")
    bench.clock.move(_DAY)
    with transaction(bench.app.engine) as connection:
        now = bench.clock.now()
        assert watches.is_any_due(connection, bench.app.watch_rules, now, sa.false())
        assert watches.peek(connection, bench.app.watch_rules, now, limit=9) == [order_id]
    assert reasons(bench) == [Reason.NOT_CLOSED]
    bench.clock.move(_DAY)
    assert reasons(bench) == []


@pytest.mark.parametrize(("status", "reason"), [("cancelled", Reason.PAID_BUT_VOID), ("failed", Reason.REPLAYED)])
def test_row_22_order_completed_long_ago_that_is_cancelled_now_is_told_and_a_stale_copy_healed(
    bench: "Bench", shop: SmallShop, place: "Place", status: str, reason: Reason
) -> None:
    order_id = place("ORD-1")
    reasons(bench)
    look_until_the_end(bench)
    bench.clock.move(40 * _DAY)
    shop.update("orders_order", order_id, status=status)
    assert reasons(bench) == [reason]
    bench.clock.move(_DAY)
    assert reasons(bench) in ([], [Reason.SETTLED])


def test_row_12a_order_whose_number_somebody_changes_is_the_same_order(
    bench: "Bench", shop: SmallShop, place: "Place", engine: sa.Engine
) -> None:
    order_id = place("ORD-1")
    assert reasons(bench) == [Reason.PAID]
    shop.update("orders_order", order_id, order_number="ORD-1-B")
    bench.clock.move(timedelta(hours=1))
    shop.add_checkout(order_id, "ORD-1-B", "chk-ORD-1-B", merchant_code=MERCHANT)
    bench.gateway.checkouts["chk-ORD-1-B"] = Found(
        an_answer(id="chk-ORD-1-B", reference="ORD-1-B", transaction_id="txn-2", attempts=())
    )
    assert reasons(bench) == [Reason.PAID_TWICE]
    with transaction(engine) as connection:
        alerts = connection.scalars(sa.text("SELECT dedupe_key FROM paypoll.outbox WHERE kind = 'alert'")).all()
    assert [key.partition(":order:")[0] for key in alerts] == ["alert:paid_twice:chk-ORD-1-B"]


def test_order_completed_by_the_shop_with_a_new_checkout_is_looked_at_once(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1", "PENDING")
    reasons(bench)
    shop.update("orders_order", order_id, status="completed")
    issue_as_the_shop(shop, order_id)
    bench.clock.move(_DAY)
    made = bench.clock.now() - timedelta(hours=1)
    shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
    assert reasons(bench) == [Reason.NOT_WATCHED]
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == []


def test_row_46_looks_under_a_clock_that_was_ahead_hold_no_order_back(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    waiting, failed = place("ORD-1", "PENDING"), place("ORD-2", "FAILED")
    reasons(bench)
    bench.clock.move(5 * _DAY)
    assert reasons(bench)
    bench.clock.move(-5 * _DAY + timedelta(minutes=5))
    place.set_status("ORD-1", "PAID")
    place.set_status("ORD-2", "PAID")
    assert set(reasons(bench)) <= {Reason.PAID, Reason.PAID_LATE}
    assert [shop.row("orders_order", order)["status"] for order in (waiting, failed)] == ["completed"] * 2


def test_row_46_lease_that_was_taken_under_a_clock_that_was_ahead_holds_nothing(bench: "Bench", place: "Place") -> None:
    order_id = place("ORD-1")
    ahead, lease = NOW + _DAY, timedelta(minutes=3)
    with transaction(bench.app.engine) as connection:
        watches.enrol_order(connection, order_id, ahead)
        assert watches.claim_these(connection, [order_id], "a run that was killed", ahead, lease=lease)
    assert reasons(bench) == [Reason.PAID]


def test_row_46_mail_that_was_put_off_under_a_clock_that_was_ahead_leaves_at_once(
    bench: "Bench", place: "Place"
) -> None:
    place("ORD-1")
    bench.clock.move(_DAY)
    bench.mailer.down = "the mail server is out of reach"
    reasons(bench)
    assert bench.mailer.sent == []
    bench.clock.move(-_DAY + timedelta(minutes=5))
    bench.mailer.down = ""
    reasons(bench)
    assert [recipients for _, recipients in bench.mailer.sent] == [("ord-1@example.org",)]


@pytest.mark.parametrize(
    ("ahead", "left", "tries"),
    [
        (50, {"state": "sending", "lease_run": "killed", "lease_until": NOW + timedelta(minutes=53)}, 2),
        (50, {"attempts": 0, "next_attempt_at": NOW + timedelta(minutes=59)}, 2),
        (5, {"attempts": 0, "next_attempt_at": sa.column("created_at")}, 1),
    ],
    ids=["killed while it was sent", "held back", "never tried"],
)
def test_row_46_mail_that_was_posted_under_a_clock_that_was_ahead_by_less_than_a_pause_leaves_at_once(
    bench: "Bench", place: "Place", ahead: int, left: dict[str, object], tries: int
) -> None:
    place("ORD-1")
    bench.clock.move(timedelta(minutes=ahead))
    bench.mailer.down = "the mail server is out of reach"
    reasons(bench)
    with transaction(bench.app.engine) as connection:
        connection.execute(sa.update(outbox).values(left))
    bench.clock.move(timedelta(minutes=-ahead))
    reasons(bench)
    reasons(bench)
    with transaction(bench.app.engine) as connection:
        # It is tried at once, and then waits as any other.
        assert connection.scalar(sa.select(outbox.c.attempts)) == tries
    bench.mailer.down = ""
    bench.clock.move(timedelta(minutes=3))
    reasons(bench)
    assert [recipients for _, recipients in bench.mailer.sent] == [("ord-1@example.org",)]


@pytest.mark.parametrize("by", ["a person or a sweep", "a person who puts it back", "a new checkout", "the list"])
def test_row_46_order_that_was_made_due_under_a_clock_that_was_ahead_is_due(
    bench: "Bench", shop: SmallShop, place: "Place", by: str
) -> None:
    """That run, or the command, came to its end without a look."""
    order_id = place("ORD-1", "FAILED")
    if by == "the list":
        shop.update("orders_order", order_id, status="failed", created_at=NOW - 40 * _DAY)
    else:
        look_until_the_end(bench)
    now = bench.clock.now()
    made = now - timedelta(hours=1)
    shop.add_checkout(order_id, "ORD-1-2", "chk-ORD-1-2", merchant_code=MERCHANT, created_at=made, updated_at=made)
    place.set_status("ORD-1-2", "PAID")
    with transaction(bench.app.engine) as connection:
        if by == "a person or a sweep":
            watches.follow(connection, order_id, now + _DAY)
        elif by == "a person who puts it back":
            watches.put_back(connection, order_id, "pending_verification", now + _DAY)
        else:
            watches.enrol(connection, bench.app.watch_rules, now + timedelta(minutes=50))
    if by == "a person who puts it back":
        shop.update("orders_order", order_id, status="confirmed")
        assert reasons(bench) == [Reason.PAID_NOT_ISSUED]
        return
    assert reasons(bench) == [Reason.PAID_LATE]


@pytest.mark.parametrize("ahead", [timedelta(hours=12), 7 * _DAY])
def test_row_46_sweep_under_a_clock_that_was_ahead_is_made_good_once_it_is_right(
    engine: sa.Engine, ahead: timedelta
) -> None:
    """Listed was what had changed since a time that had not come yet: nothing."""

    def sweep(now: datetime) -> timedelta:
        with transaction(engine) as connection:
            cursor = ledger.begin(connection, MERCHANT, timedelta(days=30), now)
            ledger.finish(connection, cursor, now)
        return now - cursor.since

    hour = timedelta(hours=1)
    assert [sweep(NOW), sweep(NOW + hour)] == [timedelta(days=30), 2 * hour]
    sweep(NOW + 2 * hour + ahead)
    # The clock is right again: a week is looked through, once.
    assert [sweep(NOW + 9 * hour), sweep(NOW + 10 * hour)] == [ledger.LOOK_BACK, 2 * hour]


def test_row_58_look_back_that_had_no_time_to_ask_for_all_that_is_missing_is_made_again(engine: sa.Engine) -> None:
    hour = timedelta(hours=1)
    since = []
    for number, looked_back in enumerate((False, True, True)):
        with transaction(engine) as connection:
            cursor = ledger.begin(connection, MERCHANT, timedelta(days=30), NOW + number * hour)
            ledger.finish(connection, cursor, NOW + number * hour, looked_back=looked_back)
        since.append(NOW + number * hour - cursor.since)
    assert since == [timedelta(days=30), ledger.LOOK_BACK, 2 * hour]


@pytest.mark.parametrize(
    ("status", "is_known"),
    [("processing", False), ("requires_manual_review", True), ("completed", True)],
)
def test_row_26_order_that_the_shop_moves_before_its_first_look_is_done_is_told_by_the_next_run(
    bench: "Bench", shop: SmallShop, place: "Place", status: str, *, is_known: bool
) -> None:
    order_id = place("ORD-1")
    if is_known:
        with transaction(bench.app.engine) as connection:
            watches.enrol(connection, bench.app.watch_rules, NOW)  # and no more: that run is dead
    shop.update("orders_order", order_id, status=status)
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == [Reason.PAID_NOT_ISSUED]
    assert [message["Subject"] for message, _ in bench.mailer.sent] == [
        f"[Jersey Events CRITICAL] Order ORD-1 is {status}, and was paid"
    ]
    bench.clock.move(timedelta(minutes=5))
    assert Reason.PAID_NOT_ISSUED not in reasons(bench)


def test_order_that_the_shop_completes_with_tickets_before_its_first_look_is_done_is_looked_at_once(
    bench: "Bench", shop: SmallShop, place: "Place"
) -> None:
    order_id = place("ORD-1")
    with transaction(bench.app.engine) as connection:
        watches.enrol(connection, bench.app.watch_rules, NOW)
    shop.update("orders_order", order_id, status="completed")
    issue_as_the_shop(shop, order_id)
    bench.clock.move(timedelta(minutes=5))
    assert reasons(bench) == [Reason.NOT_WATCHED]
    bench.clock.move(timedelta(minutes=15))  # until then the shop may commit a checkout that is dated before the look
    assert reasons(bench) == []
