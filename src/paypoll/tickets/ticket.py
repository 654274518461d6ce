"""What is printed on a ticket, and who prints it.

The adapter is `paypoll.tickets.workers`, which prints with `paypoll.tickets.printer`; a fake is in `paypoll.testing`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol


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

    @property
    def letters(self) -> str:
        """All letters of its texts; its codes and numbers have only plain ones."""
        return "".join((self.event_title, self.venue_name, self.venue_address, self.organiser_name, self.holder_name))


@dataclass(frozen=True, slots=True)
class PrintedTicket:
    """A ticket's PDF, and the picture of its QR code as it is on it, a PNG. `stamped`: made from an earlier ticket.

    `boxes`: the letters that no font here has, on this ticket or another that was asked for together with it.
    """

    pdf: bytes
    qr_png: bytes
    stamped: bool = field(default=False, compare=False)
    boxes: str = field(default="", compare=False)


class TicketPrinter(Protocol):
    """Makes PDFs. The same face gives the same bytes."""

    def get_ready(self) -> None:
        """Hear that tickets will be asked for soon: who takes long to begin, begins. Never raises PrintError."""
        ...

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Take note of the orders whose tickets are asked for next, to print them ahead. Never raises PrintError."""
        ...

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        """Return one ticket a face, in the same order. Raise PrintError when one cannot be made."""
        ...

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return one PDF with a page a face. Raise PrintError when it cannot be made."""
        ...


class PrintError(Exception):
    """A ticket could not be printed; the mail that carries it waits. Says what went wrong, for the operator."""


class PrinterMissingError(PrintError):
    """A library that the printer needs is missing, so that nothing can be printed. Says which."""
