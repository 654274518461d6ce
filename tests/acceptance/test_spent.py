"""A payment that has completed another order in the shop already, without paypoll."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.acceptance.promises import check_issued, check_review
from tests.acceptance.stage import Placed, Stage

from paypoll.sandbox.sumup.tampering import ABSENT

LAST_YEAR = timedelta(days=400)


def code_of(stage: Stage, order: Placed) -> str:
    payment = stage.sumup.checkout(order.checkout).payment
    assert payment is not None
    return payment.code


def test_payment_that_the_shop_spent_on_another_order_buys_nothing_twice(stage: Stage) -> None:
    by_code, by_row, by_ticket, unlisted, free = (
        stage.order(f"ORD-{name}", checkout="PAID") for name in ("CODE", "ROW", "TICKET", "UNLISTED", "FREE")
    )
    # Of this one the transaction alone says the code.
    stage.sumup.tamper(unlisted.checkout, transactions=ABSENT, transaction_code=ABSENT)
    codes = {}
    for order in (by_code, by_ticket, unlisted, free):
        codes[order.number] = code_of(stage, order)
    done: dict[str, Any] = {"status": "completed", "is_paid": True}
    # By the transaction in the order's column; by the stored checkout; by tickets of an order not marked as paid.
    stage.order("ORD-TOOK-CODE", checkout="", transaction_id=codes["ORD-CODE"], **done)
    stage.order("ORD-TOOK-UNLISTED", checkout="", transaction_id=codes["ORD-UNLISTED"], **done)
    took_row = stage.order("ORD-TOOK-ROW", checkout="", **done)
    stage.shop.add_checkout(took_row.id, took_row.number, by_row.checkout)
    took = stage.order("ORD-TOOK-TICKET", checkout="", status="confirmed", transaction_id=codes["ORD-TICKET"])
    stage.issue_as_the_shop(took, places=2)
    # Neither paid nor ticketed: it has taken nothing.
    stage.order("ORD-TOOK-NOTHING", checkout="", status="cancelled", transaction_id=codes["ORD-FREE"])
    # One has a row with another's paid checkout in it, and has paid by its own: that other money is not one too many.
    both = stage.order("ORD-BOTH", checkout="PAID")
    stage.shop.add_checkout(both.id, "ORD-BOTH-again", by_row.checkout)
    assert stage.run_once().code == 0
    check_issued(stage, both)
    assert stage.alerts(both) == []
    for order in (by_code, by_row, by_ticket, unlisted):
        check_review(stage, order, reason="spent_elsewhere", found="has already paid for another order")
    check_issued(stage, free)
    forbidden = stage.paypoll("resolve", "ORD-CODE", "--issue", "--override", "--reason", "try", "--yes")
    assert forbidden.code == 65
    assert "cannot pay for two" in " ".join(forbidden.errors)


def test_payment_that_bought_an_order_of_last_year_buys_nothing_twice(stage: Stage) -> None:
    """It was tried again, and completed by the shop today. Nor do ids say when an order was made."""
    by_code, by_row, by_neighbour = (stage.order(f"ORD-{name}", checkout="PAID") for name in ("CODE", "ROW", "NEXT"))
    done: dict[str, Any] = {"status": "completed", "is_paid": True}
    stage.order("ORD-TOOK-NEXT", checkout="", transaction_id=code_of(stage, by_neighbour), **done)
    for number in range(20):  # brought in from elsewhere
        stage.order(f"ORD-OLD-{number}", checkout="", age=LAST_YEAR, **done)
    stage.order("ORD-TOOK-CODE", checkout="", age=LAST_YEAR, transaction_id=code_of(stage, by_code), **done)
    took_row = stage.order("ORD-TOOK-ROW", checkout="", age=LAST_YEAR, **done)
    row = stage.shop.add_checkout(took_row.id, took_row.number, by_row.checkout)
    stage.shop.update("payments_sumupcheckout", row, created_at=datetime.now(UTC) - LAST_YEAR)
    assert stage.run_once().code == 0
    for order in (by_code, by_row, by_neighbour):
        check_review(stage, order, reason="spent_elsewhere", found="has already paid for another order")
