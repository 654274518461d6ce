"""The ticket printer: Jinja2 writes a page of HTML, WeasyPrint makes a PDF of it.

Import it only where tickets are printed: WeasyPrint takes long to load.
"""

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import jinja2
import weasyprint
from weasyprint.text.ffi import harfbuzz_subset
from weasyprint.urls import FatalURLFetchingError

from paypoll.tickets.events import say
from paypoll.tickets.look import LogoError, TicketLook
from paypoll.tickets.qr import qr_png
from paypoll.tickets.rendering import TEMPLATE, Renderer, title_of
from paypoll.tickets.scripts import missing_in, packages_for, scripts_of
from paypoll.tickets.sheet import Fit, Sheet, first_fit, lay_out
from paypoll.tickets.stamping.difference import FilledTemplate
from paypoll.tickets.stamping.master import VARIANT
from paypoll.tickets.stamping.stamper import Stamper
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace

_Made = TypeVar("_Made")

# A template is a program of the operator's and may raise any of these; so may WeasyPrint on its output.
# Refused URLs come as a BaseException.
_FAILURES = (
    jinja2.TemplateError,
    FatalURLFetchingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,  # what Pillow raises for a broken picture
    TypeError,
    ValueError,
)

# Such URIs carry the ticket's code.
_DATA_URI = re.compile(r"data:[^\s\"')]*")
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class _Coded:
    """A face, and the picture of its code."""

    face: TicketFace
    qr_png: bytes


class WeasyTicketPrinter:
    """Prints tickets on A4, one a page, tagged after PDF/UA-1. The same face gives the same bytes.

    A file `ticket.html` or `ticket.css` in `template_folder` takes the place of ours. `language` is the BCP 47 tag of
    the tickets' texts. With `stamping`, a ticket that looks like one before it is made from that one, which takes a
    seventh of the time and gives the same bytes. Files are read and fonts looked up at the first ticket. Not for
    several threads at once.
    """

    def __init__(
        self,
        *,
        template_folder: Path | None = None,
        language: str = "en",
        site_name: str = "",
        terms: str = "",
        look: TicketLook | None = None,
        stamping: bool = True,
    ) -> None:
        self._renderer = Renderer(
            template_folder=template_folder, language=language, site_name=site_name, look=look or TicketLook()
        )
        self._terms = terms
        self._stamping = stamping
        self._has_own_templates = template_folder is not None

    def get_ready(self) -> None:
        """Read the templates and look up the fonts. What is wrong with them is told with the first ticket."""
        with suppress(*_FAILURES):
            self._renderer.get_ready()

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Print nothing ahead: this process is the one that will ask."""

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        """Return one ticket a face, in the same order. Raise PrintError when one cannot be made."""
        printed = self._guarded(self._tickets, faces) if faces else []
        if not faces or not _no_glyph:
            return printed
        boxes = "".join(sorted(_no_glyph))
        _tell_of_boxes(faces)
        return [replace(self._guarded(self._afresh, [face]), boxes=boxes) for face in faces]

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return one PDF with a page a face. Raise PrintError when it cannot be made, as for no face at all."""
        if not faces:
            raise PrintError("there is no ticket to print")
        printed = self._guarded(self._together, faces)
        if not _no_glyph:
            return printed
        _tell_of_boxes(faces)
        with self._renderer.afresh():
            return self._guarded(self._together, faces)

    def _together(self, coded: Sequence[_Coded]) -> bytes:
        return self._written(self._one_page_each(coded))

    def _afresh(self, coded: Sequence[_Coded]) -> PrintedTicket:
        """Return a ticket with letters that no font has as it would be the first one of all."""
        with self._renderer.afresh():
            return PrintedTicket(self._together(coded), coded[0].qr_png)

    def _guarded(self, make: Callable[[Sequence[_Coded]], _Made], faces: Sequence[TicketFace]) -> _Made:
        """Return what is made of the faces. Raise PrintError, which names the order and no secret, for any failure."""
        _quieten_libraries()
        self._renderer.begin()
        _no_glyph.clear()
        try:
            with _unchanging_fonts():
                made = make([_Coded(face, qr_png(face.qr_data)) for face in faces])
        except _FAILURES as error:
            orders = ", ".join(dict.fromkeys(face.order_number for face in faces))
            # The cause is left out of the chain: its text may hold a data URI with the ticket's code.
            raise PrintError(f"the tickets of order {orders} could not be printed: {_describe(error)}") from None
        return made

    def _tickets(self, coded: Sequence[_Coded]) -> list[PrintedTicket]:
        if self._stamping and self._stamper.is_on:
            return [self._stamped_or_in_full(one) for one in coded]
        pdfs = [self._written(document) for document in self._documents(coded)]
        return [PrintedTicket(pdf, one.qr_png) for pdf, one in zip(pdfs, coded, strict=True)]

    @cached_property
    def _stamper(self) -> Stamper:
        return Stamper("\n".join(self._renderer.style_sources), check=self._has_own_templates)

    def _stamped_or_in_full(self, one: _Coded) -> PrintedTicket:
        if first_fit(one.face) is not Fit.NORMAL:
            return PrintedTicket(self._written(self._smaller([one])), one.qr_png)
        sheet = self._sheet(one, Fit.NORMAL)
        filled = FilledTemplate(self._renderer.fill([sheet]), sheet.qr_image, one.qr_png)
        with _nothing_printed():
            stamped = self._stamper.stamp(filled)
        if stamped is not None and stamped.is_trusted:
            return PrintedTicket(stamped.pdf, one.qr_png, stamped=True)
        page = self._renderer.parse(filled.html)
        document = self._renderer.lay_out(page)
        if len(document.pages) != 1:
            return PrintedTicket(self._written(self._smaller([one])), one.qr_png)
        pdf = self._written(document)
        if stamped is None:
            self._stamper.keep(filled, page.etree_element, document, pdf)
        else:
            self._stamper.hold_against(stamped, pdf)
        return PrintedTicket(pdf, one.qr_png)

    def _written(self, document: weasyprint.Document) -> bytes:
        pdf = bytes(document.write_pdf(pdf_variant=VARIANT))
        self._renderer.require_nothing_refused()
        return pdf

    def _documents(self, coded: Sequence[_Coded]) -> list[weasyprint.Document]:
        """Return a document for each ticket.

        Laid out together and taken apart page by page, which takes a quarter less time than one after the other, and
        gives the same bytes.
        """
        if len(coded) == 1 or not all(first_fit(one.face) is Fit.NORMAL for one in coded):
            return [self._one_page_each([one]) for one in coded]
        sheets = [self._sheet(one, Fit.NORMAL) for one in coded]
        laid_out = self._render(sheets)
        if len(laid_out.pages) != len(coded):
            return [self._one_page_each([one]) for one in coded]
        return [_alone(page, title_of([sheet]), laid_out) for page, sheet in zip(laid_out.pages, sheets, strict=True)]

    def _one_page_each(self, coded: Sequence[_Coded]) -> weasyprint.Document:
        """Return the tickets laid out, each as large as one page allows."""
        if all(first_fit(one.face) is Fit.NORMAL for one in coded):
            document = self._render([self._sheet(one, Fit.NORMAL) for one in coded])
            if len(document.pages) == len(coded):
                return document
        return self._smaller(coded)

    def _smaller(self, coded: Sequence[_Coded]) -> weasyprint.Document:
        document = self._render([self._largest_fit(one) for one in coded])
        if len(document.pages) != len(coded):
            raise ValueError(f"{len(coded)} tickets take {len(document.pages)} pages instead of one each")
        return document

    def _largest_fit(self, one: _Coded) -> Sheet:
        for fit in list(Fit)[first_fit(one.face) :]:
            sheet = self._sheet(one, fit)
            if len(self._render([sheet]).pages) == 1:
                if fit is Fit.CUT:
                    say("warning", "ticket_text_cut", order=one.face.order_number)
                return sheet
        raise ValueError(f"{TEMPLATE} does not keep a ticket on one page, even in the smallest print")

    def _sheet(self, one: _Coded, fit: Fit) -> Sheet:
        return lay_out(one.face, one.qr_png, self._terms, fit)

    def _render(self, sheets: Sequence[Sheet]) -> weasyprint.Document:
        return self._renderer.lay_out(self._renderer.parse(self._renderer.fill(sheets)))


def subsets_fonts_fast() -> bool:
    """Say whether WeasyPrint found HarfBuzz's subsetter (Debian: libharfbuzz-subset0).

    Without it fontTools cuts the fonts to size, and a ticket takes several times as long.
    """
    return harfbuzz_subset is not None


def _alone(page: weasyprint.Page, title: str, laid_out: weasyprint.Document) -> weasyprint.Document:
    """Return one page of a document as a document with this title."""
    metadata = copy(laid_out.metadata)
    metadata.title = title
    # Not Document.copy(), whose result has the title of the whole.
    return weasyprint.Document(
        [page],
        metadata,
        laid_out.url_fetcher,
        laid_out.font_config,
        laid_out.color_profiles,
        laid_out.output_intent,
    )


def _describe(error: BaseException) -> str:
    """Return what went wrong and in which line of which template, in one line, without any ticket's code."""
    text = (error.message or "") if isinstance(error, jinja2.TemplateSyntaxError) else str(error)
    detail = " ".join(_DATA_URI.sub("data:…", text).split())[:_LONGEST_MESSAGE]
    if isinstance(error, FatalURLFetchingError):
        detail += " (a ticket's template and styles may load data: URIs only)"
    if isinstance(error, LogoError):
        return detail
    if isinstance(error, jinja2.TemplateNotFound):
        detail = f"the template {detail} is missing"
    line = _template_line(error)
    return f"{line}{type(error).__name__}: {detail}"


def _template_line(error: BaseException) -> str:
    """Return the innermost place in a template that the error passed through, such as `ticket.html, line 7: `."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name or TEMPLATE}, line {error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".html")]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""


@contextmanager
def _unchanging_fonts() -> Iterator[None]:
    """Keep fontTools from writing the present time into the fonts it changes, which no option of WeasyPrint does.

    It does so for variable and emoji fonts, and for all of them where HarfBuzz's subsetter is missing.
    """
    name = "SOURCE_DATE_EPOCH"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


_no_glyph: set[str] = set()
"""The letters of the tickets being printed that no font has."""


def _tell_of_boxes(faces: Sequence[TicketFace]) -> None:
    scripts = scripts_of(_no_glyph)
    install = f"apt-get install {packages_for(scripts)}"
    order = ", ".join(dict.fromkeys(face.order_number for face in faces))
    say("warning", "ticket_shows_boxes", scripts=", ".join(scripts), next_step=install, order=order)


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Take no note of letters that no font has: trying a stamp draws the texts of earlier tickets as well.

    A ticket that has such letters itself is never stamped.
    """
    before = set(_no_glyph)
    try:
        yield
    finally:
        _no_glyph.intersection_update(before)


class _ToDebug(logging.Handler):
    """Logs a library's warnings as our own debug events: fonts and styles do not concern the operator."""

    def emit(self, record: logging.LogRecord) -> None:
        message = _DATA_URI.sub("data:…", record.getMessage())
        _no_glyph.update(missing_in(message))
        say("debug", "ticket_library_message", library=record.name, message=message[:_LONGEST_MESSAGE])


def _quieten_libraries() -> None:
    """Send the log messages of WeasyPrint and fontTools to our debug log, and nowhere else."""
    for name in ("weasyprint", "fontTools"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _ToDebug) for handler in logger.handlers):
            logger.addHandler(_ToDebug())
            logger.setLevel(logging.WARNING)
            logger.propagate = False
