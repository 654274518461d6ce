"""Orders that a person has to look at, each of its own kind, in one run: the rows that end in review."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_review
from tests.acceptance.stage import ADMIN, PRICE, Placed, Stage
from tests.acceptance.world import World, waves

from paypoll.sandbox.sumup.tampering import ABSENT

PENNY = Decimal("0.01")
MISMATCHES: dict[str, str] = {
    "penny-more": "paid 25.01 GBP, the order's total is 25.00 GBP",
    "penny-less": "paid 24.99 GBP, the order's total is 25.00 GBP",
    "more-digits": "25.001",
    "currency": "paid in EUR, expected GBP",
    "merchant": "paid to merchant MOTHER, expected MPLATFORM",
    "reference": "SumUp's reference is ORD-9999, which is none of this order's",
    "basket-penny-more": "paid 25.01 GBP",
    "beside-pending": "paid 25.01 GBP",
    "no-attempt": "0 successful transactions",
    "failed-attempt": "0 successful transactions",
}
GIVEN_BACK = {
    "refunded": "25.00 GBP was refunded",
    "partly-refunded": "1.00 GBP was refunded",
    "charged-back": "25.00 GBP was charged back",
}
ODD_ORDERS = {
    "no-event": ("event_gone", "no longer in the shop"),
    "event-cancelled": ("event_cancelled", "was cancelled"),
    "event-over": ("event_over", "was on"),
    "quantity-0": ("bad_quantity", "0 places were ordered"),
    "quantity-101": ("bad_quantity", "101 places were ordered"),
    "no-items": ("no_items", "has no items"),
    "total-0": ("nothing_to_pay", "total is 0.00"),
}


@pytest.fixture(scope="module")
def world(new_stage: Callable[[], Stage]) -> World:
    stage = new_stage()
    made = World(stage, {})
    # Five alerts of one kind in a run become a summary, so the mismatches come in waves.
    for names in waves(MISMATCHES):
        made.orders |= mismatches(stage, names)
        made.run()
    orders = {**given_back(stage), **odd_orders(stage)}
    orders["unknown"] = stage.order("ORD-UNKNOWN", checkout="PENDING")
    stage.sumup.forget(orders["unknown"].checkout)
    orders["unknown-beside"] = stage.order("ORD-BESIDE", checkout="FAILED")
    stage.sumup.forget(stage.checkout(orders["unknown-beside"], "PENDING", reference="ORD-BESIDE-again"))
    orders["never-made"] = stage.order("ORD-NEVERMADE", checkout="")
    orders["odd-id"] = stage.order("ORD-ODDID", checkout="")
    stage.shop.add_checkout(orders["odd-id"].id, "ORD-ODDID", "../token?x=1", merchant_code="MPLATFORM")
    made.orders |= orders
    for _ in range(3):
        made.run()
    return made


def mismatches(stage: Stage, names: Iterable[str]) -> dict[str, Placed]:
    """Orders that are PAID, but not quite as they should be."""
    orders = {}
    for name in names:
        status = "pending" if name.startswith("basket") else "pending_verification"
        orders[name] = order = stage.order(f"ORD-{name.upper()}", checkout="", status=status)
        amount = {"penny-less": -PENNY}.get(name, PENNY if "more" in name or "beside" in name else Decimal(0))
        currency = "EUR" if name == "currency" else "GBP"
        checkout = stage.checkout(order, "PAID", amount=order.total + amount, currency=currency)
        attempts = stage.sumup.checkout(checkout).attempts
        tampered: dict[str, dict[str, Any]] = {
            "more-digits": {"amount": Decimal("25.001")},
            "merchant": {"merchant_code": "MOTHER"},
            "reference": {"checkout_reference": "ORD-9999"},
            "no-attempt": {"transactions": [], "transaction_id": ABSENT, "transaction_code": ABSENT},
            "failed-attempt": {"transactions": [{"id": attempts[0].id, "status": "FAILED"}]},
        }
        stage.sumup.tamper(checkout, **tampered.get(name, {}))
        if name == "beside-pending":
            stage.checkout(order, "PENDING", reference=f"{order.number}-again")
    return orders


def given_back(stage: Stage) -> dict[str, Placed]:
    """Orders whose money, or some of it, went back before their tickets were issued."""
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="PAID") for name in GIVEN_BACK}
    stage.sumup.refund(orders["refunded"].checkout)
    stage.sumup.refund(orders["partly-refunded"].checkout, Decimal("1.00"))
    stage.sumup.charge_back(orders["charged-back"].checkout)
    return orders


def odd_orders(stage: Stage) -> dict[str, Placed]:
    """Orders that are paid as they should be, but cannot be fulfilled."""
    places: dict[str, list[tuple[int | None, int, Decimal]]] = {
        "no-event": [(None, 1, PRICE)],
        "event-cancelled": [(stage.event("Cancelled Concert", status="cancelled"), 1, PRICE)],
        "event-over": [(stage.event("Last Year's Concert", starts_in=-timedelta(days=3)), 1, PRICE)],
        "quantity-0": [(stage.concert, 0, PRICE)],
        "quantity-101": [(stage.concert, 101, Decimal("1.00"))],
        "no-items": [],
        "total-0": [(stage.concert, 1, Decimal(0))],
    }
    totals: dict[str, dict[str, Any]] = {"quantity-0": {"total": PRICE}, "no-items": {"total": PRICE}}
    return {
        name: stage.order(f"ORD-{name.upper()}", places=wanted, checkout="PAID", **totals.get(name, {}))
        for name, wanted in places.items()
    }


@pytest.mark.parametrize("name", MISMATCHES)
def test_rows_05a_to_09_and_13_paid_that_does_not_fit_goes_to_review(world: World, name: str) -> None:
    check_review(world.stage, world[name], reason="mismatch", found=MISMATCHES[name])
    (first, *_) = world.stage.checkout_rows(world[name])
    assert first["status"] == "paid"


@pytest.mark.parametrize("name", GIVEN_BACK)
def test_row_09_paid_and_given_back_goes_to_review(world: World, name: str) -> None:
    check_review(world.stage, world[name], reason="refunded", found=GIVEN_BACK[name])


def test_row_13_pending_checkout_beside_a_mismatch_is_left_open(world: World) -> None:
    rows = world.stage.checkout_rows(world["beside-pending"])
    assert [world.stage.sumup.checkout(row["sumup_checkout_id"]).status for row in rows] == ["PAID", "PENDING"]


def test_row_15_order_that_sumup_does_not_know_waits_for_the_next_run(world: World) -> None:
    assert world.runs[-3].reason(world["never-made"]) == "missing_once"
    assert world.stage.reasons(world["never-made"]) == ["missing_once", "not_found"]


def test_row_15_order_that_sumup_does_not_know_by_the_next_run_goes_to_review(world: World) -> None:
    assert world.runs[-2].reason(world["never-made"]) == "not_found"
    check_review(world.stage, world["never-made"], reason="not_found", found="hosted_order_ORD-NEVERMADE")


def test_row_16_checkout_that_sumup_does_not_know_goes_to_review(world: World) -> None:
    order = world["unknown"]
    check_review(world.stage, order, reason="not_found", found=f"does not know checkout {order.checkout}")


def test_row_16a_checkout_that_sumup_does_not_know_beside_a_failed_one_goes_to_review(world: World) -> None:
    check_review(world.stage, world["unknown-beside"], reason="not_found", found="SumUp does not know checkout")


def test_checkout_id_that_is_no_plain_token_goes_to_review_unasked(world: World) -> None:
    check_review(world.stage, world["odd-id"], reason="bad_checkout_id")
    assert world.stage.sumup.count(path="*token*") == 0


@pytest.mark.parametrize("name", ODD_ORDERS)
def test_rows_28_to_30_paid_order_that_cannot_be_fulfilled_goes_to_review(world: World, name: str) -> None:
    reason, found = ODD_ORDERS[name]
    check_review(world.stage, world[name], reason=reason, found=found)


def test_run_again_over_reviewed_orders_changes_nothing_and_tells_nobody(world: World) -> None:
    assert [run.code for run in world.runs] == [0] * len(world.runs)
    looks = {one["number"]: one["reason"] for one in world.runs[-1].report["orders"]}
    # SumUp's list under its reference holds a checkout of another reference: that is no answer.
    assert looks.pop(world["reference"].number) == "no_answer"
    assert set(looks.values()) == {"settled"}
    assert world.shops[-1] == world.shops[-2]
    assert world.mails[-1] == world.mails[-2]


def test_buyers_of_reviewed_orders_hear_nothing(world: World) -> None:
    assert {mail.recipients for mail in world.stage.sink.messages} == {(ADMIN,)}
    assert len(world.stage.sink.messages) == len(world.orders)


# -- orders that have tickets already, or once had ------------------------------------------------------------


@pytest.fixture(scope="module")
def again(new_stage: Callable[[], Stage]) -> World:
    """Fulfilled orders that something happened to, and that a browser then set back to waiting."""
    stage = new_stage()
    names = ("refund-row", "refund-history", "refund-sumup", "ticket-refunded", "ticket-gone", "ticket-lost")
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="PAID") for name in names}
    made = World(stage, orders)
    made.run()
    shop, now = stage.shop, datetime.now(UTC)
    shop.insert("orders_refund", order_id=orders["refund-row"].id, status="processed", amount=Decimal("25.00"))
    for status in ("refunded", "completed"):
        shop.insert("orders_orderstatushistory", order_id=orders["refund-history"].id, status=status, created_at=now)
    stage.sumup.refund(orders["refund-sumup"].checkout)
    shop.update("events_ticket", stage.tickets(orders["ticket-refunded"])[0]["id"], status="refunded")
    for ticket in (*stage.tickets(orders["ticket-gone"]), stage.tickets(orders["ticket-lost"])[0]):
        stage.sql("DELETE FROM events_ticket WHERE id = :id", id=ticket["id"])
    orders["shop-some"] = stage.order("ORD-SHOP-SOME", checkout="PAID")
    stage.issue_as_the_shop(orders["shop-some"], places=1)
    for order in orders.values():
        shop.update("orders_order", order.id, status="pending_verification")
    stage.sink.forget()
    made.run()
    made.run()
    return made


@pytest.mark.parametrize("name", ["refund-row", "refund-history", "refund-sumup", "ticket-refunded"])
def test_row_24_order_set_back_after_a_refund_goes_to_review_without_new_tickets(again: World, name: str) -> None:
    check_again(again, name, "refunded", tickets=2)


@pytest.mark.parametrize(("name", "tickets"), [("ticket-lost", 1), ("shop-some", 1)])
def test_row_25_order_with_some_of_its_tickets_goes_to_review(again: World, name: str, tickets: int) -> None:
    check_again(again, name, "tickets_incomplete", tickets=tickets)


def test_row_25_order_whose_tickets_are_gone_goes_to_review(again: World) -> None:
    check_again(again, "ticket-gone", "tickets_gone", tickets=0)


def test_run_again_over_orders_set_back_changes_nothing(again: World) -> None:
    assert again.shops[2] == again.shops[1]
    assert again.mails[2] == again.mails[1]


def check_again(again: World, name: str, reason: str, *, tickets: int) -> None:
    stage, order = again.stage, again[name]
    assert stage.status(order) == "requires_manual_review"
    assert len(stage.tickets(order)) == tickets
    assert stage.mails(order) == []
    (alert,) = stage.alerts(order)
    assert subject(alert).startswith("[Jersey Events CRITICAL] ")
    assert order.number in body(alert)
    assert stage.reasons(order)[-1] == reason


def test_row_24a_order_whose_review_a_person_closed_gets_no_tickets_when_the_browser_sets_it_back(stage: Stage) -> None:
    order = stage.order("ORD-CLOSED", checkout="")
    checkout = stage.checkout(order, "PAID", amount=order.total + PENNY)
    assert stage.run_once().code == 0
    closed = stage.paypoll("resolve", order.number, "--reject", "--reason", "paid too much, refunded in cash", "--yes")
    assert closed.code == 0, closed.stderr
    stage.sumup.tamper(checkout, amount=order.total)  # from now on everything would fit
    stage.sql("UPDATE orders_order SET status = 'pending_verification' WHERE id = :id", id=order.id)
    stage.let_time_pass()
    assert stage.run_once().code == 0
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
    assert "rejected" in subject(stage.alerts(order)[-1])


@pytest.mark.parametrize("told", ["true", "false"])
def test_row_09a_customer_in_review_is_told_once_if_the_settings_say_so(stage: Stage, told: str) -> None:
    order = stage.order("ORD-REVIEW", checkout="")
    stage.checkout(order, "PAID", amount=order.total + PENNY)
    for _ in range(2):
        assert stage.run_once(mail__tell_of_review=told).code == 0
        stage.let_time_pass()
    subjects = [subject(mail) for mail in stage.mails(order)]
    assert subjects == (["Your payment is being checked - order ORD-REVIEW"] if told == "true" else [])
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
