"""`paypoll mail`, and `paypoll resend --to`: what has not gone out, tried at once, given up, or sent elsewhere."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.cli.commands.queue import mail_lines
from paypoll.database import transaction
from paypoll.errors import NotFoundError, RefusedError
from paypoll.mail.mailer import MailUnavailableError, RecipientRefusedError
from paypoll.state.outbox import UNSENT
from paypoll.state.tables import outbox
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk

ALL = (*UNSENT, "undeliverable")


@pytest.fixture
def waiting(desk: "Desk") -> "Desk":
    """A desk whose mail server was down when ORD-1 was fulfilled."""
    desk.place("ORD-1")
    desk.bench.mailer.failures = [MailUnavailableError("no route")]
    desk.run()
    return desk


def test_list_shows_the_next_attempt_and_the_last_answer(waiting: "Desk") -> None:
    (mail,) = waiting.backlog().mails
    text = " ".join(" ".join(mail_lines(mail, waiting.app.clock.now())).split())
    assert f"{mail.id} confirmation of ORD-1 to ord-1@example.org" in text
    assert "1 attempt, again in 1 minute" in text
    assert "no route" in text
    assert f"sudo paypoll mail retry {mail.id}" in text


def test_retry_does_not_wait_for_the_next_attempt(waiting: "Desk") -> None:
    (mail,) = waiting.backlog().mails
    assert [one.state for one in waiting.app.resender.try_again("margot", *ALL, ids=[mail.id])] == ["sent"]
    assert waiting.backlog().mails == ()


def test_retry_of_a_mail_that_is_not_there_is_refused(waiting: "Desk") -> None:
    with pytest.raises(NotFoundError, match="no mail with the id 999"):
        waiting.app.resender.try_again("margot", *ALL, ids=[999])


def test_mail_that_is_given_up_is_never_sent_and_says_who_and_why(waiting: "Desk") -> None:
    (mail,) = waiting.backlog().mails
    waiting.app.resender.give_up(mail.id, "margot", "told by telephone")
    waiting.bench.clock.move(timedelta(days=1))
    waiting.run()
    (row,) = [row for row in waiting.mails(mail.order_id or 0) if row["kind"] == "confirmation"]
    assert (row["state"], row["last_error"]) == ("withdrawn", "given up by margot: told by telephone")
    assert [row["actor"] for row in waiting.trail(mail.order_id or 0) if row["action"] == "given_up"] == ["margot"]
    # Its customer can still get the tickets.
    assert waiting.app.resender.resend("ORD-1", "margot").state == "sent"


def test_mail_that_a_run_holds_is_not_given_up(waiting: "Desk") -> None:
    (mail,) = waiting.backlog().mails
    with transaction(waiting.app.engine) as connection:
        soon = waiting.app.clock.now() + timedelta(minutes=2)
        connection.execute(sa.update(outbox).values(lease_until=soon))
    with pytest.raises(RefusedError, match="is sending it just now"):
        waiting.app.resender.give_up(mail.id, "margot", "why")
    (skipped,) = waiting.app.resender.try_again("margot", *ALL, ids=[mail.id])
    assert skipped.error == "a run is sending it just now"


@pytest.mark.parametrize("by", ["resend", "retry", "give up"])
def test_row_46_lease_of_a_clock_that_was_ahead_holds_no_mail(waiting: "Desk", by: str) -> None:
    """Hours of it: a run that was killed meanwhile sends nothing."""
    (mail,) = waiting.backlog().mails
    resender = waiting.app.resender
    with transaction(waiting.app.engine) as connection:
        connection.execute(sa.update(outbox).values(lease_run="killed", lease_until=NOW + timedelta(hours=5)))
    match by:
        case "resend":
            assert resender.resend("ORD-1", "margot").state == "sent"
        case "retry":
            assert [one.state for one in resender.try_again("margot", *ALL, ids=[mail.id])] == ["sent"]
        case "give up":
            assert resender.give_up(mail.id, "margot", "told by telephone").id == mail.id


def test_row_46_lease_of_a_clock_that_was_ahead_keeps_no_alert_from_the_present_admins(desk: "Desk") -> None:
    desk.bench.mailer.down = "no route"
    desk.in_review("ORD-1")
    with transaction(desk.app.engine) as connection:
        connection.execute(sa.update(outbox).values(lease_run="killed", lease_until=NOW + timedelta(hours=5)))
    desk.app.desk = replace(desk.app.desk, admins=("new@shop.example",))
    desk.bench.mailer.down = ""
    desk.bench.clock.move(timedelta(minutes=5))
    desk.run()
    assert [to for _, to in desk.bench.mailer.sent] == [("new@shop.example",)]


def test_resend_to_another_address_goes_there_whatever_the_order_says(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.run()
    desk.bench.mailer.sent.clear()
    resent = desk.app.resender.resend("ORD-1", "margot", to="ada@elsewhere.example")
    assert (resent.state, resent.recipient, resent.tickets) == ("sent", "ada@elsewhere.example", 2)
    assert [to for _, to in desk.bench.mailer.sent] == [("ada@elsewhere.example",)]
    assert desk.shop.row("orders_order", order_id)["email"] == "ord-1@example.org"


def test_resend_to_another_address_leaves_what_waits_for_the_orders_own(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.bench.mailer.failures = [RecipientRefusedError("550 no such user")]
    desk.run()
    desk.app.resender.resend("ORD-1", "margot", to="ada@elsewhere.example")
    own, other = (row for row in desk.mails(order_id) if row["kind"] == "confirmation")
    assert (own["state"], own["recipients"]) == ("undeliverable", ["ord-1@example.org"])
    assert (other["state"], other["recipients"]) == ("sent", ["ada@elsewhere.example"])


def test_resend_to_what_is_no_address_is_refused(desk: "Desk") -> None:
    desk.place("ORD-1")
    desk.run()
    desk.bench.mailer.sent.clear()
    with pytest.raises(RefusedError):
        desk.app.resender.resend("ORD-1", "margot", to="ada@example.org\nBcc: x@example.org")
    assert desk.bench.mailer.sent == []
