"""Tickets printed by the real printer, and read back as people and scanners do."""

import hashlib
import io
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
import zxingcpp
from structlog.testing import capture_logs
from tests.pdfs import codes_in, picture_of, pictures_on, runs_on, words_on

from paypoll.tickets.printer import WeasyTicketPrinter
from paypoll.tickets.ticket import PrintError, TicketFace, TicketPrinter

MM = 72 / 25.4

FACE = TicketFace(
    ticket_number="SUMMER-FES-O0I1B8S5Z",
    qr_data="JERSEY_EVENTS|SUMMER-FES-O0I1B8S5Z|17|ada.lovelace@example.org|0123456789abcdef",
    event_title="Summer Festival",
    starts=datetime(2026, 12, 5, 19, 30, tzinfo=ZoneInfo("Europe/Jersey")),
    venue_name="Jersey Opera House",
    venue_address="Gloucester Street\nSt Helier\nJersey JE2 3QR",
    organiser_name="Island Concerts Ltd",
    holder_name="Ada Lovelace",
    price=Decimal("12.5"),
    currency="GBP",
    order_number="ORD-2026-0001234",
    place=1,
    places=3,
)

ODD_FACES = {
    "plain": FACE,
    "markup": replace(
        FACE, event_title="<b>Rock & \"Roll\"</b> 'n' {{ 7*7 }} <script>", holder_name="O'B <x@y.z> &amp;"
    ),
    "long-title": replace(FACE, event_title=("Philharmonic orchestra of the island and friends " * 5)[:200].strip()),
    "one-long-word": replace(FACE, event_title="W" * 200, holder_name="M" * 301, organiser_name="W" * 150),
    "long-address": replace(FACE, venue_address="\n".join(f"Line {n} of a rather long address" for n in range(1, 11))),
    "controls": replace(FACE, event_title="Sum\x00mer\x1b Fes\ufffftival\u202e", holder_name="Ada\ud800"),
    "free-and-nameless": replace(FACE, price=Decimal(0), holder_name="", venue_name="", organiser_name=" "),
    "non-ascii-code": replace(FACE, qr_data=FACE.qr_data.replace("ada", "josé用户")),
    "longest-code": replace(FACE, qr_data=FACE.qr_data.replace("ada", "a" * 230)),
}


@pytest.fixture(scope="module")
def printer() -> WeasyTicketPrinter:
    return WeasyTicketPrinter(site_name="Jersey <Events>", terms="No refunds.\nDoors open at 18:30.")


def only(printer: TicketPrinter, face: TicketFace) -> bytes:
    (ticket,) = printer.print_tickets([face])
    return ticket.pdf


def text_of(pdf: bytes, page: int = 0) -> str:
    return " ".join(pypdf.PdfReader(io.BytesIO(pdf)).pages[page].extract_text().split())


def codes_on(pdf: bytes, page: int = 0) -> list[str]:
    return codes_in(picture_of(pdf, page))


def page_count(pdf: bytes) -> int:
    return len(pypdf.PdfReader(io.BytesIO(pdf)).pages)


@pytest.mark.parametrize("face", ODD_FACES.values(), ids=ODD_FACES.keys())
def test_print_of_any_face_is_one_a4_page_with_a_code_that_holds_the_qr_data(
    printer: WeasyTicketPrinter, face: TicketFace
) -> None:
    pdf = only(printer, face)
    (page,) = pypdf.PdfReader(io.BytesIO(pdf)).pages
    assert (round(page.mediabox.width / MM), round(page.mediabox.height / MM)) == (210, 297)
    assert codes_on(pdf) == [face.qr_data]


def test_print_of_face_says_everything_the_holder_must_know(printer: WeasyTicketPrinter) -> None:
    text = text_of(only(printer, FACE))
    for said in (
        "Jersey <Events>",
        "Ticket 1 of 3",
        "Summer Festival",
        "Saturday, 5 December 2026, 19:30",
        "Jersey Opera House Gloucester Street St Helier Jersey JE2 3QR",
        "SUMMER-FES-O0I1B8S5Z",
        "Ada Lovelace",
        "12.50 GBP",
        "ORD-2026-0001234",
        "Island Concerts Ltd",
        "No refunds. Doors open at 18:30.",
    ):
        assert said in text


@pytest.mark.parametrize("case", ["markup", "long-title", "long-address"])
def test_print_of_odd_text_has_it_word_for_word(printer: WeasyTicketPrinter, case: str) -> None:
    face = ODD_FACES[case]
    text = text_of(only(printer, face))
    for field in (face.event_title, face.venue_address, face.holder_name):
        assert " ".join(field.split()) in text


def test_print_of_overlong_words_has_every_letter_within_the_page(printer: WeasyTicketPrinter) -> None:
    pdf = only(printer, ODD_FACES["one-long-word"])
    assert text_of(pdf).count("M") >= 301
    assert all(word.box.left > 15 * MM and word.box.right < 195 * MM for word in words_on(pdf))


def test_print_of_text_with_controls_shows_the_rest(printer: WeasyTicketPrinter) -> None:
    text = text_of(only(printer, ODD_FACES["controls"]))
    assert "Summer Festival" in text
    assert "Ada\ufffd" in text


@pytest.mark.parametrize("title", ["🎉 Party 👨‍👩‍👧‍👦 🥳", "مسيقى الليل", "מסיבת קיץ 2026", "夏祭り"])
def test_print_of_other_scripts_is_one_page_and_keeps_the_title(printer: WeasyTicketPrinter, title: str) -> None:
    pdf = only(printer, replace(FACE, event_title=title, holder_name=title, venue_address=title))
    assert page_count(pdf) == 1
    assert codes_on(pdf) == [FACE.qr_data]
    metadata = pypdf.PdfReader(io.BytesIO(pdf)).metadata
    assert metadata is not None
    assert metadata.title == f"Ticket 1 of 3 for {title}"


def test_print_of_right_to_left_title_starts_at_the_right(printer: WeasyTicketPrinter) -> None:
    words = words_on(only(printer, replace(FACE, event_title="מסיבה")))
    (title,) = (word for word in words if "\u05d0" <= word.text[0] <= "\u05ea")
    assert title.box.left > 105 * MM


def test_print_of_more_text_than_a_page_holds_is_cut_to_one_page_and_told() -> None:
    endless = "W" * 20_000
    face = replace(
        FACE,
        event_title=endless,
        venue_name=endless,
        venue_address="line\n" * 5000,
        organiser_name=endless,
        holder_name=endless,
    )
    wordy = WeasyTicketPrinter(terms="Terms and conditions apply. " * 3000)
    with capture_logs() as logs:
        pdf = only(wordy, face)
    assert page_count(pdf) == 1
    assert codes_on(pdf) == [FACE.qr_data]
    assert [(log["event"], log["order"]) for log in logs if log["log_level"] == "warning"] == [
        ("ticket_text_cut", FACE.order_number)
    ]


def test_print_of_code_is_large_and_has_its_quiet_zone(printer: WeasyTicketPrinter) -> None:
    shortest = replace(FACE, qr_data="P|N|1|a@b.c|0")
    for face in (shortest, FACE, ODD_FACES["longest-code"]):
        pdf = only(printer, face)
        (code,) = zxingcpp.read_barcodes(picture_of(pdf, dpi=300))
        corner, width = code.position.top_left.x, code.position.top_right.x - code.position.top_left.x
        (picture,) = pictures_on(pdf)
        assert width / 300 * 25.4 >= 45
        assert corner / 300 * 72 - picture.left >= 3 * MM
        assert not [word.text for word in words_on(pdf) if word.box.meets(picture)]


def test_print_of_code_asks_viewers_not_to_blur_it(printer: WeasyTicketPrinter) -> None:
    page: Any = pypdf.PdfReader(io.BytesIO(only(printer, FACE))).pages[0]
    (picture,) = page["/Resources"]["/XObject"].values()
    assert picture.get_object()["/Interpolate"] == pypdf.generic.BooleanObject(value=False)


def test_print_of_ticket_number_is_in_a_monospaced_typeface(printer: WeasyTicketPrinter) -> None:
    fonts = {run.text.strip(): run.font for run in runs_on(only(printer, FACE))}
    assert "Mono" in fonts[FACE.ticket_number]
    assert "Mono" in fonts[f"Order {FACE.order_number}"]
    assert "Mono" not in fonts[FACE.holder_name]


def test_print_for_screen_readers_is_tagged_titled_and_has_a_language() -> None:
    pdf = only(WeasyTicketPrinter(language="en-GB"), FACE)
    catalog: Any = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    assert catalog["/Lang"] == "en-GB"
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    assert b'pdfuaid:part="1"' in catalog["/Metadata"].get_data()
    tags = list(_tags(catalog["/StructTreeRoot"]))
    assert {"/H1", "/P", "/Figure"} <= {tag.get("/S") for tag in tags}
    assert [tag["/Alt"] for tag in tags if tag.get("/S") == "/Figure"] == [f"QR code of ticket {FACE.ticket_number}"]


def _tags(node: Any) -> Iterator[Any]:
    """Yield the tag and all below it. A tag's children are a list of tags and of numbers on the page."""
    yield node
    children = node.get("/K", [])
    for child in children if isinstance(children, list) else [children]:
        if isinstance(child.get_object(), dict):
            yield from _tags(child.get_object())


def test_print_of_single_ticket_does_not_count() -> None:
    pdf = only(WeasyTicketPrinter(), replace(FACE, places=1))
    assert f"Ticket for {FACE.holder_name}" in text_of(pdf)
    metadata = pypdf.PdfReader(io.BytesIO(pdf)).metadata
    assert metadata is not None
    assert metadata.title == "Ticket for Summer Festival"


def test_print_of_ticket_without_a_price_is_free_and_without_a_name_is_for_nobody() -> None:
    text = text_of(only(WeasyTicketPrinter(), replace(FACE, price=Decimal(0), holder_name="", places=1)))
    assert "Ticket Price: free" in text


def test_print_tickets_of_many_returns_one_pdf_each_in_order(printer: WeasyTicketPrinter) -> None:
    faces = [replace(FACE, place=n, qr_data=f"P|N{n}|1|a@b.c|0") for n in (1, 2, 3)]
    tickets = printer.print_tickets(faces)
    assert [codes_on(ticket.pdf) for ticket in tickets] == [[face.qr_data] for face in faces]
    assert printer.print_tickets([]) == []


def test_print_together_of_many_has_a_page_each_in_order(printer: WeasyTicketPrinter) -> None:
    faces = [replace(FACE, place=n, qr_data=f"P|N{n}|1|a@b.c|0") for n in (1, 2, 3)]
    pdf = printer.print_together(faces)
    assert page_count(pdf) == 3
    assert [codes_on(pdf, page) for page in range(3)] == [[face.qr_data] for face in faces]


def test_print_together_with_one_overlong_face_still_has_a_page_each(printer: WeasyTicketPrinter) -> None:
    overlong = replace(FACE, venue_address="\n".join(["a line of the address"] * 40))
    pdf = printer.print_together([FACE, overlong, FACE])
    assert page_count(pdf) == 3
    assert text_of(pdf, 1).count("a line of the address") == 40


def test_print_together_of_nothing_is_refused(printer: WeasyTicketPrinter) -> None:
    with pytest.raises(PrintError, match="no ticket"):
        printer.print_together([])


# -----------------------------------------------------------------------------------------------------------------
# The same bytes
# -----------------------------------------------------------------------------------------------------------------

PRINT_AND_DIGEST = """
import hashlib, pickle, sys
from paypoll.tickets.printer import WeasyTicketPrinter
face = pickle.loads(bytes.fromhex(sys.argv[1]))
(ticket,) = WeasyTicketPrinter(site_name="Jersey Events").print_tickets([face])
print(hashlib.sha256(ticket.pdf).hexdigest())
"""


def test_print_of_same_face_in_other_processes_has_the_same_bytes() -> None:
    face = pickle.dumps(ODD_FACES["markup"]).hex()
    digests = [hashlib.sha256(only(WeasyTicketPrinter(site_name="Jersey Events"), ODD_FACES["markup"])).hexdigest()]
    for variables in ({"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8"}):
        command = [sys.executable, "-c", PRINT_AND_DIGEST, face]
        run = subprocess.run(  # noqa: S603 -- ourselves
            command, env={**os.environ, **variables}, check=True, capture_output=True, text=True
        )
        digests.append(run.stdout.strip())
    assert len(set(digests)) == 1


def test_print_after_other_tickets_has_the_same_bytes_as_alone(printer: WeasyTicketPrinter) -> None:
    others = [ODD_FACES["markup"], ODD_FACES["one-long-word"]]
    assert printer.print_tickets([*others, FACE])[-1].pdf == only(printer, FACE)


@pytest.mark.parametrize("stamping", [False, True])
def test_print_of_letters_that_no_font_has_is_the_same_whatever_was_printed_before(*, stamping: bool) -> None:
    """Those of a private use and of Cuneiform, after scripts that some font has: then Pango would draw other boxes."""
    boxed = [replace(FACE, holder_name=name) for name in ("\ue000\ue001 Bob", "\U00012000\U00012040 Ada")]
    printer = WeasyTicketPrinter(stamping=stamping)
    printer.print_tickets([replace(FACE, holder_name=name) for name in ("ひカ夏", "สมชาย", "ქართული", "Ada")])
    alone = [WeasyTicketPrinter(stamping=stamping).print_tickets([face])[0] for face in boxed]
    assert printer.print_tickets(boxed)[0].boxes
    assert [ticket.pdf for ticket in printer.print_tickets(boxed)] == [ticket.pdf for ticket in alone]
    assert printer.print_together(boxed[:1]) == WeasyTicketPrinter(stamping=stamping).print_together(boxed[:1])


def test_print_at_another_time_has_the_same_bytes_where_fonttools_cuts_the_fonts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a machine without HarfBuzz's subsetter. fontTools takes this variable for the present time."""
    monkeypatch.setattr("weasyprint.pdf.fonts.harfbuzz_subset", None)
    pdfs = []
    for now in ("1000000000", "1700000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", now)
        pdfs.append(only(WeasyTicketPrinter(), FACE))
        assert os.environ["SOURCE_DATE_EPOCH"] == now
    assert pdfs[0] == pdfs[1]


# -----------------------------------------------------------------------------------------------------------------
# Templates of the operator
# -----------------------------------------------------------------------------------------------------------------

PAGE = '<html lang="en"><title>t</title>{% for ticket in tickets %}<article>BODY</article>{% endfor %}'


def printer_with(folder: Path, *, body: str | None = None, css: str | None = None) -> WeasyTicketPrinter:
    if body is not None:
        (folder / "ticket.html").write_text(PAGE.replace("BODY", body))
    if css is not None:
        (folder / "ticket.css").write_text(css)
    return WeasyTicketPrinter(template_folder=folder)


def test_print_with_template_folder_takes_its_template_and_our_styles(tmp_path: Path) -> None:
    pdf = only(printer_with(tmp_path, body="<p>Our own: {{ ticket.starts.strftime('%d.%m.%Y') }}"), FACE)
    assert "Our own: 05.12.2026" in text_of(pdf)
    assert page_count(pdf) == 1


def test_print_with_template_folder_takes_its_styles_and_our_template(tmp_path: Path) -> None:
    pdf = only(
        printer_with(tmp_path, css="@page { size: 148mm 210mm } body { font-size: 6pt } img { width: 60mm }"), FACE
    )
    (page,) = pypdf.PdfReader(io.BytesIO(pdf)).pages
    assert round(page.mediabox.width / MM) == 148
    assert "Summer Festival" in text_of(pdf)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ tickt }}", "ticket.html, line 1: UndefinedError: 'tickt' is undefined"),
        ("\n\n{% if %}", "ticket.html, line 3: TemplateSyntaxError"),
        ("\n{{ 1 // 0 }}", "ticket.html, line 2: ZeroDivisionError"),
        ("{{ ticket.place + 'x' }}", "ticket.html, line 1: TypeError"),
        ("{{ ticket.starts.strftime(7) }}", "TypeError"),
        ("{% include 'gone.html' %}", "the template gone.html is missing"),
        ("<p style='break-after: page'>a</p><p>b</p>", "ticket.html does not keep a ticket on one page"),
    ],
)
def test_print_with_broken_template_fails_and_says_where(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(PrintError, match=re.escape(said)) as failure:
        printer_with(tmp_path, body=body).print_tickets([FACE])
    assert FACE.order_number in str(failure.value)
    assert FACE.ticket_number not in str(failure.value)


def test_print_together_with_template_that_puts_two_on_a_page_fails(tmp_path: Path) -> None:
    with pytest.raises(PrintError, match="2 tickets take 1 pages instead of one each"):
        printer_with(tmp_path, body="<p>small", css="").print_together([FACE, FACE])


def test_print_with_template_that_is_no_text_fails(tmp_path: Path) -> None:
    (tmp_path / "ticket.html").write_bytes(b"<p>\n\xff\xfe\x00")
    with pytest.raises(PrintError, match=r"ticket\.html, line 2: .*this is not UTF-8 text"):
        WeasyTicketPrinter(template_folder=tmp_path).print_tickets([FACE])


@pytest.fixture
def web_server() -> Iterator[socket.socket]:
    """A port that takes connections and answers none; `accept` tells without waiting whether one came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize(
    ("body", "css"),
    [
        ('<img alt="x" src="URL">', None),
        ('<link rel="stylesheet" href="URL">', None),
        ('<link rel="attachment" href="URL">', None),
        ('<object data="URL">x</object>', None),
        ('<p style="background: url(URL)">x', None),
        ('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="URL"/></svg>', None),
        ('<img alt="x" src="data:image/svg+xml;base64,SVG">', None),
        (None, "@import url(URL);"),
        (None, "@font-face { font-family: x; src: url(URL) } p { font-family: x }"),
        (None, "body { background: url(URL) }"),
        (None, "@page { background: url(URL) }"),
    ],
)
@pytest.mark.parametrize("address", ["http", "file", "relative", "protocol-relative"])
def test_print_with_url_in_template_fails_and_fetches_nothing(
    tmp_path: Path, web_server: socket.socket, body: str | None, css: str | None, address: str
) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    port = web_server.getsockname()[1]
    url = {
        "http": f"http://127.0.0.1:{port}/picture.png",
        "file": (tmp_path / "picture.png").as_uri(),
        "relative": "picture.png",
        "protocol-relative": f"//127.0.0.1:{port}/picture.png",
    }[address]
    svg = b64encode(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{url}"/></svg>'.encode()
    )
    printer = printer_with(
        tmp_path,
        body=body and body.replace("URL", url).replace("SVG", svg.decode()),
        css=css and css.replace("URL", url),
    )
    with pytest.raises(PrintError, match="data: URIs only"):
        printer.print_tickets([FACE])
    with pytest.raises(BlockingIOError):
        web_server.accept()


def test_print_after_a_refused_url_prints_a_ticket_without_one(tmp_path: Path) -> None:
    printer = printer_with(tmp_path, body='{% if ticket.place == 1 %}<img alt="x" src="http://[::1]:1/">{% endif %}ok')
    with pytest.raises(PrintError):
        printer.print_tickets([FACE])
    assert "ok" in text_of(only(printer, replace(FACE, place=2)))


def test_print_with_broken_data_uri_fails_without_showing_it(tmp_path: Path) -> None:
    printer = printer_with(tmp_path, body='<img alt="x" src="data:{{ ticket.ticket_number }}">')
    with pytest.raises(PrintError) as failure:
        printer.print_tickets([FACE])
    assert FACE.ticket_number not in str(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_print_of_code_that_no_qr_code_can_hold_fails_without_showing_it(printer: WeasyTicketPrinter) -> None:
    with pytest.raises(PrintError, match="QR code") as failure:
        printer.print_tickets([replace(FACE, qr_data=FACE.qr_data + "x" * 3000)])
    assert FACE.ticket_number not in str(failure.value)


# -----------------------------------------------------------------------------------------------------------------
# Logs
# -----------------------------------------------------------------------------------------------------------------


class Heard(logging.Handler):
    """Keeps what reaches it, as an operator's log would."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def root_log() -> Iterator[Heard]:
    """What reaches the root logger. pytest's caplog hears loggers that do not propagate, too."""
    heard = Heard()
    logging.getLogger().addHandler(heard)
    yield heard
    logging.getLogger().removeHandler(heard)


def test_print_that_makes_the_libraries_warn_says_so_in_our_debug_log_alone(tmp_path: Path, root_log: Heard) -> None:
    printer = printer_with(
        tmp_path,
        body='<img alt="x" src="data:text/plain,{{ ticket.ticket_number }}">',
        css="p { no-such-property: 1 }",
    )
    with capture_logs() as logs:
        printer.print_tickets([FACE])
    assert root_log.records == []
    assert {log["log_level"] for log in logs} == {"debug"}
    messages = [log["message"] for log in logs]
    assert any("no-such-property" in message for message in messages)
    assert any("data:…" in message for message in messages)
    assert FACE.ticket_number not in str(logs)


def test_import_of_printer_leaves_the_loggers_of_others_alone() -> None:
    script = (
        "import logging; import paypoll.tickets.printer; root = logging.getLogger();"
        "print(root.handlers, root.level, [type(h).__name__ for h in logging.getLogger('weasyprint').handlers])"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout.strip() == "[] 30 ['NullHandler']"
