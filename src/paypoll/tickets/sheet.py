"""What the ticket template is given for one ticket: texts made printable, and how small they have to be set."""

import re
import unicodedata
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from paypoll.payments.money import show_amount
from paypoll.tickets.ticket import TicketFace

# Written out, because strftime speaks the language of the process, and a ticket must look the same on every host.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

# What XML cannot hold (a PDF repeats its title in XML), and what turns the text after it around: the embeddings,
# overrides and isolates of Unicode's bidirectional algorithm. Joiners and marks stay: emoji and scripts need them.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")

# Longest title of each class, in characters: ticket.css sets h1.short, .medium and .long in falling sizes.
_SHORT_TITLE = 32
_MEDIUM_TITLE = 90

# Wider than any column of the shop that is printed on one line.
_MOST_IN_ONE_LINE = 400

# Of texts with several lines, at the last fit. Even the widest letters in these numbers leave room on the page.
_MOST_CHARACTERS = 400
_MOST_CHARACTERS_OF_TERMS = 3000
_MOST_LINES = 12

# In characters. No print on the page is small enough for a longer one, and WeasyPrint's time to break a line grows
# with the square of a word's length: minutes for 20,000 letters.
_HOPELESS_ADDRESS = 4000


class Fit(IntEnum):
    """How far a ticket's texts are made smaller so that it stays on one page."""

    NORMAL = 0
    SMALL = 1
    SMALLER = 2
    SMALLEST = 3
    CUT = 4
    """As small as SMALLEST, and what is still too long ends in an ellipsis."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One ticket, as the template `ticket.html` sees it in `tickets`. Texts are plain; the template escapes them.

    Only `venue_address` and `terms` may have several lines. `starts` is there for templates that write dates their
    own way. `qr_image` is a data URI of a square picture with its quiet zone. `title_class` and `fit` pick sizes.
    """

    ticket_number: str
    qr_image: str
    event_title: str
    title_class: str
    starts: datetime
    date_in_words: str
    venue_name: str
    venue_address: str
    organiser_name: str
    holder_name: str
    price: str
    order_number: str
    place: int
    places: int
    terms: str
    fit: int


def first_fit(face: TicketFace) -> Fit:
    """Return the fit to try first. A shop's address is a text without limit; all else has one."""
    return Fit.CUT if len(face.venue_address) > _HOPELESS_ADDRESS else Fit.NORMAL


def lay_out(face: TicketFace, qr_png: bytes, terms: str, fit: Fit) -> Sheet:
    """Return the face as the template wants it; `qr_png` is the picture of its QR code."""
    title = _one_line(face.event_title)
    return Sheet(
        ticket_number=_one_line(face.ticket_number),
        qr_image="data:image/png;base64," + b64encode(qr_png).decode("ascii"),
        event_title=title,
        title_class=_title_class(title),
        starts=face.starts,
        date_in_words=date_in_words(face.starts),
        venue_name=_one_line(face.venue_name),
        venue_address=_lines(face.venue_address, fit, _MOST_CHARACTERS),
        organiser_name=_one_line(face.organiser_name),
        holder_name=_one_line(face.holder_name),
        price=_one_line(show_amount(face.price, face.currency)) if face.price else "free",
        order_number=_one_line(face.order_number),
        place=face.place,
        places=face.places,
        terms=_lines(terms, fit, _MOST_CHARACTERS_OF_TERMS),
        fit=min(fit, Fit.SMALLEST),
    )


def date_in_words(moment: datetime) -> str:
    """Return the moment as people say it, such as `Saturday, 5 December 2026, 19:30`, in its own time zone."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day} {month} {moment.year}, {moment:%H:%M}"


def printable(text: str) -> list[str]:
    """Return the text's lines without controls, outer and doubled spaces, and empty lines.

    A lone surrogate becomes U+FFFD, so that one can see that something was there.
    """
    whole = _LONE_SURROGATE.sub("\ufffd", text)
    lines = (" ".join(_UNPRINTABLE.sub("", line.replace("\t", " ")).split()) for line in whole.splitlines())
    return [line for line in lines if line]


def direction(text: str) -> str:
    """Return `rtl` when the text's first letter belongs to a script written from right to left, else `ltr`.

    WeasyPrint knows no dir="auto", which says the same to a browser.
    """
    for letter in text:
        match unicodedata.bidirectional(letter):
            case "R" | "AL":
                return "rtl"
            case "L":
                return "ltr"
    return "ltr"


def _one_line(text: str) -> str:
    return _cut(" ".join(printable(text)), _MOST_IN_ONE_LINE)


def _lines(text: str, fit: Fit, most: int) -> str:
    lines = printable(text)
    if fit is not Fit.CUT:
        return "\n".join(lines)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1] + "…"]
    return _cut("\n".join(lines), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _title_class(title: str) -> str:
    if len(title) <= _SHORT_TITLE:
        return "short"
    return "medium" if len(title) <= _MEDIUM_TITLE else "long"
