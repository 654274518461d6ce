"""The confirmation again: a new mail, only for tickets that paypoll issued and that still admit somebody."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError
from paypoll.mail.mailer import RecipientDeferredError, RecipientRefusedError
from paypoll.payments.gateway import CheckoutStatus

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command, Desk


def confirmations(desk: "Desk", order_id: int) -> list[tuple[str, str]]:
    return [(row["dedupe_key"], row["state"]) for row in desk.mails(order_id) if row["kind"] == "confirmation"]


def test_resend_sends_the_same_tickets_in_a_new_mail_at_once(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.run()
    tickets = desk.tickets(order_id)
    resent = desk.app.resender.resend("ord-1", "margot")
    assert (resent.state, resent.tickets, resent.recipient) == ("sent", 2, "ord-1@example.org")
    (first, _), (second, recipients) = desk.bench.mailer.sent
    assert recipients == ("ord-1@example.org",)
    assert second["Message-ID"] == resent.message_id != first["Message-ID"]
    names = [part.get_filename() for part in first.iter_attachments()]
    assert [part.get_filename() for part in second.iter_attachments()] == names
    assert desk.tickets(order_id) == tickets
    posted = next(row for row in desk.trail(order_id) if row["action"] == "resent")
    assert posted["actor"] == "margot"


def test_resend_twice_counts_on(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.run()
    desk.app.resender.resend("ORD-1", "margot")
    desk.app.resender.resend("ORD-1", "margot")
    key = f"confirmation:{order_id}"
    assert confirmations(desk, order_id) == [(key, "sent"), (f"{key}:resend:1", "sent"), (f"{key}:resend:2", "sent")]


def test_resend_after_the_address_was_corrected_goes_to_the_new_one(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.shop.update("orders_order", order_id, email="no address")
    desk.run()
    assert confirmations(desk, order_id)[0][1] == "undeliverable"
    desk.shop.update("orders_order", order_id, email="ada@example.org")
    assert desk.app.resender.resend("ORD-1", "margot").recipient == "ada@example.org"
    assert desk.bench.mailer.sent[-1][1] == ("ada@example.org",)


def test_resend_while_the_mail_server_is_down_waits_and_is_not_posted_twice(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.run()
    desk.bench.mailer.down = "connection refused"
    resent = desk.app.resender.resend("ORD-1", "margot")
    assert (resent.state, resent.error) == ("waiting", "connection refused")
    again = desk.app.resender.resend("ORD-1", "margot")
    assert (again.state, again.message_id) == ("waiting", resent.message_id)
    assert len(confirmations(desk, order_id)) == 2


def test_resend_of_a_mail_that_waits_goes_at_once_to_the_address_that_was_corrected(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.shop.update("orders_order", order_id, email="ada@exmaple.org")
    desk.bench.mailer.failures = [RecipientDeferredError("450 4.1.2 Domain not found")]
    desk.run()
    (waiting,) = desk.mails(order_id)
    assert waiting["state"] == "waiting"
    desk.shop.update("orders_order", order_id, email="ada@example.org")
    resent = desk.app.resender.resend("ORD-1", "margot")
    assert (resent.state, resent.recipient, resent.message_id) == ("sent", "ada@example.org", waiting["message_id"])
    ((message, recipients),) = desk.bench.mailer.sent
    assert (recipients, message["To"]) == (("ada@example.org",), "ada@example.org")
    changed = next(row for row in desk.trail(order_id) if row["action"] == "readdressed")
    assert "ada@exmaple.org" in changed["explanation"]


def test_resend_of_a_failure_mail_that_was_given_up_sends_that_one(desk: "Desk") -> None:
    order_id = desk.place("ORD-1", CheckoutStatus.FAILED)
    desk.shop.update("orders_order", order_id, email="no address")
    desk.run()
    desk.shop.update("orders_order", order_id, email="ada@example.org")
    resent = desk.app.resender.resend("ORD-1", "margot")
    assert (resent.state, resent.kind, resent.tickets) == ("sent", "payment_failed", 0)


@pytest.mark.parametrize(
    ("status", "goes_out"),
    [
        ("pending_verification", True),  # the customer tries again: of each card that is declined there is one mail
        ("expired", True),
        ("requires_manual_review", False),  # "try again", and the money may be there
        ("completed", False),
    ],
)
def test_failure_mail_is_true_for_a_person_who_tries_it_again_while_it_is_for_a_run(
    desk: "Desk", status: str, *, goes_out: bool
) -> None:
    order_id = desk.place("ORD-1", CheckoutStatus.FAILED)
    desk.bench.mailer.down = "no route"
    desk.run()
    desk.shop.update("orders_order", order_id, status=status)
    desk.bench.mailer.down = ""
    resender = desk.app.resender
    if goes_out:
        assert resender.resend("ORD-1", "margot").state == "sent"
        return
    with pytest.raises(RefusedError):
        resender.resend("ORD-1", "margot")
    assert [one.error for one in resender.try_again("margot", "waiting")] == [f"the order is {status}"]
    desk.bench.clock.move(timedelta(hours=1))
    desk.app.deliver("a run", lambda: False)
    assert desk.bench.mailer.sent == []


def test_resend_all_undeliverable_revives_what_is_still_true_and_skips_the_rest(
    desk: "Desk", engine: sa.Engine
) -> None:
    for number in ("ORD-1", "ORD-2", "ORD-3"):
        desk.place(number)
    desk.bench.mailer.failures = [RecipientRefusedError("550 5.1.1 no such user") for _ in range(3)]
    desk.run()
    with transaction(engine) as connection:
        connection.execute(sa.text("UPDATE orders_order SET status = 'refunded' WHERE order_number = 'ORD-3'"))
        connection.execute(sa.text("UPDATE paypoll.outbox SET state = 'undeliverable' WHERE kind = 'alert'"))
    before = len(desk.bench.mailer.sent)
    revived = desk.app.resender.resend_undeliverable("margot")
    assert [(one.kind, one.order_number, one.state) for one in revived if one.kind != "alert"] == [
        ("confirmation", "ORD-1", "sent"),
        ("confirmation", "ORD-2", "sent"),
        ("confirmation", "ORD-3", "skipped"),
    ]
    assert {one.state for one in revived if one.kind == "alert"} == {"sent"}
    assert len(desk.bench.mailer.sent) == before + len(revived) - 1
    assert [one.order_number for one in desk.app.resender.resend_undeliverable("margot")] == ["ORD-3"]


@pytest.mark.parametrize("arguments", [(), ("ORD-1", "--all-undeliverable")])
def test_resend_wants_an_order_or_all(paypoll: "Command", arguments: tuple[str, ...]) -> None:
    assert paypoll("resend", *arguments).returncode == 2


def test_resend_all_as_a_command_says_when_there_is_none(paypoll: "Command") -> None:
    done = paypoll("resend", "--all-undeliverable", "--yes")
    assert (done.returncode, done.stdout.strip()) == (0, "No mail is undeliverable.")


def test_resend_to_a_recipient_who_is_refused_says_so(desk: "Desk") -> None:
    desk.place("ORD-1")
    desk.run()
    desk.bench.mailer.failures = [RecipientRefusedError("550 no such user")]
    resent = desk.app.resender.resend("ORD-1", "margot")
    assert (resent.state, resent.error) == ("undeliverable", "550 no such user")


def test_resend_of_an_order_without_tickets_is_refused(desk: "Desk") -> None:
    order_id = desk.place("ORD-1", CheckoutStatus.PENDING)
    desk.run()
    with pytest.raises(RefusedError, match="is pending_verification and has no tickets"):
        desk.app.resender.resend("ORD-1", "margot")
    assert desk.mails(order_id) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders_order SET status = 'refunded'",
        "UPDATE orders_order SET status = 'cancelled'",
        "UPDATE events_ticket SET status = 'refunded'",
    ],
)
def test_resend_of_tickets_that_admit_nobody_is_refused(desk: "Desk", engine: sa.Engine, statement: str) -> None:
    order_id = desk.place("ORD-1")
    desk.run()
    with transaction(engine) as connection:
        connection.execute(sa.text(statement))
    with pytest.raises(RefusedError, match="not sent again"):
        desk.app.resender.resend("ORD-1", "margot")
    assert len(confirmations(desk, order_id)) == 1


def test_resend_of_an_order_that_is_not_there_is_named(desk: "Desk") -> None:
    with pytest.raises(OrderNotFoundError, match="ORD-404"):
        desk.app.resender.resend("ORD-404", "margot")


def test_resend_as_a_command_exits_with_75_while_the_mail_waits(desk: "Desk", paypoll: "Command") -> None:
    desk.place("ORD-1")
    desk.run()
    done = paypoll("resend", "ORD-1", "--json")
    assert done.returncode == 75
    printed = json.loads(done.stdout)
    assert (printed["schema"], printed["state"], printed["order"]["number"]) == (1, "waiting", "ORD-1")
    assert printed["error"]
