"""Text on its way to a screen: what is ours in it, and what the screen can show.

Colours are marked by `styled`, and become escape sequences only when they are shown; every other control character
came from somewhere else and is shown as `\\x1b`.
"""

import os
import re
import sys
from typing import IO, Any

import click

from paypoll.characters import harmless

# Drawn anew for each process: no text in a database can hold it.
_MARK = f"\0{os.urandom(4).hex()}"
_MARKED = re.compile(rf"{_MARK}(\[[0-9;]*m)")
_NARROWEST, _WIDEST, _WIDTH = 60, 100, 80


def styled(text: str, **style: Any) -> str:
    """Return the text in a colour or weight of `click.style`, for a line that `show` prints."""
    return coloured(click.style(text.replace("\x1b", "\\x1b"), **style))


def coloured(text: str) -> str:
    """Mark the escape sequences of a text that holds no others than our own."""
    return text.replace("\x1b", _MARK)


def is_plain(text: str) -> bool:
    """Say whether every letter is as wide as any other, and none is coloured."""
    return text.isascii() and _MARK not in text


def shown(line: str) -> str:
    """Return a line as a terminal may have it."""
    # An odd part is what was between the brackets of the pattern: our own sequence.
    parts = enumerate(_MARKED.split(line))
    return "".join(f"\x1b{part}" if position % 2 else harmless(part) for position, part in parts)


def looked_at(stream: IO[str] | None = None) -> bool:
    """Say whether a person looks at this stream, stdout if None, on a terminal that can do more than write lines."""
    stream = stream or sys.stdout
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def width(stream: IO[str] | None = None) -> int:
    """Return how wide lines may be: as the terminal is, from 60 to 100 columns; 80 where there is none."""
    try:
        columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError):
        return _WIDTH
    return min(max(columns, _NARROWEST), _WIDEST) if columns else _WIDTH


def may_colour() -> bool:
    """Say whether the user and the terminal want colours at all (NO_COLOR, TERM=dumb)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
