"""The mail sink, seen from smtplib on the other end of a real connection."""

import shutil
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path

import pytest

from paypoll.sandbox.mail.sink import Mail, MailSink, slug
from paypoll.sandbox.mail.smtp_session import Stage

LONG = 10.0
SENDER, BUYER, ADMIN = "tickets@shop.example", "buyer@mail.example", "admin@shop.example"


def letter(subject: str = "Your tickets", text: str = "Hello") -> EmailMessage:
    message = EmailMessage(policy=SMTP_POLICY)
    message["Subject"], message["From"], message["To"] = subject, SENDER, BUYER
    message.set_content(text)
    return message


@contextmanager
def connected(sink: MailSink) -> Iterator[smtplib.SMTP]:
    """A session that is cut at the end, whatever state it is in."""
    session = smtplib.SMTP("127.0.0.1", sink.port, local_hostname="localhost", timeout=LONG)
    try:
        yield session
    finally:
        session.close()


def send(sink: MailSink, message: EmailMessage | None = None, to: tuple[str, ...] = (BUYER,)) -> None:
    with connected(sink) as session:
        session.send_message(message or letter(), SENDER, to)
        session.quit()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    before = threading.active_count()
    with MailSink(tmp_path / "mails") as sink:
        yield sink
    assert threading.active_count() == before, "the sink left threads behind"


@dataclass(frozen=True)
class Certificate:
    """A certificate for localhost that is trusted by `client` and shown by `server`."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "certificate.pem"
    options = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain))
    subprocess.run([openssl, "req", "-x509", *options.split(), *names], check=True, capture_output=True)  # noqa: S603 - no input
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    return Certificate(server, ssl.create_default_context(cafile=str(chain)))


def test_message_is_kept_as_a_file_and_in_messages(sink: MailSink) -> None:
    send(sink, letter("Your tickets for Süße Töne – order 7", "Grüße 🎻\n.leading dot"), (BUYER, ADMIN))

    [mail] = sink.messages
    assert (mail.sender, mail.recipients) == (SENDER, (BUYER, ADMIN))
    assert mail.message["Subject"] == "Your tickets for Süße Töne – order 7"
    assert mail.message.get_content().splitlines() == ["Grüße 🎻", ".leading dot"]
    assert mail.path == sink.folder / "0001-your-tickets-for-s-e-t-ne-order-7.eml"
    assert mail.path.read_bytes() == mail.raw
    assert (mail.encrypted, mail.username) == (False, "")
    assert [path.name for path in sink.folder.iterdir()] == [mail.path.name]


def test_many_messages_over_one_connection_are_numbered(sink: MailSink) -> None:
    with connected(sink) as session:
        for number in range(3):
            session.send_message(letter(f"No {number}"), SENDER, BUYER)

    assert [mail.path.name for mail in sink.messages] == ["0001-no-0.eml", "0002-no-1.eml", "0003-no-2.eml"]
    assert sink.connections == 1


def test_start_again_goes_on_numbering_and_keeps_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "0041-old.eml").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    sink = MailSink(tmp_path)
    for _ in range(2):
        with sink:
            send(sink)

    assert [mail.path.name for mail in sink.messages] == ["0042-your-tickets.eml", "0043-your-tickets.eml"]
    assert (tmp_path / "0041-old.eml").read_text() == "old"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("Ünïcode & <b>", "n-code-b"), ("../../etc/passwd", "etc-passwd"), ("", "no-subject"), ("x" * 300, "x" * 100)],
)
def test_slug_of_any_subject_is_a_plain_name(subject: str, expected: str) -> None:
    assert slug(subject) == expected


def test_wait_for_returns_when_they_have_come(sink: MailSink) -> None:
    def send_two() -> None:
        send(sink)
        send(sink)

    sender = threading.Thread(target=send_two)
    sender.start()

    assert len(sink.wait_for(2)) == 2
    sender.join(LONG)


def test_wait_for_more_than_come_times_out(sink: MailSink) -> None:
    send(sink)
    with pytest.raises(TimeoutError, match="1 of 2"):
        sink.wait_for(2, timeout=0.01)


def test_forget_empties_messages_and_keeps_files(sink: MailSink) -> None:
    send(sink)

    sink.forget()

    assert sink.messages == ()
    assert len(list(sink.folder.iterdir())) == 1


def test_size_limit_is_announced_and_enforced(tmp_path: Path) -> None:
    with MailSink(tmp_path, size_limit=2000) as sink, connected(sink) as session:
        session.ehlo()
        assert session.esmtp_features["size"] == "2000"
        with pytest.raises(smtplib.SMTPSenderRefused) as caught:
            session.send_message(letter(text="x\n" * 2000), SENDER, BUYER)
        assert caught.value.smtp_code == 552
        assert sink.messages == ()


def test_folder_gone_is_a_4xx_and_the_sink_lives_on(sink: MailSink) -> None:
    sink.folder.rmdir()
    with pytest.raises(smtplib.SMTPDataError) as caught:
        send(sink)
    assert caught.value.smtp_code == 452

    sink.folder.mkdir()
    send(sink)
    assert len(sink.messages) == 1


# --- TLS and login ---------------------------------------------------------------------------------------


def test_starttls_encrypts(tmp_path: Path, certificate: Certificate) -> None:
    with MailSink(tmp_path, starttls=certificate.server) as sink, connected(sink) as session:
        session.starttls(context=certificate.client)
        session.send_message(letter(), SENDER, BUYER)
        session.quit()

        assert [mail.encrypted for mail in sink.messages] == [True]
        assert sink.connections == 1


def test_tls_from_the_start_encrypts_and_offers_login(tmp_path: Path, certificate: Certificate) -> None:
    with (
        MailSink(tmp_path, tls=certificate.server, username="shop", password="secret") as sink,
        smtplib.SMTP_SSL("127.0.0.1", sink.port, timeout=LONG, context=certificate.client) as session,
    ):
        session.login("shop", "secret")
        session.send_message(letter(), SENDER, BUYER)

        assert [(mail.encrypted, mail.username) for mail in sink.messages] == [(True, "shop")]


def test_certificate_refused_after_starttls_leaves_the_sink_well(tmp_path: Path, certificate: Certificate) -> None:
    with MailSink(tmp_path, starttls=certificate.server) as sink:
        with connected(sink) as session, pytest.raises(ssl.SSLCertVerificationError):
            session.starttls(context=ssl.create_default_context())
        send(sink)

        assert len(sink.messages) == 1


def test_certificate_refused_in_tls_from_the_start_leaves_the_sink_well(
    tmp_path: Path, certificate: Certificate
) -> None:
    with MailSink(tmp_path, tls=certificate.server) as sink:
        with pytest.raises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL("127.0.0.1", sink.port, timeout=LONG, context=ssl.create_default_context())
        with smtplib.SMTP_SSL("127.0.0.1", sink.port, timeout=LONG, context=certificate.client) as session:
            session.send_message(letter(), SENDER, BUYER)

        assert len(sink.messages) == 1


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_login_lets_in(tmp_path: Path, certificate: Certificate, mechanism: str) -> None:
    with (
        MailSink(tmp_path, starttls=certificate.server, username="shop", password="secret") as sink,
        connected(sink) as session,
    ):
        session.starttls(context=certificate.client)
        session.ehlo()
        session.user, session.password = "shop", "secret"
        code, _ = session.auth(mechanism.upper(), getattr(session, f"auth_{mechanism}"))
        session.send_message(letter(), SENDER, BUYER)

        assert code == 235
        assert [mail.username for mail in sink.messages] == ["shop"]


def test_login_wrong_is_535_and_no_mail_is_taken(tmp_path: Path) -> None:
    with MailSink(tmp_path, username="shop", password="secret") as sink, connected(sink) as session:
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            session.login("shop", "guess")
        assert caught.value.smtp_code == 535
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            session.send_message(letter(), SENDER, BUYER)
        assert refused.value.smtp_code == 530
        assert sink.messages == ()


def test_login_before_starttls_is_not_offered(tmp_path: Path, certificate: Certificate) -> None:
    with (
        MailSink(tmp_path, starttls=certificate.server, username="shop", password="secret") as sink,
        connected(sink) as session,
    ):
        session.ehlo()
        assert not session.has_extn("auth")
        assert session.docmd("AUTH", "PLAIN AHNob3AAc2VjcmV0")[0] == 538


def test_login_is_not_offered_without_a_username(sink: MailSink) -> None:
    with connected(sink) as session:
        session.ehlo()
        assert not session.has_extn("auth")


# --- faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        (Stage.CONNECT, smtplib.SMTPConnectError),
        (Stage.EHLO, smtplib.SMTPHeloError),
        (Stage.MAIL, smtplib.SMTPSenderRefused),
        (Stage.RCPT, smtplib.SMTPRecipientsRefused),
        (Stage.DATA, smtplib.SMTPDataError),
        (Stage.MESSAGE, smtplib.SMTPDataError),
    ],
)
@pytest.mark.parametrize("answer", ["451 4.3.0 Not now", "554 5.7.1 Never"])
def test_fault_answers_at_its_stage_and_keeps_nothing(
    sink: MailSink, stage: Stage, error: type[smtplib.SMTPException], answer: str
) -> None:
    fault = sink.fault(stage, answer)

    with pytest.raises(error) as caught:
        send(sink)

    assert answer[:3] in str(caught.value)
    assert (sink.messages, list(sink.folder.iterdir())) == ((), [])
    assert fault.hits >= 1
    fault.clear()
    send(sink)
    assert len(sink.messages) == 1


def test_fault_421_closes_the_connection(sink: MailSink) -> None:
    sink.fault(Stage.MAIL, "421 4.3.2 Closing")
    with connected(sink) as session:
        session.ehlo()
        assert session.mail(SENDER)[0] == 421
        with pytest.raises(smtplib.SMTPServerDisconnected):
            session.noop()


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.MESSAGE])
def test_fault_drops_at_its_stage(sink: MailSink, stage: Stage) -> None:
    sink.fault(stage, drop=True, times=1)

    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(sink)

    assert sink.messages == ()
    send(sink)
    assert len(sink.messages) == 1


def test_fault_drops_after_the_message_was_kept(sink: MailSink) -> None:
    sink.fault(Stage.MESSAGE, drop=True, keep=True)

    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(sink)

    assert [mail.message["Subject"] for mail in sink.messages] == ["Your tickets"]
    assert len(list(sink.folder.iterdir())) == 1


def test_fault_answers_4xx_although_the_message_was_kept(sink: MailSink) -> None:
    sink.fault(Stage.MESSAGE, "451 4.3.0 Not now", keep=True)

    with pytest.raises(smtplib.SMTPDataError):
        send(sink)

    assert len(sink.messages) == 1


def test_fault_for_one_recipient_leaves_the_others(sink: MailSink) -> None:
    fault = sink.fault(Stage.RCPT, "550 5.1.1 No such user", recipient=BUYER)

    with connected(sink) as session:
        refused = session.send_message(letter(), SENDER, (BUYER, ADMIN))

    assert refused == {BUYER: (550, b"5.1.1 No such user")}
    assert [mail.recipients for mail in sink.messages] == [(ADMIN,)]
    assert fault.hits == 1


@pytest.mark.parametrize("stage", [Stage.DATA, Stage.MESSAGE])
def test_fault_for_one_recipient_behind_rcpt_leaves_other_messages(sink: MailSink, stage: Stage) -> None:
    fault = sink.fault(stage, "554 5.6.0 Never", recipient=BUYER)

    send(sink, to=(ADMIN,))
    with pytest.raises(smtplib.SMTPDataError):
        send(sink, to=(BUYER,))

    assert [mail.recipients for mail in sink.messages] == [(ADMIN,)]
    assert fault.hits == 1


def test_fault_times_is_over_after_so_many(sink: MailSink) -> None:
    sink.fault(Stage.MAIL, "451 Not now", times=2)
    with connected(sink) as session:
        session.ehlo()
        codes = []
        for _ in range(3):
            codes.append(session.mail(SENDER)[0])
            session.rset()

    assert codes == [451, 451, 250]


def test_fault_of_auth_and_starttls(tmp_path: Path, certificate: Certificate) -> None:
    with MailSink(tmp_path, starttls=certificate.server, username="shop", password="secret") as sink:
        tls_fault = sink.fault(Stage.STARTTLS, "454 4.7.0 TLS not available")
        sink.fault(Stage.AUTH, "454 4.7.0 Temporary failure")
        with connected(sink) as session:
            session.ehlo()
            with pytest.raises(smtplib.SMTPResponseException, match="454"):
                session.starttls(context=certificate.client)
        tls_fault.clear()
        with connected(sink) as session:
            session.starttls(context=certificate.client)
            with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                session.login("shop", "secret")
        assert caught.value.smtp_code == 454
        sink.clear_faults()
        with connected(sink) as session:
            session.starttls(context=certificate.client)
            session.login("shop", "secret")


def test_fault_delays_and_then_all_is_well(sink: MailSink) -> None:
    sink.fault(Stage.MESSAGE, delay=0.1)
    begun = time.monotonic()

    send(sink)

    assert time.monotonic() - begun >= 0.1
    assert len(sink.messages) == 1


def test_close_hangs_up_on_clients_and_delays(tmp_path: Path) -> None:
    sink = MailSink(tmp_path)
    sink.start()
    sink.fault(Stage.MAIL, delay=3600)
    with connected(sink) as waiting, connected(sink) as idle:
        waiting.ehlo()
        waiting.putcmd("mail", f"FROM:<{SENDER}>")
        idle.ehlo()
        sink.close()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            waiting.getreply()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            idle.noop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", sink.port), LONG)


def test_close_within_tls_hangs_up(tmp_path: Path, certificate: Certificate) -> None:
    sink = MailSink(tmp_path, starttls=certificate.server)
    sink.start()
    with connected(sink) as session:
        session.starttls(context=certificate.client)
        session.ehlo()
        sink.close()
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            session.noop()


def test_client_that_vanishes_leaves_the_sink_well(sink: MailSink) -> None:
    with connected(sink) as session:
        session.ehlo()
        session.mail(SENDER)
        session.rcpt(BUYER)
        session.putcmd("data")
        session.getreply()
        session.send(b"half a message\r\n")

    send(sink)
    assert [mail.message["Subject"] for mail in sink.messages] == ["Your tickets"]


def test_start_on_a_taken_port_is_an_error(sink: MailSink) -> None:
    with pytest.raises(OSError, match="in use"):
        MailSink(sink.folder, port=sink.port).start()


def test_constructor_other_than_loopback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        MailSink(tmp_path, host="192.0.2.1")


def test_repr_shows_no_password_and_no_body(tmp_path: Path) -> None:
    sink = MailSink(tmp_path, username="shop", password="very-secret")
    mail = Mail(letter(), SENDER, (BUYER,), b"the body", tmp_path, encrypted=False, username="")

    assert "very-secret" not in repr(sink)
    assert "the body" not in repr(mail)
