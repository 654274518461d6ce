"""Ticket numbers, and what the shop's ticket scanner reads: the validation hash and the text of the QR code."""

import hashlib
import secrets
import string
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

NUMBER_LENGTH = 20
"""The width of events_ticket.ticket_number."""

_SLUG_LENGTH = 10
_SLUG_CHARACTERS = frozenset(string.ascii_uppercase + string.digits + "-_")
_SLUGLESS = "EVENT"
_RANDOM_CHARACTERS = string.ascii_uppercase + string.digits
_HASH_LENGTH = 16
_SEPARATOR = "|"


class Chooser(Protocol):
    """A source of random choices: the module `secrets`, or a seeded `random.Random` in a test."""

    def choice(self, seq: Sequence[str], /) -> str:
        """Return one of the sequence's members."""
        ...


def new_ticket_number(event_slug: str, random: Chooser = secrets) -> str:
    """Return a new ticket number of 20 characters: the start of the slug, a dash, and random characters.

    The number is in effect the ticket's secret, so the random part is as long as there is room: nine characters or
    more, one number out of 36⁹ ≈ 10¹⁴. The database ensures that it is unique: on a clash the caller draws again.

    The slug's part is ASCII whatever the slug is, because scanners disagree on how to read anything else out of a
    QR code. Accents are taken off; letters of other alphabets and signs such as `|` are left out.
    """
    letters = unicodedata.normalize("NFKD", event_slug[:_SLUG_LENGTH].upper())
    # Cut again: upper() and NFKD can lengthen a text (ß becomes SS).
    start = "".join(letter for letter in letters if letter in _SLUG_CHARACTERS)[:_SLUG_LENGTH] or _SLUGLESS
    chance = (random.choice(_RANDOM_CHARACTERS) for _ in range(NUMBER_LENGTH - len(start) - 1))
    return f"{start}-{''.join(chance)}"


def validation_hash(ticket_number: str, event_id: int, account_email: str, purchase_date: datetime) -> str:
    """Return the 16 hex digits that the shop's scanner computes again from the stored row.

    `account_email` goes in byte for byte as the account's row has it. `purchase_date` is an aware datetime, written
    in UTC as Python prints it: with six digits of microseconds, or no fraction at all when they are zero.
    Raise ValueError for a naive datetime: its hash would depend on this machine's time zone.
    """
    if purchase_date.utcoffset() is None:
        raise ValueError("the purchase date has no time zone")
    moment = purchase_date.astimezone(UTC).isoformat()
    text = f"{ticket_number}:{event_id}:{account_email}:{moment}"
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def qr_data(prefix: str, ticket_number: str, event_id: int, account_email: str, validation_hash: str) -> str:
    """Return the text of the ticket's QR code: five parts with `|` between them.

    Raise ValueError when a part holds a `|` itself, as an e-mail address may: the shop's scanner would count six
    parts and turn the holder away, so such an order is one for a person.
    """
    parts = {
        "prefix": prefix,
        "ticket number": ticket_number,
        "event id": str(event_id),
        "account's e-mail address": account_email,
        "validation hash": validation_hash,
    }
    for name, part in parts.items():
        if _SEPARATOR in part:
            raise ValueError(f"the {name} holds a |, which the ticket scanner takes for the end of a field")
    return _SEPARATOR.join(parts.values())
