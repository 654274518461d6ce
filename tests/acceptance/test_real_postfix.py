"""A real Postfix refuses, as its own settings make it: nothing of the customers' is lost, and nothing holds it up.

It needs Postfix and root; .ci/run installs it where it may.
"""

from typing import TYPE_CHECKING

import pytest
from tests.acceptance.postfix import running_postfix, why_not
from tests.acceptance.stage import ADMIN
from tests.acceptance.test_mail_refusals import critical, failed, outbox, state, told

if TYPE_CHECKING:
    from tests.acceptance.stage import Stage

OK, TRY_LATER = 0, 75
TAKES_ALL = {
    "mynetworks": "127.0.0.0/8",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
}

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can")


def test_postfix_that_refuses_us_loses_nothing(stage: "Stage") -> None:
    orders = [failed(stage, name, f"{name.lower()}.example") for name in ("ADA", "BOB", "EVE")]
    refusing = (
        # Relay access denied: 554, and 454 as Postfix says of its own accord.
        {"smtpd_relay_restrictions": "reject_unauth_destination"},
        {"smtpd_relay_restrictions": "defer_unauth_destination"},
        # Said at RCPT, though it is about the sender.
        {
            **TAKES_ALL,
            "smtpd_sender_restrictions": "check_sender_access {access}",
            "access": "tickets@shop.example 553 5.7.1 Sender address rejected: not owned by user bot\n",
        },
    )
    with running_postfix(stage.sink.port) as postfix:
        stage.environ["mail__port"] = str(postfix.port)
        for settings in refusing:
            postfix.judge(**settings)
            ended = stage.run_once()
            assert ended.code == TRY_LATER, ended.stderr
            assert critical(ended)["mail halts; everything waits"] >= 1
            assert [state(stage, order) for order in orders] == ["waiting"] * 3
            stage.let_time_pass()
        # It takes what is for ourselves, and cannot look up where anybody else's mail goes.
        nowhere = "".join(f"{name}.example 450 4.1.2 Domain not found\n" for name in ("ada", "bob", "eve"))
        postfix.judge(**TAKES_ALL, smtpd_recipient_restrictions="check_recipient_access {access}", access=nowhere)
        stage.sql("DELETE FROM paypoll.trouble")
        assert stage.run_once().code == OK
        stage.let_time_pass()
        stage.sql("UPDATE paypoll.trouble SET since = since - interval '2 hours'")
        assert stage.run_once().code == TRY_LATER
        stage.let_time_pass()
        postfix.judge(**TAKES_ALL)
        assert stage.run_once().code == OK
        arrived = stage.sink.wait_for(3 + len(outbox(stage, kind="alert")), timeout=60)
    assert {order.email for order in orders} < {mail.recipients[0] for mail in arrived}
    assert told(stage, "Mail is going out again") == [ADMIN]


def test_postfix_that_defers_forty_recipients_takes_fresh_mail_and_alerts_in_the_same_run(stage: "Stage") -> None:
    """After twenty refusals Postfix closes a session, and says 421 to whoever comes next in it."""
    deferred = [failed(stage, f"FULL{number}", "full.example") for number in range(40)]
    nobody = failed(stage, "NOBODY", "nobody.example")
    access = "full.example 450 4.2.2 Mailbox full\nnobody.example 550 5.1.1 No such user\n"
    with running_postfix(stage.sink.port) as postfix:
        stage.environ["mail__port"] = str(postfix.port)
        postfix.judge(**TAKES_ALL, smtpd_recipient_restrictions="check_recipient_access {access}", access=access)
        assert stage.run_once().code == OK
        assert {row["attempts"] for order in deferred for row in outbox(stage, order)} == {1}
        assert (state(stage, nobody), told(stage, "cannot be delivered")) == ("undeliverable", [ADMIN])
        stage.let_time_pass()
        fresh = failed(stage, "FRESH", "fine.example")
        review = stage.order("ORD-REVIEW", checkout="PAID")
        stage.sumup.refund(review.checkout)
        assert stage.run_once().code == OK
        stage.sink.wait_for(3, timeout=60)
        assert len(stage.mails(fresh)) == len(stage.alerts(review)) == 1
        assert [state(stage, order) for order in deferred] == ["waiting"] * 40
        postfix.judge(**TAKES_ALL)
        stage.let_time_pass()
        assert stage.run_once().code == OK
        stage.sink.wait_for(43, timeout=60)
    assert [len(stage.mails(order)) for order in deferred] == [1] * 40
