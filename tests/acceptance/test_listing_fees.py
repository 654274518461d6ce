"""Listing fees: paid, not paid, wrong, late and twice, by the widget and by the redirect."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.acceptance.fees import (
    Fee,
    event_status,
    fee_row,
    let_fees_be_due,
    mails_to_organiser,
    pay_for,
    place_fee,
    reasons_of,
    state_of,
    told_about,
)
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import PATIENCE, Ended, Stage

from paypoll.sandbox.sumup.effects import Latency

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WRONG = {
    "LF-AMOUNT": ("mismatch", "paid 1.00 GBP, the fee's total is 25.00 GBP"),
    "LF-CURRENCY": ("mismatch", "paid in EUR, expected GBP"),
    "LF-MERCHANT": ("mismatch", "paid to merchant MOTHER, expected MPLATFORM"),
    "LF-REFERENCE": ("mismatch", "SumUp's reference is LF-ANOTHER, which is none of this fee's"),
    "LF-REFUNDED": ("refunded", "25.00 GBP was refunded"),
    "LF-EURO": ("mismatch", "The fee is in EUR"),
    "LF-UNKNOWN": ("not_found", "SumUp does not know checkout"),
}
UNLISTED = {"LF-CANCELLED": "cancelled", "LF-OVER": "draft", "LF-ODD": "archived"}


@dataclass
class Fair:
    """A stage with listing fees of all kinds, and the runs over them."""

    stage: Stage
    fees: dict[str, Fee] = field(default_factory=dict)
    runs: list[Ended] = field(default_factory=list)

    def place(self, reference: str, *arguments: object, **values: object) -> Fee:
        """Place a fee, and keep it under its reference."""
        self.fees[reference] = fee = place_fee(self.stage, reference, *arguments, **values)  # type: ignore[arg-type]
        return fee

    def run_alone(self) -> Ended:
        """Let everything be due, and run."""
        let_fees_be_due(self.stage)
        return self.stage.run_once()

    def run(self) -> Ended:
        """Let everything be due, and hold the run to what a dry run just before promised."""
        let_fees_be_due(self.stage)
        promised = self.stage.run_once("--dry-run")
        ended = self.stage.run_once()
        said, done = (
            {one["reference"]: (one["reason"], one["state_to"], one["published"]) for one in report["fees"]}
            for report in (promised.report, ended.report)
        )
        assert said == done
        self.runs.append(ended)
        return ended

    def __getitem__(self, reference: str) -> Fee:
        """Return the fee of this reference."""
        return self.fees[reference]


@pytest.fixture(scope="module")
def fair(new_stage: Callable[[], Stage]) -> Fair:
    made = Fair(new_stage())
    stage = made.stage
    made.place("LF-WIDGET", "PAID")
    made.place("LF-REDIRECT", "PAID", under="listing_fee_LF-REDIRECT", stored=False)
    made.place("LF-NAMED", "PAID", stored=False, named=True)
    made.place("LF-PENDING")
    made.place("LF-DECLINED", "FAILED", age=timedelta(minutes=1))
    made.place("LF-FAILED", "FAILED")
    made.place("LF-OLD", age=3 * HOUR)
    made.place("LF-EXPIRED", "EXPIRED")
    made.place("LF-LATE", "EXPIRED")
    made.place("LF-TWICE", "PAID")
    pay_for(stage, made["LF-TWICE"], "PAID", under="listing_fee_LF-TWICE")
    made.place("LF-AGAIN", "PAID")
    made.place("LF-NOBODY", "")
    made.place("LF-LIVE", "PAID", event={"status": "published"})
    made.place("LF-CANCELLED", "PAID", event={"status": "cancelled"})
    made.place("LF-OVER", "PAID", event={"starts_in": -DAY})
    made.place("LF-ODD", "PAID", event={"status": "archived"})
    made.place("LF-STALE", "PAID")
    for reference in ("LF-DRAFTED", "LF-BACK", "LF-RETURNED", "LF-RESTORED"):
        made.place(reference, "PAID")
    made.place("LF-VOID")
    made.place("LF-MARKED")
    made.place("LF-BYHAND", "")
    made.place("LF-AMOUNT", "PAID", amount=Decimal("1.00"))
    made.place("LF-CURRENCY", "PAID", currency="EUR")
    made.place("LF-MERCHANT", "PAID")
    stage.sumup.tamper(made["LF-MERCHANT"].checkout, merchant_code="MOTHER")
    made.place("LF-REFERENCE", "PAID")
    stage.sumup.tamper(made["LF-REFERENCE"].checkout, checkout_reference="LF-ANOTHER")
    stage.sumup.refund(made.place("LF-REFUNDED", "PAID").checkout)
    made.place("LF-EURO", "PAID", fee={"currency": "EUR"})
    stage.sumup.forget(made.place("LF-UNKNOWN").checkout)
    made.place("LF-SETTLED", "PAID", fee={"payment_status": "paid"})
    made.place("LF-NEVER", "PAID", fee={"payment_status": "cancelled"})
    made.place("LF-MONTHS", "", age=40 * DAY)
    made.run()
    pay_for(stage, made["LF-MONTHS"], "PAID", age=timedelta(0))
    for reference in ("LF-DRAFTED", "LF-BACK", "LF-RETURNED", "LF-RESTORED"):
        stage.shop.update("events_event", made[reference].event, status="draft")
    stage.sumup.refund(made["LF-RETURNED"].checkout)
    stage.sumup.pay(made["LF-LATE"].checkout, force=True)
    stage.sumup.pay(made["LF-VOID"].checkout)
    stage.sumup.pay(made["LF-MARKED"].checkout)
    pay_for(stage, made["LF-AGAIN"], "PAID", under="listing_fee_LF-AGAIN", age=timedelta(0))
    pay_for(stage, made["LF-AMOUNT"], "PAID", under="listing_fee_LF-AMOUNT", age=timedelta(0))
    for reference, status in (("LF-VOID", "waived"), ("LF-MARKED", "paid"), ("LF-BYHAND", "paid"), ("LF-STALE", ""),
                              ("LF-RESTORED", "")):  # fmt: skip
        stage.shop.update("events_listingfee", made[reference].id, payment_status=status or "pending")
    made.run()
    stage.shop.update("events_event", made["LF-BACK"].event, status="published")
    stage.shop.update("events_event", made["LF-ODD"].event, status="published")
    made.run_alone()
    return made


def test_row_60_inspect_and_queue_show_fees(fair: Fair) -> None:
    stage = fair.stage
    shown = stage.paypoll("inspect", "lf-late", "--live")
    assert shown.code == 0, shown.stderr
    for text in ("Listing fee LF-LATE", "paid", "(published)", "[paid_late]", "event listed", "[settled]"):
        assert text in shown.stdout
    document = stage.paypoll("inspect", "listing_fee_LF-REDIRECT", "--json").report
    assert document["fee"]["state"] == "paid"
    assert document["paid_by"]["checkout_id"] == fair["LF-REDIRECT"].checkout
    listed = stage.paypoll("queue", "--json").report["fees"]
    waiting = {one["reference"]: one["state"] for one in listed}
    assert waiting == dict.fromkeys(("LF-PENDING", "LF-DECLINED", "LF-BYHAND"), "open") | dict.fromkeys(
        {*WRONG, *UNLISTED, "LF-SETTLED", "LF-DRAFTED"} - {"LF-AMOUNT", "LF-ODD"}, "review"
    ) | dict.fromkeys(("LF-TWICE", "LF-AGAIN", "LF-AMOUNT"), "paid")  # with money that nobody has given back
    why = {one["reference"]: one["reason"] for one in listed if one["for_person"]}
    assert (why["LF-DRAFTED"], why["LF-BYHAND"], why["LF-OVER"]) == ("draft_again", "no_payment", "event_over")
    assert {reference: why[reference] for reference in WRONG if reference in why} == {
        reference: "paid_twice" if reference == "LF-AMOUNT" else reason for reference, (reason, _) in WRONG.items()
    }


@pytest.mark.parametrize("reference", ["LF-WIDGET", "LF-REDIRECT", "LF-NAMED"])
def test_row_60_fee_that_fits_is_paid_its_event_published_and_the_organiser_told(fair: Fair, reference: str) -> None:
    stage, fee = fair.stage, fair[reference]
    row = fee_row(stage, fee)
    assert (row["payment_status"], event_status(stage, fee), state_of(stage, fee)) == ("paid", "published", "paid")
    assert row["paid_at"] is not None
    assert row["payment_data"]["id"] == fee.checkout
    (mail,) = mails_to_organiser(stage, fee)
    assert reference in body(mail)
    assert "25.00 GBP" in body(mail)
    assert reasons_of(stage, fee)[0] == "paid"
    assert told_about(stage, fee) == []


def test_row_60_checkout_row_says_paid_and_the_count_is_reported(fair: Fair) -> None:
    (row,) = fair.stage.shop.rows("payments_sumupcheckout", checkout_reference="LF-WIDGET")
    assert (row["status"], row["should_poll"]) == ("paid", False)
    assert row["paid_at"] is not None
    assert fair.runs[0].report["counts"]["fees"] == len(fair.runs[0].report["fees"])
    assert fair.runs[0].code == 0, fair.runs[0].stderr


def test_row_60a_fee_that_may_still_be_paid_is_left_as_it_is(fair: Fair) -> None:
    for reference, reason in (("LF-PENDING", "still_pending"), ("LF-DECLINED", "retrying")):
        fee = fair[reference]
        assert set(reasons_of(fair.stage, fee)) == {reason}
        assert (state_of(fair.stage, fee), event_status(fair.stage, fee)) == ("open", "draft")


@pytest.mark.parametrize("reference", WRONG)
def test_row_60b_payment_that_does_not_fit_is_told_once_and_publishes_nothing(fair: Fair, reference: str) -> None:
    stage, fee = fair.stage, fair[reference]
    reason, found = WRONG[reference]
    told = told_about(stage, fee)
    assert "CRITICAL" in subject(told[0])
    assert found in " ".join(body(told[0]).split())
    assert reasons_of(stage, fee)[0] == reason
    if reference == "LF-AMOUNT":  # somebody paid properly since
        assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
        return
    assert len(told) == 1
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("pending", "draft")
    assert state_of(stage, fee) == "review"
    assert mails_to_organiser(stage, fee) == []


def test_row_60c_failed_fee_is_followed_and_nobody_is_written_to(fair: Fair) -> None:
    fee = fair["LF-FAILED"]
    assert (state_of(fair.stage, fee), event_status(fair.stage, fee)) == ("failed", "draft")
    assert fee_row(fair.stage, fee)["payment_status"] == "pending"
    assert told_about(fair.stage, fee) == mails_to_organiser(fair.stage, fee) == []


@pytest.mark.parametrize("reference", ["LF-OLD", "LF-EXPIRED"])
def test_row_60d_fee_that_is_not_paid_in_time_is_closed_and_expires_in_silence(fair: Fair, reference: str) -> None:
    fee = fair[reference]
    assert (state_of(fair.stage, fee), event_status(fair.stage, fee)) == ("expired", "draft")
    assert fair.stage.sumup.checkout(fee.checkout).status == "EXPIRED"
    assert told_about(fair.stage, fee) == []


def test_row_60e_late_payment_is_taken_and_admins_told(fair: Fair) -> None:
    stage, fee = fair.stage, fair["LF-LATE"]
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
    assert reasons_of(stage, fee)[:2] == ["checkout_expired", "paid_late"]
    (told,) = told_about(stage, fee)
    assert "was paid late" in subject(told)
    assert len(mails_to_organiser(stage, fee)) == 1


@pytest.mark.parametrize("reference", ["LF-TWICE", "LF-AGAIN"])
def test_row_60f_second_payment_is_told_once_whenever_it_comes(fair: Fair, reference: str) -> None:
    stage, fee = fair.stage, fair[reference]
    (told,) = told_about(stage, fee)
    assert "CRITICAL" in subject(told)
    assert "was paid twice" in subject(told)
    assert len(mails_to_organiser(stage, fee)) == 1
    assert event_status(stage, fee) == "published"


def test_row_60g_draft_that_nobody_has_begun_to_pay_is_silent(fair: Fair) -> None:
    fee = fair["LF-NOBODY"]
    assert (state_of(fair.stage, fee), set(reasons_of(fair.stage, fee))) == ("open", {"no_checkout"})
    assert told_about(fair.stage, fee) == []


def test_row_60h_fee_that_the_shop_marked_as_paid(fair: Fair) -> None:
    stage = fair.stage
    # SumUp knows its payment: what was paid for is done.
    assert (state_of(stage, fair["LF-MARKED"]), event_status(stage, fair["LF-MARKED"])) == ("paid", "published")
    # SumUp knows none, or paypoll never saw it unpaid: it is left as it is, and the latter told.
    for reference, alerts in (("LF-BYHAND", 0), ("LF-SETTLED", 1)):
        assert event_status(stage, fair[reference]) == "draft"
        assert mails_to_organiser(stage, fair[reference]) == []
        assert len(told_about(stage, fair[reference])) == alerts


def test_row_60i_payment_of_a_fee_that_nobody_was_to_pay_is_told(fair: Fair) -> None:
    stage = fair.stage
    for reference, status in (("LF-VOID", "waived"), ("LF-NEVER", "cancelled")):
        fee = fair[reference]
        (told,) = told_about(stage, fee)
        assert f"is {status}, but its payment was not given back" in subject(told)
        assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == (status, "draft")


def test_row_60_fee_of_months_ago_that_is_tried_at_last_is_paid_and_its_event_published(fair: Fair) -> None:
    stage, fee = fair.stage, fair["LF-MONTHS"]
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
    assert len(mails_to_organiser(stage, fee)) == 1


@pytest.mark.parametrize("reference", UNLISTED)
def test_rows_60j_to_60k_fee_of_an_event_that_cannot_be_published_is_paid_and_told(fair: Fair, reference: str) -> None:
    stage, fee = fair.stage, fair[reference]
    (told,) = told_about(stage, fee)
    assert "CRITICAL" in subject(told)
    assert "its event cannot be published" in subject(told)
    if reference == "LF-ODD":  # somebody has put its event right since, and its organiser hears of it
        assert state_of(stage, fee) == "paid"
        assert len(mails_to_organiser(stage, fee)) == 1
        return
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", UNLISTED[reference])
    assert state_of(stage, fee) == "review"
    assert mails_to_organiser(stage, fee) == []


def test_row_60j_event_that_is_published_already_is_left_and_the_organiser_told(fair: Fair) -> None:
    stage, fee = fair.stage, fair["LF-LIVE"]
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
    assert told_about(stage, fee) == []


def test_row_60l_stale_copy_saved_over_a_paid_fee_is_put_back(fair: Fair) -> None:
    stage, fee = fair.stage, fair["LF-STALE"]
    assert fee_row(stage, fee)["payment_status"] == "paid"
    assert reasons_of(stage, fee)[:2] == ["paid", "overwritten"]
    assert len(mails_to_organiser(stage, fee)) == 1
    assert told_about(stage, fee) == []


def test_row_60l_restored_shop_has_its_event_published_again(fair: Fair) -> None:
    stage, fee = fair.stage, fair["LF-RESTORED"]
    assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
    assert (len(mails_to_organiser(stage, fee)), told_about(stage, fee)) == (1, [])


@pytest.mark.parametrize(("reference", "times"), [("LF-DRAFTED", 1), ("LF-BACK", 1), ("LF-RETURNED", 0)])
def test_row_60o_paid_fee_whose_event_is_a_draft_again_is_told_once_each_time(
    fair: Fair, reference: str, times: int
) -> None:
    stage, fee = fair.stage, fair[reference]
    assert fee_row(stage, fee)["payment_status"] == "paid"
    assert state_of(stage, fee) == ("review" if reference == "LF-DRAFTED" else "paid")
    told = told_about(stage, fee)
    assert [subject(mail).partition("] ")[2] for mail in told] == [
        f"Listing fee {reference} needs a person: draft again"
    ] * times
    for mail in told:
        assert f"paypoll resolve {reference} --issue" in body(mail)
    assert len(mails_to_organiser(stage, fee)) == 1


def test_row_60p_person_decides_on_fees_and_nothing_is_published_against_it(fair: Fair) -> None:
    """The last to look at the stage: it changes LF-DRAFTED, LF-AMOUNT's like and what was marked by hand."""
    stage = fair.stage
    by = ("--by", "Margot", "--reason", "asked her", "--yes")
    stage.shop.update("events_listingfee", fair["LF-REFERENCE"].id, payment_status="pending")
    refused = stage.paypoll("resolve", "LF-CURRENCY", "--issue", *by)
    assert (refused.code, "expected GBP" in refused.stderr, event_status(stage, fair["LF-CURRENCY"])) == (
        65,
        True,
        "draft",
    )
    issued = stage.paypoll("resolve", "lf-drafted", "--issue", *by)
    assert (issued.code, "its event is published" in issued.stdout) == (0, True), issued.stderr
    assert event_status(stage, fair["LF-DRAFTED"]) == "published"
    assert len(mails_to_organiser(stage, fair["LF-DRAFTED"])) == 1
    document = stage.paypoll("resolve", "LF-CURRENCY", "--issue", "--override", "--json", *by).report
    assert (document["published"], document["status_to"]) == (True, "paid")
    for reference in ("LF-CURRENCY", "LF-BYHAND"):
        if reference == "LF-BYHAND":
            assert stage.paypoll("resolve", reference, "--issue", "--override", *by).code == 0
        fee = fair[reference]
        assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
        assert len(mails_to_organiser(stage, fee)) == 1
    assert stage.paypoll("resolve", "LF-MERCHANT", "--refund-noted", *by).code == 0
    stage.shop.update("events_event", fair["LF-BACK"].event, status="draft")
    pay_for(stage, fair["LF-MERCHANT"], "PAID", under="listing_fee_LF-MERCHANT", stored=False, age=timedelta(0))
    before = len(stage.sink.messages)
    fair.run_alone()
    assert stage.paypoll("resolve", "LF-BACK", "--reject", *by).code == 0
    assert fair.run_alone().code == 0
    told = sorted(subject(mail) for mail in stage.sink.messages[before:] if "LF-" in subject(mail))
    assert [one.partition("] Listing fee ")[2] for one in told] == [
        "LF-BACK needs a person: draft again",  # once more: it had been put right meanwhile
        "LF-MERCHANT was paid after a person had closed it",
    ]
    assert event_status(stage, fair["LF-MERCHANT"]) == event_status(stage, fair["LF-BACK"]) == "draft"
    # What came beside, or after, is listed until a person has said what became of it.
    noted = stage.paypoll("resolve", "LF-TWICE", "--refund-noted", *by)
    assert (noted.code, "stays paid, and its event published" in " ".join(noted.stdout.split())) == (0, True)
    listed = {one["reference"]: one["reason"] for one in stage.paypoll("queue", "--json").report["fees"]}
    assert listed.keys().isdisjoint({"LF-DRAFTED", "LF-CURRENCY", "LF-BYHAND", "LF-BACK", "LF-TWICE"})
    assert (listed["LF-MERCHANT"], listed["LF-AGAIN"]) == ("paid_not_issued", "paid_twice")
    trail = stage.sql("SELECT * FROM paypoll.audit WHERE action = 'resolved' ORDER BY id")
    assert [(row["order_number"], row["outcome"], row["actor"]) for row in trail] == [
        ("LF-DRAFTED", "issue", "Margot"),
        ("LF-CURRENCY", "issue", "Margot"),
        ("LF-BYHAND", "issue", "Margot"),
        ("LF-MERCHANT", "refund_noted", "Margot"),
        ("LF-BACK", "reject", "Margot"),
        ("LF-TWICE", "refund_noted", "Margot"),
    ]
    assert "expected GBP" in trail[1]["explanation"]


def test_row_60m_fee_deleted_while_sumup_is_asked_is_told_and_mail_that_cannot_be_delivered(stage: Stage) -> None:
    lost, back = (place_fee(stage, reference, "PAID") for reference in ("LF-LOST", "LF-LOST-BACK"))
    left = place_fee(stage, "LF-LEFT")
    assert stage.run_once().code == 0
    stage.sumup.refund(back.checkout)
    for gone in (lost, back, left):  # and the event with it, in a shop that is restored
        stage.sql("DELETE FROM events_listingfee WHERE id = :fee", fee=gone.id)
        stage.sql("DELETE FROM payments_sumupcheckout WHERE checkout_reference = :reference", reference=gone.reference)
    let_fees_be_due(stage)
    fee, other = (place_fee(stage, reference, "PAID") for reference in ("LF-GONE", "LF-NOADDRESS"))
    stage.shop.update("accounts_user", stage.organiser, email="no address at all")
    stage.sumup.reset_log()
    stage.sumup.fault(Latency(1.5), path="/v2.1/*", times=2)  # of the two new ones, which are asked about first
    process = stage.start("run-once", "--json")
    stage.sumup.journal.wait_until(lambda journal: journal.count(path="/v2.1/*") > 0, PATIENCE)
    stage.sql("DELETE FROM events_listingfee WHERE id = :fee", fee=fee.id)
    process.communicate(timeout=60)
    told = [body(mail) for mail in stage.sink.messages if "listing fee was deleted" in subject(mail)]
    paid = (fee, lost, back)
    assert [[one.checkout in text for text in told].count(True) for one in paid] == [1, 1, 0]
    assert (len(told), stage.sumup.checkout(left.checkout).status) == (2, "EXPIRED")
    assert event_status(stage, other) == "published"
    (mail,) = [mail for mail in stage.sink.messages if "mail to an organiser cannot be delivered" in subject(mail)]
    assert "no address at all" in body(mail)


def test_row_60n_poisoned_fee_spoils_no_other_and_kills_and_several_runs_publish_once(stage: Stage) -> None:
    poisoned = place_fee(stage, "LF-A-POISON", "PAID")
    stage.sql("UPDATE events_event SET event_date = '20260-05-01' WHERE id = :event", event=poisoned.event)
    fees = [place_fee(stage, f"LF-{number:02}", "PAID") for number in range(12)]
    process = stage.start("run-once", "--json")
    stage.sumup.journal.wait_until(lambda journal: journal.count(path="/v2.1/*") > 3, PATIENCE)
    process.kill()
    process.communicate()
    let_fees_be_due(stage)
    several = [stage.start("run-once", "--json") for _ in range(3)]
    assert {process.wait(timeout=120) for process in several} <= {0, 1}
    for process in several:
        process.communicate()
    let_fees_be_due(stage)
    ended = stage.run_once()
    assert [error["order"] for error in ended.report["errors"]] == ["LF-A-POISON"]
    shown = stage.paypoll("inspect", "LF-A-POISON")
    assert (shown.code, "cannot be read; put it right in the shop" in " ".join(shown.errors)) == (1, True)
    for fee in fees:
        assert (fee_row(stage, fee)["payment_status"], event_status(stage, fee)) == ("paid", "published")
        assert reasons_of(stage, fee).count("paid") == 1
        # At least once: one that was cut off while it was sent leaves again, as the same mail.
        assert len({mail.message["Message-ID"] for mail in mails_to_organiser(stage, fee)}) == 1
