"""What was told is told again when it happens again: another wrong payment, an order that is stuck a second time."""

from decimal import Decimal

from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, SOON, Stage

WAITING, REVIEW = "pending_verification", "requires_manual_review"


def test_row_45_another_wrong_payment_and_a_second_wait_are_told_again_and_the_same_one_is_not(stage: Stage) -> None:
    def stuck() -> list[str]:
        mails = [mail for mail in stage.sink.messages if mail.recipients == (ADMIN,)]
        return [body(mail) for mail in mails if "waiting for SumUp for too long" in subject(mail)]

    wrong = stage.order("ORD-WRONG", checkout="")
    first = stage.checkout(wrong, "PAID", amount=Decimal("24.99"))
    slow = stage.order("ORD-SLOW", checkout="PENDING", age=4 * SOON)
    assert stage.run_once().code == 0
    assert (stage.status(wrong), len(stage.alerts(wrong)), len(stuck())) == (REVIEW, 1, 1)
    stage.sumup.expire(slow.checkout)
    assert stage.run_once().code == 0
    assert stage.status(slow) == "expired"
    # The browser sets both back. Of the one there is nothing new; the other has only begun to wait again.
    for order in (wrong, slow):
        stage.sql("UPDATE orders_order SET status = :status WHERE id = :order", status=WAITING, order=order.id)
    stage.checkout(slow, "PENDING", reference="ORD-SLOW-again")
    assert stage.run_once().code == 0
    assert (stage.status(wrong), len(stage.alerts(wrong)), len(stuck())) == (REVIEW, 1, 1)
    # Another payment, as wrong as the first; and the other has waited for as long as before.
    second = stage.checkout(wrong, "PAID", amount=Decimal("24.98"), reference="ORD-WRONG-again")
    stage.sql("UPDATE orders_order SET status = :status WHERE id = :order", status=WAITING, order=wrong.id)
    stage.sql("UPDATE paypoll.watch SET settled_at = settled_at - interval '40 min' WHERE order_id = :id", id=slow.id)
    for _ in range(2):
        assert stage.run_once().code == 0
        assert (stage.status(wrong), len(stage.alerts(wrong)), len(stuck())) == (REVIEW, 2, 2)
    assert [first in body(alert) for alert in stage.alerts(wrong)] == [True, True]
    assert second in body(stage.alerts(wrong)[-1])
    assert "ORD-SLOW" in stuck()[-1]
