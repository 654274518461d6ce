"""Orders that a page of the shop completed or issued by itself: seen, explained, and completed by a person."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.acceptance.fees import place_fee
from tests.acceptance.papers import attachments, subject
from tests.acceptance.promises import check_ticket
from tests.acceptance.stage import Ended, Placed, Stage
from tests.acceptance.world import World

ASTRAY = {
    "none": ["tickets_missing"],
    "some": ["tickets_missing", "tickets_unreadable", "tickets_unpaid"],
    "unreadable": ["tickets_unreadable"],
    "restored": ["tickets_unreadable"],
    "unpaid": ["tickets_unpaid"],
    "completed": ["tickets_missing"],
    "wrong": ["tickets_missing"],
    "rejected": ["tickets_missing"],
    "cancelled": ["tickets_missing"],
}


@pytest.fixture(scope="module")
def astray(new_stage: Callable[[], Stage]) -> World:
    """A shop whose older pages are still at work; each name is one thing that they do."""
    stage = new_stage()

    def by_the_shop(name: str, status: str = "confirmed", **columns: Any) -> Placed:
        return stage.order(f"ORD-{name.upper()}", checkout="PAID", status=status, **columns)

    orders = {
        "none": by_the_shop("none", is_paid=True, transaction_id="the shop's own"),
        "some": by_the_shop("some", is_paid=False),
        "completed": stage.order("ORD-COMPLETED", age=timedelta(minutes=1)),
        "closed-before": by_the_shop("closedbefore", "completed", is_paid=True),
        "unreadable": by_the_shop("unreadable", "delivered", is_paid=True),
        "restored": by_the_shop("restored", "pending_verification"),
        "unpaid": stage.order("ORD-UNPAID", checkout="FAILED", status="failed"),
        "wrong": stage.order("ORD-WRONG", checkout="FAILED", status="confirmed"),
        "rejected": by_the_shop("rejected"),
        "cancelled": by_the_shop("cancelled"),
        "fine": by_the_shop("fine", "shipped", is_paid=True),
        "under-way": by_the_shop("underway", "processing"),
        "long-ago": by_the_shop("longago", age=timedelta(days=61)),
    }
    for name, places in {"some": 1, "unreadable": 2, "restored": 2, "unpaid": 1, "cancelled": 1, "fine": 2}.items():
        stage.issue_as_the_shop(orders[name], places=places)
    readable = f"order_id IN ({orders['fine'].id}, {orders['unpaid'].id})"
    stage.sql(f"UPDATE events_ticket SET qr_data = 'J|N|E|M|H' WHERE {readable}")  # noqa: S608 - our own ids
    stage.sql("UPDATE events_ticket SET status = 'cancelled' WHERE order_id = :id", id=orders["cancelled"].id)
    place_fee(stage, "LF-BYHAND", "", event={"status": "published"}, fee={"payment_status": "paid"})
    place_fee(stage, "LF-SOUND", "PAID", event={"status": "published"}, fee={"payment_status": "paid"})
    made = World(stage, orders)
    made.run()
    stage.shop.update("orders_order", orders["completed"].id, status="completed")
    made.kept = {"listed": json.loads(stage.paypoll("queue", "--json").stdout)}
    made.kept["said"] = {"queue": stage.paypoll("queue").stdout, "check": stage.paypoll("check").stdout}
    return made


def resolve(world: World, name: str, *arguments: str) -> Ended:
    return world.stage.paypoll("resolve", world[name].number, *arguments, "--reason", "seen", "--by", "margot", "--yes")


def test_row_47_orders_that_the_shop_completed_by_itself_are_listed_by_queue_and_check(astray: World) -> None:
    listed = {order["order_number"]: order["kinds"] for order in astray.kept["listed"]["astray"]}
    assert listed == {astray[name].number: kinds for name, kinds in ASTRAY.items()}
    for number in listed:
        assert number in astray.kept["said"]["queue"]
        assert number in astray.kept["said"]["check"]
    # A page marked a listing fee as paid, and published its event, before paypoll saw it.
    (fee,) = astray.kept["listed"]["fees"]
    assert (fee["reference"], fee["reason"]) == ("LF-BYHAND", "no_payment")
    assert "paypoll resolve LF-BYHAND --issue --override" in astray.kept["said"]["queue"]
    assert "paid without a payment at SumUp: LF-BYHAND" in " ".join(astray.kept["said"]["check"].split())
    assert not any("LF-" in subject(mail) for mail in astray.stage.sink.messages)


@pytest.mark.parametrize(("name", "issued", "mended"), [("none", 2, 0), ("some", 1, 1), ("unreadable", 0, 2)])
def test_row_47_person_completes_what_is_missing_and_the_status_stays(
    astray: World, name: str, issued: int, mended: int
) -> None:
    order, stage = astray[name], astray.stage
    before = stage.row(order)
    explained = " ".join(stage.paypoll("inspect", order.number).stdout.split())
    assert f"paypoll resolve {order.number} --issue" in explained
    done = resolve(astray, name, "--issue", "--json")
    assert (done.code, done.report["tickets"], done.report["mended"]) == (0, issued, mended)
    row, tickets = stage.row(order), stage.tickets(order)
    assert (row["status"], row["is_paid"]) == (before["status"], True)
    assert row["user_id"] == tickets[0]["customer_id"]
    assert row["transaction_id"] == (before["transaction_id"] if before["is_paid"] else stage_code(stage, order))
    assert len(tickets) == 2
    for ticket in tickets:
        check_ticket(stage, order, ticket, on_paper=False, made_by_the_shop=ticket["ticket_number"].startswith("OLD-"))
    (mail,) = stage.mails(order)
    assert len(attachments(mail)) == 2
    again = resolve(astray, name, "--issue")
    assert (again.code, len(stage.tickets(order))) == (65, 2)


def stage_code(stage: Stage, order: Placed) -> str:
    payment = stage.sumup.checkout(order.checkout).payment
    assert payment is not None
    return payment.code


def test_row_47_tickets_without_a_code_of_a_completed_order_are_made_readable(astray: World) -> None:
    order, stage = astray["restored"], astray.stage
    assert stage.status(order) == "completed"  # row 25b
    assert resolve(astray, "restored", "--issue").code == 0
    for ticket in stage.tickets(order):
        check_ticket(stage, order, ticket, on_paper=True, made_by_the_shop=True)


def test_row_47_order_that_sumup_knows_no_payment_of_gets_nothing_unless_overridden(astray: World) -> None:
    order, stage = astray["wrong"], astray.stage
    refused = resolve(astray, "wrong", "--issue")
    assert (refused.code, "add --override" in refused.stderr, stage.tickets(order)) == (65, True, [])
    assert resolve(astray, "wrong", "--issue", "--override").code == 0
    assert (stage.status(order), len(stage.tickets(order))) == ("confirmed", 2)


@pytest.mark.parametrize(("name", "why"), [("unpaid", "cancel them or collect"), ("cancelled", "do not admit")])
def test_row_47_ticket_that_nobody_paid_or_that_was_cancelled_is_never_doubled(
    astray: World, name: str, why: str
) -> None:
    before = astray.stage.tickets(astray[name])
    refused = resolve(astray, name, "--issue", "--override")
    assert (refused.code, why in " ".join(refused.stderr.split())) == (65, True)
    assert astray.stage.tickets(astray[name]) == before


def test_row_47_order_that_a_person_rejects_is_off_the_list_and_as_it_was(astray: World) -> None:
    order, stage = astray["rejected"], astray.stage
    before = stage.row(order)
    assert resolve(astray, "rejected", "--reject").code == 0
    assert stage.row(order) == before
    listed = json.loads(stage.paypoll("queue", "--json").stdout)["astray"]
    assert order.number not in {entry["order_number"] for entry in listed}
