"""Stamped tickets: the bytes of a full print, or a full print. Nothing else can come of it."""

import random
import string
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import weasyprint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.integration.tickets.operators_templates import FOLLOWED_OR_NOT, PAGE, STAMPED, STYLES
from tests.integration.tickets.test_printer import FACE, ODD_FACES

from paypoll.tickets.printer import WeasyTicketPrinter
from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.master import Master
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace

NAMES = ("Ada Lovelace", "Bob", "Zoë Müller", "Anne-Marie de la Haye du Puits", "O'Brien & Søn", "Li Wu")


def face_of(number: int, **others: Any) -> TicketFace:
    """Return a ticket that differs from the others as a shop's tickets do: name, number, order, code, price."""
    chance = random.Random(number)  # noqa: S311 -- seeded, so that the test always sees the same
    ticket = "SUMMER-FES-" + "".join(chance.choices(string.ascii_uppercase + string.digits, k=9))
    account = "a" * chance.choice((4, 9, 40))
    face = replace(
        FACE,
        ticket_number=ticket,
        qr_data=f"JERSEY_EVENTS|{ticket}|17|{account}@example.org|{chance.randrange(16**16):016x}",
        holder_name=NAMES[number % len(NAMES)],
        order_number=f"ORD-2026-{chance.randrange(10**7):07}",
        price=Decimal(chance.choice(("8", "12.50", "100"))),
        place=1 + number % 2,
        places=2,
    )
    return replace(face, **others)


class Printers:
    """A printer, and what it gives when it stamps nothing."""

    def __init__(self, printer: WeasyTicketPrinter) -> None:
        self.printer = printer
        self.in_full = WeasyTicketPrinter(site_name="Jersey Events", terms="No refunds.", stamping=False)

    def print(self, face: TicketFace) -> PrintedTicket:
        """Return the ticket, which must have the bytes of its full print."""
        (ticket,) = self.printer.print_tickets([face])
        assert ticket.pdf == self.full(face)
        return ticket

    def full(self, face: TicketFace) -> bytes:
        """Return the ticket's full print."""
        (ticket,) = self.in_full.print_tickets([face])
        return ticket.pdf


@pytest.fixture(scope="module")
def printers() -> Printers:
    return Printers(WeasyTicketPrinter(site_name="Jersey Events", terms="No refunds."))


@pytest.fixture
def fresh() -> Printers:
    """Printers that have printed nothing."""
    return Printers(WeasyTicketPrinter(site_name="Jersey Events", terms="No refunds."))


def with_templates(folder: Path, body: str, css: str = "", *, checked: bool = False) -> Printers:
    """Return printers with an operator's templates. Unless `checked`, stamped tickets leave without the self-check."""
    (folder / "ticket.html").write_text(PAGE.replace("BODY", body), encoding="utf-8")
    (folder / "ticket.css").write_text(STYLES + css, encoding="utf-8")
    made = Printers(WeasyTicketPrinter(template_folder=folder))
    made.in_full = WeasyTicketPrinter(template_folder=folder, stamping=False)
    made.printer._has_own_templates = checked
    return made


# -----------------------------------------------------------------------------------------------------------------
# Our own template
# -----------------------------------------------------------------------------------------------------------------

SCRIPTS = (
    "Latin Ext",
    "ÀÉÎõü ßøłžđ",
    "αβγδ Ωλ",
    "жшщ Иван",
    "אבג דה",
    "أحمد علي",
    "汉语 名字",
    "ひカ夏",
    "한국 이름",
    "🎉🥳",
    "ﬁ\u00ad\u200d\u00a0’–",
)
letters = st.sampled_from(SCRIPTS).flatmap(
    lambda script: st.text(alphabet=script + "AaMmWwi il-.'& <>0159", max_size=60)
)
faces = st.builds(
    face_of,
    st.integers(0, 10**6),
    holder_name=letters,
    event_title=st.sampled_from(("Summer Festival", "Winter Concert & Fair", "מסיבת קיץ", "W" * 40)),
    venue_name=st.sampled_from(("Jersey Opera House", "Town Hall", "")),
    organiser_name=st.sampled_from(("Island Concerts Ltd", "Ön", "")) | letters,
    venue_address=st.sampled_from(("Gloucester Street\nSt Helier", "1 High Street\nGorey", "The Quay", "")),
    price=st.sampled_from((Decimal(0), Decimal("7.5"), Decimal("19.99"), Decimal(1234567))),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faces)
def test_ticket_whatever_it_says_has_the_bytes_of_a_full_print(printers: Printers, face: TicketFace) -> None:
    printers.printer._stamper._in_vain = 0  # odd as the texts are, go on trying
    printers.print(face)


@pytest.mark.parametrize("case", sorted(ODD_FACES.keys() - {"one-long-word", "long-address"}))
def test_ticket_with_odd_texts_has_the_bytes_of_a_full_print(printers: Printers, case: str) -> None:
    printers.print(ODD_FACES[case])
    printers.print(replace(ODD_FACES[case], place=2, holder_name="Bob"))


def test_tickets_of_an_event_are_stamped_from_a_few_masters(fresh: Printers) -> None:
    """Names of one line and of two, codes of any size: a few shapes. This is what makes printing fast.

    It also fails when the inside of WeasyPrint is not the one that stamping was written for.
    """
    assert weasyprint.VERSION.startswith("70.0"), "read paypoll.tickets.stamping against the new version"
    stamped = [fresh.print(face_of(number)).stamped for number in range(24)]
    assert sum(stamped) >= 20


def test_ticket_with_another_event_is_stamped_when_it_has_the_same_lines(fresh: Printers) -> None:
    fresh.print(face_of(1))
    ticket = fresh.print(face_of(1, event_title="Autumn Carnival", organiser_name="The Rotary Club"))
    assert ticket.stamped


def test_code_of_a_stamped_ticket_is_its_own(fresh: Printers) -> None:
    first, second = (fresh.print(face_of(number)) for number in (3, 9))
    assert second.stamped
    assert first.qr_png != second.qr_png


def test_many_events_keep_eight_masters_and_bounded_fonts() -> None:
    printer = WeasyTicketPrinter()
    for number in range(10):
        address = "\n".join(["a line"] * (1 + number))
        printer.print_tickets([face_of(number, venue_address=address, holder_name="Ada")])
    stamper = printer._stamper
    assert len(stamper._masters) == 8
    for number in range(70):
        printer.print_tickets([face_of(number, venue_address="a line", holder_name="Ada")])
    fonts = stamper._fonts
    assert len(fonts.subsets) == len(fonts._packed) == 64
    assert len(fonts._fonts) < 64
    (used, *_) = stamper._masters
    assert max(len(slot._drawn) for slot in used._slots.values() if not isinstance(slot, NotStampable)) == 32


def test_printer_that_is_not_to_stamp_does_not() -> None:
    printer = WeasyTicketPrinter(stamping=False)
    tickets = [ticket for number in range(3) for ticket in printer.print_tickets([face_of(number)])]
    assert not any(ticket.stamped for ticket in tickets)


# -----------------------------------------------------------------------------------------------------------------
# Templates of the operator
# -----------------------------------------------------------------------------------------------------------------


def shape(number: int, **others: Any) -> TicketFace:
    """Return a ticket with a code of the usual size."""
    return face_of(number, qr_data=f"JERSEY_EVENTS|{number:020}|17|ada@example.org|0123456789abcdef", **others)


@pytest.mark.parametrize(("body", "css"), STAMPED.values(), ids=STAMPED.keys())
def test_template_that_can_be_followed_is_stamped_with_the_bytes_of_a_full_print(
    tmp_path: Path, body: str, css: str
) -> None:
    printers = with_templates(tmp_path, body, css)
    printers.print(shape(0, holder_name="Ada Lovelace"))
    assert printers.print(shape(2, holder_name="Bob Lovejoy")).stamped
    assert printers.print(shape(4, holder_name="Eve <b>", order_number="ORD-1")).stamped


@pytest.mark.parametrize(("body", "css"), FOLLOWED_OR_NOT.values(), ids=FOLLOWED_OR_NOT.keys())
def test_template_that_may_not_be_followed_has_the_bytes_of_a_full_print(tmp_path: Path, body: str, css: str) -> None:
    printers = with_templates(tmp_path, body, css)
    for number, name in ((0, "Ada Lovelace"), (2, "Bob Lo"), (1, "Anna Lovejoyed")):
        printers.print(shape(number, holder_name=name))


@pytest.mark.parametrize("size", ["width: auto; height: auto", "width: 5cm; height: auto", "width: 5cm; height: 5cm"])
def test_code_of_another_size_has_the_bytes_of_a_full_print(tmp_path: Path, size: str) -> None:
    """Where the page shows codes at their own size, all that is below moves."""
    printers = with_templates(
        tmp_path, "<p>{{ ticket.holder_name }}</p>", f"img {{ {size}; image-resolution: 180dpi }}"
    )
    for length in (40, 10, 90):
        printers.print(face_of(0, qr_data="x" * length))


TINY_AND_LARGE = (
    "<p style='font-size: 0.31px'>{{ ticket.order_number }}</p>"
    "<p style='font-size: 31.7px'>{{ ticket.holder_name }}</p>"
)


@pytest.mark.parametrize("name", ["汉语", "🎉"])
def test_name_in_letters_of_another_height_is_printed_in_full(tmp_path: Path, name: str) -> None:
    printers = with_templates(tmp_path, "<p style='line-height: normal'>{{ ticket.holder_name }}</p><p>below</p>")
    printers.print(shape(0, holder_name="Ada"))
    assert not printers.print(shape(0, holder_name=name)).stamped


def test_glyph_whose_width_was_rounded_at_another_size_is_drawn_as_in_a_full_print(tmp_path: Path) -> None:
    """WeasyPrint rounds a glyph's width at the size where it meets it first, and spaces by that everywhere."""
    printers = with_templates(tmp_path, TINY_AND_LARGE)
    texts = (("AB", "XYZ"), ("XYZ wmgs", "AVB wmgs"), ("ffi Ta", "To fi"), ("Tj", "Tjx"))
    for number, (order, name) in enumerate(texts):
        printers.print(shape(number, order_number=order, holder_name=name))


def test_font_that_is_met_first_at_another_size_is_described_as_in_a_full_print(tmp_path: Path) -> None:
    printers = with_templates(tmp_path, TINY_AND_LARGE)
    for number, (order, name) in enumerate((("Ada", "Bob 夏"), ("Ada 夏", "Bob 夏"), ("Eve", "夏 Eve"))):
        printers.print(shape(number, order_number=order, holder_name=name))


def test_template_of_the_operator_is_trusted_once_a_stamped_ticket_equals_its_full_print(tmp_path: Path) -> None:
    printers = with_templates(tmp_path, *STAMPED["a-sentence"], checked=True)
    stamped = [printers.print(shape(number, holder_name="Ada")).stamped for number in range(4)]
    assert stamped == [False, False, True, True]


def test_template_whose_stamped_ticket_differs_is_printed_in_full_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = Master.stamp
    monkeypatch.setattr(Master, "stamp", lambda *arguments: stamp(*arguments) + b"\n")
    printers = with_templates(tmp_path, *STAMPED["a-sentence"], checked=True)
    with capture_logs() as logs:
        stamped = [printers.print(shape(number, holder_name="Ada")).stamped for number in range(4)]
    assert stamped == [False] * 4
    (warning,) = (log for log in logs if log["log_level"] == "warning")
    assert warning["event"] == "tickets_are_not_stamped"


def test_template_that_is_never_followed_is_not_tried_for_ever(tmp_path: Path) -> None:
    printers = with_templates(tmp_path, *FOLLOWED_OR_NOT["beside-a-float"])
    for number in range(12):
        printers.printer.print_tickets([shape(number)])
    assert not printers.printer._stamper.is_on


# -----------------------------------------------------------------------------------------------------------------
# What goes wrong
# -----------------------------------------------------------------------------------------------------------------


def raising(error: Exception) -> Callable[..., bytes]:
    def stamp(*_: object) -> bytes:
        raise error

    return stamp


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), AttributeError("secret"), MemoryError("secret")])
def test_stamping_that_fails_is_a_full_print_and_a_line_in_the_log(
    fresh: Printers, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fresh.print(face_of(0))
    monkeypatch.setattr(Master, "stamp", raising(error))
    with capture_logs() as logs:
        assert not fresh.print(face_of(6)).stamped
    assert [log for log in logs if log["log_level"] == "warning"] == [
        {"event": "ticket_not_stamped", "error": type(error).__name__, "log_level": "warning"}
    ]


def test_library_that_paints_otherwise_is_a_full_print(fresh: Printers, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later WeasyPrint might: what a master gives again is not what it was."""
    fresh.print(face_of(0))
    monkeypatch.setattr(
        "paypoll.tickets.stamping.painting.Stream.draw_x_object", lambda stream, _: stream.stream.append(b"% gone")
    )
    (ticket,) = fresh.printer.print_tickets([face_of(6)])
    assert not ticket.stamped


def test_url_refused_in_a_later_ticket_fails_as_it_does_in_the_first(tmp_path: Path) -> None:
    body = '<p>{{ ticket.holder_name }}{% if ticket.place == 2 %}<img alt="x" src="http://[::1]:1/">{% endif %}'
    printers = with_templates(tmp_path, body)
    printers.print(shape(0))
    with pytest.raises(PrintError, match="data: URIs only"):
        printers.printer.print_tickets([shape(1)])
    printers.print(shape(2))


def test_page_with_a_refused_url_is_no_master(tmp_path: Path) -> None:
    """Inside an SVG picture WeasyPrint goes on without what was refused; its ticket fails, and so must the next."""
    body = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='http://[::1]:1/'/></svg>"
        "<p>{{ ticket.holder_name }}</p>"
    )
    printers = with_templates(tmp_path, body)
    for number in (0, 2, 4):
        with pytest.raises(PrintError, match="data: URIs only"):
            printers.printer.print_tickets([shape(number)])


def test_template_that_breaks_for_a_later_ticket_fails_and_says_where(tmp_path: Path) -> None:
    printers = with_templates(tmp_path, "<p>{{ ticket.holder_name }}{{ 1 // (ticket.place - 2) }}")
    printers.print(shape(0))
    with pytest.raises(PrintError, match="ZeroDivisionError"):
        printers.printer.print_tickets([shape(1)])


def test_code_that_cannot_be_read_back_is_a_print_error_that_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zxingcpp.read_barcode", lambda *_, **__: None)
    with pytest.raises(PrintError, match="cannot be read back") as failure:
        WeasyTicketPrinter().print_tickets([FACE])
    assert FACE.ticket_number not in str(failure.value)
