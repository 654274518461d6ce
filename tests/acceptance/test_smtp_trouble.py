"""A mail server that refuses, is slow, or hangs up, at every stage of the dialogue: what becomes of each mail.

What may pass is tried again, what is final is told, and what may have arrived is sent again as the same mail and shown
as such. One run meets many stages: a fault is for one recipient wherever the server knows the recipient.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pypdf
import pytest
from tests.acceptance.papers import attachments, body, subject
from tests.acceptance.promises import check_issued
from tests.acceptance.stage import PRICE, Stage
from tests.acceptance.world import World

from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.mail.smtp_session import Stage as MailStage

OK = 0
TRY_LATER = 75
DOORS: dict[str, tuple[MailStage, str]] = {
    "greeting-4xx": (MailStage.CONNECT, "421 4.3.2 Too busy"),
    "greeting-5xx": (MailStage.CONNECT, "554 5.7.1 Not for you"),
    "ehlo-4xx": (MailStage.EHLO, "451 4.3.0 Not now"),
    "ehlo-5xx": (MailStage.EHLO, "550 5.7.1 Your name is wrong"),
    "mail-4xx": (MailStage.MAIL, "451 4.3.0 Sender later"),
    "mail-5xx": (MailStage.MAIL, "553 5.7.1 Sender address rejected: not owned by user bot"),
    "data-4xx": (MailStage.DATA, "451 4.3.0 Data later"),
    "message-4xx": (MailStage.MESSAGE, "452 4.3.1 Disk full"),
}
"""Where no mail at all gets in."""

# Fewer are lost than end a delivery.
STAGES: dict[str, tuple[MailStage, str]] = {
    "taken-1": (MailStage.CONNECT, ""),
    "rcpt-4xx": (MailStage.RCPT, "450 4.2.0 Greylisted"),
    "taken-2": (MailStage.CONNECT, ""),
    "kept-and-lost": (MailStage.MESSAGE, ""),
    "taken-3": (MailStage.CONNECT, ""),
    "lost": (MailStage.MESSAGE, ""),
    "rcpt-5xx": (MailStage.RCPT, "550 5.1.1 No such user"),
    "data-5xx": (MailStage.DATA, "554 5.5.1 No valid recipients"),
    "message-5xx": (MailStage.MESSAGE, "554 5.6.0 Message never"),
}
TAKEN = [name for name in STAGES if name.startswith("taken")]
FINAL = ["rcpt-5xx", "message-5xx"]
LOST = ["kept-and-lost", "lost"]
DOUBTFUL = ["data-5xx"]
PUT_OFF = [name for name in STAGES if name not in (*TAKEN, *FINAL, *LOST)]


def outbox(stage: Stage) -> dict[int, dict[str, Any]]:
    """Return the mails to customers by their order's id, in the order in which they are sent."""
    query = "SELECT * FROM paypoll.outbox WHERE kind <> 'alert' ORDER BY created_at, id"
    return {row["order_id"]: dict(row) for row in stage.sql(query)}


@dataclass
class Post(World):
    """Orders that each have a mail to send, and the outbox after each run, by name of the run and of the order."""

    outboxes: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)

    def deliver(self, name: str) -> None:
        """Run once, and keep what the outbox is like afterwards."""
        self.exits[name] = self.run().code
        self.outboxes[name] = outbox(self.stage)

    def mail(self, run: str, name: str) -> dict[str, Any]:
        """Return the order's row of the outbox after this run."""
        return self.outboxes[run][self[name].id]


@pytest.fixture(scope="module")
def post(new_stage: Callable[[], Stage]) -> Post:
    stage = new_stage()
    placed = {
        order.id: order for order in (stage.order(f"ORD-{one:02}", checkout="FAILED") for one in range(len(STAGES)))
    }
    post = Post(stage, {})
    stage.sink.close()
    post.deliver("refused")
    stage.sink.start()
    # The outbox decides which mail comes when.
    post.orders = {name: placed[order_id] for name, order_id in zip(STAGES, outbox(stage), strict=True)}
    for name, (where, answer) in DOORS.items():
        stage.sink.fault(where, answer)
        post.deliver(name)
        stage.sink.clear_faults()
    for name, (where, answer) in STAGES.items():
        if name not in TAKEN:
            to = post[name].email
            stage.sink.fault(where, answer, recipient=to, drop=name in LOST, keep=name == "kept-and-lost")
    post.deliver("stages")
    stage.sink.clear_faults()
    post.deliver("mended")
    return post


@pytest.mark.parametrize("name", ["refused", *DOORS])
def test_smtp_that_lets_nobody_in_ends_the_delivery_and_every_mail_waits(post: Post, name: str) -> None:
    runs = list(post.outboxes)
    assert post.exits[name] == TRY_LATER
    assert post.mails[runs.index(name)] == ()
    mails = list(post.outboxes[name].values())
    assert {(mail["state"], mail["maybe_twice"]) for mail in mails} == {("waiting", False)}
    assert sum(mail["attempts"] for mail in mails) == runs.index(name) + 1
    said = DOORS[name][1].split(" ", 1)[1] if name in DOORS else "refused"
    assert any(said in (mail["last_error"] or "") for mail in mails)


@pytest.mark.parametrize("name", [*PUT_OFF, *LOST])
def test_smtp_trouble_that_may_pass_puts_the_mail_off_and_it_arrives_later(post: Post, name: str) -> None:
    waiting = post.mail("stages", name)
    assert post.exits["stages"] == OK
    assert (waiting["state"], waiting["maybe_twice"]) == ("waiting", name in LOST)
    assert (STAGES[name][1] or "no answer after the message") in waiting["last_error"].replace("\n", " ")
    assert waiting["next_attempt_at"] > waiting["created_at"]
    sent = post.mail("mended", name)
    assert (sent["state"], sent["message_id"], sent["maybe_twice"]) == ("sent", waiting["message_id"], name in LOST)
    assert len(post.stage.mails(post[name])) == (2 if name == "kept-and-lost" else 1)
    told = [subject(alert) for alert in post.stage.alerts(post[name])]
    assert len(told) == (1 if name in DOUBTFUL else 0)
    assert all("has not been accepted yet" in headline for headline in told)


@pytest.mark.parametrize("name", FINAL)
def test_smtp_refusal_that_is_final_is_told_at_once_and_never_tried_again(post: Post, name: str) -> None:
    refused = post.mail("stages", name)
    assert refused["state"] == "undeliverable"
    assert post.mail("mended", name) == refused
    (alert,) = post.stage.alerts(post[name])
    assert alert in post.mails[list(post.outboxes).index("stages")]
    assert "its payment failed mail cannot be delivered" in subject(alert)
    assert STAGES[name][1].split(" ", 1)[1] in body(alert)
    assert post.stage.mails(post[name]) == []


@pytest.mark.parametrize("name", TAKEN)
def test_smtp_trouble_of_one_mail_does_not_touch_another(post: Post, name: str) -> None:
    assert post.mail("stages", name)["state"] == "sent"
    assert len(post.stage.mails(post[name])) == 1


def test_smtp_lost_after_the_message_sends_it_again_as_the_same_mail_and_says_so(post: Post) -> None:
    first, second = post.stage.mails(post["kept-and-lost"])
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message.get_body(("plain",)).as_bytes() == second.message.get_body(("plain",)).as_bytes()  # type: ignore[union-attr]
    for name, shown in (("kept-and-lost", True), ("rcpt-4xx", False)):
        seen = post.stage.paypoll("inspect", post[name].number)
        assert seen.code == OK
        assert ("perhaps sent twice" in seen.stdout) is shown


# -- slow, and too large -----------------------------------------------------------------------------------------


def test_smtp_that_is_slow_is_given_up_in_time_and_what_may_have_arrived_is_shown(stage: Stage) -> None:
    order = stage.order("ORD-SLOW", checkout="FAILED")
    limits = {"mail__timeout": "2s", "mail__message_timeout": "2500ms"}
    slow = [stage.sink.fault(where, delay=1.5) for where in (MailStage.MAIL, MailStage.RCPT)]

    def attempt(**limits: str) -> tuple[int, str, bool, str]:
        ended = stage.run_once(**limits)
        mail = outbox(stage)[order.id]
        stage.let_time_pass()
        return ended.code, mail["state"], mail["maybe_twice"], mail["last_error"] or ""

    # No silence is too long by itself; all of them are.
    assert attempt(**limits)[:3] == (OK, "waiting", False)
    silent = stage.sink.fault(MailStage.CONNECT, delay=30.0)
    assert attempt(mail__timeout="300ms")[:3] == (TRY_LATER, "waiting", False)
    silent.clear()
    assert stage.mails(order) == []
    # The same server is not too slow for who has the time; and this one takes the mail, and says so too late.
    late = stage.sink.fault(MailStage.MESSAGE, delay=30.0, keep=True)
    for one in slow:
        one.clear()
    code, state, maybe_twice, error = attempt(**limits)
    # None has gone out since the server let nobody in, so mail still stands still.
    assert (code, state, maybe_twice) == (TRY_LATER, "waiting", True)
    assert "no answer after the message" in error
    late.clear()
    assert attempt() == (OK, "sent", True, "")
    first, second = stage.mails(order)
    assert first.message["Message-ID"] == second.message["Message-ID"]


@contextmanager
def narrow(stage: Stage, size: int) -> Iterator[MailSink]:
    """Open a mail server that takes no message of more bytes than this, and let paypoll use it."""
    with MailSink(stage.folder / "narrow", size_limit=size) as sink:
        stage.environ["mail__port"] = str(sink.port)
        yield sink


def test_mail_too_large_for_the_server_is_undeliverable_and_told_and_the_tickets_stay(stage: Stage) -> None:
    order = stage.order("ORD-LARGE", checkout="PAID")
    with narrow(stage, 20_000) as sink:
        assert stage.run_once().code == OK
        (alert,) = sink.messages
    assert "Order ORD-LARGE: its confirmation mail cannot be delivered" in subject(alert)
    assert "too large: " in body(alert)
    assert "the mail server takes 20000 at most" in body(alert)
    assert outbox(stage)[order.id]["state"] == "undeliverable"
    check_issued(stage, order, on_paper=False)


def test_tickets_too_large_for_one_message_arrive_in_several(stage: Stage) -> None:
    limit = 100 * 1024
    order = stage.order("ORD-MANY", places=[(stage.concert, 8, PRICE)], checkout="PAID")
    with narrow(stage, limit) as sink:
        assert stage.run_once(mail__size_limit=str(limit)).code == OK
        mails = sink.messages
    assert len({mail.message["Message-ID"] for mail in mails}) == len(mails) > 1
    assert {mail.recipients for mail in mails} == {(order.email,)}
    pdfs = [pdf for mail in mails for name, pdf in attachments(mail).items() if name.endswith(".pdf")]
    pages = [page.extract_text() for pdf in pdfs for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    numbers = [ticket["ticket_number"] for ticket in check_issued(stage, order, on_paper=False)]
    assert sorted(number for page in pages for number in numbers if number in page) == sorted(numbers)
    assert max(len(mail.raw) for mail in mails) <= limit
