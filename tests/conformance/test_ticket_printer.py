"""What every TicketPrinter keeps to: WeasyPrint's, the processes around it, and the fake of `testing`.

What is on a ticket is in `tests/integration/tickets`; here is what the callers of the port rely on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from tests.pdfs import codes_in

from paypoll.testing import FakePrinter
from paypoll.tickets.printer import WeasyTicketPrinter
from paypoll.tickets.ticket import PrintError, TicketFace, TicketPrinter
from paypoll.tickets.wire import PrinterOptions
from paypoll.tickets.workers import PrintWorkers

FACE = TicketFace(
    ticket_number="WINTER-CON-O0I1B8S5Z",
    qr_data="JERSEY_EVENTS|WINTER-CON-O0I1B8S5Z|17|ada.lovelace@example.org|0123456789abcdef",
    event_title="Winter Concert",
    starts=datetime(2026, 12, 5, 19, 30, tzinfo=ZoneInfo("Europe/Jersey")),
    venue_name="Town Hall",
    venue_address="1 High Street\nSt Helier",
    organiser_name="The Choir",
    holder_name="Ada Lovelace",
    price=Decimal("12.50"),
    currency="GBP",
    order_number="ORD-1",
    place=1,
    places=3,
)
ORDER = [replace(FACE, ticket_number=f"NUMBER-{place}", qr_data=f"CODE-{place}", place=place) for place in (1, 2, 3)]
OTHER = [replace(FACE, order_number="ORD-2", places=1)]
# More than any QR code holds.
UNPRINTABLE = [ORDER[0], replace(ORDER[1], qr_data="CODE-" + "x" * 3000), ORDER[2]]


@pytest.fixture(scope="module", params=["weasyprint", "workers", "fake"])
def printer(request: pytest.FixtureRequest) -> Iterator[TicketPrinter]:
    """Each printer in turn; one for all tests, as a run has one for all orders."""
    match request.param:
        case "weasyprint":
            yield WeasyTicketPrinter(site_name="Jersey Events")
        case "workers":
            workers = PrintWorkers(PrinterOptions(site_name="Jersey Events"), 1)
            yield workers
            workers.close()
        case _:
            yield FakePrinter()


def pdfs_of(printer: TicketPrinter, faces: Sequence[TicketFace]) -> list[bytes]:
    """Print, and return the PDFs alone: how each was made is the printer's own affair."""
    return [ticket.pdf for ticket in printer.print_tickets(faces)]


def test_print_tickets_returns_one_pdf_a_face_in_their_order(printer: TicketPrinter) -> None:
    pdfs = pdfs_of(printer, ORDER)
    assert len(set(pdfs)) == len(ORDER)
    assert all(pdf.startswith(b"%PDF") for pdf in pdfs)
    assert pdfs_of(printer, ORDER[::-1]) == pdfs[::-1]


def test_print_tickets_of_no_face_is_no_pdf(printer: TicketPrinter) -> None:
    assert pdfs_of(printer, []) == []


def test_print_of_the_same_face_has_the_same_bytes_whatever_was_printed_in_between(printer: TicketPrinter) -> None:
    first = pdfs_of(printer, ORDER)
    pdfs_of(printer, OTHER)
    assert pdfs_of(printer, ORDER) == first
    # An order may be sent again in parts, and each ticket's file is then compared with what is stored.
    assert [pdf for face in ORDER for pdf in pdfs_of(printer, [face])] == first


def test_print_together_is_one_pdf_and_the_same_bytes_each_time(printer: TicketPrinter) -> None:
    pdf = printer.print_together(ORDER)
    assert pdf.startswith(b"%PDF")
    assert printer.print_together(ORDER) == pdf
    assert printer.print_together(OTHER) != pdf


def test_print_together_of_no_face_is_refused(printer: TicketPrinter) -> None:
    with pytest.raises(PrintError, match="no ticket"):
        printer.print_together([])


def test_expect_changes_nothing_about_what_is_printed(printer: TicketPrinter) -> None:
    without = pdfs_of(printer, ORDER)
    printer.expect([OTHER, ORDER, ORDER])
    printer.expect([ORDER])
    assert pdfs_of(printer, ORDER) == without  # out of turn
    assert pdfs_of(printer, ORDER) == without  # once more than was expected
    assert pdfs_of(printer, OTHER) == pdfs_of(printer, OTHER)


def test_expect_of_what_cannot_be_printed_says_so_only_when_it_is_asked_for(printer: TicketPrinter) -> None:
    printer.expect([UNPRINTABLE, OTHER])
    assert len(pdfs_of(printer, OTHER)) == 1
    with pytest.raises(PrintError):
        printer.print_tickets(UNPRINTABLE)


@pytest.mark.parametrize("together", [False, True])
def test_print_that_fails_names_the_order_shows_no_code_and_leaves_the_next_alone(
    printer: TicketPrinter, *, together: bool
) -> None:
    before = pdfs_of(printer, OTHER)
    with pytest.raises(PrintError) as failure:
        _ = printer.print_together(UNPRINTABLE) if together else printer.print_tickets(UNPRINTABLE)
    assert "ORD-1" in str(failure.value)
    assert "CODE" not in str(failure.value)
    assert pdfs_of(printer, OTHER) == before


def test_print_tickets_has_each_code_as_a_picture_that_reads_as_its_text(printer: TicketPrinter) -> None:
    for face, ticket in zip(ORDER, printer.print_tickets(ORDER), strict=True):
        assert codes_in(Image.open(BytesIO(ticket.qr_png))) == [face.qr_data]
