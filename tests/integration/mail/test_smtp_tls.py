"""TLS and logging in: who is trusted, and what is never said to whom."""

import base64
import re
import traceback
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from paypoll.mail.mailer import MailUnavailableError
from paypoll.mail.smtp.client import SmtpOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.mail.conftest import MailServer, MakeMailer, MakeServer, ServerContext, Talk

ADA = ["ada@example.org"]
PASSWORD = "pässwörd-never-shown"


def a_tls_server(make_server: "MakeServer", server_context: "ServerContext", name: str, mode: str) -> "MailServer":
    """Return a server with this certificate that knows every login."""
    return make_server(
        context=server_context(name), tls_at_once=mode == "tls", extensions=["STARTTLS", "AUTH PLAIN LOGIN"]
    )


def words(commands: list[str]) -> str:
    """Return the commands, and what is base64 in them decoded."""
    found = [
        word for command in commands for word in command.split(" ") if re.fullmatch(r"[A-Za-z0-9+/]{8,}={0,2}", word)
    ]
    return "\n".join([*commands, *(base64.b64decode(word + "==").decode(errors="replace") for word in found)])


@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_connect_with_a_trusted_certificate_logs_in_and_sends(
    make_server: "MakeServer",
    make_mailer: "MakeMailer",
    server_context: "ServerContext",
    message: EmailMessage,
    mode: str,
    host: str,
) -> None:
    server = a_tls_server(make_server, server_context, "localhost", mode)
    mailer = make_mailer(server, host, tls=mode, username="jörg", password=lambda: PASSWORD)
    with mailer.connect() as session:
        session.send(message, ADA)
    assert len(server.messages) == 1
    assert f"\0jörg\0{PASSWORD}" in words(server.commands)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "trusted"), [("elsewhere", True), ("localhost", False)], ids=["another host", "unknown authority"]
)
def test_connect_with_a_certificate_that_proves_nothing_says_no_password(
    make_server: "MakeServer",
    make_mailer: "MakeMailer",
    server_context: "ServerContext",
    mode: str,
    certificate: str,
    *,
    trusted: bool,
) -> None:
    server = a_tls_server(make_server, server_context, certificate, mode)
    trust = {} if trusted else {"ca_file": None}
    mailer = make_mailer(server, tls=mode, username="ada", password=lambda: PASSWORD, **trust)
    with pytest.raises(MailUnavailableError, match="certificate is not trusted"), mailer.connect():
        pass
    assert "AUTH" not in server.verbs


def test_connect_to_a_server_without_starttls_says_no_password(
    make_server: "MakeServer", make_mailer: "MakeMailer"
) -> None:
    server = make_server(extensions=["AUTH PLAIN"])
    mailer = make_mailer(server, tls="starttls", username="ada", password=lambda: PASSWORD)
    with pytest.raises(MailUnavailableError, match="STARTTLS"), mailer.connect():
        pass
    assert "AUTH" not in server.verbs


def test_connect_whose_starttls_is_refused_says_no_password(
    make_server: "MakeServer", make_mailer: "MakeMailer", server_context: "ServerContext"
) -> None:
    def refuse(talk: "Talk") -> None:
        talk.say(b"454 not now")
        talk.wait_for_the_end()

    server = a_tls_server(make_server, server_context, "localhost", "starttls")
    server.answers["STARTTLS"] = [refuse]
    mailer = make_mailer(server, tls="starttls", username="ada", password=lambda: PASSWORD)
    with pytest.raises(MailUnavailableError, match="454"), mailer.connect():
        pass
    assert "AUTH" not in server.verbs


def test_connect_without_tls_says_no_password(make_server: "MakeServer", make_mailer: "MakeMailer") -> None:
    server = make_server(extensions=["AUTH PLAIN LOGIN"])
    mailer = make_mailer(server, tls="none", username="ada", password=lambda: PASSWORD)
    with pytest.raises(MailUnavailableError, match="not encrypted"), mailer.connect():
        pass
    assert "AUTH" not in server.verbs


def test_login_where_only_login_is_offered_uses_it(
    make_server: "MakeServer", make_mailer: "MakeMailer", server_context: "ServerContext", message: EmailMessage
) -> None:
    server = make_server(context=server_context("localhost"), tls_at_once=True, extensions=["AUTH LOGIN"])
    user, word = (base64.b64encode(text.encode()).decode() for text in ("ada", PASSWORD))
    server.answers |= {"AUTH": [b"334 VXNlcm5hbWU6"], user.upper(): [b"334 UGFzc3dvcmQ6"], word.upper(): [b"235 in"]}
    with make_mailer(server, tls="tls", username="ada", password=lambda: PASSWORD).connect() as session:
        session.send(message, ADA)
    assert server.commands[1:4] == ["AUTH LOGIN", user, word]


def test_login_where_nothing_known_is_offered_is_unavailable(
    make_server: "MakeServer", make_mailer: "MakeMailer", server_context: "ServerContext"
) -> None:
    server = make_server(context=server_context("localhost"), tls_at_once=True, extensions=["AUTH GSSAPI"])
    mailer = make_mailer(server, tls="tls", username="ada", password=lambda: PASSWORD)
    with pytest.raises(MailUnavailableError, match="no login"), mailer.connect():
        pass


@pytest.mark.parametrize("code", [b"535", b"454", b"421"])
def test_login_refused_is_unavailable_and_shows_the_answer_without_the_password(
    make_server: "MakeServer", make_mailer: "MakeMailer", server_context: "ServerContext", code: bytes
) -> None:
    server = a_tls_server(make_server, server_context, "localhost", "tls")
    token = base64.b64encode(f"\0ada\0{PASSWORD}".encode())
    server.answers["AUTH"] = [code + b" 5.7.8 wrong: " + token + b" " + PASSWORD.encode() + b" sorry"]
    mailer = make_mailer(server, tls="tls", username="ada", password=lambda: PASSWORD)
    with pytest.raises(MailUnavailableError, match="sorry") as raised, mailer.connect():
        pass
    shown = "".join(traceback.format_exception(raised.value))
    assert PASSWORD not in shown
    assert token.decode() not in shown


def test_options_shown_do_not_show_the_password() -> None:
    options = SmtpOptions("localhost", 25, "tickets@example.org", password=lambda: PASSWORD)
    assert "password" not in repr(options)


@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_connect_with_a_ca_file_that_is_none_is_unavailable_and_names_it(
    server: "MailServer", make_mailer: "MakeMailer", tmp_path: "Path", content: bytes | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    mailer = make_mailer(server, tls="tls", ca_file=ca_file)
    with pytest.raises(MailUnavailableError, match=re.escape(str(ca_file))), mailer.connect():
        pass
    assert server.connections == 0
