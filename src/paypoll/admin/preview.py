"""Write a sample of all that people get, a ticket and every mail, from the current settings and templates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from paypoll.errors import CannotWriteError
from paypoll.mail.content.compose import Attachment, Composer
from paypoll.mail.content.contexts import AlertContext, ConfirmationContext, MailContext
from paypoll.mail.content.organiser_contexts import DigestContext, ListingContext
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.samples import SAMPLES, SUMMARY
from paypoll.mail.packing import CALENDAR_NAME, CALENDAR_PARAMETERS
from paypoll.settings.model import Settings
from paypoll.state.outbox import WITH_TICKETS
from paypoll.templates import missing_folders
from paypoll.tickets.sample import sample_face
from paypoll.tickets.ticket import PrintError, TicketPrinter


@dataclass(frozen=True, slots=True)
class Preview:
    """What was written, and a sentence for each thing that could not be made: it names file and line."""

    files: tuple[Path, ...]
    problems: tuple[str, ...]


def write_preview(
    folder: Path, settings: Settings, printer: TicketPrinter, composer: Composer, now: datetime
) -> Preview:
    """Write ticket.pdf, tickets.ics and, of each mail, .html, .txt and .eml into the folder; make it where needed.

    Needs neither database nor network. What is broken does not keep the rest from being written. Raise CannotWriteError
    when the folder cannot be written to.
    """
    files: list[Path] = []
    problems = missing_folders(settings)

    def write(name: str, content: bytes) -> None:
        path = folder / name
        path.write_bytes(content)
        files.append(path)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        attachments = [*_ticket(settings, printer, problems), *_calendar(settings, now)]
        for attachment in attachments:
            write(attachment.filename, attachment.content)
        for name, message in _mails(settings, composer, now, attachments, problems):
            write(f"{name}.html", _body(message, "html"))
            write(f"{name}.txt", _body(message, "plain"))
            write(f"{name}.eml", message.as_bytes(policy=SMTP))
    except OSError as error:
        raise CannotWriteError(
            f"{error.filename or folder} cannot be written: {(error.strerror or '').lower()}"
        ) from error
    # The same broken layout breaks several kinds.
    return Preview(tuple(files), tuple(dict.fromkeys(problems)))


def _ticket(settings: Settings, printer: TicketPrinter, problems: list[str]) -> Iterator[Attachment]:
    try:
        (ticket,) = printer.print_tickets([sample_face(settings)])
    except PrintError as error:
        problems.append(str(error))
        return
    yield Attachment("ticket.pdf", "application/pdf", ticket.pdf)


def _calendar(settings: Settings, now: datetime) -> Iterator[Attachment]:
    from paypoll.mail.content.calendar import CalendarSite, calendar_file

    confirmation = _at_home(settings, SAMPLES["confirmation"])
    if isinstance(confirmation, ConfirmationContext):
        file = calendar_file(confirmation, CalendarSite.of(settings.site, settings.mail.domain), now)
        if file is not None:
            yield Attachment(CALENDAR_NAME, "text/calendar", file, CALENDAR_PARAMETERS)


def _mails(
    settings: Settings, composer: Composer, now: datetime, tickets: list[Attachment], problems: list[str]
) -> Iterator[tuple[str, EmailMessage]]:
    samples = [(kind, kind, context) for kind, context in SAMPLES.items()]
    for name, kind, context in [*samples, ("summary", "alert", SUMMARY)]:
        try:
            yield (
                name,
                composer.compose(
                    kind,
                    _at_home(settings, context).to_json(),
                    message_id=f"<preview-{name}@{settings.mail.domain}>",
                    date=now,
                    to=["ada@example.org"],
                    attachments=tickets if kind in WITH_TICKETS else (),
                ),
            )
        except ComposeError as error:
            problems.append(str(error))


def _at_home(settings: Settings, context: MailContext) -> MailContext:
    """Return the sample in the site's currency, without the event that only a test of templates needs."""
    if isinstance(context, AlertContext):
        return context
    if isinstance(context, ListingContext | DigestContext):
        return replace(context, currency=settings.site.currency)
    line = context.lines[0]
    return replace(context, currency=settings.site.currency, lines=(line,), total=line.price * line.quantity)


def _body(message: EmailMessage, kind: str) -> bytes:
    part = message.get_body((kind,))
    text: str = part.get_content() if part is not None else ""
    return text.encode()
