"""What every Mailer keeps to: the one that talks SMTP, here to the sandbox's mail sink, and the fake of `testing`.

What each stage of SMTP may answer is in `tests/integration/mail`; here is what the callers of the port rely on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

import pytest

from paypoll.mail.mailer import Mailer, MailError, MailUnavailableError, MessageRefusedError, RecipientRefusedError
from paypoll.mail.smtp import SmtpMailer, SmtpOptions
from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.mail.smtp_session import Stage
from paypoll.testing import FakeMailer

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"
Arrived = list[tuple[str, tuple[str, ...]]]


class PostOffice(Protocol):
    """A mailer, and how to make its mail server misbehave."""

    @property
    def mailer(self) -> Mailer:
        """What is tested."""
        ...

    def arrived(self) -> Arrived:
        """Return subject and recipients of each message that the server has, in the order in which it took them."""
        ...

    def shut(self) -> None:
        """Be out of reach."""
        ...

    def open(self) -> None:
        """Be in reach again."""
        ...

    def refuse(self, address: str) -> None:
        """Refuse this recipient for good from now on."""
        ...

    def refuse_next(self) -> None:
        """Refuse the next message for good."""
        ...

    def put_off_next(self) -> None:
        """Ask to try the next message later."""
        ...

    def lose_next(self) -> None:
        """Lose the connection after the next message, before there is an answer."""
        ...


class RealPostOffice:
    """SMTP, spoken to the mail sink."""

    def __init__(self, folder: Path) -> None:
        self.sink = MailSink(folder)
        self.sink.start()
        options = SmtpOptions("127.0.0.1", self.sink.port, f"Tickets <{BOB}>", tls="none", timeout=20.0)
        self.mailer = SmtpMailer(options)

    def arrived(self) -> Arrived:
        return [(str(mail.message["Subject"]), mail.recipients) for mail in self.sink.messages]

    def shut(self) -> None:
        self.sink.close()

    def open(self) -> None:
        self.sink.start()

    def refuse(self, address: str) -> None:
        self.sink.fault(Stage.RCPT, "550 5.1.1 No such user", recipient=address)

    def refuse_next(self) -> None:
        self.sink.fault(Stage.MESSAGE, "554 5.6.0 Spam", times=1)

    def put_off_next(self) -> None:
        self.sink.fault(Stage.MAIL, "451 4.3.0 Later", times=1)

    def lose_next(self) -> None:
        self.sink.fault(Stage.MESSAGE, drop=True, keep=True, times=1)


@dataclass
class FakePostOffice:
    """The fake that tests of other parts use."""

    mailer: FakeMailer

    def arrived(self) -> Arrived:
        return [(str(message["Subject"]), recipients) for message, recipients in self.mailer.sent]

    def shut(self) -> None:
        self.mailer.down = "connection refused"

    def open(self) -> None:
        self.mailer.down = ""

    def refuse(self, address: str) -> None:
        self.mailer.refused[address] = "550 5.1.1 No such user"

    def refuse_next(self) -> None:
        self.mailer.failures.append(MessageRefusedError("554 5.6.0 Spam"))

    def put_off_next(self) -> None:
        self.mailer.failures.append(MailUnavailableError("451 4.3.0 Later"))

    def lose_next(self) -> None:
        self.mailer.failures.append(MailUnavailableError("connection lost", maybe_sent=True))


@pytest.fixture(params=["smtp", "fake"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PostOffice]:
    """Each mailer in turn."""
    if request.param == "fake":
        yield FakePostOffice(FakeMailer())
        return
    real = RealPostOffice(tmp_path / "mails")
    yield real
    real.sink.close()


def a_message(subject: str = "Your tickets") -> EmailMessage:
    """Return a small message."""
    message = EmailMessage()
    message["From"] = "tickets@example.org"
    message["To"] = ADA
    message["Subject"] = subject
    message.set_content("Hello,\n")
    return message


def sent(office: PostOffice, *recipients: str, subject: str = "Your tickets") -> MailError | None:
    """Send a message in a session of its own, and return what was raised."""
    with office.mailer.connect() as session:
        try:
            session.send(a_message(subject), recipients)
        except MailError as error:
            return error
    return None


def test_send_of_many_messages_in_one_session_delivers_each_once_in_order(office: PostOffice) -> None:
    with office.mailer.connect() as session:
        for number in range(5):
            session.send(a_message(f"No. {number}"), [ADA, BOB])
        assert office.arrived() == [(f"No. {number}", (ADA, BOB)) for number in range(5)]  # before the session ends


def test_send_keeps_the_message_as_it_was_then(office: PostOffice) -> None:
    message = a_message("First")
    with office.mailer.connect() as session:
        session.send(message, [ADA])
        before = message.as_bytes()
        message.replace_header("Subject", "Second")
        session.send(message, [ADA])
    assert [subject for subject, _ in office.arrived()] == ["First", "Second"]
    message.replace_header("Subject", "First")
    assert message.as_bytes() == before


def test_connect_to_a_server_out_of_reach_is_unavailable_until_it_is_back(office: PostOffice) -> None:
    office.shut()
    with pytest.raises(MailUnavailableError, match="refused") as failure, office.mailer.connect():
        pytest.fail("there was a session")
    assert not failure.value.maybe_sent
    office.open()
    assert sent(office, ADA) is None
    assert len(office.arrived()) == 1


def test_send_to_a_refused_recipient_says_so_and_the_session_goes_on(office: PostOffice) -> None:
    office.refuse(EVE)
    with office.mailer.connect() as session:
        with pytest.raises(RecipientRefusedError, match="No such user"):
            session.send(a_message("For Eve"), [EVE])
        session.send(a_message("For Ada"), [ADA])
    assert office.arrived() == [("For Ada", (ADA,))]


def test_send_to_several_with_one_refused_reaches_the_others_and_says_so(office: PostOffice) -> None:
    office.refuse(EVE)
    error = sent(office, ADA, EVE, BOB)
    assert isinstance(error, RecipientRefusedError)
    assert office.arrived() == [("Your tickets", (ADA, BOB))]


@pytest.mark.parametrize("address", ["", "no at sign", f"{ADA}, {BOB}", f"{ADA}\r\nDATA"])
def test_send_to_what_is_no_address_is_a_refused_recipient(office: PostOffice, address: str) -> None:
    with office.mailer.connect() as session:
        with pytest.raises(RecipientRefusedError):
            session.send(a_message(), [address])
        session.send(a_message("For Ada"), [ADA])
    assert office.arrived() == [("For Ada", (ADA,))]


def test_send_to_nobody_is_a_refused_recipient(office: PostOffice) -> None:
    assert isinstance(sent(office), RecipientRefusedError)
    assert office.arrived() == []


def test_send_of_a_refused_message_says_so_and_the_session_goes_on(office: PostOffice) -> None:
    office.refuse_next()
    with office.mailer.connect() as session:
        with pytest.raises(MessageRefusedError, match="Spam"):
            session.send(a_message("Refused"), [ADA])
        session.send(a_message("Taken"), [ADA])
    assert office.arrived() == [("Taken", (ADA,))]


def test_send_that_is_put_off_is_unavailable_and_surely_unsent(office: PostOffice) -> None:
    office.put_off_next()
    error = sent(office, ADA)
    assert isinstance(error, MailUnavailableError)
    assert "Later" in str(error)
    assert not error.maybe_sent
    assert office.arrived() == []


def test_send_whose_answer_is_lost_is_unavailable_and_perhaps_sent(office: PostOffice) -> None:
    office.lose_next()
    error = sent(office, ADA)
    assert isinstance(error, MailUnavailableError)
    assert error.maybe_sent
    assert len(office.arrived()) <= 1


@pytest.mark.parametrize("how", ["put off", "lost"])
def test_session_after_unavailable_stays_lost_and_a_new_one_works(office: PostOffice, how: str) -> None:
    with office.mailer.connect() as session:
        session.send(a_message("Before"), [ADA])
        if how == "lost":
            office.lose_next()
        else:
            office.put_off_next()
        with pytest.raises(MailUnavailableError):
            session.send(a_message("At that moment"), [ADA])
        before = office.arrived()
        with pytest.raises(MailUnavailableError) as failure:
            session.send(a_message("Too late"), [ADA])
        assert not failure.value.maybe_sent
    assert office.arrived() == before
    assert sent(office, ADA, subject="Anew") is None
    assert office.arrived() == [*before, ("Anew", (ADA,))]


def test_session_that_is_lost_leaves_another_one_alone(office: PostOffice) -> None:
    with office.mailer.connect() as one, office.mailer.connect() as other:
        office.put_off_next()
        with pytest.raises(MailUnavailableError):
            one.send(a_message(), [ADA])
        other.send(a_message("By the other"), [ADA])
    assert office.arrived() == [("By the other", (ADA,))]


def test_session_that_has_ended_sends_nothing(office: PostOffice) -> None:
    with office.mailer.connect() as session:
        session.send(a_message("In time"), [ADA])
    with pytest.raises(MailUnavailableError) as failure:
        session.send(a_message("Too late"), [ADA])
    assert not failure.value.maybe_sent
    assert office.arrived() == [("In time", (ADA,))]


def test_session_lets_the_callers_own_error_through(office: PostOffice) -> None:
    def misuse() -> None:
        with office.mailer.connect() as session:
            session.send(a_message("Before"), [ADA])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        misuse()
    assert sent(office, ADA, subject="After") is None
    assert [subject for subject, _ in office.arrived()] == ["Before", "After"]
