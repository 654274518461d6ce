"""Which mail addresses can be written to, and how they are written in a message and to a mail server.

Stricter than RFC 5321 where real addresses need no more: no quoted local parts, no comments, no address literals. An
address that passes cannot end a header, an SMTP command or an address list early.
"""

import re
import unicodedata

MOST_CHARACTERS = 254
"""The longest address that fits into a path of SMTP (RFC 3696, erratum 1690); the shop's columns are as wide."""

_ASCII_ATEXT = frozenset("!#$%&'*+-/=?^_`{|}~")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SEPARATORS = re.compile(r"[,;<>]|@.*@", re.DOTALL)


def address_problem(address: str) -> str | None:
    """Return why nothing can be mailed to this address, as half a sentence, or None when it looks sound.

    Letters of any script may stand before the @ (RFC 6531; the mail server must know SMTPUTF8) and in the domain.
    The address itself is not part of the answer.
    """
    if not address.strip():
        return "there is no mail address"
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in address):
        return "the mail address holds a line break or a control character"
    if len(address) > MOST_CHARACTERS:
        return f"the mail address is longer than {MOST_CHARACTERS} characters"
    if _SEPARATORS.search(address):
        return "there must be one mail address, and nothing besides"
    local, at, domain = address.partition("@")
    if not at:
        return "the mail address has no @"
    if any(not atom or not all(map(_is_atext, atom)) for atom in local.split(".")):
        return "the part before the @ is not one of a mail address"
    if _ascii_domain(domain) is None:
        return "the part after the @ is not a domain"
    return None


def envelope_address(address: str) -> str:
    """Return the address as SMTP and message headers need it: the domain in ASCII, the part before the @ as it is.

    Raise ValueError, without showing the address, when it has a problem.
    """
    if problem := address_problem(address):
        raise ValueError(problem)
    local, _, domain = address.partition("@")
    return f"{local}@{_ascii_domain(domain)}"


def _is_atext(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _ASCII_ATEXT
    # Letters, marks and digits; no other spaces and no invisible characters that change the reading direction.
    return unicodedata.category(character)[0] in "LMN"


def _ascii_domain(domain: str) -> str | None:
    """Return the domain in ASCII (RFC 5891), or None when it is none."""
    ascii_domain = domain
    if not domain.isascii():
        # Imported here: its tables are of use to few mails. Python's own codec is of 2003 and writes straße as strasse,
        # which is somebody else's domain today.
        import idna

        try:
            # UTS 46 maps capitals and wide letters first, as every mail program does.
            ascii_domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    labels = ascii_domain.split(".")
    # A number at the end means an IP address (RFC 3696, 2), which would need brackets.
    sound = all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    return ascii_domain if sound else None


def split_sender(sender: str) -> tuple[str, str]:
    """Return the display name and the address of a sender from the settings, `Tickets <tickets@example.org>`."""
    name, bracket, rest = sender.strip().rpartition("<")
    if not bracket or not rest.endswith(">"):
        return "", sender.strip()
    return name.strip().strip('"'), rest[:-1]
