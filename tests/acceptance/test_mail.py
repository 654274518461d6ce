"""Mail and tickets when the mail server, the address, the printer or the disk are not as they should be."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued
from tests.acceptance.stage import ADMIN, Placed, Stage

from paypoll.sandbox.mail.smtp_session import Stage as MailStage

TRY_LATER = 75
ADDRESSES = {"empty": "", "malformed": "ada at buyer", "line-break": "ada@buyer.example\nBcc: all@victim.example"}


def outbox(stage: Stage, order: Placed, kind: str = "confirmation") -> dict[str, object]:
    """Return the order's row of this kind in the outbox."""
    query = "SELECT * FROM paypoll.outbox WHERE order_id = :id AND kind = :kind"
    (row,) = stage.sql(query, id=order.id, kind=kind)
    return dict(row)


def test_row_33_address_that_cannot_be_written_to_gets_tickets_and_admins_are_told(stage: Stage) -> None:
    orders = {
        name: stage.order(f"ORD-{name.upper()}", checkout="PAID", email=email) for name, email in ADDRESSES.items()
    }
    assert stage.run_once().code == 0
    mails = stage.sink.messages
    for order in orders.values():
        check_issued(stage, order)
        assert outbox(stage, order)["state"] == "undeliverable"
        (alert,) = stage.alerts(order)
        assert "its confirmation mail cannot be delivered" in subject(alert)
        assert len(stage.audit(order, "undeliverable")) == 1
    assert {mail.recipients for mail in mails} == {(ADMIN,)}
    stage.let_time_pass()
    assert stage.run_once().code == 0
    assert stage.sink.messages == mails


def test_row_34_smtp_down_still_fulfils_and_the_mail_arrives_when_it_is_back(stage: Stage) -> None:
    order = stage.order("ORD-DOWN", checkout="PAID")
    stage.sink.close()
    pauses = []
    for attempt in (1, 2, 3):
        ended = stage.run_once()
        assert ended.code == TRY_LATER
        assert stage.status(order) == "completed"
        assert len(stage.tickets(order)) == 2
        waiting = outbox(stage, order)
        assert (waiting["state"], waiting["attempts"]) == ("waiting", attempt)
        due = waiting["next_attempt_at"]
        assert isinstance(due, datetime)
        pauses.append(due - datetime.now(UTC))
        if attempt == 1:
            # Before its next attempt it is left alone. None has gone out, and one waits: that is said until it leaves.
            stage.sink.start()
            assert stage.run_once().code == TRY_LATER
            assert (outbox(stage, order)["attempts"], stage.sink.messages) == (1, ())
            stage.sink.close()
            # An hour later admins are told, once, and once more when it is over.
            stage.sql("UPDATE paypoll.trouble SET since = since - interval '61 minutes' WHERE key = 'smtp_down'")
        stage.let_time_pass()
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0] > timedelta(0)
    stage.sink.start()
    assert stage.run_once().code == 0
    check_completed(stage, order)
    assert outbox(stage, order)["state"] == "sent"
    assert stage.run_once().code == 0
    assert len(stage.mails(order)) == 1
    told = [subject(mail) for mail in stage.sink.messages if mail.recipients == (ADMIN,)]
    assert sorted(told) == [
        "[Jersey Events Alert] Mail is going out again",
        "[Jersey Events CRITICAL] Mail has not been going out",
    ]


@pytest.mark.fast("mail")
def test_row_35_recipient_refused_for_good_is_not_tried_again_and_admins_are_told(stage: Stage) -> None:
    order = stage.order("ORD-NOBODY", checkout="PAID")
    refusal = stage.sink.fault(MailStage.RCPT, "550 5.1.1 No such user", recipient=order.email)
    assert stage.run_once().code == 0
    check_issued(stage, order)
    assert outbox(stage, order)["state"] == "undeliverable"
    (alert,) = stage.alerts(order)
    assert "No such user" in body(alert)
    stage.let_time_pass()
    assert stage.run_once().code == 0
    assert refusal.hits == 1
    assert len(stage.alerts(order)) == 1


def test_row_36_pdf_that_cannot_be_stored_holds_the_mail_until_it_can(stage: Stage) -> None:
    order = stage.order("ORD-NODISK", checkout="PAID")
    (stage.media / "tickets").write_text("a file where the folder should be")
    stage.run_once()
    assert stage.status(order) == "completed"
    assert [ticket["pdf_file"] for ticket in stage.tickets(order)] == [None, None]
    assert stage.mails(order) == []
    check_told_of_printing(stage)
    issued = [(ticket["ticket_number"], ticket["qr_data"]) for ticket in stage.tickets(order)]
    (stage.media / "tickets").unlink()
    stage.let_time_pass()
    assert stage.run_once().code == 0
    printed = check_completed(stage, order)
    assert [(ticket["ticket_number"], ticket["qr_data"]) for ticket in printed] == issued


@pytest.mark.fast("tickets")
def test_row_36_pdf_that_cannot_be_made_holds_the_mail_until_it_can(stage: Stage) -> None:
    order = stage.order("ORD-NOPDF", checkout="PAID")
    templates = stage.folder / "templates"
    templates.mkdir()
    (templates / "ticket.html").write_text("{% broken %}")
    for _ in range(2):
        stage.run_once(tickets__template_folder=str(templates))
        stage.let_time_pass()
    assert stage.status(order) == "completed"
    assert stage.mails(order) == []
    check_told_of_printing(stage)
    assert stage.run_once().code == 0
    check_completed(stage, order)


def check_told_of_printing(stage: Stage) -> None:
    told = [subject(mail) for mail in stage.sink.messages]
    assert told == ["[Jersey Events CRITICAL] Tickets or mails cannot be made"]


@pytest.fixture
def pinged() -> Iterator[tuple[str, list[str]]]:
    """A dead man's switch: its URL, and the paths that were called."""
    with _switch() as switch:
        yield switch


@contextmanager
def _switch() -> Iterator[tuple[str, list[str]]]:
    called: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/switch", called
        finally:
            server.shutdown()
            thread.join()


def test_row_37_smtp_down_for_alerts_too_is_told_by_ping_and_exit_status(
    stage: Stage, pinged: tuple[str, list[str]]
) -> None:
    url, called = pinged
    order = stage.order("ORD-ALERT", checkout="PAID")
    stage.sumup.refund(order.checkout)
    stage.sink.close()
    ended = stage.run_once(alerts__ping_url=url)
    assert ended.code == TRY_LATER
    assert called == ["/switch/start", "/switch/fail"]
    assert stage.status(order) == "requires_manual_review"
    assert [line["headline"] for line in ended.log if line["event"] == "admins told"] == [
        "Order ORD-ALERT needs a person: refunded"
    ]
    stage.sink.start()
    stage.let_time_pass()
    assert stage.run_once(alerts__ping_url=url).code == 0
    assert called[2:] == ["/switch/start", "/switch"]
    assert len(stage.alerts(order)) == 1


@pytest.mark.parametrize(
    ("place", "good", "bad"),
    [
        ("?create=1", ["/start?create=1", "?create=1"], ["/start?create=1", "/fail?create=1"]),
        (
            "/api/push/TOKEN?status=up&msg=OK&ping=",
            ["/api/push/TOKEN?status=up&msg=OK"],
            ["/api/push/TOKEN?status=down&msg=the+run+failed"],
        ),
    ],
)
def test_ping_address_with_a_query_tells_a_failing_run_from_a_good_one(
    stage: Stage, pinged: tuple[str, list[str]], place: str, good: list[str], bad: list[str]
) -> None:
    url, called = pinged
    assert stage.run_once(alerts__ping_url=url + place).code == 0
    failing = {"database__url": "postgresql://nobody@127.0.0.1:9/shop"}
    assert stage.run_once(alerts__ping_url=url + place, **failing).code == TRY_LATER
    assert called == [f"/switch{ending}" for ending in (*good, *bad)]


def test_ping_that_the_switch_does_not_know_is_logged(stage: Stage) -> None:
    # SumUp's simulator knows no such address.
    run = stage.run_once(alerts__ping_url=f"{stage.sumup.url}/no/switch")
    assert [line["status"] for line in run.log if line["event"] == "the ping URL was called in vain"] == [404, 404]
    assert run.code == 0


def test_row_37_alert_that_cannot_be_sent_is_logged_as_critical(stage: Stage) -> None:
    order = stage.order("ORD-ALERT", checkout="PAID")
    stage.sumup.refund(order.checkout)
    stage.sink.close()
    ended = stage.run_once()
    assert ended.code == TRY_LATER
    assert "critical" in {line["level"] for line in ended.log}
