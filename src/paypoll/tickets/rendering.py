"""Filling the ticket template and having WeasyPrint lay it out.

Import it only where tickets are printed: WeasyPrint takes long to load.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import jinja2
import weasyprint
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from paypoll.templates import TemplateLoader
from paypoll.tickets.look import TicketLook, accent_rules, logo_uri
from paypoll.tickets.sheet import Sheet, direction, printable

TEMPLATE = "ticket.html"
_STYLES = "ticket.css"

# Relative URLs are joined to this and come out relative, so that the fetcher refuses them as it refuses all others.
# Without a base WeasyPrint would leave the picture out and say so in its log alone.
_NO_BASE = "data:,"


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


class _Typesetting:
    """Fonts as they are looked up, and the styles, parsed once for all tickets that are laid out with these."""

    def __init__(self, sources: Sequence[str], fetcher: _DataFetcher) -> None:
        self.fonts = FontConfiguration()
        self.styles = [
            weasyprint.CSS(string=source, base_url=_NO_BASE, url_fetcher=fetcher, font_config=self.fonts)
            for source in sources
        ]


class Renderer:
    """Makes pages of sheets. Files are read and fonts looked up at the first one.

    A file `ticket.html` or `ticket.css` in `template_folder` takes the place of ours. `language` is the BCP 47 tag of
    the tickets' texts.
    """

    def __init__(
        self, *, template_folder: Path | None = None, language: str = "en", site_name: str = "", look: TicketLook
    ) -> None:
        self._template_folder = template_folder
        self._language = language
        self._site_name = " ".join(printable(site_name))
        self._look = look
        self._fetcher = _DataFetcher()
        self._new: _Typesetting | None = None

    def begin(self) -> None:
        """Forget what was refused before."""
        self._fetcher.refused = ""

    def require_nothing_refused(self) -> None:
        """Raise FatalURLFetchingError when a URL was refused since `begin`, and WeasyPrint went on without it."""
        if self._fetcher.refused:
            raise FatalURLFetchingError(f'Error fetching "{self._fetcher.refused}"')

    def get_ready(self) -> None:
        """Do what is done once for all pages. Raise whatever is wrong with the templates."""
        self._template  # noqa: B018 -- each is kept once it was asked for
        self._usual  # noqa: B018

    def fill(self, sheets: Sequence[Sheet]) -> str:
        """Return the template filled for these tickets."""
        return self._template.render(
            tickets=sheets,
            title=title_of(sheets),
            language=self._language,
            site_name=self._site_name,
            **self._looks,
        )

    def parse(self, html: str) -> weasyprint.HTML:
        """Return the page that a filled template is."""
        return weasyprint.HTML(string=html, base_url=_NO_BASE, url_fetcher=self._fetcher)

    def lay_out(self, page: weasyprint.HTML) -> weasyprint.Document:
        """Return the page laid out."""
        typesetting = self._new or self._usual
        return page.render(stylesheets=typesetting.styles, font_config=typesetting.fonts)

    @contextmanager
    def afresh(self) -> Iterator[None]:
        """Lay out as for the first ticket: what stands for a letter without a font hangs on the fonts used before."""
        self._new = _Typesetting(self.style_sources, self._fetcher)
        try:
            yield
        finally:
            self._new = None

    @cached_property
    def style_sources(self) -> Sequence[str]:
        """The site's colour, and the style sheet, which has the last word."""
        source, _, _ = self._loader.get_source(self._environment, _STYLES)
        return [accent_rules(self._look.accent), source]

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
        return self._environment.get_template(TEMPLATE)

    @cached_property
    def _usual(self) -> _Typesetting:
        return _Typesetting(self.style_sources, self._fetcher)


def title_of(sheets: Sequence[Sheet]) -> str:
    """Return the document's title, which PDF/UA wants: what a reader's window or a screen reader calls it."""
    first = sheets[0]
    if len(sheets) > 1:
        return f"{len(sheets)} tickets for {first.event_title}"
    count = f" {first.place} of {first.places}" if first.places > 1 else ""
    return f"Ticket{count} for {first.event_title}"
