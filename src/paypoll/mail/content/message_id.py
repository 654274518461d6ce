"""Message-IDs: made once when a mail is posted, and the same however often it is sent."""

import re
import secrets

_MESSAGE_ID = re.compile(r"<([A-Za-z0-9._+-]+)@([A-Za-z0-9.-]+)>")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def new_message_id(domain: str) -> str:
    """Return a new Message-ID that nobody can guess. Raise ValueError when the domain is none."""
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{domain!r} is not a domain that a Message-ID can have")
    return f"<{secrets.token_hex(16)}@{domain}>"


def part_message_id(message_id: str, part: int) -> str:
    """Return the Message-ID of a mail's part, which counts from 1; the first part has the mail's own.

    Raise ValueError when the Message-ID is none.
    """
    match = _MESSAGE_ID.fullmatch(message_id)
    if match is None:
        raise ValueError(f"{message_id!r} is not a Message-ID")
    return message_id if part == 1 else f"<{match[1]}.{part}@{match[2]}>"
