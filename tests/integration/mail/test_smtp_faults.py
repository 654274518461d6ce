"""Connections that break or drag on, and what is known about the message then."""

import socket
import time
from contextlib import suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from paypoll.mail.mailer import MailUnavailableError

if TYPE_CHECKING:
    from tests.integration.mail.conftest import MailServer, MakeMailer, MakeServer, ServerContext, Talk

ADA = ["ada@example.org"]
LONG = 20.0


def hang_up(talk: "Talk") -> None:
    """Close the connection instead of an answer."""
    talk.close()


def say_nothing(talk: "Talk") -> None:
    """Leave the client without an answer until it goes away."""
    talk.wait_for_the_end()


def drip(talk: "Talk") -> None:
    """Answer a byte at a time, forever, so that no silence is ever long."""
    with suppress(OSError):
        talk.connection.settimeout(0.02)
        while True:
            talk.connection.sendall(b"2")
            with suppress(TimeoutError):
                if not talk.connection.recv(65536):
                    break
    talk.close()


def failure(
    make_mailer: "MakeMailer", server: "MailServer", message: EmailMessage, **options: object
) -> MailUnavailableError:
    """Send the message in a session of its own and return what it raised."""
    with pytest.raises(MailUnavailableError) as raised, make_mailer(server, **options).connect() as session:
        session.send(message, ADA)
    return raised.value


@pytest.mark.parametrize("how", [hang_up, say_nothing, drip])
@pytest.mark.parametrize("verb", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_connection_lost_before_the_message_is_unavailable_and_surely_unsent(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage, verb: str, how: object
) -> None:
    server.answers[verb] = [how]  # type: ignore[list-item]  # parametrize passes objects
    began = time.monotonic()
    error = failure(make_mailer, server, message, timeout=0.2, message_timeout=0.4)
    assert not error.maybe_sent
    assert server.messages == []
    assert time.monotonic() - began < LONG


@pytest.mark.parametrize("how", [hang_up, say_nothing, drip, b"HTTP nonsense"])
def test_connection_lost_after_the_message_may_have_sent_it(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage, how: object
) -> None:
    server.answers["end"] = [how]  # type: ignore[list-item]  # parametrize passes objects
    error = failure(make_mailer, server, message, timeout=0.2, message_timeout=0.4)
    assert error.maybe_sent
    assert len(server.messages) == 1


def test_server_that_thinks_after_the_message_for_longer_than_a_silence_is_waited_for(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    def think(talk: "Talk") -> None:
        talk.connection.settimeout(0.5)
        with suppress(TimeoutError):
            talk.connection.recv(1)  # ends at once if the client has given up
        talk.say(b"250 no virus found")

    server.answers["end"] = [think]
    with make_mailer(server, timeout=0.1, message_timeout=LONG).connect() as session:
        session.send(message, ADA)
    assert len(server.messages) == 1


@pytest.mark.parametrize("tls", [False, True])
def test_server_that_takes_a_large_message_drop_by_drop_is_given_up(
    make_server: "MakeServer",
    make_mailer: "MakeMailer",
    server_context: "ServerContext",
    message: EmailMessage,
    *,
    tls: bool,
) -> None:
    def sip(talk: "Talk") -> None:
        talk.say(b"354 go ahead")
        talk.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        # Nobody calls here: waiting for a call paces the drinking, and never lets the client wait long for a sip.
        with suppress(OSError), socket.create_server(("127.0.0.1", 0)) as pause:
            pause.settimeout(0.005)
            while talk.connection.recv(16_384):
                with suppress(TimeoutError):
                    pause.accept()
        talk.close()

    context = server_context("localhost") if tls else None
    server = make_server(context=context, tls_at_once=tls, answers={"DATA": [sip]})
    message.add_attachment(bytes(12_000_000), maintype="application", subtype="pdf")
    error = failure(make_mailer, server, message, tls="tls" if tls else "none", timeout=5.0, message_timeout=1.0)
    # Without a deadline it would get to its end, later than it may.
    assert not error.maybe_sent


def test_each_message_of_a_session_has_its_own_time(
    server: "MailServer", make_mailer: "MakeMailer", message: EmailMessage
) -> None:
    def think(talk: "Talk") -> None:
        talk.connection.settimeout(0.25)
        with suppress(TimeoutError):
            talk.connection.recv(1)
        talk.connection.settimeout(LONG)
        talk.say(b"250 ok")

    server.answers["RCPT"] = [think] * 4
    with make_mailer(server, timeout=LONG, message_timeout=0.8).connect() as session:
        for _ in range(4):
            session.send(message, ADA)
    assert len(server.messages) == 4
