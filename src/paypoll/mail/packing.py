"""Make the messages of a mail: print its tickets, store their files, compose, attach."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.mail.content.compose import Attachment, Composer
from paypoll.mail.content.contexts import ConfirmationContext
from paypoll.mail.content.message_id import part_message_id
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.delivery import PackedMail
from paypoll.mail.overtaken import is_new
from paypoll.mail.print_ahead import PrintAhead, PrintedOrder
from paypoll.mail.splitting import mailed_size, plan_attachments
from paypoll.settings.model import SiteSettings
from paypoll.shop.changes import set_ticket_files
from paypoll.state.issued_tickets import IssuedTicket, load_issued_tickets
from paypoll.state.outbox import WITH_TICKETS, Mail
from paypoll.tickets.files import TicketFiles
from paypoll.tickets.ticket import PrintError, TicketPrinter

CALENDAR_NAME = "tickets.ics"
CALENDAR_PARAMETERS = (("method", "PUBLISH"), ("charset", "utf-8"))


class MailPacker:
    """Makes messages from rows. The same row gives the same tickets, however often it is packed."""

    def __init__(
        self,
        engine: sa.Engine,
        printer: TicketPrinter,
        composer: Composer,
        files: TicketFiles | None,
        site: SiteSettings,
        clock: Clock,
        size_limit: int,
        domain: str,
    ) -> None:
        self._engine = engine
        self._printer = printer
        self._print_ahead = PrintAhead(printer, files)
        self._composer = composer
        self._site = site
        self._clock = clock
        self._size_limit = size_limit
        self._domain = domain
        self._loaded: dict[int, tuple[IssuedTicket, ...]] = {}

    def expect(self, mails: Sequence[Mail]) -> None:
        """Load the tickets of these mails, which will be packed next, in one go, and have them printed ahead.

        Those of new mails are stored ahead as well: the order of an older one may be cancelled by now.
        """
        wanted = [mail.order_id for mail in mails if mail.kind in WITH_TICKETS and mail.order_id is not None]
        if not wanted:
            return
        with transaction(self._engine) as connection:
            loaded = load_issued_tickets(connection, wanted, self._site)
        self._loaded |= loaded
        now = self._clock.now()
        new = {mail.order_id for mail in mails if is_new(mail, now) and mail.order_id is not None}
        self._print_ahead.expect({order: loaded[order] for order in wanted if order in loaded}, store=new)

    def close(self) -> None:
        """Drop what was printed ahead."""
        self._print_ahead.close()

    def pack(self, mail: Mail, size_limit: int | None = None) -> PackedMail:
        """Return the mail's messages, of at most `size_limit` bytes if given, else what the settings say.

        Raise PrintError when something of it cannot be made or stored now.
        """
        limit = min(size_limit or self._size_limit, self._size_limit)
        try:
            printed = self._print(mail) if mail.kind in WITH_TICKETS else None
            if printed is not None:
                mail = replace(mail, content=_without_void(mail.content, printed.tickets))
            groups = [()] if printed is None else self._attachments(mail, printed, limit)
            messages = tuple(
                self._message(mail, attachments, part, len(groups)) for part, attachments in enumerate(groups, start=1)
            )
        except ComposeError as error:
            raise PrintError(f"the {mail.kind} mail cannot be composed: {error}") from error
        packed = PackedMail(str(messages[0]["Subject"]), messages)
        if printed is None:
            return packed
        carried = tuple(ticket.id for ticket in printed.tickets)
        return replace(packed, tickets=carried, boxes=printed.boxes, legible=printed.legible)

    def _message(self, mail: Mail, attachments: Sequence[Attachment], part: int, parts: int) -> EmailMessage:
        return self._composer.compose(
            mail.kind,
            mail.content,
            message_id=part_message_id(mail.message_id, part),
            date=self._clock.now(),
            to=mail.recipients,
            attachments=attachments,
            part=part,
            parts=parts,
        )

    def _print(self, mail: Mail) -> PrintedOrder:
        """Print the order's tickets, and store their files, where there is a media folder, and then their paths."""
        if mail.order_id is None:
            raise PrintError(f"mail {mail.id} has tickets, but no order")
        tickets = self._tickets(mail.order_id)
        if not tickets:
            raise PrintError(f"not every ticket of order {mail.order_id} is there to be printed")
        printed = self._print_ahead.make(mail.order_id, tickets)
        if printed.paths:
            with transaction(self._engine) as connection:
                set_ticket_files(connection, printed.paths)
        return printed

    def _attachments(self, mail: Mail, printed: PrintedOrder, limit: int) -> Sequence[Sequence[Attachment]]:
        """Return the order's tickets as attachments of one message or several."""
        pdfs = [ticket.pdf for ticket in printed.documents]
        calendar = self._calendar(mail)
        beside = sum(mailed_size(len(file.content)) for file in calendar)
        first, *others = self._by_message(printed.tickets, pdfs, limit, beside=beside)
        return [[*first, *calendar], *others]

    def _calendar(self, mail: Mail) -> Sequence[Attachment]:
        """Return the file that puts the order's events into a calendar, if any has a date."""
        from paypoll.mail.content.calendar import CalendarSite, calendar_file

        site = CalendarSite.of(self._site, self._domain)
        file = calendar_file(ConfirmationContext.from_json(mail.content), site, mail.created_at)
        return [] if file is None else [Attachment(CALENDAR_NAME, "text/calendar", file, CALENDAR_PARAMETERS)]

    def _tickets(self, order_id: int) -> Sequence[IssuedTicket]:
        if order_id in self._loaded:
            return self._loaded.pop(order_id)
        with transaction(self._engine) as connection:
            return load_issued_tickets(connection, [order_id], self._site).get(order_id, ())

    def _by_message(
        self, tickets: Sequence[IssuedTicket], pdfs: Sequence[bytes], limit: int, *, beside: int
    ) -> Sequence[Sequence[Attachment]]:
        """Return the tickets of each message, as `plan_attachments` lays them out.

        `beside`: the bytes in the first message that are no ticket; the others have them to spare.
        """
        faces = [ticket.face for ticket in tickets]
        printed: dict[range, bytes] = {}

        def together(group: range) -> bytes:
            if group not in printed:
                printed[group] = self._printer.print_together(faces[group.start : group.stop])
            return printed[group]

        plan = plan_attachments([len(pdf) for pdf in pdfs], limit, lambda group: len(together(group)), beside=beside)
        if plan.together:
            names = [
                f"tickets-{faces[group.start].order_number}-{part}.pdf" for part, group in enumerate(plan.messages, 1)
            ]
            return [
                [Attachment(name, "application/pdf", together(group))]
                for name, group in zip(names, plan.messages, strict=True)
            ]
        return [
            [
                Attachment(f"ticket-{faces[position].ticket_number}.pdf", "application/pdf", pdfs[position])
                for position in group
            ]
            for group in plan.messages
        ]


def _without_void(content: Mapping[str, Any], tickets: Sequence[IssuedTicket]) -> Mapping[str, Any]:
    """Return a confirmation's content without the numbers of tickets that were made void while it waited."""
    left = {ticket.face.ticket_number for ticket in tickets}
    lines = [
        {**line, "ticket_numbers": [number for number in line["ticket_numbers"] if number in left]}
        if isinstance(line, dict) and isinstance(line.get("ticket_numbers"), list)
        else line
        for line in content.get("lines", ())
    ]
    return {**content, "lines": lines}
