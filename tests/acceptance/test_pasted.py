"""From the mail to the right command: what stands in an alert is pasted, and does what it says."""

import re
import shlex
from decimal import Decimal

from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, Stage


def commands(text: str) -> list[list[str]]:
    """Return the commands to paste that the text shows, in words."""
    return [shlex.split(line)[2:] for line in re.findall(r"^ +(sudo paypoll .*)$", text, re.MULTILINE)]


def test_commands_of_an_alert_and_of_queue_decide_on_the_order_whatever_its_number(stage: Stage) -> None:
    number = "ORD-7; paypoll resolve 8 --issue"
    orders = {"plain": stage.order("ORD-PLAIN", checkout=""), "hostile": stage.order(number, checkout="")}
    stage.order(str(orders["hostile"].id), checkout="")  # its number is the other one's id
    for order in orders.values():
        stage.checkout(order, "PAID", amount=order.total + Decimal("0.01"))
    assert stage.run_once().code == 0
    told = {subject(mail): commands(body(mail)) for mail in stage.sink.messages if mail.recipients == (ADMIN,)}
    plain, hostile = (next(told[about] for about in told if f"Order {order.number} needs" in about)
                      for order in orders.values())  # fmt: skip
    assert [words[:2] for words in plain[:1]] == [["inspect", "ORD-PLAIN"]]
    assert {words[1] for words in hostile if words[0] != "explain"} == {f"id:{orders['hostile'].id}"}
    queue = commands(stage.paypoll("queue").stdout)
    assert all(words in queue for words in plain + hostile)

    issue = next(words for words in plain if "--issue" in words)
    assert stage.paypoll(*issue, "--yes").code == 0
    assert stage.status(orders["plain"]) == "completed"
    close = next(words for words in hostile if "--refund-noted" in words)
    assert stage.paypoll(*close, "--yes").code == 0
    assert [row["outcome"] for row in stage.audit(orders["hostile"], "resolved")] == ["refund_noted"]
    assert "mismatch (Reviews)" in stage.paypoll(*plain[-1]).stdout
