"""The port of the mail server, and every way in which sending a message can end.

The adapter is `paypoll.mail.smtp`; a fake of it is in `paypoll.testing`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from email.message import EmailMessage
from typing import Protocol

from paypoll.mail.refusal import About


class MailSession(Protocol):
    """An open connection to the mail server, for many messages."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Hand the message over. Return when the server has taken it for all recipients.

        Raise a MailError that says whom the refusal is about. After MailUnavailableError the session must not be used
        again; after the others it goes on.
        """
        ...


class Mailer(Protocol):
    """The mail server."""

    def connect(self) -> AbstractContextManager[MailSession]:
        """Open a session. Raise MailUnavailableError when the server cannot be reached or does not let us in."""
        ...


class MailError(Exception):
    """A message was not accepted. The text is the server's answer or what failed, without any secret."""


class MailUnavailableError(MailError):
    """Not now. `maybe_sent`: it was lost after the data, so it may have arrived.

    `answered`: the server said so itself (4xx), which every mail would hear. Else the connection was lost, which may
    have to do with this one message.
    """

    def __init__(self, detail: str, *, maybe_sent: bool = False, answered: bool = False) -> None:
        super().__init__(detail)
        self.maybe_sent = maybe_sent
        self.answered = answered


class SenderRefusedError(MailUnavailableError):
    """The server refuses us: account, sender, quota, relay. Every mail would meet it, and a person must mend it."""


class DoubtfulRefusalError(MailError):
    """The server refuses for good (5xx), and it cannot be told whether that is about us or about this mail.

    `recipient_if_others_are_taken`: it is about the recipient if the server takes other recipients.
    """

    def __init__(self, detail: str, *, recipient_if_others_are_taken: bool = False) -> None:
        super().__init__(detail)
        self.recipient_if_others_are_taken = recipient_if_others_are_taken


class RecipientDeferredError(MailError):
    """The server does not take this recipient now (4xx on RCPT): a full mailbox, greylisting. Others may be taken."""


class RecipientRefusedError(MailError):
    """The server refuses this recipient for good."""


class MessageRefusedError(MailError):
    """The server refuses this message for good, whoever it is for. `too_large`: a smaller one may be taken."""

    def __init__(self, detail: str, *, too_large: bool = False) -> None:
        super().__init__(detail)
        self.too_large = too_large


def refusal(about: About, detail: str) -> MailError:
    """Return the error for a refusal that is about this."""
    match about:
        case About.RECIPIENT:
            return RecipientRefusedError(detail)
        case About.MESSAGE:
            return MessageRefusedError(detail)
        case About.US:
            return SenderRefusedError(detail, answered=True)
        case About.DOUBTFUL | About.DOUBTFUL_RECIPIENT:
            return DoubtfulRefusalError(detail, recipient_if_others_are_taken=about is About.DOUBTFUL_RECIPIENT)
        case About.NOW_RECIPIENT:
            return RecipientDeferredError(detail)
    return MailUnavailableError(detail, answered=True)
