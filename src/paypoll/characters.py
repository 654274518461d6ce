"""Characters that do harm in text of unknown origin: they steer a terminal, fake a line, hide, or change an address."""

import re

# ESC, BEL, line breaks and their kind; marks that turn the reading direction; what takes no room; halves of surrogate
# pairs, which no encoding can write. The two joiners (U+200C, U+200D) stay: emoji and whole scripts need them.
_HARMFUL = (
    "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_PATTERN = re.compile(f"[{_HARMFUL}]")
_PATTERN_IN_BLOCKS = re.compile(f"(?![\\n\\t])[{_HARMFUL}]")

_TOKEN = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")

BOM = "\ufeff"
"""So a file of CSV begins: without it a spreadsheet takes names with accents for something else."""

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the reading direction of the text after it, so that `gpj.exe` reads `exe.jpg`. No script needs it."""


def harmless(text: str, *, block: bool = False) -> str:
    r"""Return the text with `\x1b` and the like, as Python writes them, in place of harmful characters.

    `block`: the text has lines of its own, such as a traceback; they and tabs stay.
    """
    return (_PATTERN_IN_BLOCKS if block else _PATTERN).sub(_escape, text)


def is_token(text: str) -> bool:
    """Say whether the text can stand in a URL's path unquoted, as one segment, as SumUp's ids and codes do."""
    return _TOKEN.fullmatch(text) is not None


def harmless_json(document: str) -> str:
    r"""Return JSON with `\u001b` and the like in place of harmful characters: it means the same as before."""
    return _PATTERN_IN_BLOCKS.sub(_escape_for_json, document)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii").replace("\\r", "\\x0d").replace("\\n", "\\x0a")


def _escape_for_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
