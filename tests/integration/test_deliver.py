"""The outbox on a real PostgreSQL: at least once, a fixed Message-ID, no confirmation without its PDFs."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.cli.render.run import report_json, report_lines
from paypoll.database import transaction
from paypoll.exitcodes import ExitCode
from paypoll.mail.delivery_queue import DeliveryQueue, DeliveryRules
from paypoll.mail.mailer import MailUnavailableError, MessageRefusedError, RecipientDeferredError, RecipientRefusedError
from paypoll.mail.packing import MailPacker
from paypoll.runs.record import exit_code, record_run
from paypoll.runs.report import RunReport
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.tables import tickets
from paypoll.state.due_mail import Whose, claim_mail
from paypoll.state.incidents import cause, note_trouble, open_troubles
from paypoll.state.outbox import give_up, mark_sent, post, put_off, withdraw, withdraw_ours
from paypoll.state.tables import outbox
from paypoll.testing import NOW, FakeMailer, FakePrinter
from paypoll.tickets.files import TicketFiles
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

claim_fresh = partial(claim_mail, whose=Whose.ALL, tried=False)


def run(bench: "Bench") -> RunReport:
    return record_run(bench.app, "run-once")


def mails(engine: sa.Engine, **where: Any) -> list[dict[str, Any]]:
    query = sa.select(outbox).order_by(outbox.c.id)
    for column, value in where.items():
        query = query.where(outbox.c[column] == value)
    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def stored_files(media: Path) -> int:
    return len([path for path in media.rglob("*.*") if path.is_file() and not path.name.startswith(".")])


def subjects(bench: "Bench") -> list[str]:
    return [str(message["Subject"]) for message, _ in bench.mailer.sent]


def test_row_34_mail_server_down_run_still_fulfils_and_mail_arrives_later(
    bench: "Bench", shop: SmallShop, engine: sa.Engine, place: "Place"
) -> None:
    order_id = place("ORD-1")
    bench.mailer.down = "connection refused"
    run(bench)
    assert shop.row("orders_order", order_id)["status"] == "completed"
    (waiting,) = mails(engine)
    assert (waiting["state"], waiting["last_error"]) == ("waiting", "connection refused")
    bench.mailer.down = ""
    bench.clock.move(timedelta(minutes=5))
    run(bench)
    assert len(bench.mailer.sent) == 1
    assert bench.mailer.sent[0][0]["Message-ID"] == waiting["message_id"]
    assert mails(engine)[0]["state"] == "sent"


def test_files_are_stored_ahead_for_new_mail_and_not_for_mail_whose_order_may_be_cancelled_by_now(
    bench: "Bench", engine: sa.Engine, place: "Place", tmp_path: Path
) -> None:
    place("ORD-1")
    bench.mailer.down = "connection refused"
    run(bench)
    with transaction(engine) as connection:
        connection.execute(sa.update(tickets).values(pdf_file=""))
        connection.execute(sa.update(outbox).values(attempts=0, next_attempt_at=NOW, last_error=None))
        (mail,) = claim_fresh(connection, "a run", bench.clock.now(), limit=5, lease=timedelta(minutes=3))
    app = bench.app
    for minutes, stored in ((0, 4), (5, 0)):
        media = tmp_path / str(minutes)
        media.mkdir()
        bench.clock.move(timedelta(minutes=minutes))
        packer = MailPacker(
            engine, app.printer, app.composer, TicketFiles(media), app.settings.site, bench.clock, 10**7, "d.example"
        )
        packer.expect([mail])
        deadline = time.monotonic() + 10
        while stored_files(media) < stored and time.monotonic() < deadline:
            time.sleep(0.01)  # the pause of a poll for another thread
        packer.close()
        assert stored_files(media) == stored


def test_row_34_mail_server_down_for_an_hour_is_told_once_and_again_when_over(bench: "Bench", place: "Place") -> None:
    place("ORD-1")
    bench.mailer.down = "connection refused"
    for _ in range(30):
        run(bench)
        bench.clock.move(timedelta(minutes=5))
    bench.mailer.down = ""
    bench.clock.move(timedelta(hours=1))
    run(bench)
    bench.clock.move(timedelta(minutes=5))
    run(bench)
    assert len([subject for subject in subjects(bench) if "has not been going out" in subject]) == 1
    assert len([subject for subject in subjects(bench) if "going out again" in subject]) == 1


def test_row_35_recipient_refused_for_good_is_given_up_and_told(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    bench.mailer.failures.append(RecipientRefusedError("550 no such user"))
    run(bench)
    bench.clock.move(timedelta(hours=2))
    run(bench)
    assert mails(engine, kind="confirmation")[0]["state"] == "undeliverable"
    assert len(subjects(bench)) == 1
    assert "cannot be delivered" in subjects(bench)[0]


@pytest.mark.parametrize("email", ["", "no address", "a@b\r\nBcc: evil@example.org", "a@example.org, b@example.org"])
def test_row_33_malformed_address_tickets_are_issued_and_admin_told(
    bench: "Bench", shop: SmallShop, engine: sa.Engine, place: "Place", email: str
) -> None:
    order_id = place("ORD-1", email=email)
    run(bench)
    assert len(shop.rows("events_ticket", order_id=order_id)) == 2
    assert mails(engine, kind="confirmation")[0]["state"] == "undeliverable"
    (told,) = bench.mailer.sent
    assert told[1] == ("admin@shop.example",)


def test_row_36_ticket_that_cannot_be_printed_lets_the_mail_wait_and_is_told(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    bench.printer.broken = "disk full"
    for _ in range(3):
        run(bench)
        bench.clock.move(timedelta(minutes=5))
    assert mails(engine, kind="confirmation")[0]["state"] == "waiting"
    assert [subject for subject in subjects(bench) if "cannot be made" in subject] == subjects(bench)
    assert len(subjects(bench)) == 1
    bench.printer.broken = ""
    bench.clock.move(timedelta(hours=1))
    run(bench)
    assert mails(engine, kind="confirmation")[0]["state"] == "sent"


def test_message_cut_off_after_the_data_is_sent_again_with_the_same_id_and_shown_so(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    bench.mailer.failures.append(MailUnavailableError("connection lost", maybe_sent=True))
    run(bench)
    bench.clock.move(timedelta(minutes=10))
    run(bench)
    (mail,) = mails(engine)
    assert (mail["state"], mail["maybe_twice"], mail["attempts"]) == ("sent", True, 2)


def test_message_found_half_way_after_a_crash_is_sent_again_and_shown_so(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    bench.mailer.failures.append(KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(bench)
    assert mails(engine)[0]["state"] == "sending"
    run(bench)
    assert bench.mailer.sent == []  # its lease still runs: another run may be sending it
    bench.clock.move(timedelta(minutes=5))
    run(bench)
    (mail,) = mails(engine)
    assert (mail["state"], mail["maybe_twice"]) == ("sent", True)
    assert len(bench.mailer.sent) == 1


@pytest.mark.parametrize("obstacle", ["the printer", "the mail server"])
def test_message_found_half_way_and_put_off_again_is_still_shown_as_perhaps_sent_twice(
    bench: "Bench", engine: sa.Engine, place: "Place", obstacle: str
) -> None:
    place("ORD-1")
    bench.mailer.failures.append(KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(bench)
    bench.printer.broken = "disk full" if obstacle == "the printer" else ""
    bench.mailer.down = "" if obstacle == "the printer" else "connection refused"
    bench.clock.move(timedelta(minutes=5))
    run(bench)
    bench.printer.broken = bench.mailer.down = ""
    bench.clock.move(timedelta(hours=2))
    run(bench)
    mail = mails(engine, kind="confirmation")[0]
    assert (mail["state"], mail["maybe_twice"]) == ("sent", True)


class LargePrinter(FakePrinter):
    """Each ticket is so large that a message has room for no second one."""

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        return [replace(ticket, pdf=ticket.pdf + b" " * 6 * 1024**2) for ticket in super().print_tickets(faces)]


class CutOff(FakeMailer):
    """The connection is lost before the message of this number is sent, counted from one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        self.number -= 1
        if self.number == 0:
            raise MailUnavailableError("connection lost")
        super().send(message, recipients)


@pytest.mark.parametrize(("cut_off_at", "maybe_twice"), [(1, False), (2, True), (3, True)])
def test_mail_of_several_messages_cut_off_between_them_is_shown_as_perhaps_sent_twice(
    bench: "Bench", engine: sa.Engine, place: "Place", cut_off_at: int, *, maybe_twice: bool
) -> None:
    place("ORD-1", quantity=3)
    bench.app.printer = LargePrinter()
    mailer = bench.app.mailer = CutOff(cut_off_at)
    run(bench)
    (mail,) = mails(engine)
    assert (mail["state"], mail["maybe_twice"], len(mailer.sent)) == ("waiting", maybe_twice, cut_off_at - 1)
    bench.clock.move(timedelta(minutes=10))
    run(bench)
    (mail,) = mails(engine)
    assert (mail["state"], mail["maybe_twice"], len(mailer.sent)) == ("sent", maybe_twice, cut_off_at - 1 + 3)


def test_mail_whose_messages_take_longer_than_a_lease_together_stays_this_runs_own(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    lease = bench.app.settings.verification.lease
    taken_away: list[int] = []

    class Slow(FakeMailer):
        def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
            super().send(message, recipients)
            bench.clock.move(lease * 0.6)
            with transaction(engine) as connection:
                claimed = claim_fresh(connection, "another", bench.clock.now(), limit=1, lease=lease)
                # It has begun to go to one address, and the rest of it goes there as well.
                connection.exec_driver_sql("UPDATE orders_order SET email = 'corrected@example.org'")
            taken_away.extend(mail.id for mail in claimed)

    place("ORD-1", quantity=4)
    bench.app.printer = LargePrinter()
    mailer = bench.app.mailer = Slow()
    run(bench)
    (mail,) = mails(engine)
    assert (mail["state"], mail["maybe_twice"], len(mailer.sent), taken_away) == ("sent", False, 4, [])
    assert {to for _, to in mailer.sent} == {tuple(mail["recipients"])}
    assert mail["recipients"] != ["corrected@example.org"]


def test_row_35e_address_corrected_while_the_tickets_are_printed_is_the_one_they_go_to(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    class Slow(FakePrinter):
        def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
            with transaction(engine) as connection:
                correct = "UPDATE orders_order SET email = 'corrected@example.org'{} WHERE order_number = '{}'"
                # The other's row is a third one's by now, as in a restored shop.
                for number, with_it in (("ORD-1", ""), ("ORD-2", ", order_number = 'ORD-3'")):
                    connection.exec_driver_sql(correct.format(with_it, number))
            return super().print_tickets(faces)

    bench.app.printer = Slow()
    place("ORD-1")
    place("ORD-2")
    run(bench)
    first, second = mails(engine, kind="confirmation")
    assert [first["state"], second["state"]] == ["sent", "sent"]
    assert [(str(message["To"]), to) for message, to in bench.mailer.sent] == [
        (mail["recipients"][0], tuple(mail["recipients"])) for mail in (first, second)
    ]
    assert first["recipients"] == ["corrected@example.org"] != second["recipients"]


def test_message_refused_does_not_stop_the_others(bench: "Bench", engine: sa.Engine, place: "Place") -> None:
    place("ORD-1")
    place("ORD-2")
    bench.mailer.failures.append(MessageRefusedError("552 too large"))
    run(bench)
    assert [mail["state"] for mail in mails(engine, kind="confirmation")] == ["undeliverable", "sent"]


def test_one_mailbox_that_is_full_does_not_hold_up_the_others(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    for number in range(5):
        place(f"ORD-{number}")
    bench.mailer.failures.append(MailUnavailableError("452 mailbox full"))
    run(bench)
    assert [mail["state"] for mail in mails(engine)] == ["waiting", "sent", "sent", "sent", "sent"]


@pytest.mark.parametrize(("total", "status", "told"), [(25, "completed", True), (24, "requires_manual_review", False)])
def test_failure_mail_that_has_not_left_is_withdrawn_when_the_order_is_paid(
    bench: "Bench", shop: SmallShop, engine: sa.Engine, place: "Place", total: int, status: str, *, told: bool
) -> None:
    order_id = place("ORD-1", total=total)
    place.set_status("ORD-1", "FAILED")
    bench.mailer.down = "connection refused"
    run(bench)
    assert shop.row("orders_order", order_id)["status"] == "failed"
    place.set_status("ORD-1", "PAID")
    bench.clock.move(timedelta(minutes=10))
    run(bench)
    assert shop.row("orders_order", order_id)["status"] == status
    bench.mailer.down = ""
    bench.clock.move(timedelta(hours=1))
    run(bench)
    assert mails(engine, kind="payment_failed")[0]["state"] == "withdrawn"
    assert not any("failed" in subject.lower() for subject in subjects(bench))
    assert any("ORD-1" in subject and "[" not in subject for subject in subjects(bench)) == told


def test_mail_that_meets_an_unforeseen_error_does_not_stop_the_others(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    place("ORD-2")
    bench.mailer.failures.append(RuntimeError("a bug"))
    run(bench)
    first, second = mails(engine, kind="confirmation")
    assert (first["state"], first["maybe_twice"], second["state"]) == ("waiting", True, "sent")
    bench.clock.move(timedelta(minutes=10))
    run(bench)
    assert [mail["state"] for mail in mails(engine, kind="confirmation")] == ["sent", "sent"]


def test_alerts_are_claimed_before_customers_mail_that_has_waited_for_longer(engine: sa.Engine) -> None:
    """Else a lasting backlog of customers' mail would let no alert out, run after run."""
    kinds = ["confirmation", "payment_failed", "alert", "alert"]
    with transaction(engine) as connection:
        for minute, kind in enumerate(kinds):
            post(
                connection,
                kind=kind,
                dedupe_key=str(minute),
                recipients=["somebody@example.org"],
                content={},
                message_id=f"<{minute}@shop.example>",
                now=NOW + timedelta(minutes=minute),
            )
        later = NOW + timedelta(hours=1)
        claimed = [claim_fresh(connection, "run", later, limit=1, lease=timedelta(minutes=3)) for _ in kinds]
    assert [(mail.kind, mail.message_id) for (mail,) in claimed] == [
        ("alert", "<2@shop.example>"),
        ("alert", "<3@shop.example>"),
        ("confirmation", "<0@shop.example>"),
        ("payment_failed", "<1@shop.example>"),
    ]


@pytest.mark.parametrize("fate", ["sent", "withdrawn"])
def test_run_that_lost_its_lease_cannot_put_off_what_is_settled(engine: sa.Engine, fate: str) -> None:
    lease = timedelta(minutes=3)
    with transaction(engine) as connection:
        post(
            connection,
            kind="payment_failed",
            dedupe_key="payment_failed:1",
            recipients=["ada@example.org"],
            content={},
            message_id="<1@shop.example>",
            now=NOW,
            order_id=1,
        )
        (slow,) = claim_fresh(connection, "slow", NOW, limit=1, lease=lease)
        later = NOW + 2 * lease
        if fate == "sent":
            (quick,) = claim_mail(connection, "quick", later, limit=1, lease=lease, whose=Whose.ALL, tried=True)
            mark_sent(connection, quick, "Your payment did not go through", later)
        else:
            assert withdraw(connection, 1, "payment_failed")
        assert not put_off(connection, slow, "cannot be printed", later)
        assert not give_up(connection, slow, "no address")
        assert not withdraw_ours(connection, slow, "it is refunded")
    assert [mail["state"] for mail in mails(engine)] == [fate]


def test_row_36_one_ticket_that_cannot_be_printed_is_told_once_while_others_are_sent(
    bench: "Bench", place: "Place"
) -> None:
    class Picky(FakePrinter):
        def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
            if faces[0].order_number == "ORD-1":
                raise PrintError("a letter that no font has")
            return super().print_tickets(faces)

    bench.app.printer = Picky()
    place("ORD-1")
    for number in range(2, 14):
        run(bench)
        bench.clock.move(timedelta(minutes=5))
        place(f"ORD-{number}")
    assert len([subject for subject in subjects(bench) if "cannot be made" in subject]) == 1
    assert len([subject for subject in subjects(bench) if "Your tickets" in subject]) > 5


def test_confirmation_does_not_leave_with_a_part_of_its_tickets(
    bench: "Bench", shop: SmallShop, engine: sa.Engine, place: "Place"
) -> None:
    place("ORD-1")
    bench.mailer.down = "connection refused"
    run(bench)
    with transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM events_ticket WHERE id = (SELECT min(id) FROM events_ticket)")
    bench.mailer.down = ""
    bench.clock.move(timedelta(hours=1))
    run(bench)
    assert len(shop.rows("events_ticket")) == 1
    assert mails(engine, kind="confirmation")[0]["state"] == "waiting"
    assert not [subject for subject in subjects(bench) if "Your tickets" in subject]


def test_mail_that_meets_a_bug_ends_the_run_as_incomplete_and_is_told_when_it_lasts(
    bench: "Bench", place: "Place"
) -> None:
    class Buggy(FakePrinter):
        mended = False

        def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
            if not self.mended:
                raise ZeroDivisionError(faces[0].order_number)
            return super().print_tickets(faces)

    printer = bench.app.printer = Buggy()
    place("ORD-1")
    for _ in range(16):
        report = run(bench)
        stands_still = ExitCode.TRY_LATER if report.standstills else ExitCode.OK
        assert exit_code(report) in (stands_still, ExitCode.INCOMPLETE)
        assert (exit_code(report) == ExitCode.INCOMPLETE) == (report.delivered.unexpected > 0)
        assert (report.delivered.unexpected > 0) == (
            "unforeseen error" in "\n".join(report_lines(report, verbose=True))
        )
        assert json.loads(report_json(report))["mail"]["unexpected"] == report.delivered.unexpected
        bench.clock.move(timedelta(minutes=10))
    told = [subject for subject in subjects(bench) if "the same error again and again" in subject]
    assert told == ["[Jersey Events CRITICAL] A mail meets the same error again and again"]
    printer.mended = True
    bench.clock.move(timedelta(hours=1))
    assert run(bench).delivered.sent == 1
    with bench.app.engine.connect() as connection:
        assert open_troubles(connection, "mail_error") == []


def test_session_that_ends_for_the_refusals_in_it_holds_up_one_mail_and_not_the_delivery(
    bench: "Bench", engine: sa.Engine, place: "Place"
) -> None:
    for number in range(3):
        place(f"ORD-{number}")
    # They wait for one delivery together, the one that was tried behind the others.
    bench.mailer.down = "connection refused"
    run(bench)
    bench.mailer.down = ""
    bench.clock.move(timedelta(minutes=5))
    too_many = MailUnavailableError("421 4.7.0 Error: too many errors", answered=True)
    bench.mailer.failures = [RecipientDeferredError("450 4.2.2 Mailbox full"), too_many]
    assert exit_code(run(bench)) == ExitCode.OK
    assert sorted(mail["state"] for mail in mails(engine)) == ["sent", "waiting", "waiting"]
    # In a session without refusals it is the server's own.
    bench.clock.move(timedelta(minutes=5))
    bench.mailer.failures = [too_many]
    assert exit_code(run(bench)) == ExitCode.TRY_LATER
    assert sum(mail["attempts"] for mail in mails(engine)) == 1 + 3 + 1


def queued(engine: sa.Engine, fresh: int, tried: int, since: int = 0) -> None:
    """Post mails, the older of which were tried before; `since` so many were posted already."""
    with transaction(engine) as connection:
        for number in range(since, since + tried + fresh):
            name = f"tried-{number}" if number < tried else f"fresh-{number - tried}"
            post(
                connection,
                kind="payment_failed",
                dedupe_key=name,
                recipients=[f"{name}@example.org"],
                content={},
                message_id=f"<{name}@shop.example>",
                now=NOW + timedelta(seconds=number),
            )
        connection.execute(sa.update(outbox).where(outbox.c.dedupe_key.startswith("tried")).values(attempts=3))


def test_mail_never_tried_goes_first_and_what_failed_before_has_its_share(bench: "Bench", engine: sa.Engine) -> None:
    queued(engine, fresh=7, tried=3)
    rules = DeliveryRules(batch_size=4, lease=timedelta(minutes=3))
    bench.clock.move(timedelta(minutes=1))
    queue = DeliveryQueue(engine, bench.clock, rules, "run", lambda _mails: None)
    turns = []
    while (mail := queue.next(Whose.ALL)) is not None:
        turns.append(mail.message_id[1:].partition("@")[0])
    assert turns == [
        *("fresh-0", "fresh-1", "fresh-2", "tried-0", "fresh-3", "fresh-4", "fresh-5", "tried-1"),
        *("fresh-6", "tried-2"),
    ]


def test_mail_that_failed_before_is_left_for_the_next_run_when_its_time_is_over(
    bench: "Bench", engine: sa.Engine
) -> None:
    queued(engine, fresh=1, tried=3)
    rules = DeliveryRules(batch_size=4, lease=timedelta(minutes=3), retry_time=timedelta(seconds=10))
    bench.clock.move(timedelta(minutes=1))
    queue = DeliveryQueue(engine, bench.clock, rules, "run", lambda _mails: None)
    assert [queue.next(Whose.ALL) is not None for _ in range(2)] == [True, True]
    bench.clock.move(timedelta(seconds=10))
    assert queue.next(Whose.ALL) is None
    assert not queue.holds_any()
    assert [mail["attempts"] for mail in mails(engine)] == [4, 3, 3, 1]


def test_queue_that_came_short_is_asked_again_only_when_it_is_empty(bench: "Bench", engine: sa.Engine) -> None:
    queued(engine, fresh=3, tried=0)
    bench.clock.move(timedelta(minutes=1))
    claimed: list[int] = []
    rules = DeliveryRules(batch_size=8, lease=timedelta(minutes=3))
    queue = DeliveryQueue(engine, bench.clock, rules, "run", lambda mails: claimed.append(len(mails)))
    asked: list[str] = []
    sa.event.listen(engine, "begin", lambda _connection: asked.append("begin"))
    assert queue.next(Whose.ALL) is not None
    queued(engine, fresh=1, tried=0, since=3)
    assert [queue.next(Whose.ALL) is not None for _ in range(4)] == [True, True, True, False]
    # Besides the two: whether any failed before, and that there is no more. One begin is the test's.
    assert (claimed, len(asked)) == ([3, 1], 5)


def test_trouble_is_told_again_every_day_and_its_key_knows_the_cause_and_not_the_case(engine: sa.Engine) -> None:
    def note(day: float) -> bool:
        now = NOW + timedelta(days=day)
        with transaction(engine) as connection:
            return note_trouble(connection, "key", "why", now, tell_after=timedelta(0), remind_every=timedelta(days=1))

    assert [note(day) for day in (0, 0.5, 1, 1.5, 2)] == [True, False, True, False, True]
    # Written while the clock was ahead by a year, and the clock is right again.
    with transaction(engine) as connection:
        connection.execute(sa.text("UPDATE paypoll.trouble SET since = since + interval '1 year', told_at = NULL"))
    assert note(3)
    # Told while it was ahead by less than the time after which it is told again.
    with transaction(engine) as connection:
        connection.execute(sa.text("UPDATE paypoll.trouble SET told_at = told_at + interval '20 hours'"))
    assert [note(day) for day in (3.1, 3.2)] == [True, False]
    assert cause("/media/a/T-1.pdf: No space left on device") == cause("/media/b/T-22.pdf: No space left on device")
    assert cause("No space left on device") != cause("Read-only file system")
