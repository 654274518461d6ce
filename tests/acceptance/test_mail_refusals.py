"""Whom a mail server's refusal is about, and what becomes of the mail: nothing is lost that was about us."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.acceptance.papers import subject
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ADMIN, Ended, Placed, Stage

from paypoll.sandbox.mail.smtp_session import Stage as MailStage

OK, INCOMPLETE, TRY_LATER = 0, 1, 75
CUSTOMERS = f"!{ADMIN}"

# As the servers of the world refuse us: account, quota, sender. Relay denied: row 35a.
ABOUT_US = ("ses-not-verified", "gmail-quota", "office365-send-as", "plesk-not-owned")


def failed(stage: Stage, name: str, domain: str = "buyer.example") -> Placed:
    """Place an order whose payment failed: its mail has no tickets to be printed."""
    return stage.order(f"ORD-{name}", checkout="FAILED", email=f"{name.lower()}@{domain}")


def outbox(stage: Stage, order: Placed | None = None, kind: str = "") -> list[dict[str, Any]]:
    """Return the rows of the outbox, of an order or all, of this kind or any."""
    rows = stage.sql("SELECT * FROM paypoll.outbox ORDER BY id")
    return [
        dict(row)
        for row in rows
        if (order is None or row["order_id"] == order.id) and (not kind or row["kind"] == kind)
    ]


def state(stage: Stage, order: Placed) -> str:
    """Return the state of the mail to the order's customer."""
    (row,) = [row for row in outbox(stage, order) if row["kind"] != "alert"]
    return str(row["state"])


def critical(ended: Ended) -> Counter[str]:
    """Return how often each event is critical in the log."""
    return Counter(line["event"] for line in ended.log if line["level"] == "critical")


def told(stage: Stage, words: str) -> list[str]:
    """Return to whom alerts with these words in their subject went."""
    return [mail.recipients[0] for mail in stage.sink.messages if words in subject(mail) and "[" in subject(mail)]


# -- us ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refused(new_stage: Callable[[], Stage]) -> tuple[Stage, list[Ended], list[list[dict[str, Any]]]]:
    """Three mails, and one refusal after the other that is about us: each run's end, and the outbox after it."""
    stage = new_stage()
    for name in ("ADA", "BOB", "EVE"):
        failed(stage, name, f"{name.lower()}.example")
    ends, outboxes = [], []
    for name in ABOUT_US:
        with_fault = stage.sink.refuse_as(name, recipient=CUSTOMERS)
        ends.append(stage.run_once())
        outboxes.append(outbox(stage))
        with_fault.clear()
        stage.let_time_pass()
    return stage, ends, outboxes


@pytest.mark.parametrize("number", range(len(ABOUT_US)), ids=ABOUT_US)
def test_refusal_about_us_loses_no_mail_and_is_told_in_the_same_run(
    refused: tuple[Stage, list[Ended], list[list[dict[str, Any]]]], number: int
) -> None:
    _, ends, outboxes = refused
    ended, rows = ends[number], outboxes[number]
    assert ended.code == TRY_LATER
    assert critical(ended)["mail halts; everything waits"] == 1
    assert critical(ended)["standstill"] >= 1
    customers = [row for row in rows if row["kind"] != "alert"]
    assert [row["state"] for row in customers] == ["waiting"] * 3
    assert sum(row["attempts"] for row in customers) == number + 1  # one told it all


def test_row_35a_server_that_refuses_us_loses_nothing_and_is_told_when_it_works_again(stage: Stage) -> None:
    orders = [failed(stage, name, f"{name.lower()}.example") for name in ("ADA", "BOB", "EVE")]
    relay = stage.sink.refuse_as("postfix-relay", recipient=CUSTOMERS)
    ended = stage.run_once()
    assert ended.code == TRY_LATER
    assert critical(ended) == {"mail halts; everything waits": 1, "standstill": 1}
    assert [state(stage, order) for order in orders] == ["waiting"] * 3
    assert relay.hits == 1
    # The server takes what stays in its own house: the admin hears of it at once.
    assert told(stage, "The mail server refuses all mail") == [ADMIN]
    # Nothing is due now, and nothing goes on: the next run says so too.
    stage.sql("UPDATE paypoll.outbox SET next_attempt_at = now() + interval '30 minutes' WHERE state = 'waiting'")
    assert stage.run_once().code == TRY_LATER
    relay.clear()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in orders] == ["sent"] * 3
    assert [len(stage.mails(order)) for order in orders] == [1, 1, 1]
    assert told(stage, "Mail is going out again") == [ADMIN]
    assert stage.run_once().code == OK


# -- what cannot be told -----------------------------------------------------------------------------------------


def test_row_35b_second_refusal_of_another_mail_to_another_domain_halts_the_delivery(stage: Stage) -> None:
    orders = [failed(stage, name, f"{name.lower()}.example") for name in ("ADA", "BOB", "EVE")]
    spam = stage.sink.refuse_as("gmail-spam", recipient=CUSTOMERS)
    ended = stage.run_once()
    assert ended.code == TRY_LATER
    assert spam.hits == 2
    assert [state(stage, order) for order in orders] == ["waiting"] * 3
    spam.clear()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in orders] == ["sent"] * 3


def test_row_35b_one_mail_refused_so_waits_for_a_day_is_told_and_given_up_while_others_are_taken(
    stage: Stage,
) -> None:
    odd, fine = failed(stage, "ODD", "odd.example"), failed(stage, "FINE", "fine.example")
    stage.sink.refuse_as("yahoo-policy", recipient=odd.email)
    assert stage.run_once().code == OK
    assert (state(stage, odd), state(stage, fine)) == ("waiting", "sent")
    assert told(stage, "Order ORD-ODD: its payment failed mail has not been accepted yet") == [ADMIN]
    # A day later it is still refused, and other mail was taken meanwhile.
    for name, back in (("NEXT", "23 hours"), ("LAST", "2 hours")):
        stage.sql(f"UPDATE paypoll.trouble SET since = since - interval '{back}'")  # noqa: S608 - ours
        failed(stage, name, "fine.example")
        stage.let_time_pass()
        assert stage.run_once().code == OK
        assert state(stage, odd) == ("waiting" if name == "NEXT" else "undeliverable")
    assert told(stage, "Order ORD-ODD: its payment failed mail cannot be delivered") == [ADMIN]


def test_row_35_refusal_without_a_reason_is_the_recipients_while_others_are_taken(stage: Stage) -> None:
    nobody, ada, bob = failed(stage, "NOBODY"), failed(stage, "ADA"), failed(stage, "BOB")
    refusal = stage.sink.refuse_as("exim-no-user", recipient=nobody.email)
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in (nobody, ada, bob)] == ["undeliverable", "sent", "sent"]
    (alert,) = stage.alerts(nobody)
    assert "cannot be delivered" in subject(alert)
    assert refusal.hits == 1
    # Alone, it says nothing about anybody; nor do two of one domain, until it lasts.
    lonely, other = failed(stage, "LONELY"), failed(stage, "OTHER")
    stage.sink.refuse_as("exim-no-user", recipient=CUSTOMERS)
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in (lonely, other)] == ["waiting"] * 2
    check_nobody_taken(stage, [lonely, other])


def check_nobody_taken(stage: Stage, orders: list[Placed]) -> None:
    """See that two hours later every run says that nobody is taken, and admins hear of it once, until it is over."""
    stage.sql("UPDATE paypoll.trouble SET since = since - interval '2 hours'")
    stage.sql("UPDATE paypoll.outbox SET sent_at = sent_at - interval '1 day'")
    stage.let_time_pass()
    ended = stage.run_once()
    assert (ended.code, critical(ended)) == (TRY_LATER, {"standstill": 1}), ended.stderr
    assert stage.run_once().code == TRY_LATER  # with nothing to do
    assert told(stage, "The mail server takes no customer's mail") == [ADMIN]
    stage.sink.clear_faults()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in orders] == ["sent"] * len(orders)
    assert told(stage, "Mail is going out again") == [ADMIN]
    assert stage.sql("SELECT key FROM paypoll.trouble") == []


# -- this message ------------------------------------------------------------------------------------------------


def test_row_35d_tickets_too_large_for_the_server_leave_in_smaller_messages(stage: Stage) -> None:
    order = stage.order("ORD-LARGE", checkout="PAID")
    stage.sink.fault(MailStage.MESSAGE, "552 5.3.4 Message is too long", recipient=order.email, times=1)
    assert stage.run_once().code == OK
    assert len(stage.mails(order)) == 2
    assert [row["state"] for row in outbox(stage, order)] == ["sent"]
    malformed = failed(stage, "MALFORMED")
    stage.sink.refuse_as("postfix-malformed", recipient=malformed.email)
    assert stage.run_once().code == OK
    assert state(stage, malformed) == "undeliverable"
    assert len(stage.alerts(malformed)) == 1


# -- now, this recipient -----------------------------------------------------------------------------------------


def test_row_35c_forty_deferred_recipients_hold_up_neither_fresh_mail_nor_alerts(stage: Stage) -> None:
    deferred = [failed(stage, f"FULL{number}", "full.example") for number in range(40)]
    full = stage.sink.refuse_as("postfix-greylisted", recipient="@full.example")
    assert stage.run_once().code == OK
    assert full.hits == 40
    stage.let_time_pass()
    fresh = failed(stage, "FRESH", "fine.example")
    review = stage.order("ORD-REVIEW", checkout="PAID")
    stage.sumup.refund(review.checkout)
    before = len(stage.sink.messages)
    assert stage.run_once().code == OK
    new = stage.sink.messages[before:]
    assert {fresh.email, ADMIN} <= {mail.recipients[0] for mail in new}
    assert len(stage.alerts(review)) == 1
    assert [state(stage, order) for order in deferred] == ["waiting"] * 40
    full.clear()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in deferred] == ["sent"] * 40


# -- the address, and the clock ----------------------------------------------------------------------------------


def test_row_35e_address_corrected_while_the_mail_waits_is_the_one_it_goes_to(stage: Stage) -> None:
    order = stage.order("ORD-TYPO", checkout="PAID", email="ada@exmaple.example")
    stage.sink.fault(MailStage.RCPT, "450 4.1.2 Domain not found", recipient="ada@exmaple.example")
    assert stage.run_once().code == OK
    assert (state(stage, order), stage.sink.messages) == ("waiting", ())
    stage.sql("UPDATE orders_order SET email = 'ada@example.example' WHERE id = :id", id=order.id)
    # By hand, at once, with the mail still in its pause.
    resent = stage.paypoll("resend", "ORD-TYPO")
    assert resent.code == OK, resent.stderr
    (mail,) = stage.sink.messages
    assert (mail.recipients, str(mail.message["To"])) == (("ada@example.example",), "ada@example.example")
    assert len(outbox(stage, order, "confirmation")) == 1
    (changed,) = stage.audit(order, "readdressed")
    assert "ada@exmaple.example" in changed["explanation"]
    assert "ada@example.example" in changed["explanation"]


def test_row_35f_mail_put_off_while_the_clock_was_a_day_ahead_is_due(stage: Stage) -> None:
    near, far = failed(stage, "NEAR"), failed(stage, "FAR")
    stage.sink.close()
    stage.run_once()
    for order, ahead in ((near, "50 minutes"), (far, "1 day")):
        stage.sql(
            "UPDATE paypoll.outbox SET attempts = 1, lease_until = now() + CAST(:ahead AS interval),"
            " next_attempt_at = now() + CAST(:ahead AS interval) WHERE order_id = :id",
            id=order.id,
            ahead=ahead,
        )
    stage.sink.start()
    stage.run_once()
    assert (state(stage, near), state(stage, far)) == ("waiting", "sent")


# -- alerts ------------------------------------------------------------------------------------------------------


def test_row_37a_alert_that_is_refused_is_never_final_and_the_run_says_so(stage: Stage) -> None:
    order = stage.order("ORD-REVIEW", checkout="PAID")
    customer = failed(stage, "CUSTOMER")
    stage.sumup.refund(order.checkout)
    stage.sink.refuse_as("gmail-no-user", recipient=ADMIN)
    ended = stage.run_once()
    assert ended.code == TRY_LATER
    assert critical(ended)["standstill"] == 1
    assert state(stage, customer) == "sent"
    assert {row["state"] for row in outbox(stage, kind="alert")} == {"waiting"}
    # In its pause it has reached nobody, either.
    assert stage.run_once().code == TRY_LATER
    stage.sink.clear_faults()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert len(stage.alerts(order)) == 1


def test_row_37a_one_admin_who_is_refused_does_not_keep_the_alert_from_the_others(stage: Stage) -> None:
    gone, here = "gone@shop.example", "here@shop.example"
    stage.environ["alerts__to"] = f'["{gone}", "{here}"]'
    order = stage.order("ORD-REVIEW", checkout="PAID")
    stage.sumup.refund(order.checkout)
    stage.sink.refuse_as("gmail-no-user", recipient=gone)
    assert stage.run_once().code == OK
    assert told(stage, "Order ORD-REVIEW needs a person") == [here]
    stage.sql("UPDATE paypoll.trouble SET since = since - interval '2 hours'")
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert told(stage, "An admin gets no alerts") == [here]
    # Who takes the place of somebody in the settings gets what waited.
    new = "new@shop.example"
    stage.environ["alerts__to"] = f'["{new}", "{here}"]'
    stage.let_time_pass()
    assert stage.run_once().code == OK
    assert told(stage, "Order ORD-REVIEW needs a person") == [here, new]


def test_row_37a_alert_handed_over_to_another_admin_and_back_is_not_lost(stage: Stage) -> None:
    order = stage.order("ORD-REVIEW", checkout="PAID")
    stage.sumup.refund(order.checkout)
    stage.sink.refuse_as("gmail-no-user")
    for admin in (ADMIN, "other@shop.example"):
        stage.environ["alerts__to"] = f'["{admin}"]'
        assert stage.run_once().code == TRY_LATER
        stage.let_time_pass()
    stage.sink.clear_faults()
    stage.environ["alerts__to"] = f'["{ADMIN}"]'
    assert stage.run_once().code == OK
    assert told(stage, "Order ORD-REVIEW needs a person") == [ADMIN]


# -- brought back ------------------------------------------------------------------------------------------------


def test_mail_that_was_given_up_is_revived_by_one_command(stage: Stage) -> None:
    one = stage.order("ORD-ONE", checkout="PAID")
    two = failed(stage, "TWO")
    stage.sink.refuse_as("gmail-no-user", recipient=CUSTOMERS)
    assert stage.run_once().code == OK
    assert [state(stage, order) for order in (one, two)] == ["undeliverable"] * 2
    stage.sink.clear_faults()
    revived = stage.paypoll("resend", "--all-undeliverable", "--yes")
    assert (revived.code, revived.stdout.splitlines()[-1]) == (OK, "2 sent")
    check_completed(stage, one)
    assert len(stage.mails(two)) == 1
    assert stage.paypoll("resend", "--all-undeliverable", "--yes").stdout.strip() == "No mail is undeliverable."


# -- standstills -------------------------------------------------------------------------------------------------


def break_disk(stage: Stage) -> None:
    """Let no ticket be stored any more."""
    (stage.media / "tickets").rename(stage.media / "aside")
    (stage.media / "tickets").write_text("a file where the folder should be")


def mend_disk(stage: Stage) -> None:
    """Let tickets be stored again."""
    (stage.media / "tickets").unlink()
    (stage.media / "aside").rename(stage.media / "tickets")


def test_row_37b_broken_template_and_full_disk_are_said_by_every_run_and_told_each_for_itself(stage: Stage) -> None:
    order = stage.order("ORD-TEMPLATE", checkout="PAID")
    templates = stage.folder / "templates"
    templates.mkdir()
    (templates / "confirmation.txt").write_text("{% broken %}")
    broken = {"mail__template_folder": str(templates)}
    for _ in range(2):  # the second has nothing to do
        ended = stage.run_once(**broken)
        assert ended.code == TRY_LATER
        assert critical(ended) == {"standstill": 1}
    assert len(told(stage, "Tickets or mails cannot be made")) == 1
    stage.sql("UPDATE paypoll.trouble SET told_at = told_at - interval '1 day'")
    stage.let_time_pass()
    assert stage.run_once(**broken).code == TRY_LATER
    assert len(told(stage, "Tickets or mails cannot be made")) == 2
    # The next trouble is told though the first one lasts.
    break_disk(stage)
    stage.order("ORD-DISK", checkout="PAID")
    assert stage.run_once(**broken).code == TRY_LATER
    assert len(told(stage, "Tickets or mails cannot be made")) == 3
    mend_disk(stage)
    stage.let_time_pass()
    assert stage.run_once().code == OK
    check_completed(stage, order)
    assert stage.sql("SELECT key FROM paypoll.trouble") == []


def test_row_36a_mailbox_that_defers_for_days_hides_no_trouble_that_is_new(stage: Stage) -> None:
    full = stage.order("ORD-FULL", checkout="PAID", email="full@full.example")
    stage.sink.refuse_as("postfix-greylisted", recipient=full.email)
    stage.run_once()
    for number in (1, 2):
        break_disk(stage)
        order = stage.order(f"ORD-DISK-{number}", checkout="PAID")
        stage.run_once()
        assert len(told(stage, "Tickets or mails cannot be made")) == number
        mend_disk(stage)
        stage.let_time_pass()
        stage.run_once()
        check_completed(stage, order)
    assert state(stage, full) == "waiting"
