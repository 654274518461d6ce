"""The last look at an order: what is open is made unpayable, and what stays open, or was never answered, is told.

Nobody asks afterwards, so a payment that comes then, or has come, would go unnoticed.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_issued
from tests.acceptance.stage import SOON, Placed, Stage
from tests.acceptance.test_contradictions import Refuses
from tests.acceptance.world import World

from paypoll.sandbox.sumup.tampering import Contradiction

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PENNY = Decimal("0.01")
MAY_BE = "and may have been paid, or may still be"
NO = Refuses(HTTPStatus.FORBIDDEN, "FORBIDDEN")

CLOSED = {"rejected": "--reject", "refund-noted": "--refund-noted", "refused": "--reject", "unclear": "--reject"}
"""Orders whose review a person closes without tickets, by the verdict."""


@pytest.fixture(scope="module")
def ended(new_stage: Callable[[], Stage]) -> World:
    """Orders of which nothing is to come any more, each with a checkout that could take, or has taken, money."""
    stage = new_stage()
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="") for name in CLOSED}
    for order in orders.values():
        stage.checkout(order, "PAID", amount=order.total + PENNY)
    others = {name: stage.checkout(orders[name], "PENDING", reference=f"ORD-{name.upper()}-b") for name in CLOSED}
    for name in ("cancelled", "cancelled-unclear"):
        orders[name] = stage.order(f"ORD-{name.upper()}", status="cancelled")
    for name in ("failed", "returned", "silent"):
        orders[name] = stage.order(f"ORD-{name.upper()}", checkout="FAILED")
    orders["weeks-old"] = stage.order("ORD-WEEKS-OLD", checkout="", age=20 * DAY)
    weeks_old = stage.checkout(orders["weeks-old"], "PENDING", age=20 * DAY)
    with stage.sumup_time.back(SOON):
        stage.sumup.decline(weeks_old)
    for name in ("gone", "gone-paid", "processing"):
        orders[name] = stage.order(f"ORD-{name.upper()}")
    for name in ("void", "void-back"):
        orders[name] = stage.order(f"ORD-{name.upper()}", checkout="PAID", status="cancelled")
    orders["worthless"] = stage.order("ORD-WORTHLESS", checkout="PAID")
    stage.shop.update("orders_order", orders["worthless"].id, total=Decimal(0))
    made = World(stage, orders)
    assert stage.run_once().code == 0
    stage.sumup.pay(orders["returned"].checkout, force=True)
    stage.sumup.refund(orders["returned"].checkout)
    others["returned"] = stage.checkout(orders["returned"], "PENDING", reference="order_ORD-RETURNED", stored=False)
    for checkout_id in (others["refused"], orders["gone"].checkout):
        stage.sumup.fault(NO, method="DELETE", path=f"*/{checkout_id}")
    for verdict in ("--reject", "--refund-noted"):
        numbers = [orders[name].number for name, wanted in CLOSED.items() if wanted == verdict]
        closed = stage.paypoll("resolve", *numbers, verdict, "--reason", "refunded in cash", "--yes")
        assert closed.code == 0, closed.stderr
    made.kept["at once"] = {name: stage.sumup.checkout(others[name]).status for name in CLOSED}
    for name in ("rejected", "refund-noted"):
        others[f"{name} late"] = stage.checkout(
            orders[name], "PAID", reference=f"order_{orders[name].number}", stored=False, age=timedelta(0)
        )
    others["cancelled-unclear"] = orders["cancelled-unclear"].checkout
    for name in ("unclear", "cancelled-unclear"):
        stage.sumup.pay(others[name], force=True)
        stage.sumup.contradict(others[name], Contradiction.FAILED_BUT_PAID)
    stage.sumup.fault(NO, path=f"*/{orders['silent'].checkout}")
    put_out_of_reach(stage, orders)
    stage.let_age(orders["silent"], 28 * DAY)
    stage.let_time_pass()
    assert stage.run_once().code == 0
    for order in orders.values():
        stage.let_age(order, 3 * DAY + HOUR)
    stage.sql("UPDATE paypoll.watch SET order_created_at = order_created_at - interval '4 days' WHERE order_id = :id",
              id=orders["gone"].id)  # fmt: skip
    stage.sumup.pay(weeks_old, force=True)
    stage.checkout(orders["weeks-old"], "PAID", reference="ORD-WEEKS-OLD-b", age=timedelta(0))
    last = stage.run_once(alerts__digest="00:00", metrics__textfile=str(stage.folder / "paypoll.prom"))
    assert last.code == 0
    made.kept["others"] = others
    return made


def put_out_of_reach(stage: Stage, orders: dict[str, Placed]) -> None:
    """Have orders be paid, and deleted or moved on by the shop, so that their money buys nothing; give one's back."""
    stage.shop.update("orders_order", orders["processing"].id, status="processing")
    for name in ("gone-paid", "processing"):
        stage.sumup.pay(orders[name].checkout, force=True)
    for name in ("gone", "gone-paid"):
        delete(stage, orders[name])
    stage.sumup.refund(orders["void-back"].checkout)


def delete(stage: Stage, order: Placed) -> None:
    """Delete the order in the shop, with what belongs to it."""
    for table in ("payments_sumupcheckout", "orders_orderitem", "orders_orderstatushistory"):
        stage.sql(f"DELETE FROM {table} WHERE order_id = :id", id=order.id)  # noqa: S608 - ours
    stage.sql("DELETE FROM orders_order WHERE id = :id", id=order.id)


def told(world: World, name: str, words: str) -> str:
    """Return the text of the one alert about an order that says so."""
    (text,) = [body(alert) for alert in world.stage.alerts(world[name]) if words in subject(alert)]
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["rejected", "refund-noted"])
def test_row_24c_order_closed_without_tickets_is_made_unpayable_and_followed(ended: World, name: str) -> None:
    order, stage = ended[name], ended.stage
    assert ended.kept["at once"][name] == "EXPIRED"
    assert (stage.status(order), stage.tickets(order)) == ("requires_manual_review", [])
    first, again = stage.alerts(order)
    assert subject(again) == f"[Jersey Events CRITICAL] Order {order.number} is requires_manual_review, and was paid"
    late = ended.kept["others"][f"{name} late"]
    assert late in body(again)
    assert late not in body(first)


@pytest.mark.parametrize(
    ("name", "why"),
    [("refused", "it is PENDING, and SumUp did not close it"), ("unclear", "holds a SUCCESSFUL transaction")],
)
def test_row_24c_checkout_that_stays_open_after_a_persons_verdict_is_told_with_the_last_look(
    ended: World, name: str, why: str
) -> None:
    text = told(ended, name, MAY_BE)
    assert ended.kept["others"][name] in text
    assert why in text
    assert ended.stage.next_look(ended[name]) is None


def test_row_22_contradiction_about_a_cancelled_order_is_told_with_the_last_look(ended: World) -> None:
    text = told(ended, "cancelled-unclear", MAY_BE)
    assert ended.kept["others"]["cancelled-unclear"] in text
    assert [text for text in map(subject, ended.stage.alerts(ended["cancelled"])) if MAY_BE in text] == []


@pytest.mark.parametrize("name", ["cancelled", "failed", "returned"])
def test_rows_20a_and_22_last_look_makes_what_is_open_unpayable(ended: World, name: str) -> None:
    order = ended[name]
    assert ended.stage.sumup.checkout(ended.kept["others"].get(name, order.checkout)).status == "EXPIRED"
    assert ended.stage.next_look(order) is None
    assert [subject(alert) for alert in ended.stage.alerts(order) if "CRITICAL" in subject(alert)] == []


def test_row_20a_order_whose_last_look_was_never_answered_is_told(ended: World) -> None:
    assert "refuses the credential" in told(ended, "silent", "SumUp has not said whether it was paid")
    assert ended.stage.next_look(ended["silent"]) is None


def test_row_26b_checkout_of_an_order_that_is_gone_which_stays_open_is_told_with_the_last_look(ended: World) -> None:
    (alert,) = [one for one in ended.stage.sink.messages if "was deleted in the shop, and may be paid" in subject(one)]
    assert ended["gone"].checkout in body(alert)
    assert ended.stage.next_look(ended["gone"]) is None


def test_row_30_payment_of_an_order_that_is_worth_nothing_is_named(ended: World) -> None:
    assert ended["worthless"].checkout in told(ended, "worthless", "nothing to pay")


def test_row_20a_checkout_of_weeks_ago_that_was_declined_just_now_is_followed(ended: World) -> None:
    assert ended.stage.reasons(ended["weeks-old"])[1:] == ["payment_failed", "paid_late"]
    check_issued(ended.stage, ended["weeks-old"], on_paper=False)


def test_row_45a_money_that_was_told_of_is_listed_until_it_is_settled(ended: World) -> None:
    stage = ended.stage
    cases = {row["order_number"]: row for row in stage.sql("SELECT * FROM paypoll.finding ORDER BY id")}
    kinds = {number.removeprefix("ORD-").lower(): row["kind"] for number, row in cases.items()}
    assert kinds == {
        "cancelled-unclear": "may_be_paid", "gone": "order_gone_open", "gone-paid": "order_gone",
        "processing": "paid_not_issued", "refused": "may_be_paid", "silent": "given_up", "unclear": "may_be_paid",
        "void": "paid_but_void", "void-back": "paid_but_void", "weeks-old": "paid_twice",
    }  # fmt: skip
    assert cases["ORD-VOID-BACK"]["closed_why"] == "the money went back"
    (digest,) = [body(one) for one in stage.sink.messages if "The last day" in subject(one)]
    listed = set(kinds) - {"void-back"}
    for name in ("void", "processing", "gone-paid"):  # of the run before: it leaves as a run begins
        assert f"ORD-{name.upper()}" in digest
    assert f"paypoll_findings_open {len(listed)}.0\n" in (stage.folder / "paypoll.prom").read_text()
    # The alert has the command that closes it; then it is off the list.
    (gone,) = [body(one) for one in stage.sink.messages if "deleted in the shop, and it was paid" in subject(one)]
    number = cases["ORD-GONE-PAID"]["id"]
    assert f'sudo paypoll resolve --finding {number} --reason "settled"' in gone
    closed = stage.paypoll("resolve", "--finding", str(number), "--reason", "refunded at SumUp")
    assert closed.code == 0, closed.stderr
    shown = stage.paypoll("queue", "--reviews")
    for name in listed - {"gone-paid"}:
        case = cases[f"ORD-{name.upper()}"]
        assert f"resolve --finding {case['id']} " in shown.stdout
        assert f"ORD-{name.upper()}" in shown.stdout
    assert "ORD-GONE-PAID" not in shown.stdout
