"""The printer: its libraries, its fonts and its templates, tried on a made-up ticket."""

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from datetime import date

import sqlalchemy as sa

from paypoll.admin.check.result import CheckResult, advice, fine, skipped, wrong
from paypoll.database import transaction
from paypoll.settings.model import Settings, TicketSettings
from paypoll.shop.tables import events
from paypoll.tickets.libraries import loaded_lightly
from paypoll.tickets.sample import sample_faces
from paypoll.tickets.scripts import packages_for, scripts_of
from paypoll.tickets.ticket import PrintedTicket, PrinterMissingError, PrintError, TicketPrinter

_LIBRARIES = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
_MOST_EVENTS = 1000
_SUBSET = "apt-get install libharfbuzz-subset0"
_FAST = "docs/templates.md says what a template may do to be printed fast"
_PINNED = "install WeasyPrint in the version of constraints.txt"
# `ABCDEF+DejaVu-Sans`: six letters for the part of the font that is embedded.
_FONT_NAME = re.compile(rb"/FontName\s*/(?:[A-Z]{6}\+)?([A-Za-z0-9_.-]+)")

_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)


def check_printing(printer: TicketPrinter, settings: Settings) -> Iterator[CheckResult]:
    """Print a few tickets. Libraries that are missing show when they are loaded, templates when they are filled."""
    try:
        # One by one, as orders come: of the operator's own templates the second is printed both ways, to compare.
        ticket, *_, last = [printer.print_tickets([face])[0] for face in sample_faces(settings)]
    except PrinterMissingError as error:
        yield wrong("ticket printer", str(error), _LIBRARIES)
        return
    except PrintError as error:
        folder = settings.tickets.template_folder
        yield wrong("ticket printer", str(error), f"correct the template in {folder}" if folder else _LIBRARIES)
        return
    yield fine("ticket printer", f"a sample ticket has {len(ticket.pdf) / 1024:.0f} kB")
    yield _stamping(settings.tickets, last)
    yield from _fonts(ticket.pdf)
    yield check_scripts()
    yield from _subsetter()


def _stamping(settings: TicketSettings, last: PrintedTicket) -> CheckResult:
    """Say whether tickets are made from earlier ones, which takes a fifth of the time."""
    if not settings.stamping:
        return fine("stamping", "off, so that every ticket is printed in full (tickets.stamping)")
    if last.stamped:
        return fine("stamping", "a sample ticket was made from an earlier one, in a fifth of the time")
    if settings.template_folder is not None:
        return advice(
            "stamping", "tickets of this template are all printed in full, which takes five times as long", _FAST
        )
    return advice("stamping", "tickets are all printed in full, which takes five times as long", _PINNED)


def _fonts(pdf: bytes) -> Iterator[CheckResult]:
    names = sorted({name.decode() for part in (pdf, *_unpacked(pdf)) for name in _FONT_NAME.findall(part)})
    if names:
        yield fine("fonts", f"the sample ticket uses {', '.join(names)}")
    else:
        yield wrong("fonts", "the sample ticket has none: its text cannot be read", "apt-get install fonts-dejavu-core")


def check_scripts() -> CheckResult:
    """Say which scripts have no font here, and which packages have them."""
    with loaded_lightly():
        from paypoll.tickets.fonts import missing_scripts

    missing = missing_scripts()
    if not missing:
        return fine("scripts", "names in Latin, Greek, Cyrillic, Hebrew, Arabic, Chinese, Japanese, Korean, and emoji")
    text = f"there are no fonts for {', '.join(missing)}: such names would be boxes on tickets"
    return advice("scripts", text, f"apt-get install {packages_for(missing)}")


def check_event_scripts(engine: sa.Engine, today: date) -> Iterator[CheckResult]:
    """Say whether all letters of the events on sale can be printed, whatever their script."""
    with transaction(engine) as connection:
        on_sale = sa.and_(events.c.status == "published", events.c.event_date >= today)
        columns = (events.c.title, events.c.venue_name, events.c.venue_address)
        rows = connection.execute(sa.select(*columns).where(on_sale).order_by(events.c.event_date).limit(_MOST_EVENTS))
        letters = {character for row in rows for text in row for character in text if character.isprintable()}
    try:
        # WeasyPrint prints advice of its own to standard output, where a machine reads JSON.
        with loaded_lightly(), redirect_stdout(io.StringIO()):
            from paypoll.tickets.fonts import missing_letters
    except OSError:
        # A library is missing, which the check of the printer has named.
        yield skipped("events' scripts", "it needs the ticket printer, see above")
        return
    missing = scripts_of(missing_letters(sorted(letters)))
    if missing:
        text = f"events on sale have names in {', '.join(missing)}: their tickets would show boxes"
        yield advice("events' scripts", text, f"apt-get install {packages_for(missing)}")
    else:
        yield fine("events' scripts", "there is a font for every letter of the events on sale")


def _unpacked(pdf: bytes) -> Iterator[bytes]:
    """Return what the PDF's compressed streams hold: the objects that name its fonts are in one of them."""
    for stream in _STREAM.findall(pdf):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(stream)


def _subsetter() -> Iterator[CheckResult]:
    from paypoll.tickets.printer import subsets_fonts_fast

    if subsets_fonts_fast():
        yield fine("font subsetting", "by HarfBuzz")
    else:
        yield advice("font subsetting", "libharfbuzz-subset is missing: tickets take several times as long", _SUBSET)
