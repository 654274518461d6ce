"""What the use cases need of the world outside, as protocols. `paypoll.app` picks who plays them.

The adapters: `paypoll.sumup.client` (PaymentGateway), `paypoll.tickets.printer` (TicketPrinter),
`paypoll.mail.smtp` (Mailer), `paypoll.clock` (Clock). Fakes of all of them: `paypoll.testing`.
The databases are no port: the locks and constraints of PostgreSQL are part of what paypoll promises.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.message import EmailMessage
from typing import Protocol

from paypoll.payments.order import CheckoutAnswer, Closing, Look, TransactionAnswer


class PaymentGateway(Protocol):
    """SumUp. No method raises for what SumUp or the network does: that is what a Look says.

    `merchant_code` picks the credential: the organiser's where that merchant is connected, else the platform's.
    Every method may be called from several threads at once.
    """

    @property
    def halted(self) -> str:
        """Why SumUp is not asked any more in this run, after several failures in a row; empty while it is."""
        ...

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return the checkout's state now. An answer about another id is a BrokenAnswer."""
        ...

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return every checkout with this checkout_reference; an empty tuple when there is none."""
        ...

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return the transaction with what was refunded of it."""
        ...

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Make an unpaid checkout unpayable. Found: closed (EXPIRED). Refused: it was processed, read it again."""
        ...


@dataclass(frozen=True, slots=True)
class TicketFace:
    """All that is printed on one ticket. Text is plain text of any script and length, escaped by the template.

    `starts` is an aware datetime in the site's time zone. `place` of `places` counts the order's tickets.
    """

    ticket_number: str
    qr_data: str
    event_title: str
    starts: datetime
    venue_name: str
    venue_address: str
    organiser_name: str
    holder_name: str
    price: Decimal
    currency: str
    order_number: str
    place: int
    places: int


class TicketPrinter(Protocol):
    """Makes PDFs. The same face gives the same bytes."""

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Hear which orders' tickets will be asked for next: who can, prints ahead. Never raises PrintError."""
        ...

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[bytes]:
        """Return one PDF a face, in the same order. Raise PrintError when one cannot be made."""
        ...

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return one PDF with a page a face. Raise PrintError when it cannot be made."""
        ...


class PrintError(Exception):
    """A ticket could not be printed; the mail that carries it waits. Says what went wrong, for the operator."""


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
