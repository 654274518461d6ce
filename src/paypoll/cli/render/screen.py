"""What commands print goes through here: text from the database must neither steer the terminal nor fake a line."""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

import click

from paypoll.characters import BOM, harmless_json
from paypoll.cli.render.marks import looked_at, may_colour, shown, styled, width
from paypoll.cli.render.table import Table

__all__ = ["json_text", "show", "show_paged", "shown", "styled"]


def show(parts: Iterable[str | Table], *, err: bool = False) -> None:
    """Print lines and tables, or a text. click leaves the colours out where there is no terminal for them."""
    parts = parts.splitlines() if isinstance(parts, str) else parts
    stream = sys.stderr if err else sys.stdout
    click.echo("\n".join(_lines(parts, stream)), err=err, color=None if may_colour() else False)


def show_csv(text: str) -> None:
    """Print CSV, whose cells are harmless by themselves, as a file of it is written."""
    begins_a_file = not looked_at(sys.stdout) and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo((BOM if begins_a_file else "") + text, nl=False)


def show_paged(parts: Sequence[str | Table]) -> None:
    """Print the same; where a person looks and it is more than the screen holds, in a pager ($PAGER)."""
    rows = _rows_of_screen()
    lines = [] if rows == math.inf else list(_lines(parts, sys.stdout))
    if len(lines) < rows:
        show(parts)
        return
    # Nobody gets a shell out of the pager that `sudo` would not give them; and it does not ask where all fits.
    os.environ["LESSSECURE"] = "1"
    os.environ.setdefault("LESS", "-FRX")
    click.echo_via_pager("\n".join(lines) + "\n", color=may_colour())


def _lines(parts: Iterable[str | Table], stream: IO[str] | None) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield shown(part)
        elif looked_at(stream):
            from paypoll.cli.render.terminal import table_lines

            yield from table_lines(part, width(stream))
        else:
            yield from part.plain_lines()


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
