"""What a hard look at the outbox found: mail that nobody tried again, went to somebody else, or failed unheard of."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own
import pytest
import sqlalchemy as sa

import paypoll.admin.resend
from paypoll.database import transaction
from paypoll.errors import NotFoundError, RefusedError
from paypoll.mail.content.samples import SAMPLES
from paypoll.mail.mailer import (
    DoubtfulRefusalError,
    MailUnavailableError,
    RecipientDeferredError,
    RecipientRefusedError,
    SenderRefusedError,
)
from paypoll.mail.refusal import About, Step, whom_it_is_about
from paypoll.runs.record import exit_code, record_run
from paypoll.shop.find import lock_order
from paypoll.state.due_mail import Whose, claim_mail, hand_back
from paypoll.state.outbox import Mail, last_taken_from_customers, post
from paypoll.state.posted_alerts import forget_told, hand_over, waiting_alerts
from paypoll.state.tables import outbox
from paypoll.tickets.ticket import PrintError

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection
    from tests.integration.conftest import Bench

    from paypoll.tickets.ticket import PrintedTicket, TicketFace

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
TRY_LATER = 75
Place = Callable[..., int]


def states(engine: sa.Engine, kind: str = "confirmation") -> list[tuple[str, int]]:
    with transaction(engine) as connection:
        query = sa.select(outbox.c.state, outbox.c.attempts).where(outbox.c.kind == kind).order_by(outbox.c.id)
        return [tuple(row) for row in connection.execute(query)]


def subjects(bench: "Bench", to: str) -> list[str]:
    return [str(message["Subject"]) for message, recipients in bench.mailer.sent if to in recipients]


def recipients(bench: "Bench") -> list[str]:
    return [one for _, to in bench.mailer.sent for one in to]


def correct(engine: sa.Engine, order_id: int, **values: object) -> None:
    changed = ", ".join(f"{name} = :{name}" for name in values)
    with transaction(engine) as connection:
        connection.execute(sa.text(f"UPDATE orders_order SET {changed} WHERE id = :id"), {**values, "id": order_id})  # noqa: S608 - ours


def test_mail_that_a_run_claims_while_a_person_tries_it_again_is_sent_in_the_end(
    bench: "Bench", engine: sa.Engine, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both give it back: it counted as tried less than never, and nobody took it any more."""
    for number in (1, 2, 3):
        place(f"ORD-{number}", email=f"a@{number}.example")
    bench.mailer.down = "connection refused"
    record_run(bench.app, "run-once")
    bench.clock.move(30 * MINUTE)
    claimed: list[Mail] = []

    def meanwhile(connection: sa.Connection, order_id: int) -> bool:
        if not claimed:
            with transaction(engine) as other:
                for tried in (True, False):
                    claimed.extend(
                        claim_mail(
                            other, "timer", bench.clock.now(), limit=20, lease=5 * MINUTE, whose=Whose.ALL, tried=tried
                        )
                    )
        return lock_order(connection, order_id)

    monkeypatch.setattr(paypoll.admin.resend, "lock_order", meanwhile)
    tried = bench.app.resender.try_again("ada", "waiting", "sending", "undeliverable")
    assert {(one.state, one.error) for one in tried} == {("skipped", "a run is sending it just now")}
    with transaction(engine) as connection:
        hand_back(connection, claimed, "timer")
    assert min(attempts for _, attempts in states(engine)) >= 0
    bench.mailer.down = ""
    bench.clock.move(2 * HOUR)
    record_run(bench.app, "run-once")
    assert {state for state, _ in states(engine)} == {"sent"}


def test_mail_that_counts_as_tried_less_than_never_is_new(bench: "Bench", engine: sa.Engine, place: Place) -> None:
    place("ORD-1", email="ada@one.example")
    bench.mailer.down = "connection refused"
    record_run(bench.app, "run-once")
    bench.mailer.down = ""
    with transaction(engine) as connection:
        connection.execute(sa.update(outbox).values(attempts=-1))
    bench.clock.move(2 * HOUR)
    record_run(bench.app, "run-once")
    assert {state for state, _ in states(engine)} == {"sent"}


def test_row_45_second_refusal_of_an_orders_mail_is_told_after_a_person_had_it_sent_again(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    order_id = place("ORD-1", email="typo@one.example")
    bench.mailer.failures.append(RecipientRefusedError("550 5.1.1 no such user"))
    record_run(bench.app, "run-once")
    bench.mailer.sent.clear()
    correct(engine, order_id, email="typo@two.example")
    bench.mailer.failures.append(RecipientDeferredError("450 4.2.0 greylisted"))
    bench.app.resender.resend("ORD-1", "ada")
    bench.mailer.failures.append(RecipientRefusedError("550 5.1.1 no such user"))
    for _ in range(2):
        bench.clock.move(2 * HOUR)
        record_run(bench.app, "run-once")
    told = [str(message["Subject"]) for message, _ in bench.mailer.sent]
    assert any("ORD-1" in subject and "cannot be delivered" in subject for subject in told), told


def test_resend_after_a_copy_to_a_wrong_address_goes_to_the_order_again(bench: "Bench", place: Place) -> None:
    place("ORD-1", email="ada@good.example")
    record_run(bench.app, "run-once")
    bench.mailer.failures.append(RecipientRefusedError("550 5.1.1 no such user"))
    assert bench.app.resender.resend("ORD-1", "bob", to="ada@typo.example").state == "undeliverable"
    bench.mailer.sent.clear()
    assert bench.app.resender.resend("ORD-1", "bob").recipient == "ada@good.example"
    assert "ada@typo.example" not in recipients(bench)
    assert "ada@good.example" in recipients(bench)


def test_mail_that_a_copy_has_made_good_is_told_from_one_that_is_not_there(bench: "Bench", place: Place) -> None:
    place("ORD-1", email="ada@good.example")
    bench.mailer.failures.append(RecipientRefusedError("550 5.1.1 no such user"))
    record_run(bench.app, "run-once")
    bench.app.resender.resend("ORD-1", "bob", to="ada@other.example")
    said = {
        1: "mail 1, the confirmation to ada@good.example, was given up, and another one has made it good: mail 3 to"
        " ada@other.example left 23 November 15:00 UTC",
        3: "mail 3, the confirmation to ada@other.example, has left: 23 November 15:00 UTC",
        99: "there is no mail with the id 99",
    }
    for mail_id, words in said.items():
        with pytest.raises((RefusedError, NotFoundError), match=re.escape(words)):
            bench.app.resender.kept("waiting", "undeliverable", ids=[mail_id])


def test_mail_that_waits_is_what_a_person_sends_again_though_a_copy_has_left(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    place("ORD-1", email="ada@good.example")
    bench.mailer.failures.append(RecipientDeferredError("450 4.2.2 full"))
    record_run(bench.app, "run-once")
    assert bench.app.resender.resend("ORD-1", "bob", to="ada@other.example").state == "sent"
    assert bench.app.resender.resend("ORD-1", "bob").state == "sent"
    assert [state for state, _ in states(engine)] == ["sent", "sent"]  # not a third one
    assert recipients(bench) == ["ada@other.example", "ada@good.example"]


def test_mail_to_an_organiser_that_is_taken_says_nothing_about_customers(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    """An organiser's, as an admin's, may be a mailbox of the mail server's own."""
    bench.mailer.failures.append(SenderRefusedError("554 5.7.1 relay access denied", answered=True))
    place("ORD-1", email="ada@one.example")
    assert exit_code(record_run(bench.app, "run-once")) == TRY_LATER
    with transaction(engine) as connection:
        post(
            connection,
            kind="organiser_orders",
            dedupe_key="organiser_orders:1",
            recipients=["choir@shop.example"],
            content=SAMPLES["organiser_orders"].to_json(),
            message_id="<1@shop.example>",
            now=bench.clock.now(),
        )
    assert exit_code(record_run(bench.app, "run-once")) == TRY_LATER
    assert recipients(bench).count("choir@shop.example") == 1
    with transaction(engine) as connection:
        assert last_taken_from_customers(connection, bench.clock.now()) is None
    bench.clock.move(HOUR)
    assert exit_code(record_run(bench.app, "run-once")) == 0


def test_mail_sent_under_a_clock_that_was_ahead_says_nothing_about_others(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    bench.clock.move(DAY)
    place("ORD-0", email="zoe@zero.example")
    record_run(bench.app, "run-once")
    bench.clock.move(-DAY)
    for number in (1, 2, 3):
        place(f"ORD-{number}", email=f"a@{number}.example", created_at=bench.clock.now())
    refusal = DoubtfulRefusalError("550 access denied", recipient_if_others_are_taken=True)
    for _ in range(4):
        bench.mailer.failures.extend([refusal] * 6)
        record_run(bench.app, "run-once")
        bench.mailer.failures.clear()
        bench.clock.move(10 * MINUTE)
    assert "undeliverable" not in {state for state, _ in states(engine)}


def test_row_39a_mail_of_an_order_whose_id_was_given_out_again_is_not_sent_to_the_other_customer(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    order_id = place("ORD-1", "FAILED", email="ada@one.example")
    bench.mailer.down = "connection refused"
    for _ in range(3):
        record_run(bench.app, "run-once")
        bench.clock.move(10 * MINUTE)
    assert [state for state, _ in states(engine, "payment_failed")] == ["waiting"]
    correct(engine, order_id, order_number="ORD-2", email="eve@two.example")
    bench.mailer.down = ""
    bench.clock.move(2 * HOUR)
    record_run(bench.app, "run-once")
    assert "eve@two.example" not in recipients(bench)


@pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.2.1", "5.2.2"])
def test_refusal_of_the_senders_mailbox_is_about_us(code: str) -> None:
    """Before RCPT no recipient has been named."""
    assert whom_it_is_about(Step.MAIL, 550, f"{code} <tickets@shop.example>: User unknown") is About.US
    assert whom_it_is_about(Step.RCPT, 550, f"{code} <ada@one.example>: User unknown") is About.RECIPIENT


def test_alert_that_a_person_has_ended_is_handed_over_and_leaves_room_for_the_next(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    """The mark of what has ended must not be taken for a part of whom it goes to."""
    order_id = place("ORD-1", total="26.00")
    bench.mailer.down = "connection refused"
    record_run(bench.app, "run-once")
    with transaction(engine) as connection:
        forget_told(connection, order_id, "alert:review:", "run-1")
        (waiting,) = waiting_alerts(connection, bench.clock.now() + DAY, 3 * MINUTE)
        hand_over(connection, waiting, ["new@shop.example"], lambda: "<2@shop.example>", bench.clock.now())
    with transaction(engine) as connection:
        keys = set(connection.scalars(sa.select(outbox.c.dedupe_key).where(outbox.c.kind == "alert")))
    assert all(":until:run-1:to:" in key for key in keys), keys
    assert {key.rpartition(":to:")[2] for key in keys} == {"admin@shop.example", "new@shop.example"}


def test_mail_whose_note_was_committed_unheard_is_noted_and_told_once(
    bench: "Bench", engine: sa.Engine, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between a commit and its answer: what is tried again was done."""
    place("ORD-1")
    dialect, commit, send = bench.app.engine.dialect, bench.app.engine.dialect.do_commit, bench.mailer.send
    heard: list[str] = []

    def commit_unheard(connection: "PoolProxiedConnection") -> None:
        commit(connection)
        if heard == ["mail"]:
            heard.append("commit")
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def send_and_say(message: EmailMessage, to: Sequence[str]) -> None:
        send(message, to)
        heard.append("mail")

    monkeypatch.setattr(dialect, "do_commit", commit_unheard)
    monkeypatch.setattr(bench.mailer, "send", send_and_say)
    record_run(bench.app, "run-once")
    assert heard[:2] == ["mail", "commit"]
    assert states(engine) == [("sent", 1)]
    with transaction(engine) as connection:
        noted = connection.execute(sa.text("SELECT count(*) FROM paypoll.audit WHERE action = 'mailed'")).scalar()
    assert noted == 1


def test_mail_that_was_overtaken_in_the_shop_is_held_back_and_void_tickets_are_left_out(
    bench: "Bench", engine: sa.Engine, place: Place
) -> None:
    """A mail server away for an hour, and what the shop's admin did meanwhile."""
    void, back, part = (place(f"ORD-{name}", email=f"{name}@one.example") for name in ("VOID", "BACK", "PART"))
    bench.mailer.down = "connection refused"
    record_run(bench.app, "run-once")
    for order_id in (void, back):
        correct(engine, order_id, status="refunded")
    with transaction(engine) as connection:
        first = sa.text("SELECT ticket_number FROM events_ticket WHERE order_id = :id ORDER BY id LIMIT 1")
        number = connection.scalar(first, {"id": part})
        cancelled = sa.text("UPDATE events_ticket SET status = 'cancelled' WHERE ticket_number = :number")
        connection.execute(cancelled, {"number": number})
    bench.mailer.down = ""
    bench.clock.move(2 * HOUR)
    record_run(bench.app, "run-once")
    (mail,) = [message for message, to in bench.mailer.sent if "one.example" in to[0]]
    assert (len(attached(mail, "application/pdf")), number in text_of(mail)) == (1, False)
    assert "Your ticket is attached" in text_of(mail)
    assert bench.app.resender.resend("ORD-PART", "ada").tickets == 1
    # One is put back in the shop; of the other no more is heard.
    correct(engine, back, status="completed")
    for pause in (2 * HOUR, 4 * DAY):
        bench.clock.move(pause)
        record_run(bench.app, "run-once")
    assert recipients(bench).count("BACK@one.example") == 1
    assert "VOID@one.example" not in recipients(bench)
    assert [state for state, _ in states(engine)].count("withdrawn") == 1


@pytest.mark.parametrize(("status", "to"), [("cancelled", ""), ("refunded", ""), ("cancelled", "bob@one.example")])
def test_mail_of_an_order_that_becomes_void_while_its_tickets_are_printed_does_not_leave(
    bench: "Bench", engine: sa.Engine, place: Place, monkeypatch: pytest.MonkeyPatch, status: str, to: str
) -> None:
    """Posted a moment ago, so that it was not looked at before its tickets were printed (35e).

    Nor a copy for where a person wanted it.
    """
    order_id = place("ORD-1", email="ada@one.example")
    if to:
        record_run(bench.app, "run-once")
        bench.mailer.sent.clear()
    print_tickets = bench.printer.print_tickets

    def while_it_prints(faces: "Sequence[TicketFace]") -> "list[PrintedTicket]":
        correct(engine, order_id, status=status)
        return print_tickets(faces)

    monkeypatch.setattr(bench.printer, "print_tickets", while_it_prints)
    if to:
        assert bench.app.resender.resend("ORD-1", "margot", to=to).state == "waiting"
    else:
        record_run(bench.app, "run-once")
    assert {"ada@one.example", "bob@one.example"}.isdisjoint(recipients(bench))
    assert states(engine)[-1] == ("waiting", 1)


def test_mail_leaves_without_the_tickets_that_were_made_void_while_it_waited_its_turn(
    bench: "Bench", engine: sa.Engine, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claimed and printed with others of its batch, and posted a moment ago: its order is as it was (35e)."""
    one, part, none = (place(f"ORD-{name}", email=f"{name}@one.example") for name in ("ONE", "PART", "NONE"))
    send, void = bench.mailer.send, list[str]()

    def all_are_issued() -> bool:
        with transaction(engine) as connection:
            return bool(connection.scalar(sa.text("SELECT count(DISTINCT order_id) = 3 FROM events_ticket")))

    def while_it_sends(message: EmailMessage, to: "Sequence[str]") -> None:
        if not void:
            until = time.monotonic() + 10
            while not all_are_issued() and time.monotonic() < until:  # mail goes out beside the orders
                time.sleep(0.01)
            with transaction(engine) as connection:
                first = sa.text(
                    "UPDATE events_ticket SET status = 'unheard-of' WHERE order_id = :none"
                    " OR id = (SELECT min(id) FROM events_ticket WHERE order_id = :part) RETURNING ticket_number"
                )
                void.extend(connection.scalars(first, {"part": part, "none": none}))
        send(message, to)

    monkeypatch.setattr(bench.mailer, "send", while_it_sends)
    record_run(bench.app, "run-once")
    assert one
    assert "NONE@one.example" not in recipients(bench)
    (mail,) = [message for message, to in bench.mailer.sent if "PART@" in to[0]]
    assert len(attached(mail, "application/pdf")) == 1
    assert not any(number in text_of(mail) for number in void)


@pytest.mark.parametrize(
    "met",
    [
        RecipientRefusedError("550 no such user"),
        DoubtfulRefusalError("554 no", recipient_if_others_are_taken=True),
        RecipientDeferredError("450 greylisted"),
        MailUnavailableError("421 closing", answered=True),
        SenderRefusedError("535 who are you"),
        PrintError("a letter that no font has"),
        RuntimeError("nobody foresaw this"),
        None,
    ],
    ids=lambda met: type(met).__name__,
)
def test_run_that_lost_a_mail_while_it_was_stopped_tells_nothing_of_it(
    bench: "Bench", engine: sa.Engine, place: Place, monkeypatch: pytest.MonkeyPatch, met: Exception | None
) -> None:
    """Another run has delivered it by the time at which this one goes on."""
    order_id = place("ORD-1", email="ada@one.example")

    def stopped(*_: object) -> "list[PrintedTicket]":
        with transaction(engine) as connection:
            connection.execute(sa.update(outbox).values(state="sent", lease_run=None, lease_until=None))
        if met is not None:
            raise met
        correct(engine, order_id, status="refunded")
        return []

    if met is None or isinstance(met, PrintError):
        monkeypatch.setattr(bench.printer, "print_tickets", stopped)
    else:
        monkeypatch.setattr(bench.mailer, "send", stopped)
    report = record_run(bench.app, "run-once")
    assert states(engine) == [("sent", 1)]
    assert (report.delivered.put_off, report.delivered.undeliverable, report.delivered.unexpected) == (0, 0, 0)
    with transaction(engine) as connection:
        told = [
            *connection.scalars(sa.text("SELECT dedupe_key FROM paypoll.outbox WHERE kind = 'alert'")),
            *connection.scalars(sa.text("SELECT action FROM paypoll.audit WHERE action = 'undeliverable'")),
            *connection.scalars(sa.text("SELECT key FROM paypoll.trouble")),
        ]
    assert told == []


def attached(message: EmailMessage, kind: str) -> list[EmailMessage]:
    return [part for part in message.iter_attachments() if part.get_content_type() == kind]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
