"""`paypoll reconcile` by periods, for a bookkeeper: what is taken and given back is in one of them each."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.fees import place_fee
from tests.acceptance.stage import MERCHANT, Stage

AGO = timedelta(hours=2)
DAY = timedelta(days=1)
PERIODS = (("45d", "30d"), ("30d", "15d"), ("15d", None))


@pytest.fixture(scope="module")
def kept(new_stage: Callable[[], Stage]) -> Stage:
    """Paid 40 days ago, and given back in parts 20 and 5 days ago; today a second payment, a fee, tickets unpaid."""
    stage = new_stage()
    stage.environ.update({"ledger__every": "30min", "ledger__ignore": f'["{MERCHANT}/Pottery*"]'})
    back = stage.order("ORD-BACK", age=AGO, checkout="")
    paid = stage.checkout(back, "PAID", age=40 * DAY)
    with stage.sumup_time.back(40 * DAY):
        stage.sumup.sell(amount=Decimal("98.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Pottery 7")
    twice = stage.order("ORD-TWICE", age=AGO, checkout="PAID")
    place_fee(stage, "LF-7", "PAID", age=AGO)
    assert stage.run_once().code == 0
    for days, amount in ((20, "5.00"), (5, "3.00")):
        with stage.sumup_time.back(days * DAY):
            stage.sumup.refund(paid, Decimal(amount))
    stage.checkout(twice, "PAID", stored=False, age=timedelta(minutes=40))
    free = stage.order("ORD-FREE", age=AGO, checkout="", status="cancelled")
    stage.issue_as_the_shop(free, places=1)
    return stage


def reconciled(stage: Stage, since: str, until: str | None, *options: str, **environ: str) -> Any:
    return stage.paypoll("reconcile", "--since", since, *(("--until", until) if until else ()), *options, **environ)


def test_each_payment_and_each_return_is_in_one_period_and_they_add_up(kept: Stage) -> None:
    told = [reconciled(kept, *period, "--json").report for period in (*PERIODS, ("45d", None))]
    assert [(one["payments"], one["earlier"], one["taken"], one["returned"]) for one in told] == [
        (2, 0, {"GBP": "123.00"}, {"GBP": "0.00"}),
        (0, 1, {"GBP": "0.00"}, {"GBP": "5.00"}),
        (3, 1, {"GBP": "75.00"}, {"GBP": "3.00"}),
        (5, 0, {"GBP": "198.00"}, {"GBP": "8.00"}),
    ]
    assert [one["returned_since"]["GBP"] for one in told] == ["8.00", "0.00", "0.00", "0.00"]
    # Each by what it was for, so that `paypoll report` can be held against the first.
    assert {one["purpose"]: (one["taken"], one["returned"]) for one in told[-1]["sums"]} == {
        "tickets": ("50.00", "8.00"),
        "bought_nothing": ("25.00", "0.00"),
        "listing_fees": ("25.00", "0.00"),
        "something_else": ("98.00", "0.00"),
    }
    parts = [
        [back["amount"] for one in period["found"] if one["order_number"] == "ORD-BACK" for back in one["went_back"]]
        for period in told
    ]
    assert parts == [[], ["5.00"], ["3.00"], ["5.00", "3.00"]]
    # Tickets that nobody paid are of the time of their order.
    unpaid = [[one["order_number"] for one in each["found"] if one["kind"] == "tickets_unpaid"] for each in told]
    assert unpaid == [[], [], ["ORD-FREE"], ["ORD-FREE"]]


def test_text_names_what_was_taken_for_what_and_when_it_went_back_in_the_sites_days(kept: Stage) -> None:
    there = {"site__time_zone": "Pacific/Auckland"}
    first = " ".join(reconciled(kept, "45d", "30d", **there).stdout.split())
    second = reconciled(kept, "30d", "15d", **there)
    day = reconciled(kept, "2026-01-01", "2026-01-02", **there).stdout
    assert "taken 123.00 GBP, given back 0.00 GBP bought tickets: taken 25.00 GBP" in first
    assert "of something else: taken 98.00 GBP" in first
    assert "of what was taken, 8.00 GBP went back after this time" in first
    assert "none of it within this time" in first
    assert "something went back of 1 earlier payment" in second.stdout
    assert "5.00 GBP of it within this time, on 20" in " ".join(second.stdout.split())
    assert "from 2026-01-01 00:00 to 2026-01-03 00:00 (Pacific/Auckland)" in day


def test_payment_that_is_too_young_to_be_judged_is_told_apart(kept: Stage) -> None:
    with kept.sumup_time.back(timedelta(minutes=10)):
        kept.sumup.sell(amount=Decimal("97.00"), merchant_code=MERCHANT, payment_type="ECOM", description="Workshop")
    shown = reconciled(kept, "20m", None)
    assert "0 are of something else 1 of the last half hour fit no order yet" in " ".join(shown.stdout.split())
    assert (shown.code, "Everything fits, but for what is too young." in shown.stdout) == (0, True)


def test_csv_of_payouts_and_of_the_report_has_the_same_names_and_begins_as_a_spreadsheet_needs_it(
    kept: Stage, tmp_path: Path
) -> None:
    kept.shop.update("events_event", kept.concert, title='=Äpfel,\n"-5"')
    kept.sumup.pay_out(MERCHANT)
    printed, _ = kept.start("reconcile", "--payouts", "--since", "1d", "--csv").communicate()
    assert kept.paypoll("report", "--since", "1d", "--csv", str(tmp_path / "report")).code == 0
    files = [printed, (tmp_path / "report" / "money.csv").read_text(encoding="utf-8")]
    for text in files:
        assert text.startswith("\ufeff")
        assert '\'=Äpfel,\\x0a""-5""' in text
    names = [{row["event"] for row in csv.DictReader(io.StringIO(text[1:]))} - {""} for text in files]
    assert names[0] == names[1]
    # Its times are those of the site, with their distance from UTC.
    (late,) = [
        row
        for row in csv.DictReader(
            io.StringIO(reconciled(kept, "30d", None, "--csv", site__time_zone="Asia/Kathmandu").stdout)
        )
        if row["order"] == "ORD-BACK"
    ]
    assert (late["amount"], late["back_in_period"]) == ("8.00", "8.00")
    assert (late["paid_at"][-6:], late["back_at"][-6:]) == ("+05:45", "+05:45")
