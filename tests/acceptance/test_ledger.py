"""SumUp's ledger held against the orders, both ways: every finding through the installed command."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, MERCHANT, Stage
from tests.acceptance.world import World

AGO = timedelta(hours=2)
ON = {"ledger__every": "30min", "ledger__ignore": f'["{MERCHANT}/Pottery*"]'}


def let_ledger_be_due(stage: Stage, *, look_back: bool = False) -> None:
    """Have the last sweep be an hour ago, and the last look back a day if it is wanted."""
    stage.sql("UPDATE paypoll.ledger_cursor SET asked_at = asked_at - interval '1 hour'")
    if look_back:
        stage.sql("UPDATE paypoll.ledger_cursor SET looked_back_at = NULL")


def findings(stage: Stage) -> list[tuple[str, str, str]]:
    """Return kind, order number and amount of every finding, closed ones in brackets."""
    rows = stage.sql("SELECT * FROM paypoll.finding")
    return sorted(
        (row["kind"] if row["closed_at"] is None else f"({row['kind']})", row["order_number"] or "", str(row["amount"]))
        for row in rows
    )


@pytest.fixture(scope="module")
def swept(new_stage: Callable[[], Stage]) -> World:
    """Sound orders and a foreign sale; then, in two sweeps more, everything that can be wrong."""
    stage = new_stage()
    names = ("sound", "part", "whole", "twice", "gone", "other", "review")
    orders = {name: stage.order(f"ORD-{name.upper()}", age=AGO, checkout="PAID") for name in names}
    orders["late"] = stage.order("ORD-LATE", age=AGO, checkout="FAILED")
    orders["late2"] = stage.order("ORD-STILL", age=AGO, checkout="FAILED")
    made = World(stage, orders)
    stage.environ.update(ON)
    with stage.sumup_time.back(AGO):
        stage.sumup.sell(amount=Decimal("99.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Workshop")
        stage.sumup.sell(amount=Decimal("98.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Pottery 7")
        stage.sumup.sell(amount=Decimal("25.00"), merchant_code=MERCHANT)
    made.run(promised=False)
    # The first wave: what went back, what was paid twice, what was paid too late.
    stage.sumup.refund(orders["part"].checkout, Decimal("5.00"))
    stage.sumup.charge_back(orders["whole"].checkout)
    stage.checkout(orders["twice"], "PAID", stored=False, age=timedelta(minutes=40))
    stage.let_age(orders["late"], timedelta(hours=80))
    stage.sql("UPDATE paypoll.watch SET next_check_at = NULL WHERE order_id = :id", id=orders["late"].id)
    stage.sumup.pay(orders["late"].checkout, force=True)
    stage.sumup.pay(orders["late2"].checkout, force=True)
    let_ledger_be_due(stage)
    made.run(promised=False)
    # The second wave, the other way round.
    stage.sumup.forget(orders["gone"].checkout)
    stage.sql("UPDATE paypoll.fulfilment SET amount = amount - 1 WHERE order_id = :id", id=orders["other"].id)
    orders["free"] = stage.order("ORD-FREE", age=AGO, checkout="", status="cancelled")
    stage.issue_as_the_shop(orders["free"], places=1)
    let_ledger_be_due(stage, look_back=True)
    made.run(promised=False)
    return made


def test_first_sweep_over_the_past_is_told_in_one_summary(swept: World) -> None:
    told = [subject(mail) for mail in swept.mails[0] if mail.recipients == (ADMIN,)]
    assert told == ["[Jersey Events Alert] The first look at SumUp's ledger: 1 thing that does not fit"]
    assert swept.runs[0].report["ledger"] == {"payments": 9, "findings": 1, "due": 0, "voided": 0}


def test_rows_51_to_57_each_finding_is_written_down_once(swept: World) -> None:
    assert findings(swept.stage) == [
        ("amount_differs", "ORD-OTHER", "25.000"),
        ("missing", "ORD-GONE", "25.000"),
        ("not_followed", "ORD-LATE", "25.000"),
        ("returned", "ORD-PART", "5.000"),
        ("returned", "ORD-WHOLE", "25.000"),
        ("second_payment", "ORD-TWICE", "25.000"),
        ("tickets_unpaid", "ORD-FREE", "25.000"),
        ("unplaced", "", "99.000"),
    ]
    assert swept.stage.status(swept["late"]) == "failed"
    assert [ticket["status"] for ticket in swept.stage.tickets(swept["whole"])] == ["valid"] * 2


def test_row_50_payment_of_a_followed_order_makes_it_due_at_once(swept: World) -> None:
    assert swept.stage.status(swept["late2"]) == "completed"


@pytest.mark.parametrize(
    ("name", "told", "facts"),
    [
        ("part", "5.00 GBP went back, and its tickets still admit", "Of 25.00 GBP, 5.00 GBP was refunded: in part."),
        ("whole", "25.00 GBP went back, and its tickets still admit", "was charged back: in full."),
        ("twice", "was paid twice", "Refund the payment of checkout"),
        ("late", "is failed, and SumUp's ledger holds a payment of 25.00 GBP", "paypoll resolve --finding"),
        ("gone", "SumUp does not know the payment of 25.00 GBP that completed it", "the tickets are unpaid"),
        ("other", "SumUp's ledger has 25.00 GBP for its payment", "The order was completed by 24.00 GBP."),
        ("free", "has tickets, and nobody paid", "Cancel the tickets, or collect the money."),
    ],
)
def test_rows_51_to_57_each_finding_is_told_once(swept: World, name: str, told: str, facts: str) -> None:
    (alert,) = swept.stage.alerts(swept[name])
    assert told in subject(alert)
    assert facts in body(alert)


def test_row_55_card_readers_and_another_shops_sales_are_nobodys_finding(swept: World) -> None:
    (told,) = [mail for mail in swept.stage.sink.messages if "first look" in subject(mail)]
    assert "99.00 GBP" in body(told)
    assert "98.00 GBP" not in body(told)


def test_row_58_findings_are_listed_inspected_and_closed_by_a_person_or_by_what_happens(swept: World) -> None:
    stage = swept.stage
    listed = stage.paypoll("queue", "--json").report["findings"]
    assert len(listed) == 8
    assert "5.00 GBP went back" in stage.paypoll("inspect", "ORD-PART").stdout
    (unplaced,) = [one["id"] for one in listed if one["kind"] == "unplaced"]
    closed = stage.paypoll("resolve", "--finding", str(unplaced), "--reason", "the workshop's", "--by", "ann")
    assert closed.code == 0, closed.stderr
    assert stage.paypoll("resolve", "--finding", str(unplaced), "--reason", "again", "--by", "bob").code == 1
    # What happens next closes the others: the money goes back, the shop notes it, the tickets are cancelled.
    stage.sumup.refund(swept["part"].checkout, Decimal("20.00"))
    stage.sumup.refund(swept["late"].checkout)
    stage.sql("UPDATE events_ticket SET status = 'cancelled' WHERE order_id = :id", id=swept["free"].id)
    stage.shop.update("orders_order", swept["whole"].id, status="refunded")
    let_ledger_be_due(stage)
    assert stage.run_once().code == 0
    assert findings(stage) == [
        ("(not_followed)", "ORD-LATE", "25.000"),
        ("(returned)", "ORD-PART", "5.000"),
        ("(returned)", "ORD-WHOLE", "25.000"),
        ("(tickets_unpaid)", "ORD-FREE", "25.000"),
        ("(unplaced)", "", "99.000"),
        ("amount_differs", "ORD-OTHER", "25.000"),
        ("missing", "ORD-GONE", "25.000"),
        ("returned", "ORD-PART", "25.000"),
        ("second_payment", "ORD-TWICE", "25.000"),
    ]
    # Nothing is told or written a second time.
    before = len(stage.sink.messages)
    let_ledger_be_due(stage, look_back=True)
    assert stage.run_once().code == 0
    assert len(stage.sink.messages) == before
