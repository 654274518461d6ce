"""The tickets that go with mails: printed, and stored where the shop looks for them."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

from paypoll.state.issued_tickets import IssuedTicket
from paypoll.tickets.files import FilesError, TicketFiles
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketPrinter

_AT_ONCE = 2
"""While the files of one order are waited for until they are on the disk, the next order's tickets are printed."""


@dataclass(frozen=True, slots=True)
class PrintedOrder:
    """An order's tickets as they were printed. `paths`: by the ticket's id, where its new files are."""

    tickets: Sequence[IssuedTicket]
    documents: Sequence[PrintedTicket]
    paths: Mapping[int, tuple[str, str]]

    @property
    def boxes(self) -> frozenset[str]:
        """The letters that no font here has."""
        return frozenset(letter for document in self.documents for letter in document.boxes)

    @property
    def legible(self) -> frozenset[str]:
        """The letters that can be read."""
        return frozenset(letter for ticket in self.tickets for letter in ticket.face.letters) - self.boxes


class PrintAhead:
    """Prints and stores orders' tickets; those of the mails that come next ahead, while others are on their way.

    The disk takes as long for an order's files as the mail server for its mail. Without `files` nothing is stored.
    """

    def __init__(self, printer: TicketPrinter, files: TicketFiles | None) -> None:
        self._printer = printer
        self._files = files
        self._ahead: dict[int, tuple[Sequence[IssuedTicket], Future[PrintedOrder]]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Drop what was not asked for. What was stored of it is stored again by the run that sends it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def expect(self, orders: Mapping[int, Sequence[IssuedTicket]], *, store: Collection[int]) -> None:
        """Begin with these orders, which will be asked for in this order. The files of those of `store` are stored."""
        self._printer.expect([ticket.face for ticket in tickets] for tickets in orders.values())
        if self._files is None:
            return
        self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="paper")
        for order_id, tickets in orders.items():
            if order_id in store and order_id not in self._ahead:
                # In a copy of this thread's context, so that what is logged there names the run.
                begun = self._pool.submit(copy_context().run, self._make, tickets)
                self._ahead[order_id] = (tickets, begun)

    def make(self, order_id: int, tickets: Sequence[IssuedTicket]) -> PrintedOrder:
        """Return the order's tickets, printed and stored. Raise PrintError when one cannot be made or stored now."""
        expected, begun = self._ahead.pop(order_id, ((), None))
        if begun is not None and expected == tickets:
            return begun.result()
        return self._make(tickets)

    def _make(self, tickets: Sequence[IssuedTicket]) -> PrintedOrder:
        printed = self._printer.print_tickets([ticket.face for ticket in tickets])
        if self._files is None:
            return PrintedOrder(tickets, printed, {})
        new = [(ticket, paper) for ticket, paper in zip(tickets, printed, strict=True) if not ticket.has_files]
        try:
            paths = self._files.write([(ticket.face.ticket_number, paper.pdf, paper.qr_png) for ticket, paper in new])
        except FilesError as error:
            raise PrintError(f"a ticket's files cannot be stored: {error}") from error
        return PrintedOrder(tickets, printed, dict(zip((ticket.id for ticket, _ in new), paths, strict=True)))
