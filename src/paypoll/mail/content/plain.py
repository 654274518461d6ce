"""Text from the database, made safe for a mail.

No control characters, no lone surrogates, no injected headers, no line that reads backwards.
"""

import re
import unicodedata

from paypoll.characters import TURNING

_LINE_END = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


def block(text: str) -> str:
    """Return the text with its lines, each trimmed, without outer empty lines."""
    lines = (_clean(line) for line in _LINE_END.split(text))
    return "\n".join(lines).strip("\n")


def one_line(text: str) -> str:
    """Return the text on one line, with single spaces."""
    return " ".join(_clean(_LINE_END.sub(" ", text)).split())


def header_text(text: str) -> str:
    """Return the text as it may stand in a header of an EmailMessage.

    Python decodes encoded words in what it is given, and wrote the line breaks that came out of them into the header
    as they were (CVE-2024-6923): an event called `=?utf-8?q?=0D=0ABcc:…?=` would have added recipients.
    """
    return one_line(text).replace("=?", "= ?")


def _clean(line: str) -> str:
    kept = (" " if character == "\t" else character for character in line)
    return "".join(character for character in kept if _is_fit(character)).strip()


def _is_fit(character: str) -> bool:
    # Cs: half of a surrogate pair, which no encoding can write.
    return unicodedata.category(character) not in {"Cc", "Cs"} and character not in TURNING
