"""What becomes of a message by what the server answers, at each stage."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

import pytest

from paypoll.mail.mailer import (
    DoubtfulRefusalError,
    MailError,
    MailUnavailableError,
    MessageRefusedError,
    RecipientDeferredError,
    RecipientRefusedError,
    SenderRefusedError,
)

if TYPE_CHECKING:
    from tests.integration.mail.conftest import MailServer, MakeMailer, MakeServer

ADA = ["ada@example.org"]


def outcome(make_mailer: "MakeMailer", server: "MailServer", message: EmailMessage, *to: str) -> MailError | None:
    """Send the message in a session of its own and return what it raised."""
    with make_mailer(server).connect() as session:
        try:
            session.send(message, to or ADA)
        except MailError as error:
            return error
    return None


def test_send_taken_arrives_whole_with_its_envelope(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    assert outcome(make_mailer, server, message, "ada@example.org", "bob@example.org") is None
    [delivered] = server.messages
    assert delivered.sender == "tickets@example.org"
    assert delivered.recipients == ["ada@example.org", "bob@example.org"]
    assert delivered.content == message.as_bytes(policy=SMTP)
    assert server.verbs[-1] == "QUIT"


@pytest.mark.parametrize(
    ("verb", "answer", "expected"),
    [
        ("MAIL", b"451 later", MailUnavailableError),
        ("MAIL", b"421 closing", MailUnavailableError),
        ("MAIL", b"550 5.7.1 sender not allowed", DoubtfulRefusalError),
        ("MAIL", b"530 5.7.0 authentication required", SenderRefusedError),
        ("MAIL", b"552 5.3.4 message too big", MessageRefusedError),
        ("MAIL", b"554 5.3.4 message too big", MessageRefusedError),
        ("RCPT", b"450 greylisted", RecipientDeferredError),
        ("RCPT", b"421 closing", MailUnavailableError),
        ("RCPT", b"550 5.1.1 no such user", RecipientRefusedError),
        ("RCPT", b"550 no such user", DoubtfulRefusalError),
        ("RCPT", b"554 5.7.1 relay access denied", SenderRefusedError),
        ("RCPT", b"530 5.7.0 authentication required", SenderRefusedError),
        ("RCPT", b"503 need MAIL first", DoubtfulRefusalError),
        ("RCPT", b"HTTP nonsense", MailUnavailableError),
        ("DATA", b"451 later", MailUnavailableError),
        ("DATA", b"554 no", DoubtfulRefusalError),
        ("DATA", b"250 what", MailUnavailableError),
        ("end", b"452 disk full", MailUnavailableError),
        ("end", b"421 closing", MailUnavailableError),
        ("end", b"554 5.7.1 spam", DoubtfulRefusalError),
        ("end", b"554 5.6.0 malformed", MessageRefusedError),
        ("end", b"552 too large", MessageRefusedError),
        ("end", b"554 5.2.252 SendAsDenied", SenderRefusedError),
    ],
)
def test_send_answered_with_a_refusal_raises_by_stage_and_code(
    server: "MailServer",
    make_mailer: "MakeMailer",
    message: EmailMessage,
    verb: str,
    answer: bytes,
    expected: type[MailError],
) -> None:
    server.answers[verb] = [answer]
    error = outcome(make_mailer, server, message)
    assert type(error) is expected
    assert answer.split()[-1].decode() in str(error)
    assert not getattr(error, "maybe_sent", False)


@pytest.mark.parametrize("verb", ["greeting", "EHLO"])
@pytest.mark.parametrize("answer", [b"554 go away", b"421 too busy", b"HTTP nonsense"])
def test_connect_turned_away_is_unavailable(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage, verb: str, answer: bytes
) -> None:
    server.answers[verb] = [answer]
    with pytest.raises(MailUnavailableError, match=answer.split()[-1].decode()) as caught:
        outcome(make_mailer, server, message)
    assert isinstance(caught.value, SenderRefusedError) is answer.startswith(b"554")
    assert server.messages == []


def test_connect_with_nobody_listening_is_unavailable(make_server: "MakeServer", make_mailer: "MakeMailer") -> None:
    gone = make_server()
    mailer = make_mailer(gone)
    gone.close()
    with pytest.raises(MailUnavailableError, match="refused"), mailer.connect():
        pass


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_connect_to_no_host_is_unavailable(server: "MailServer", make_mailer: "MakeMailer", host: str) -> None:
    with pytest.raises(MailUnavailableError), make_mailer(server, host).connect():
        pass


@pytest.mark.parametrize(
    ("verb", "answer", "expected"),
    [
        ("RCPT", b"550 5.1.1 no such user", RecipientRefusedError),
        ("RCPT", b"450 greylisted", RecipientDeferredError),
        ("MAIL", b"552 too large", MessageRefusedError),
        ("DATA", b"554 no", DoubtfulRefusalError),
        ("end", b"554 spam", DoubtfulRefusalError),
    ],
)
def test_session_after_a_refusal_takes_the_next_message_on_the_same_connection(
    server: "MailServer",
    make_mailer: "MakeMailer",
    message: EmailMessage,
    verb: str,
    answer: bytes,
    expected: type[MailError],
) -> None:
    server.answers[verb] = [answer]
    with make_mailer(server).connect() as session:
        with pytest.raises(expected):
            session.send(message, ADA)
        before = len(server.messages)
        session.send(message, ["bob@example.org"])
    assert "RSET" in server.verbs
    assert [delivered.recipients for delivered in server.messages[before:]] == [["bob@example.org"]]
    assert server.connections == 1


def test_session_whose_reset_fails_says_the_refusal_first_and_is_lost_then(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    server.answers |= {"RCPT": [b"550 5.1.1 no such user"], "RSET": [b"421 closing"]}
    with make_mailer(server).connect() as session:
        with pytest.raises(RecipientRefusedError):
            session.send(message, ADA)
        with pytest.raises(MailUnavailableError):
            session.send(message, ADA)
    assert server.messages == []


def test_session_after_unavailable_is_not_used_again(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    server.answers["DATA"] = [b"451 later"]
    with make_mailer(server).connect() as session:
        for _ in range(2):
            with pytest.raises(MailUnavailableError):
                session.send(message, ADA)
    assert server.verbs.count("MAIL") == 1


def test_session_sends_many_messages_on_one_connection(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    with make_mailer(server).connect() as session:
        for number in range(20):
            session.send(message, [f"customer{number}@example.org"])
    assert [delivered.recipients[0] for delivered in server.messages] == [f"customer{n}@example.org" for n in range(20)]
    assert server.connections == 1


def test_send_to_several_with_one_refused_reaches_the_others_and_names_the_one(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    server.answers["RCPT"] = [b"250 ok", b"550 no such user", b"250 ok"]
    error = outcome(make_mailer, server, message, "ada@example.org", "bob@example.org", "eve@example.org")
    assert isinstance(error, RecipientRefusedError)
    assert "bob@example.org" in str(error)
    assert "ada@example.org" not in str(error)
    assert len(server.messages) == 1


def test_send_to_several_with_one_put_off_reaches_nobody_yet(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    server.answers["RCPT"] = [b"250 ok", b"451 later"]
    error = outcome(make_mailer, server, message, "ada@example.org", "bob@example.org")
    assert isinstance(error, RecipientDeferredError)
    assert server.messages == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@example.org\r\nDATA",
        "ada@example.org>\r\nRCPT TO:<eve@example.org",
        "a@b.org,c@d.org",
        "<a@b.org>",
    ],
)
def test_send_to_no_address_is_refused_before_the_server_hears_of_it(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage, address: str
) -> None:
    assert isinstance(outcome(make_mailer, server, message, address), RecipientRefusedError)
    assert {"MAIL", "RCPT", "DATA"}.isdisjoint(server.verbs)


def test_send_to_an_international_domain_writes_it_in_ascii(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    assert outcome(make_mailer, server, message, "ada@bücher.example") is None
    assert server.messages[0].recipients == ["ada@xn--bcher-kva.example"]


def test_send_to_letters_beyond_ascii_needs_a_server_that_knows_them(
    make_server: "MakeServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    plain, international = make_server(), make_server(extensions=["8BITMIME", "SMTPUTF8"])
    error = outcome(make_mailer, plain, message, "jörg@example.org")
    assert isinstance(error, RecipientRefusedError)
    assert plain.messages == []
    assert outcome(make_mailer, international, message, "jörg@example.org") is None
    assert international.messages[0].recipients == ["jörg@example.org"]
    assert any("SMTPUTF8" in command for command in international.commands if command.startswith("MAIL"))


@pytest.mark.parametrize(("room", "fits"), [(0, True), (-1, False)])
def test_send_of_a_message_above_the_advertised_size_is_refused_unsent(
    make_server: "MakeServer", make_mailer: "MakeMailer", message: EmailMessage, room: int, *, fits: bool
) -> None:
    size = len(message.as_bytes(policy=SMTP))
    server = make_server(extensions=[f"SIZE {size + room}"])
    error = outcome(make_mailer, server, message)
    assert (error is None) == fits
    assert len(server.messages) == fits
    if not fits:
        assert isinstance(error, MessageRefusedError)
        assert "too large" in str(error)
        assert "MAIL" not in server.verbs


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE lots"])
def test_send_to_a_server_without_a_size_limit_is_not_limited(
    make_server: "MakeServer", make_mailer: "MakeMailer", message: EmailMessage, size: str
) -> None:
    server = make_server(extensions=[size])
    assert outcome(make_mailer, server, message) is None


@pytest.mark.parametrize(
    "text", [".", "..\r\n.\r\nMAIL FROM:<eve@example.org>", "a\n.\nb", "Grüße 🎉 " * 100, "x" * 3000]
)
def test_send_of_dots_and_long_lines_arrives_as_one_message_unchanged(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage, text: str
) -> None:
    message.set_content(text)
    assert outcome(make_mailer, server, message) is None
    [delivered] = server.messages
    received = message_from_bytes(delivered.content, policy=SMTP)
    assert received.get_content().splitlines() == text.splitlines()
    assert delivered.content.isascii()
    assert max(map(len, delivered.content.split(b"\r\n"))) <= 998


def test_send_of_a_lone_line_feed_in_a_header_ends_no_message_early(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    # Python 3.11.7 decodes the word and writes what comes out of it as it is.
    del message["Subject"]
    message["Subject"] = "=?utf-8?q?a=0A.=0AMAIL?= =?utf-8?q?=0D.=0D?="
    assert outcome(make_mailer, server, message) is None
    [delivered] = server.messages
    assert delivered.content.count(b"\r\n") == delivered.content.count(b"\r") == delivered.content.count(b"\n")
    assert delivered.content.endswith(b"\r\nHello Ada,\r\n")


def test_send_of_a_message_that_begins_with_a_dot_arrives_with_it(
    server: "MailServer", make_mailer: "MakeMailer"
) -> None:
    dotted = EmailMessage(policy=SMTP)
    dotted[".Odd"] = "x"
    dotted.set_content("y")
    assert outcome(make_mailer, server, dotted) is None
    assert server.messages[0].content.startswith(b".Odd: x\r\n")
