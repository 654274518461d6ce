"""The ticket printer: Jinja2 writes a page of HTML, WeasyPrint makes a PDF of it.

Import it only where tickets are printed: WeasyPrint takes long to load.
"""

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path

import jinja2
import structlog
import weasyprint
from weasyprint.text.ffi import harfbuzz_subset
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from paypoll.templates import TemplateLoader
from paypoll.tickets.look import LogoError, TicketLook, accent_rules, logo_uri
from paypoll.tickets.scripts import missing_in, packages_for, scripts_of
from paypoll.tickets.sheet import Fit, Sheet, direction, first_fit, lay_out, printable
from paypoll.tickets.ticket import PrintError, TicketFace

_log = structlog.get_logger(__name__)

_TEMPLATE = "ticket.html"
_STYLES = "ticket.css"

# Relative URLs are joined to this and come out relative, so that the fetcher refuses them as it refuses all others.
# Without a base WeasyPrint would leave the picture out and say so in its log alone.
_NO_BASE = "data:,"

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


class _DataFetcher(URLFetcher):  # type: ignore[misc]  # WeasyPrint has no types
    """Loads data: URIs and nothing else: no file, no host.

    A refusal ends the printing, because the error is fatal to WeasyPrint; but inside an SVG picture it catches even
    those, and prints the ticket without the picture. So the last refusal is remembered.
    """

    def __init__(self) -> None:
        super().__init__(allow_redirects=False, fail_on_errors=True)
        self.refused = ""

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the content of a data: URI. Raise ValueError for any other URL."""
        if not url.startswith("data:"):
            self.refused = url
            raise ValueError("not a data: URI")
        return super().fetch(url, headers)


class WeasyTicketPrinter:
    """Prints tickets on A4, one a page, tagged after PDF/UA-1. The same face gives the same bytes.

    A file `ticket.html` or `ticket.css` in `template_folder` takes the place of ours. `language` is the BCP 47 tag of
    the tickets' texts. Files are read and fonts looked up at the first ticket. Not for several threads at once.
    """

    def __init__(
        self,
        *,
        template_folder: Path | None = None,
        language: str = "en",
        site_name: str = "",
        terms: str = "",
        look: TicketLook | None = None,
    ) -> None:
        self._template_folder = template_folder
        self._language = language
        self._site_name = " ".join(printable(site_name))
        self._terms = terms
        self._look = look or TicketLook()
        self._fetcher = _DataFetcher()

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Print nothing ahead: this process is the one that will ask."""

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[bytes]:
        """Return one PDF a face, in the same order. Raise PrintError when one cannot be made."""
        return self._print(faces, self._documents) if faces else []

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return one PDF with a page a face. Raise PrintError when it cannot be made, as for no face at all."""
        if not faces:
            raise PrintError("there is no ticket to print")
        (pdf,) = self._print(faces, lambda faces: [self._one_page_each(faces)])
        return pdf

    def _print(
        self, faces: Sequence[TicketFace], documents: Callable[[Sequence[TicketFace]], list[weasyprint.Document]]
    ) -> list[bytes]:
        _quieten_libraries()
        self._fetcher.refused = ""
        _no_glyph.clear()
        try:
            with _unchanging_fonts():
                pdfs = [bytes(document.write_pdf(pdf_variant="pdf/ua-1")) for document in documents(faces)]
            if self._fetcher.refused:
                raise FatalURLFetchingError(f'Error fetching "{self._fetcher.refused}"')
        except _FAILURES as error:
            orders = ", ".join(dict.fromkeys(face.order_number for face in faces))
            # The cause is left out of the chain: its text may hold a data URI with the ticket's code.
            raise PrintError(f"the tickets of order {orders} could not be printed: {_describe(error)}") from None
        if _no_glyph:
            scripts = scripts_of(_no_glyph)
            install = f"apt-get install {packages_for(scripts)}"
            order = ", ".join(dict.fromkeys(face.order_number for face in faces))
            _log.warning("ticket_shows_boxes", scripts=", ".join(scripts), next_step=install, order=order)
        return pdfs

    def _documents(self, faces: Sequence[TicketFace]) -> list[weasyprint.Document]:
        """Return a document for each face.

        Laid out together and taken apart page by page, which takes a quarter less time than one after the other, and
        gives the same bytes.
        """
        if len(faces) == 1 or not all(first_fit(face) is Fit.NORMAL for face in faces):
            return [self._one_page_each([face]) for face in faces]
        sheets = [lay_out(face, self._terms, Fit.NORMAL) for face in faces]
        laid_out = self._render(sheets)
        if len(laid_out.pages) != len(faces):
            return [self._one_page_each([face]) for face in faces]
        return [_alone(page, _title([sheet]), laid_out) for page, sheet in zip(laid_out.pages, sheets, strict=True)]

    def _one_page_each(self, faces: Sequence[TicketFace]) -> weasyprint.Document:
        """Return the faces laid out, each as large as one page allows."""
        if all(first_fit(face) is Fit.NORMAL for face in faces):
            document = self._render([lay_out(face, self._terms, Fit.NORMAL) for face in faces])
            if len(document.pages) == len(faces):
                return document
        document = self._render([self._largest_fit(face) for face in faces])
        if len(document.pages) != len(faces):
            raise ValueError(f"{len(faces)} tickets take {len(document.pages)} pages instead of one each")
        return document

    def _largest_fit(self, face: TicketFace) -> Sheet:
        for fit in list(Fit)[first_fit(face) :]:
            sheet = lay_out(face, self._terms, fit)
            if len(self._render([sheet]).pages) == 1:
                if fit is Fit.CUT:
                    _log.warning("ticket_text_cut", order=face.order_number)
                return sheet
        raise ValueError(f"{_TEMPLATE} does not keep a ticket on one page, even in the smallest print")

    def _render(self, sheets: Sequence[Sheet]) -> weasyprint.Document:
        html = self._template.render(
            tickets=sheets,
            title=_title(sheets),
            language=self._language,
            site_name=self._site_name,
            **self._looks,
        )
        page = weasyprint.HTML(string=html, base_url=_NO_BASE, url_fetcher=self._fetcher)
        return page.render(stylesheets=self._styles, font_config=self._fonts)

    @cached_property
    def _looks(self) -> dict[str, str]:
        """What the template is told of the site's looks. Raise LogoError when the logo cannot be used."""
        look = self._look
        return {
            "logo": logo_uri(look.logo) if look.logo else "",
            "entrance_hint": "\n".join(printable(look.entrance_hint)),
            "what_to_bring": "\n".join(printable(look.what_to_bring)),
        }

    @cached_property
    def _loader(self) -> jinja2.BaseLoader:
        ours = jinja2.PackageLoader("paypoll.tickets", "templates")
        if self._template_folder is None:
            return ours
        return jinja2.ChoiceLoader([TemplateLoader(self._template_folder), ours])

    @cached_property
    def _environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=self._loader, autoescape=True, undefined=jinja2.StrictUndefined, auto_reload=False
        )
        environment.filters["direction"] = direction
        return environment

    @cached_property
    def _template(self) -> jinja2.Template:
        return self._environment.get_template(_TEMPLATE)

    @cached_property
    def _fonts(self) -> FontConfiguration:
        return FontConfiguration()

    @cached_property
    def _styles(self) -> list[weasyprint.CSS]:
        """The site's colour, then the style sheet, which takes precedence; parsed once for all tickets."""
        source, _, _ = self._loader.get_source(self._environment, _STYLES)
        return [self._parsed(accent_rules(self._look.accent)), self._parsed(source)]

    def _parsed(self, styles: str) -> weasyprint.CSS:
        return weasyprint.CSS(string=styles, base_url=_NO_BASE, url_fetcher=self._fetcher, font_config=self._fonts)


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


def _title(sheets: Sequence[Sheet]) -> str:
    """Return the document's title, which PDF/UA wants: what a reader's window or a screen reader calls it."""
    first = sheets[0]
    if len(sheets) > 1:
        return f"{len(sheets)} tickets for {first.event_title}"
    count = f" {first.place} of {first.places}" if first.places > 1 else ""
    return f"Ticket{count} for {first.event_title}"


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
        return f"{error.name or _TEMPLATE}, line {error.lineno}: "
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


class _ToDebug(logging.Handler):
    """Logs a library's warnings as our own debug events: fonts and styles do not concern the operator."""

    def emit(self, record: logging.LogRecord) -> None:
        message = _DATA_URI.sub("data:…", record.getMessage())
        _no_glyph.update(missing_in(message))
        _log.debug("ticket_library_message", library=record.name, message=message[:_LONGEST_MESSAGE])


def _quieten_libraries() -> None:
    """Send the log messages of WeasyPrint and fontTools to our debug log, and nowhere else."""
    for name in ("weasyprint", "fontTools"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _ToDebug) for handler in logger.handlers):
            logger.addHandler(_ToDebug())
            logger.setLevel(logging.WARNING)
            logger.propagate = False
