"""What makes a text unfit for a mail header, a log line or an HTTP header."""

import re

# Controls of ASCII and Latin-1, and Unicode's two line ends. Joiners and odd spaces stay: names need them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def require_one_line(text: str) -> str:
    """Return the text as it is; raise ValueError, without showing it, when it has a line break or a control."""
    if _CONTROLS.search(text):
        raise ValueError("holds a line break or a control character")
    return text
