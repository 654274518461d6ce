"""The whole way with a mail server that somebody else wrote: composed, encrypted, logged in, received, read back."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from paypoll.mail.content.compose import Attachment, ComposeOptions, Composer
from paypoll.mail.content.samples import SAMPLES
from paypoll.mail.mailer import MailUnavailableError, MessageRefusedError
from paypoll.mail.smtp.client import SmtpMailer, SmtpOptions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.mail.conftest import ServerContext

PASSWORD = "correct horse"
LIMIT = 200_000


class Keeper:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.received: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        del server, session
        assert isinstance(envelope.content, bytes)
        self.received.append((envelope.rcpt_tos, envelope.content))
        return "250 kept"


def authenticate(server: object, session: object, envelope: object, mechanism: str, login: LoginPassword) -> AuthResult:
    """Let ada in."""
    del server, session, envelope, mechanism
    return AuthResult(success=login == LoginPassword(b"ada", PASSWORD.encode()), handled=False)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


async def end_all(server: asyncio.Server) -> None:
    """Wait for the server's end, and end what still waits for a client."""
    await server.wait_closed()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.fixture
def port(keeper: Keeper, server_context: "ServerContext") -> Iterator[int]:
    """The port of aiosmtpd, which demands STARTTLS and a login before anything else."""
    context = server_context("localhost")

    def make_protocol() -> SMTP:
        return SMTP(
            keeper,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
            data_size_limit=LIMIT,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    # Not aiosmtpd's Controller: it cannot take any free port.
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(make_protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port: int = server.sockets[0].getsockname()[1]
    yield port
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(end_all(server))
    loop.close()


def a_mailer(port: int, ca_file: "Path", password: str = PASSWORD) -> SmtpMailer:
    return SmtpMailer(
        SmtpOptions(
            "127.0.0.1",
            port,
            "Tickets <tickets@example.org>",
            username="ada",
            password=lambda: password,
            ca_file=ca_file,
        )
    )


def a_confirmation(to: str, pdf: bytes) -> EmailMessage:
    options = ComposeOptions(
        site_name="Jersey Events",
        base_url="https://shop.example.org",
        support_email="help@example.org",
        sender="Jersey Évents <tickets@example.org>",
        time_zone=ZoneInfo("Europe/Jersey"),
    )
    return Composer(options).compose(
        "confirmation",
        SAMPLES["confirmation"].to_json(),
        message_id="<1@example.org>",
        date=datetime(2026, 11, 23, 15, tzinfo=UTC),
        to=[to],
        attachments=[Attachment("ticket-A1.pdf", "application/pdf", pdf)],
    )


def test_confirmation_through_a_real_server_is_read_back_as_it_was_composed(
    port: int, keeper: Keeper, ca_file: "Path"
) -> None:
    pdf = bytes(range(256)) * 100
    with a_mailer(port, ca_file).connect() as session:
        for to in ("ada@example.org", "jörg@bücher.example"):
            session.send(a_confirmation(to, pdf), [to])
    (first_to, content), (second_to, international) = keeper.received
    assert first_to == ["ada@example.org"]
    assert second_to == ["jörg@xn--bcher-kva.example"]
    assert "\r\nTo: jörg@xn--bcher-kva.example\r\n".encode() in international
    received = message_from_bytes(content, policy=POLICY)
    assert received["From"].addresses[0].display_name == "Jersey Évents"
    [attached] = received.iter_attachments()
    assert attached.get_content() == pdf
    assert attached.get_filename() == "ticket-A1.pdf"


def test_message_above_a_real_servers_limit_is_refused(port: int, keeper: Keeper, ca_file: "Path") -> None:
    with a_mailer(port, ca_file).connect() as session:
        with pytest.raises(MessageRefusedError, match="too large"):
            session.send(a_confirmation("ada@example.org", bytes(LIMIT)), ["ada@example.org"])
        session.send(a_confirmation("ada@example.org", b"small"), ["ada@example.org"])
    assert len(keeper.received) == 1


def test_wrong_password_at_a_real_server_is_unavailable(port: int, ca_file: "Path") -> None:
    with pytest.raises(MailUnavailableError, match="535"), a_mailer(port, ca_file, "wrong").connect():
        pass
