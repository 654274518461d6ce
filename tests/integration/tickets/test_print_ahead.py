"""Tickets that are printed and stored ahead of the mails that carry them, with real files and threads."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from paypoll.mail.print_ahead import PrintAhead
from paypoll.state.issued_tickets import IssuedTicket
from paypoll.testing import FakePrinter
from paypoll.tickets.files import TicketFiles
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace


def tickets_of(order: int, *, has_files: bool = False) -> tuple[IssuedTicket, ...]:
    face = TicketFace(
        ticket_number=f"T-{order}",
        qr_data=f"TICKET:{order}",
        event_title="Concert",
        starts=datetime(2026, 12, 1, tzinfo=UTC),
        venue_name="",
        venue_address="",
        organiser_name="",
        holder_name="",
        price=Decimal(1),
        currency="GBP",
        order_number=f"ORD-{order}",
        place=1,
        places=1,
    )
    return (IssuedTicket(order, face, has_files),)


@dataclass
class Printer(FakePrinter):
    """A FakePrinter that says who asked it."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        self.asked.append((faces[0].order_number, threading.current_thread().name.partition("_")[0]))
        return super().print_tickets(faces)


def stored(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.pdf")}


@pytest.fixture
def printer() -> Printer:
    return Printer()


@pytest.fixture
def ahead(printer: Printer, tmp_path: Path) -> Iterator[PrintAhead]:
    ahead = PrintAhead(printer, TicketFiles(tmp_path))
    yield ahead
    ahead.close()


def test_expected_tickets_are_stored_before_they_are_asked_for(
    ahead: PrintAhead, printer: Printer, tmp_path: Path
) -> None:
    orders = {order: tickets_of(order) for order in range(5)}
    ahead.expect(orders, store=orders)
    made = ahead.make(4, orders[4])
    assert made.paths == {4: ("tickets/pdfs/ticket_T-4.pdf", "tickets/qr_codes/ticket_T-4_qr.png")}
    assert [ahead.make(order, orders[order]).documents[0].pdf for order in range(4)] == [
        f"%PDF-fake T-{order} TICKET:{order}".encode() for order in range(4)
    ]
    assert sorted(printer.asked) == [(f"ORD-{order}", "paper") for order in range(5)]
    assert stored(tmp_path) == {f"ticket_T-{order}.pdf" for order in range(5)}


def test_what_is_not_to_be_stored_ahead_is_stored_when_it_is_asked_for(
    ahead: PrintAhead, printer: Printer, tmp_path: Path
) -> None:
    ahead.expect({1: tickets_of(1)}, store=())
    ahead.close()
    assert stored(tmp_path) == set()
    assert ahead.make(1, tickets_of(1)).paths.keys() == {1}
    assert printer.asked == [("ORD-1", "MainThread")]


def test_tickets_that_changed_since_they_were_expected_are_printed_anew(ahead: PrintAhead) -> None:
    ahead.expect({1: tickets_of(1)}, store=[1])
    assert ahead.make(1, tickets_of(2)).documents[0].pdf == b"%PDF-fake T-2 TICKET:2"


def test_tickets_with_files_are_not_written_again(ahead: PrintAhead, tmp_path: Path) -> None:
    ahead.expect({1: tickets_of(1, has_files=True)}, store=[1])
    assert ahead.make(1, tickets_of(1, has_files=True)).paths == {}
    assert stored(tmp_path) == set()


def test_order_that_cannot_be_stored_ahead_is_told_when_it_is_asked_for_and_not_before(
    ahead: PrintAhead, tmp_path: Path
) -> None:
    (tmp_path / "tickets/pdfs/ticket_T-1.pdf").mkdir(parents=True)
    ahead.expect({1: tickets_of(1), 2: tickets_of(2)}, store=[1, 2])
    assert ahead.make(2, tickets_of(2)).paths.keys() == {2}
    with pytest.raises(PrintError, match="a ticket's files cannot be stored"):
        ahead.make(1, tickets_of(1))
