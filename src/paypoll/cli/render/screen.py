"""What commands print goes through here: text from the database must neither steer the terminal nor fake a line.

Colours are marked by `styled`, and become escape sequences only when they are shown; every other control character
came from somewhere else and is shown as `\\x1b`.
"""

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

from paypoll.characters import harmless, harmless_json

# Drawn anew for each process: no text in a database can hold it.
_MARK = f"\0{os.urandom(4).hex()}"
_MARKED = re.compile(rf"{_MARK}(\[[0-9;]*m)")


def styled(text: str, **style: Any) -> str:
    """Return the text in a colour or weight of `click.style`, for a line that `show` prints."""
    return click.style(text.replace("\x1b", "\\x1b"), **style).replace("\x1b", _MARK)


def shown(line: str) -> str:
    """Return a line as a terminal may have it."""
    # An odd part is what was between the brackets of the pattern: our own sequence.
    parts = enumerate(_MARKED.split(line))
    return "".join(f"\x1b{part}" if position % 2 else harmless(part) for position, part in parts)


def show(lines: Iterable[str], *, err: bool = False) -> None:
    """Print the lines, or a text. click leaves the colours out where there is no terminal for them."""
    lines = lines.splitlines() if isinstance(lines, str) else lines
    click.echo("\n".join(map(shown, lines)), err=err, color=None if may_colour() else False)


def show_paged(lines: Sequence[str]) -> None:
    """Print the lines; where a person looks and they are more than the screen holds, in a pager ($PAGER)."""
    if len(lines) < _rows_of_screen():
        show(lines)
        return
    # Nobody gets a shell out of the pager that `sudo` would not give them; and it does not ask where all fits.
    os.environ["LESSSECURE"] = "1"
    os.environ.setdefault("LESS", "-FRX")
    click.echo_via_pager("\n".join(map(shown, lines)) + "\n", color=may_colour())


def may_colour() -> bool:
    """Say whether the user and the terminal want colours at all (NO_COLOR, TERM=dumb)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _rows_of_screen() -> float:
    """Return how many lines the screen has; infinity where nobody looks, or nobody could turn the page."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        return math.inf
    return os.get_terminal_size(sys.stdout.fileno()).lines or math.inf


def json_text(document: Any) -> str:
    """Return a command's result as JSON."""
    return harmless_json(json.dumps(document, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> object:
    """Return a value that JSON does not know as one that it does."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
