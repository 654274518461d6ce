"""Hand messages to a mail server over SMTP, and tell exactly what became of each.

smtplib's own `sendmail` does not say at which stage a message failed, so the steps are taken one by one here.
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, Self

import structlog

from paypoll.mail.address import address_problem, envelope_address, split_sender
from paypoll.mail.mailer import (
    MailError,
    MailSession,
    MailUnavailableError,
    MessageRefusedError,
    RecipientRefusedError,
    SenderRefusedError,
    refusal,
)
from paypoll.mail.refusal import About, Step, is_about_size, whom_it_is_about
from paypoll.mail.smtp.connection import Connection, Deadline, TlsConnection
from paypoll.mail.smtp.data import data_of
from paypoll.mail.smtp.login import log_in
from paypoll.mail.smtp.reply import show_reply
from paypoll.settings.model import MailSettings

log = structlog.get_logger(__name__)

_START_INPUT = 354
_QUIT_SECONDS = 5.0
_FULL_NAME = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """The mail server, and how long it is waited for. Times are seconds.

    `timeout` is for each silence of the server, `message_timeout` for opening a session and for each message as a
    whole. After the end of a message its answer is waited for until `message_timeout`: a server may look for viruses
    first, and who does not wait sends it twice (RFC 5321, 4.5.3.2.6). `sender` may have a name; the address goes into
    the envelope. `password` is called when it is needed. `ca_file` is trusted besides the machine's authorities.
    `ehlo_name` is how we introduce ourselves; empty: by this machine's full name, if it has one.
    """

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Callable[[], str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout: float = 30.0
    message_timeout: float = 120.0
    ehlo_name: str = ""

    @classmethod
    def of(cls, mail: MailSettings) -> Self:
        """Return what the settings say."""
        return cls(
            host=mail.host,
            port=mail.port,
            tls=mail.tls,
            username=mail.username,
            password=mail.password.reveal if mail.password else None,
            timeout=mail.timeout.total_seconds(),
            message_timeout=mail.message_timeout.total_seconds(),
            sender=mail.sender,
            ca_file=mail.ca_file,
            ehlo_name=mail.ehlo_name,
        )


class SmtpMailer:
    """The mail server, as a port. Connects only when a session is opened.

    Raise ValueError when the sender is no mail address.
    """

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._sender = envelope_address(split_sender(options.sender)[1])

    @contextmanager
    def connect(self) -> Iterator[MailSession]:
        """Open a session. Raise MailUnavailableError when the server is out of reach, not trusted or refuses us."""
        connection = self._open()
        try:
            yield _Session(connection, self._sender, self._options)
        finally:
            connection.quit_politely(_QUIT_SECONDS)

    def _open(self) -> Connection:
        options = self._options
        deadline = Deadline(options.message_timeout, silence=options.timeout)
        where = f"{options.host}:{options.port}"
        try:
            connection = self._reach(deadline)
            try:
                self._get_ready(connection)
            except (OSError, MailUnavailableError):
                connection.close()
                raise
        except (OSError, UnicodeError) as error:
            raise _refusal_at_the_door(error)(f"{where}: {_describe(error)}") from error
        except MailUnavailableError as error:
            raise type(error)(f"{where}: {error}") from None
        log.debug("connected to the mail server", server=where, tls=options.tls)
        return connection

    def _reach(self, deadline: Deadline) -> Connection:
        options = self._options
        where = (options.host, options.port, options.ehlo_name or _local_name(), options.timeout, deadline)
        return TlsConnection(*where, _trust(options.ca_file)) if options.tls == "tls" else Connection(*where)

    def _get_ready(self, connection: Connection) -> None:
        options = self._options
        _expect_ok(Step.EHLO, "EHLO", *connection.ehlo())
        if options.tls == "starttls":
            if not connection.has_extn("starttls"):
                raise MailUnavailableError("the mail server does not offer STARTTLS")
            connection.starttls_within_deadline(_trust(options.ca_file))
            _expect_ok(Step.EHLO, "EHLO", *connection.ehlo())
        if options.username:
            log_in(connection, options.username, options.password() if options.password else "")


class _Session:
    """A MailSession. Once its connection is lost, it cannot be used again."""

    def __init__(self, connection: Connection, sender: str, options: SmtpOptions) -> None:
        self._connection = connection
        self._sender = sender
        self._options = options
        self._lost = False

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Hand the message over, as `paypoll.mail.mailer.MailSession` says.

        Where the server refuses some recipients for good and takes others, those get the message, and then
        RecipientRefusedError names the rest.
        """
        if self._lost:
            raise MailUnavailableError("the session with the mail server was lost before")
        self._connection.deadline.start(self._options.message_timeout)
        try:
            self._send(message, recipients)
        except MailUnavailableError:
            self._lost = True
            raise
        except MailError:
            self._reset()
            raise
        except OSError as error:
            self._lost = True
            raise MailUnavailableError(_describe(error)) from error

    def _send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        refused = [problem for address in recipients if (problem := address_problem(address))]
        addresses = [envelope_address(address) for address in recipients if not address_problem(address)]
        international = not all(map(str.isascii, addresses))
        if international and not self._connection.has_extn("smtputf8"):
            raise RecipientRefusedError("the mail server takes no letters beyond ASCII before the @ (SMTPUTF8)")
        if not addresses:
            raise RecipientRefusedError("; ".join(refused) or "there is no recipient")
        content = data_of(message, international=international)
        self._check_size(len(content))
        self._say_sender(len(content), international=international)
        refused += self._say_recipients(addresses)
        self._say_data(content)
        if refused:
            raise RecipientRefusedError("; ".join(refused))

    def _check_size(self, size: int) -> None:
        limit = self._connection.esmtp_features.get("size", "")
        if limit.isdecimal() and 0 < int(limit) < size:
            raise MessageRefusedError(
                f"too large: {size} bytes, and the mail server takes {limit} at most", too_large=True
            )

    def _say_sender(self, size: int, *, international: bool) -> None:
        options = f" SIZE={size}" if self._connection.has_extn("size") else ""
        if international:
            options += " SMTPUTF8 BODY=8BITMIME"
        _expect_ok(
            Step.MAIL,
            f"MAIL FROM {self._sender}",
            *self._connection.docmd("MAIL", f"FROM:<{self._sender}>{options}"),
        )

    def _say_recipients(self, addresses: Sequence[str]) -> list[str]:
        """Name the recipients, and return what was said of those that are refused for good, while others are taken.

        Raise when all are, or when a refusal is about more than one recipient, or about now.
        """
        answers = {address: self._connection.docmd("RCPT", f"TO:<{address}>") for address in addresses}
        taken = any(_is_ok(code) for code, _ in answers.values())
        told = []
        for address, (code, reply) in answers.items():
            if _is_ok(code):
                continue
            about = whom_it_is_about(Step.RCPT, code, _text(reply), others_taken=taken)
            if about is not About.RECIPIENT:
                raise refusal(about, f"after RCPT TO {address} the mail server said: {show_reply(code, reply)}")
            told.append(f"{address}: {show_reply(code, reply)}")
        if not taken:
            raise RecipientRefusedError("; ".join(told))
        return told

    def _say_data(self, content: bytes) -> None:
        code, reply = self._connection.docmd("DATA")
        if code != _START_INPUT:
            raise _refusal(Step.DATA, "DATA", code, reply)
        self._connection.send(content + b".\r\n")
        # From here on the server may have the message, whether or not it answers.
        self._connection.deadline.be_patient()
        try:
            code, reply = self._connection.getreply()
        except OSError as error:
            raise MailUnavailableError(f"no answer after the message: {_describe(error)}", maybe_sent=True) from error
        if not _is_ok(code):
            raise _refusal(Step.MESSAGE, "the message", code, reply)

    def _reset(self) -> None:
        """Make the session ready for the next message. A failure concerns only that one: this one was sent."""
        self._lost = True
        self._connection.deadline.start(self._options.timeout)
        with suppress(OSError):
            self._lost = not _is_ok(self._connection.docmd("RSET")[0])


def _is_ok(code: int) -> bool:
    return code // 100 == 2  # noqa: PLR2004 - the classes of replies, RFC 5321, 4.2.1


def _expect_ok(step: Step, what: str, code: int, reply: bytes) -> None:
    if not _is_ok(code):
        raise _refusal(step, what, code, reply)


def _refusal(step: Step, what: str, code: int, reply: bytes) -> MailError:
    about = whom_it_is_about(step, code, _text(reply))
    error = refusal(about, f"after {what} the mail server said: {show_reply(code, reply)}")
    if isinstance(error, MailUnavailableError) and step is Step.MESSAGE and code < 0:
        # What is no reply of SMTP may be anything, also the answer to a message that was taken.
        error.maybe_sent = True
    if isinstance(error, MessageRefusedError):
        error.too_large = is_about_size(code, _text(reply))
    return error


def _refusal_at_the_door(error: Exception) -> type[MailUnavailableError]:
    """Return whether the server turns us away (5xx), which a person must mend, or is out of reach."""
    code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
    return SenderRefusedError if whom_it_is_about(Step.GREETING, code, "") is About.US else MailUnavailableError


def _text(reply: bytes) -> str:
    return reply.decode(errors="replace")


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise MailUnavailableError(f"cannot use the certificates in {ca_file}: {error.strerror}") from error
    return context


def _local_name() -> str:
    # Not socket.getfqdn(), which waits for a name server that is down. RFC 5321, 4.1.4 allows the literal.
    name = socket.gethostname()
    return name if _FULL_NAME.fullmatch(name) else "[127.0.0.1]"


def _describe(error: Exception) -> str:
    """Return what went wrong, in words. None of these errors carries what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the mail server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, smtplib.SMTPResponseException):
        # smtplib produces some replies itself, and those are str.
        reply = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
        return f"the mail server said: {show_reply(error.smtp_code, reply)}"
    return str(error).strip() or type(error).__name__
