"""A mail server that says what a test tells it to, over real sockets, and keeps what it is told."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from paypoll.mail.smtp.client import SmtpMailer, SmtpOptions

CERTIFICATES = Path(__file__).with_name("certificates")
CA_FILE = CERTIFICATES / "ca.pem"
LONG = 20.0
"""Seconds after which a test gives up waiting for what should be there at once."""

Act = Callable[["Talk"], None]
Answer = bytes | Act


@dataclass
class Delivered:
    """A message as it arrived. `content` is what stood between DATA and the dot, with the dots unstuffed."""

    sender: str
    recipients: list[str]
    content: bytes


class Talk:
    """One connection, served in its own thread."""

    def __init__(self, server: "MailServer", connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.ended = False
        self.file = connection.makefile("rb")

    def say(self, answer: bytes) -> None:
        self.connection.sendall(answer + b"\r\n")

    def close(self) -> None:
        self.ended = True
        self.file.close()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def wait_for_the_end(self) -> None:
        with suppress(OSError, ValueError):
            while self.connection.recv(65536):
                pass
        self.close()

    def start_tls(self) -> None:
        assert self.server.context is not None
        self.file.close()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.connection.settimeout(LONG)
        self.file = self.connection.makefile("rb")

    def serve(self) -> None:
        with suppress(OSError, ValueError):
            self._answer("greeting", b"220 test server")
            sender = ""
            recipients: list[str] = []
            while not self.ended and (line := self.file.readline()):
                command = line.decode().rstrip("\r\n")
                self.server.commands.append(command)
                verb = command.split(" ")[0].split(":")[0].upper()
                if verb == "MAIL":
                    sender, recipients = command[10:].partition(">")[0].lstrip("<"), []
                elif verb == "RCPT":
                    recipients.append(command[9:].strip("<>"))
                if verb == "DATA":
                    self._data(sender, recipients)
                else:
                    self._answer(verb, self._usual(verb))
                if verb == "STARTTLS" and not self.ended:
                    self.start_tls()
        self.close()

    def _usual(self, verb: str) -> bytes:
        if verb == "EHLO":
            lines = [b"test server", *(extension.encode() for extension in self.server.extensions)]
            return b"\r\n".join(b"250" + (b" " if line is lines[-1] else b"-") + line for line in lines)
        return {"QUIT": b"221 bye", "AUTH": b"235 welcome", "STARTTLS": b"220 go ahead"}.get(verb, b"250 ok")

    def _data(self, sender: str, recipients: list[str]) -> None:
        self._answer("DATA", b"354 go ahead")
        if self.ended or not self.server.takes_data:
            return
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line.removeprefix(b"."))
        self.server.messages.append(Delivered(sender, list(recipients), b"".join(lines)))
        self._answer("end", b"250 taken")

    def _answer(self, verb: str, usual: bytes) -> None:
        answers = self.server.answers.get(verb, [])
        answer: Answer = answers.pop(0) if answers else usual
        if callable(answer):
            answer(self)
            return
        self.say(answer)
        if verb == "DATA":
            self.server.takes_data = answer.startswith(b"354")
        if answer.startswith(b"421"):
            self.close()


@dataclass
class MailServer:
    """Answers as a mail server does, unless `answers` has something else for a verb: each is used once.

    The verbs are those of SMTP, and `greeting`, and `end` for the dot after a message.
    """

    context: ssl.SSLContext | None = None
    tls_at_once: bool = False
    extensions: list[str] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    messages: list[Delivered] = field(default_factory=list)
    connections: int = 0
    takes_data: bool = True

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._talks: list[Talk] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def verbs(self) -> list[str]:
        """What the client has said, by verb."""
        return [command.split(" ")[0].upper() for command in self.commands]

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(LONG)
        for talk in self._talks:
            with suppress(OSError):
                talk.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(LONG)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self.tls_at_once and self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except OSError:
                return
            with connection:
                talk = Talk(self, connection)
                self._talks.append(talk)
                talk.serve()


MakeServer = Callable[..., MailServer]
ServerContext = Callable[[str], ssl.SSLContext]


@pytest.fixture
def server_context() -> ServerContext:
    """Make a server's side of TLS, with one of the test certificates."""
    return _server_context


def _server_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Make mail servers that are gone after the test."""
    servers: list[MailServer] = []

    def make(**options: Any) -> MailServer:
        servers.append(MailServer(**options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(make_server: MakeServer) -> MailServer:
    """A mail server without TLS."""
    return make_server()


MakeMailer = Callable[..., SmtpMailer]


@pytest.fixture
def make_mailer() -> MakeMailer:
    """Make a mailer for a server; without TLS, unless told otherwise."""

    def make(server: MailServer, host: str = "127.0.0.1", **changes: Any) -> SmtpMailer:
        options: dict[str, Any] = {
            "tls": "none",
            "timeout": LONG,
            "message_timeout": LONG,
            "ca_file": CA_FILE,
        } | changes
        return SmtpMailer(SmtpOptions(host, server.port, "Tickets <tickets@example.org>", **options))

    return make


@pytest.fixture
def message() -> EmailMessage:
    """A small message."""
    message = EmailMessage(policy=SMTP)
    message["From"] = "tickets@example.org"
    message["To"] = "ada@example.org"
    message["Subject"] = "Your tickets"
    message.set_content("Hello Ada,\r\n")
    return message


@pytest.fixture
def ca_file() -> Path:
    """The authority that vouches for the test certificates."""
    return CA_FILE
