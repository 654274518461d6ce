"""SumUp's ledger held against the orders, both ways: every finding through the installed command."""

import csv
import io
import signal
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.acceptance.fees import Fee, event_status, fee_row, pay_for, place_fee
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, MERCHANT, PATIENCE, Stage
from tests.acceptance.test_restored import restore_before
from tests.acceptance.world import World

from paypoll.sandbox.sumup.effects import Latency
from paypoll.sandbox.sumup.keyring import Scope

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
        fee = stage.sumup.sell(amount=Decimal("97.00"), merchant_code=MERCHANT, payment_type="ECOM")
    said = {"status": "PAID", "transaction_id": fee.id}
    row = stage.shop.add_checkout(orders["sound"].id, "LF-1", "chk-fee", merchant_code=MERCHANT, sumup_response=said)
    stage.shop.update("payments_sumupcheckout", row, order_id=None)
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
    nameless = "transaction_id = NULL, transaction_code = NULL"  # SumUp named this payment after its tickets
    stage.sql(f"UPDATE paypoll.fulfilment SET {nameless} WHERE order_id = :id", id=orders["gone"].id)  # noqa: S608
    stage.sql("UPDATE paypoll.fulfilment SET amount = amount - 1 WHERE order_id = :id", id=orders["other"].id)
    orders["free"] = stage.order("ORD-FREE", age=AGO, checkout="", status="cancelled")
    stage.issue_as_the_shop(orders["free"], places=1)
    let_ledger_be_due(stage, look_back=True)
    made.run(promised=False)
    return made


def test_row_58_first_sweep_over_the_past_is_told_in_one_summary(swept: World) -> None:
    told = [subject(mail) for mail in swept.mails[0] if mail.recipients == (ADMIN,)]
    assert told == ["[Jersey Events Alert] The first look at SumUp's ledger: 1 thing that does not fit"]
    assert swept.runs[0].report["ledger"] == {"payments": 10, "findings": 1, "due": 0, "voided": 0}


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
    assert "97.00 GBP" not in body(told)  # of the shop's own, and no order's: a listing fee


def test_reconcile_by_hand_shows_the_same_and_writes_nothing(swept: World) -> None:
    stage = swept.stage
    before = stage.dump("paypoll", "public")
    slip = stage.paypoll("reconcile", "--since", "1d", "--merchant", "MSLIP")
    assert (slip.code, "may not be read" in slip.stdout, "Everything fits" in slip.stdout) == (78, True, False)
    shown = stage.paypoll("reconcile", "--since", "1d", "--json")
    assert shown.code == 1, shown.stderr
    kinds = sorted((one["kind"], one["order_number"]) for one in shown.report["found"])
    # The forgotten payment's place in the list is gone; what was paid over a week ago is not asked for.
    assert kinds == [
        ("amount_differs", "ORD-OTHER"),
        ("missing", "ORD-GONE"),
        ("not_followed", "ORD-LATE"),
        ("returned", "ORD-PART"),
        ("returned", "ORD-WHOLE"),
        ("second_payment", "ORD-TWICE"),
        ("tickets_unpaid", "ORD-FREE"),
        ("unplaced", ""),
    ]
    assert (shown.report["matched"], shown.report["foreign"]) == (4, 2)
    assert stage.dump("paypoll", "public") == before


def test_payouts_are_held_against_the_orders_and_printed_for_a_bookkeeper(swept: World) -> None:
    stage = swept.stage
    stage.shop.update("events_event", stage.concert, title='=HYPERLINK("x")')
    stage.sumup.pay_out(MERCHANT)
    paid = stage.paypoll("reconcile", "--payouts", "--since", "1d", "--csv")
    rows = list(csv.DictReader(io.StringIO(paid.stdout)))
    (sound,) = [row for row in rows if row["order"] == "ORD-SOUND"]
    assert (sound["gross"], sound["event"], sound["organiser"]) == ("25.00", '\'=HYPERLINK("x")', "The Choir")
    assert Decimal(sound["gross"]) - Decimal(sound["fee"]) == Decimal(sound["net"])
    (deduction,) = [row for row in rows if row["order"] == "ORD-PART" and row["type"] == "REFUND_DEDUCTION"]
    assert (deduction["gross"], deduction["net"]) == ("-5.00", "-5.00")
    assert sum(row["order"] == "" for row in rows) == 4  # the workshop, the pottery, the fee and the card reader
    text = stage.paypoll("reconcile", "--payouts", "--since", "1d").stdout
    assert "ORD-OTHER: paid 24.00 GBP, in the payout 25.00 GBP" in text
    assert "still to come: 25.00 GBP" in text  # the forgotten payment
    # A payout belongs to its own day alone: it is in the books of one month.
    today = date.fromisoformat(sound["date"])
    for last, lines in ((today, len(rows)), (today - timedelta(days=1), 0)):
        span = ("--since", str(today - timedelta(days=2)), "--until", str(last))
        month = stage.paypoll("reconcile", "--payouts", *span, "--csv")
        assert len(list(csv.DictReader(io.StringIO(month.stdout)))) == lines
    # Nothing was paid out in that week, and nothing differs; but of one merchant nobody knows.
    both = ("--merchant", MERCHANT, "--merchant", "MSLIP")
    part = stage.paypoll("reconcile", "--payouts", "--since", "40d", "--until", "33d", "--csv", *both)
    assert (part.code, len(part.stdout.splitlines()), "has of MSLIP may not be read" in part.stderr) == (1, 1, True)


def test_row_58_findings_are_listed_inspected_and_closed_by_a_person_or_by_what_happens(swept: World) -> None:
    stage = swept.stage
    listed = stage.paypoll("queue", "--json").report["findings"]
    assert len(listed) == 8
    assert "5.00 GBP went back" in stage.paypoll("inspect", "ORD-PART").stdout
    (unplaced,) = [one["id"] for one in listed if one["kind"] == "unplaced"]
    closed = stage.paypoll("resolve", "--finding", str(unplaced), "--reason", "the workshop's", "--by", "ann")
    assert closed.code == 0, closed.stderr
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


def test_rows_52_and_52a_and_59_order_is_void_if_the_settings_say_so_and_a_missing_scope_ends_nothing(
    stage: Stage,
) -> None:
    stage.grant(refunds=True)
    stage.environ.update(ON)
    numbers = ("ORD-BACK", "ORD-SOME", "ORD-SHOP", "ORD-TWICE", "ORD-PENNY")
    order, part, known, twice, cheap = (stage.order(number, age=AGO, checkout="PAID") for number in numbers)
    second = stage.checkout(twice, "PAID", reference="ORD-TWICE-2")
    stage.checkout(cheap, "PAID", reference="ORD-PENNY-2", amount=Decimal("0.01"))
    assert stage.run_once().code == 0
    stage.shop.update("orders_order", known.id, status="refunded")
    stage.sumup.refund(known.checkout)
    stage.sumup.refund(order.checkout, Decimal("5.00"))
    stage.sumup.charge_back(order.checkout)
    stage.sumup.refund(part.checkout, Decimal("12.50"))
    (spent,) = stage.sql("SELECT checkout_id FROM paypoll.fulfilment WHERE order_id = :id", id=twice.id)
    stage.sumup.refund(spent["checkout_id"])
    stage.sumup.refund(cheap.checkout)
    let_ledger_be_due(stage)
    assert stage.run_once(ledger__on_refund="void", ledger__tell_customer="true").report["ledger"]["voided"] == 2
    assert stage.status(order) == "refunded"
    (told,) = [mail for mail in stage.mails(order) if "refunded - order" in subject(mail)]
    assert "Its tickets are no longer valid: " in body(told)
    assert "Your bank has taken back 20.00 GBP" in body(told)
    # What the shop had set void first is written down for the report, and told to nobody.
    assert ("(returned)", "ORD-SHOP", "25.000") in findings(stage)
    assert [stage.alerts(known), len(stage.mails(known))] == [[], 1]
    assert {ticket["status"] for ticket in stage.tickets(order)} == {"refunded"}
    assert stage.history(order)[-1] == "refunded"
    assert [row["status_to"] for row in stage.audit(order, "voided")] == ["refunded"]
    (alert,) = stage.alerts(order)
    assert "Its tickets are void now (2), and the order is refunded." in body(alert)
    assert "Of 25.00 GBP, 5.00 GBP was refunded and 20.00 GBP was charged back: in full." in body(alert)
    assert "resolve --finding" not in body(alert)  # it is closed already
    assert stage.status(part) == "completed"
    assert {ticket["status"] for ticket in stage.tickets(part)} == {"valid"}
    # Of two payments one went back, the one that is on record: the other pays for the tickets, and a penny does not.
    for other, status, admits in ((twice, "completed", "valid"), (cheap, "refunded", "refunded")):
        assert [stage.status(other), {one["status"] for one in stage.tickets(other)}] == [status, {admits}]
    assert "The order was paid more than once" in body(stage.alerts(twice)[-1])
    # Then that one goes back as well: nobody paid for the tickets any more, and both are told with what became of them.
    stage.sumup.refund(({twice.checkout, second} - {spent["checkout_id"]}).pop())
    let_ledger_be_due(stage)
    assert stage.run_once(ledger__on_refund="void").code == 0
    told_void = ("went back in full, and its tickets are void" in subject(mail) for mail in stage.alerts(twice)[-2:])
    assert [stage.status(twice), *told_void] == ["refunded", True, True]
    # A credential that may not read the list stops nobody, and nobody is told.
    stage.sumup.add_merchant(MERCHANT, "sup_sk_narrow", scopes=frozenset({Scope.PAYMENTS}))
    let_ledger_be_due(stage)
    before = len(stage.sink.messages)
    narrow = stage.run_once(sumup__api_key="sup_sk_narrow")
    assert narrow.code == 0, narrow.stderr
    assert any("may not be read" in line["event"] for line in narrow.log)
    assert len(stage.sink.messages) == before
    # But one that was read before is missed after a day, and that is told once.
    stage.sql("UPDATE paypoll.trouble SET since = since - interval '25 hours' WHERE key LIKE 'ledger_unread:%'")
    for _ in range(2):
        let_ledger_be_due(stage)
        assert stage.run_once(sumup__api_key="sup_sk_narrow").code == 0
    assert [subject(mail) for mail in stage.sink.messages[before:]] == [
        f"[Jersey Events CRITICAL] SumUp's ledger of merchant {MERCHANT} cannot be read to its end"
    ]


def test_row_58_first_sweep_lists_what_came_in_since_a_day_before_the_first_run(stage: Stage) -> None:
    stage.environ.update(ON)
    order = stage.order("ORD-1", age=timedelta(minutes=5), checkout="PENDING")
    slow = stage.sumup.fault(Latency(2.0))
    assert stage.run_once(verification__time_budget="1s").code == 0  # its time is up before the sweep
    # Then paypoll is off for three days, and two days ago a payment comes in that is no order's.
    stage.sql(
        "UPDATE paypoll.ledger_cursor SET sweep_since = sweep_since - interval '3 days',"
        " sweep_began_at = sweep_began_at - interval '3 days'"
    )
    slow.clear()
    with stage.sumup_time.back(timedelta(days=2)):
        stage.sumup.sell(amount=Decimal("99.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Workshop")
    assert stage.run_once().code == 0
    assert findings(stage) == [("unplaced", "", "99.000")]
    assert stage.status(order) == "pending_verification"


def test_row_58_sweep_that_is_killed_goes_on_where_it_was_and_two_at_once_find_nothing_twice(stage: Stage) -> None:
    stage.environ.update(ON)
    with stage.sumup_time.back(AGO):
        for _ in range(250):
            stage.sumup.sell(amount=Decimal("7.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Pottery")
        stage.sumup.sell(amount=Decimal("99.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Workshop")
    history = "/v2.1/*/history"
    stage.sumup.fault(Latency(0.5), path=history)
    killed = stage.start("run-once")
    while stage.sumup.count(path=history) < 2:
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    page = "SELECT next_page FROM paypoll.ledger_cursor"
    assert stage.sql(page)[0]["next_page"]
    stage.let_time_pass()
    stage.sumup.reset_log()
    both = [stage.start("run-once", "--json") for _ in range(2)]
    for process in both:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in both] == [0, 0]
    # Of three pages the first was written down before, and one run alone reads the others.
    assert stage.sumup.count(path=history) <= 2
    assert stage.sql(page)[0]["next_page"] is None
    assert findings(stage) == [("unplaced", "", "99.000")]
    assert len(stage.sink.messages) == 1


def test_row_58_page_that_outlasts_its_runs_is_judged_in_parts_and_nothing_is_asked_or_told_twice(
    stage: Stage,
) -> None:
    """One run is told to stop amid the page, as by the service's time-out; of the others the time is up."""
    for number in ("ORD-1", "ORD-2"):
        stage.order(number, age=AGO, checkout="PAID")
    assert stage.run_once().code == 0
    stage.environ.update(ON)
    for ago in (AGO, timedelta(minutes=5)):  # the last one waits: it may be of an order that is still written down
        with stage.sumup_time.back(ago):
            for _ in range(12 if ago == AGO else 1):
                stage.sumup.sell(
                    amount=Decimal("25.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Workshop"
                )
    details, references = f"/v2.1/merchants/{MERCHANT}/transactions", "/v0.1/checkouts"
    stage.sumup.fault(Latency(0.2), path=details)

    def asked(path: str) -> Counter[str]:
        return Counter(seen.query for seen in stage.sumup.requests if seen.path == path)

    stage.sumup.reset_log()
    stopped = stage.start("run-once")
    stage.sumup.journal.wait_until(lambda log: log.count(path=details) >= 3)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=PATIENCE)
    one_run = asked(references)
    runs = 0
    while stage.sql("SELECT 1 FROM paypoll.ledger_cursor WHERE sweep_since IS NOT NULL"):
        before = asked(details).total()
        assert stage.run_once(verification__time_budget="2s").code == 0
        assert before < asked(details).total() <= before + 10
        runs += 1
    assert runs > 1
    # Whom the stop came upon is asked for again; the orders of that amount once in a run, not for each payment.
    assert asked(details).total() <= 13 + 1
    assert one_run
    assert set(one_run.values()) == {1}
    assert findings(stage) == [("unplaced", "", "25.000")] * 12
    told = [subject(mail) for mail in stage.sink.messages if "SumUp's ledger" in subject(mail)]
    assert told == ["[Jersey Events Alert] The first look at SumUp's ledger: 12 things that do not fit"]
    # The next sweep asks for what waits alone, and again while it does.
    for _ in range(2):
        stage.sumup.reset_log()
        let_ledger_be_due(stage)
        assert stage.run_once().code == 0
        assert asked(details).total() == 1
    assert len([mail for mail in stage.sink.messages if "SumUp's ledger" in subject(mail)]) == 1


def test_rows_50_51_55_and_60q_what_paypoll_gave_back_is_no_finding_and_fees_are_followed(stage: Stage) -> None:
    fees = dict[str, Fee]()
    stage.grant(refunds=True)
    stage.environ.update(ON, sumup__allow_refunds="true")
    order = stage.order("ORD-PART", age=AGO, checkout="PAID")
    fee = place_fee(stage, "LF-FORGOTTEN", "", age=timedelta(days=40))  # too old for a first look
    settled: dict[str, Any] = {"event": {"status": "published"}, "fee": {"payment_status": "paid"}, "stored": False}
    place_fee(stage, "LF-SHOP", "PAID", age=AGO, **settled)  # by the shop itself: nobody's finding
    assert stage.run_once().code == 0
    refund = stage.paypoll("refund", order.number, "--amount", "5.00", "--reason", "late", "--by", "Margot", "--yes")
    assert refund.code == 0, refund.stderr
    pay_for(stage, fee, "PAID", under="listing_fee_LF-FORGOTTEN", stored=False, age=timedelta(0))
    let_ledger_be_due(stage)
    swept = stage.run_once().report
    assert swept["ledger"]["payments"] == 2
    assert findings(stage) == []
    assert stage.alerts(order) == []
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
    # 60q: money of a fee goes back, while its event is on sale. In parts: each is told, the last one stays open.
    lost = place_fee(stage, "LF-LOST", "PAID", age=AGO)
    for reference in ("LF-PART", "LF-WHOLE", "LF-WITHDRAWN"):
        fees[reference] = place_fee(stage, reference, "PAID", age=AGO)
    assert stage.run_once().report["counts"]["fees"] == 4
    assert {event_status(stage, one) for one in (lost, *fees.values())} == {"published"}
    before = len(stage.sink.messages)
    stage.sumup.refund(fees["LF-PART"].checkout, Decimal("5.00"))
    stage.sumup.charge_back(fees["LF-WHOLE"].checkout)
    stage.sumup.refund(fees["LF-WITHDRAWN"].checkout)
    stage.shop.update("events_event", fees["LF-WITHDRAWN"].event, status="cancelled")
    stage.sql("DELETE FROM events_listingfee WHERE id = :id", id=lost.id)  # a shop restored to before it
    stage.sumup.refund(lost.checkout, Decimal("1.00"))  # so that the list shows it again
    let_ledger_be_due(stage)
    assert stage.run_once().code == 0
    told = sorted(subject(mail).partition("] ")[2] for mail in stage.sink.messages[before:])
    assert told == [
        "A payment of 24.00 GBP that nobody can place",
        "Listing fee LF-PART: 5.00 GBP went back, and its event is still published",
        "Listing fee LF-WHOLE: 25.00 GBP went back, and its event is still published",
    ]
    assert "was charged back: in full" in " ".join(stage.paypoll("inspect", "LF-WHOLE").stdout.split())
    stage.sumup.refund(fees["LF-PART"].checkout)
    stage.shop.update("events_listingfee", fees["LF-WHOLE"].id, payment_status="refunded")
    let_ledger_be_due(stage)
    assert stage.run_once().code == 0
    assert findings(stage) == [
        ("(fee_returned)", "LF-PART", "5.000"),
        ("(fee_returned)", "LF-WHOLE", "25.000"),
        ("fee_returned", "LF-PART", "25.000"),
        ("unplaced", "", "24.000"),
    ]
    noted = stage.paypoll("resolve", "LF-PART", "--refund-noted", "--reason", "unpublished", "--by", "Margot", "--yes")
    assert noted.code == 0, noted.stderr
    assert [kind for kind, number, _ in findings(stage) if number == "LF-PART"] == ["(fee_returned)"] * 2


def test_rows_52a_and_53_tickets_that_rest_on_a_persons_word_do_not_go_with_another_payment(stage: Stage) -> None:
    """Issued for cash, then paid by card as well: that is a second payment, and giving it back voids nothing."""
    stage.grant(refunds=True)
    stage.environ.update(ON)
    cash = stage.order("ORD-CASH", age=AGO, checkout="PENDING", status="requires_manual_review")
    assert stage.run_once().code == 0
    decided = ("--issue", "--override", "--reason", "cash", "--by", "Margot", "--yes")
    assert stage.paypoll("resolve", cash.number, *decided).code == 0
    stage.sql("UPDATE paypoll.watch SET next_check_at = NULL WHERE order_id = :id", id=cash.id)
    second = stage.checkout(cash, "PAID", stored=False, age=timedelta(minutes=40))
    let_ledger_be_due(stage)
    assert stage.run_once().code == 0
    assert [one[:2] for one in findings(stage)] == [("second_payment", "ORD-CASH")]
    stage.sumup.refund(second)
    let_ledger_be_due(stage)
    assert stage.run_once(ledger__on_refund="void").report["ledger"]["voided"] == 0
    assert stage.status(cash) == "completed"
    assert {ticket["status"] for ticket in stage.tickets(cash)} == {"valid"}


def test_row_52b_paused_order_is_not_made_void_and_money_that_is_here_again_is_told(stage: Stage) -> None:
    stage.grant(refunds=True)
    stage.environ.update(ON, ledger__on_refund="void")
    order, again = (stage.order(number, age=AGO, checkout="PAID") for number in ("ORD-PAUSED", "ORD-AGAIN"))
    stage.sink.close()
    stage.run_once()
    stage.sink.start()
    later = "UPDATE paypoll.outbox SET next_attempt_at = now() + interval '30 minutes'"
    stage.sql(later)
    stage.sumup.charge_back(order.checkout)
    assert stage.paypoll("pause", order.number, "--reason", "talking to the bank", "--by", "Margot").code == 0
    let_ledger_be_due(stage)
    assert stage.run_once().report["ledger"]["voided"] == 0
    assert (stage.status(order), {one["status"] for one in stage.tickets(order)}) == ("completed", {"valid"})
    shown = " ".join(stage.paypoll("inspect", order.number).stdout.split())
    assert "Its tickets become void at the next look at SumUp's ledger, unless the order is paused." in shown
    assert stage.paypoll("resume", order.number).code == 0
    # Another was refunded, and the browser has opened its return page once more (52).
    stage.sumup.refund(again.checkout)
    stage.shop.update("orders_order", again.id, status="pending_verification")
    let_ledger_be_due(stage)
    assert stage.run_once().report["ledger"]["voided"] == 2
    for one in (order, again):
        assert (stage.status(one), {ticket["status"] for ticket in stage.tickets(one)}) == ("refunded", {"refunded"})
    assert stage.paypoll("queue", "--reviews", "--json").report["reviews"] == []
    stage.let_time_pass()
    stage.run_once()
    assert [subject(mail) for mail in stage.mails(order)] == []
    # The bank reverses it: money is held for an order that is void, and that is told, once, and listed.
    stage.sumup.settle_returns(order.checkout, status="FAILED")
    for _ in range(2):
        let_ledger_be_due(stage, look_back=True)
        stage.let_time_pass()
        assert stage.run_once().code == 0
    assert "is refunded, and 25.00 GBP that had gone back is here again" in subject(stage.alerts(order)[-1])
    assert len(stage.alerts(order)) == 2
    (listed,) = stage.paypoll("queue", "--json").report["findings"]
    assert (listed["kind"], stage.paypoll("reconcile", "--since", "1d").code) == ("here_again", 1)


@pytest.mark.parametrize("number", ["ORD-NEW", "ORD-OLD"])
def test_row_55_payment_of_an_order_that_a_restored_shop_lost_is_told_and_never_as_another_orders(
    stage: Stage, number: str
) -> None:
    """A shop that counts its numbers gives them out again as well."""
    stage.environ.update(ON)
    old = stage.order("ORD-OLD", age=AGO, checkout="PAID")
    assert stage.run_once().code == 0
    restore_before(stage, old)
    new = stage.order(number, checkout="PENDING", age=timedelta(minutes=2))
    assert new.id == old.id
    for _ in range(2):
        let_ledger_be_due(stage, look_back=True)
        assert stage.run_once().code == 0
    # Once, still open, and not about the order that has its id now. The look at what is gone told of it first.
    assert findings(stage) == [("(order_gone)", "ORD-OLD", "25.000"), ("unplaced", "", "25.000")]
    assert not any("ORD-NEW" in subject(mail) for mail in stage.alerts(new))
    # What it bought, and what of that goes back, the report and reconcile count alike.
    stage.sumup.refund(old.checkout, Decimal("5.00"))
    let_ledger_be_due(stage)
    assert stage.run_once().code == 0
    summed = stage.paypoll("reconcile", "--since", "1d", "--json").report["sums"]
    (money,) = stage.paypoll("report", "--since", "1d", "--json").report["money"]
    assert [(one["purpose"], one["taken"], one["returned"]) for one in summed] == [
        ("tickets_of_gone_orders", money["taken"], money["returned"])
    ]
    assert [(row["event"], row["kept"]) for row in money["rows"]] == [("(order gone from the shop)", "20.00")]
    # What was paid for the new one is a review of that (39a), and told once, should SumUp's clock be behind the shop's.
    stage.checkout(new, "PAID", reference=f"{number}-2", age=timedelta(minutes=40))
    for _ in range(2):
        stage.let_time_pass()
        let_ledger_be_due(stage, look_back=True)
        assert stage.run_once().code == 0
    assert stage.status(new) == "requires_manual_review"
    assert len(findings(stage)) == 2


@pytest.mark.parametrize("lost", [False, True])
def test_row_54_payment_in_a_checkout_row_that_lost_its_order_is_told(stage: Stage, *, lost: bool) -> None:
    """The shop's row has no order any more, and is no listing fee's: its reference names one, or it was one's."""
    stage.environ.update(ON)
    order = stage.order("ORD-NULL", age=timedelta(days=4), checkout="", status="cancelled")
    if lost:
        order = stage.order("ORD-LOST", age=AGO, checkout="PAID")
    assert stage.run_once().code == 0
    checkout = order.checkout or stage.checkout(order, "PAID", stored=False, age=AGO)
    stage.sql("UPDATE paypoll.watch SET next_check_at = NULL")
    payment = stage.sumup.checkout(checkout).payment
    assert payment is not None
    said = {"status": "PAID", "transaction_id": payment.id}
    if lost:
        stage.sql("UPDATE payments_sumupcheckout SET order_id = NULL")
        restore_before(stage, order)
    else:
        row = stage.shop.add_checkout(order.id, order.number, checkout, merchant_code=MERCHANT, sumup_response=said)
        stage.shop.update("payments_sumupcheckout", row, order_id=None)
    let_ledger_be_due(stage, look_back=True)
    assert stage.run_once().code == 0
    (found,) = findings(stage)
    assert found[0] == ("unplaced" if lost else "not_followed")
