"""What people hold in their hands: mails, and tickets on paper."""

import io
from html.parser import HTMLParser

import pypdf

from paypoll.sandbox.mail.sink import Mail


def subject(mail: Mail) -> str:
    """Return a mail's subject. A long one begins on the header's second line, after a blank."""
    return str(mail.message["Subject"]).strip()


def body(mail: Mail) -> str:
    """Return a mail's plain text."""
    part = mail.message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_text_of(mail: Mail) -> str:
    """Return the text that a reader of a mail's HTML sees. What the HTML takes for a tag is not in it."""
    part = mail.message.get_body(("html",))
    assert part is not None
    pieces: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            pieces.append(data)

    parser = Reader()
    parser.feed(str(part.get_content()))
    return " ".join("".join(pieces).split())


CALENDAR = "tickets.ics"


def attachments(mail: Mail) -> dict[str, bytes]:
    """Return a mail's attachments by their names, without the calendar file."""
    return {name: content for name, content in _all_attachments(mail).items() if name != CALENDAR}


def calendar_of(mail: Mail) -> str:
    """Return the calendar file of a mail."""
    return _all_attachments(mail)[CALENDAR].decode()


def _all_attachments(mail: Mail) -> dict[str, bytes]:
    parts = mail.message.iter_attachments()
    return {str(part.get_filename()): bytes(part.get_payload(decode=True)) for part in parts}


def text_of(pdf: bytes) -> str:
    """Return the text on the only page of a PDF."""
    (page,) = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(page.extract_text().split())
