"""Compose messages: from what the outbox holds, templates and attachments to an EmailMessage.

The same arguments give the same bytes, so that a mail that is sent again is the same mail.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import quote
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from paypoll.mail.address import address_problem, envelope_address, split_sender
from paypoll.mail.content.contexts import AlertContext, ConfirmationContext, FailureContext, MailContext
from paypoll.mail.content.message_id import part_message_id
from paypoll.mail.content.organiser_contexts import DigestContext, ListingContext
from paypoll.mail.content.plain import header_text, one_line
from paypoll.mail.content.policies import ATTACHMENT, MESSAGE
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.refund_context import RefundContext
from paypoll.mail.content.templating import Templates
from paypoll.mail.splitting import LINE
from paypoll.settings.colour import DEFAULT_ACCENT, text_on
from paypoll.settings.model import Settings

_CONTEXTS: Mapping[str, type[MailContext]] = {
    "confirmation": ConfirmationContext,
    "late_confirmation": ConfirmationContext,
    "payment_failed": FailureContext,
    "under_review": ConfirmationContext,
    "event_listed": ListingContext,
    "organiser_orders": DigestContext,
    "refund": RefundContext,
    "alert": AlertContext,
}
KINDS = tuple(_CONTEXTS)

_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a message. Of its name, what is not a letter of ASCII, a digit or one of `._-` becomes a dash.

    `parameters` of the media type are pairs of name and value, such as `("method", "PUBLISH")`.
    """

    filename: str
    media_type: str
    content: bytes
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ComposeOptions:
    """What every mail of this site says. `sender` may have a name: `Tickets <tickets@example.org>`.

    Without `reply_to`, answers go to the sender. Files in `template_folder` take the place of ours by name.
    """

    site_name: str
    base_url: str
    support_email: str
    sender: str
    time_zone: ZoneInfo
    reply_to: str = ""
    template_folder: Path | None = None
    language: str = "en"
    accent: str = DEFAULT_ACCENT
    what_to_bring: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        site, mail = settings.site, settings.mail
        return cls(
            site_name=site.name,
            base_url=site.base_url,
            support_email=site.support_email,
            sender=mail.sender,
            reply_to=mail.reply_to or site.support_email,
            template_folder=mail.template_folder,
            time_zone=site.zone,
            language=site.language,
            accent=site.accent_color,
            what_to_bring=settings.tickets.what_to_bring,
        )

    @property
    def on_accent(self) -> str:
        """The colour of text on the accent colour."""
        return text_on(self.accent)


class Composer:
    """Composes the mails of a site. Reads templates when they are first needed, and keeps them."""

    def __init__(self, options: ComposeOptions) -> None:
        self._options = options
        self._templates = Templates(options.template_folder, options.time_zone)

    def compose(
        self,
        kind: str,
        content: Mapping[str, Any],
        *,
        message_id: str,
        date: datetime,
        to: Sequence[str],
        attachments: Sequence[Attachment] = (),
        part: int = 1,
        parts: int = 1,
    ) -> EmailMessage:
        """Return the message for a mail of this kind (see `KINDS`) with this content: a context's JSON.

        `date` is aware. A mail that is too large for one message has `parts`, of which this is number `part`; its
        Message-ID follows from the mail's. Addresses that cannot be written to are left out of the header To: they
        would make it another one. Raise ComposeError when the content or a template is broken.
        """
        context_type = _CONTEXTS.get(kind)
        if context_type is None:
            raise ComposeError(f"{kind!r} is no kind of mail that this version of paypoll knows")
        mail = context_type.from_json(content)
        names = {
            "mail": mail.at(date) if isinstance(mail, FailureContext) else mail,
            "site": self._options,
            "part": part,
            "parts": parts,
            "attachments": attachments,
        }
        subject = one_line(self._templates.render(f"{kind}.subject.txt", names))
        message = EmailMessage(policy=MESSAGE)
        self._set_headers(message, message_id, date, to, part)
        message["Subject"] = f"{subject} ({part} of {parts})" if parts > 1 else subject
        _set_bodies(
            message,
            text=self._templates.render(f"{kind}.txt", names),
            html=self._templates.render(f"{kind}.html", names),
        )
        for attachment in attachments:
            _attach(message, attachment)
        _fix_boundaries(message)
        return message

    def _set_headers(
        self, message: EmailMessage, message_id: str, date: datetime, to: Sequence[str], part: int
    ) -> None:
        options = self._options
        if date.utcoffset() is None:
            raise ComposeError("the date of a mail needs a time zone")
        try:
            message["Message-ID"] = part_message_id(message_id, part)
        except ValueError as error:
            raise ComposeError(str(error)) from None
        message["Date"] = date
        message["From"] = _header_address(options.sender, "the sender")
        recipients = [_header_address(address, "the recipient") for address in to if not address_problem(address)]
        message["To"] = recipients or "undisclosed-recipients:;"
        if options.reply_to:
            message["Reply-To"] = _header_address(options.reply_to, "reply_to")
        # RFC 3834, and what Exchange obeys instead: no out-of-office notices in return.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"


def _header_address(address: str, what: str) -> Address:
    name, bare = split_sender(address)
    try:
        local, _, domain = envelope_address(bare).partition("@")
    except ValueError as error:
        raise ComposeError(f"{what} is no mail address: {error}") from None
    return Address(display_name=header_text(name), username=local, domain=domain)


def _set_bodies(message: EmailMessage, *, text: str, html: str) -> None:
    # Quoted-printable passes every server, keeps lines short, and leaves the text readable in the source.
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    if not _MEDIA_TYPE.fullmatch(attachment.media_type):
        raise ComposeError(f"{attachment.media_type!r} is not a media type")
    parameters = [f'; {name}="{quote(value)}"' for name, value in attachment.parameters]
    filename = _NOT_IN_FILE_NAMES.sub("-", attachment.filename).lstrip(".-") or "file"
    part = EmailMessage(policy=ATTACHMENT)
    try:
        part["Content-Type"] = attachment.media_type + "".join(parameters)
    except ValueError as error:
        raise ComposeError(str(error)) from None
    part["Content-Transfer-Encoding"] = "base64"
    part["Content-Disposition"] = f'attachment; filename="{filename}"'
    part.set_payload(_base64_lines(attachment.content))
    if message.get_content_subtype() != "mixed":
        message.make_mixed()
    message.attach(part)


def _base64_lines(content: bytes) -> str:
    encoded = b64encode(content).decode("ascii")
    return "".join(f"{encoded[start : start + LINE]}\n" for start in range(0, len(encoded), LINE))


def _fix_boundaries(message: EmailMessage) -> None:
    """Set the boundaries that Python would draw at random.

    No part can hold one of them: quoted-printable writes its equals sign as =3D, and base64 has no underscore.
    """
    digest = hashlib.sha256(str(message["Message-ID"]).encode()).hexdigest()[:32]
    for position, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{digest}_{position}")
