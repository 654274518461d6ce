"""The port of the mail server, and every way in which sending a message can end.

The adapter is `paypoll.mail.smtp`; a fake of it is in `paypoll.testing`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from email.message import EmailMessage
from typing import Protocol


class MailSession(Protocol):
    """An open connection to the mail server, for many messages."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Hand the message over. Return when the server has taken it for all recipients.

        Raise RecipientRefusedError or MessageRefusedError when it will never be taken, MailUnavailableError when
        it may be taken later. After MailUnavailableError the session must not be used again.
        """
        ...


class Mailer(Protocol):
    """The mail server."""

    def connect(self) -> AbstractContextManager[MailSession]:
        """Open a session. Raise MailUnavailableError when the server cannot be reached or refuses the login."""
        ...


class MailError(Exception):
    """A message was not accepted. The text is the server's answer or what failed, without any secret."""


class MailUnavailableError(MailError):
    """Not now: connection, TLS, login, or a 4xx. `maybe_sent`: it was lost after the data, so it may have arrived."""

    def __init__(self, detail: str, *, maybe_sent: bool = False) -> None:
        super().__init__(detail)
        self.maybe_sent = maybe_sent


class RecipientRefusedError(MailError):
    """The server refuses this recipient for good (5xx on RCPT)."""


class MessageRefusedError(MailError):
    """The server refuses this message for good (too large, or 5xx on DATA), whoever it is for.

    A refusal of our own address (5xx on MAIL) is none of these: it would make every mail undeliverable.
    """
