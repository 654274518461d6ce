"""What a person gets on a terminal, drawn by rich: tables, and lines that fit by how wide their letters are.

rich is loaded here and for progress, so where a person looks and nowhere else. It is given texts, never its own markup:
a title `[red]x[/]` is shown as it is.
"""

import io
import sys
from functools import cache
from typing import TYPE_CHECKING

from paypoll.cli.render.marks import coloured, may_colour, shown
from paypoll.cli.render.table import Column, Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def let_rich_in() -> None:
    """Undo what `paypoll.__main__` does so that structlog does not load rich in every run. To be called first."""
    if sys.modules.get("rich", sys) is None:
        del sys.modules["rich"]


@cache
def _console(width: int, *, colours: bool) -> "Console":
    let_rich_in()
    from rich.console import Console

    return Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system="standard" if colours else None,
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip


def table_lines(table: Table, width: int) -> list[str]:
    """Return the table in lines of no more than so many columns, ready for the terminal."""
    console = _console(width, colours=may_colour())
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in table.columns:
        # What may fold is what gives way where the screen is narrow; what is cut gives way too.
        drawn.add_column(
            Text(column.title), justify="right" if column.right else "left", no_wrap=column.right, overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*map(_cell, row, table.columns))
    from rich.padding import Padding

    with console.capture() as captured:
        console.print(Padding(drawn, (0, 0, 0, table.indent)))
    return [line.rstrip() for line in captured.get().splitlines()]


def _cell(text: str, column: Column) -> "Text":
    from rich.text import Text

    cell = Text.from_ansi(shown(text))
    if column.cut:
        cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell


def wrapped_lines(text: str, width: int, indent: int) -> list[str]:
    """Return a text with letters of any width, or with colours, in lines that fit, for `show`."""
    console = _console(width, colours=True)
    from rich.color import ColorSystem
    from rich.text import Text

    lines = []
    for line in Text.from_ansi(shown(text)).wrap(console, width - indent, overflow="fold"):
        line.rstrip()
        parts = (
            part.style.render(part.text, color_system=ColorSystem.STANDARD) if part.style else part.text
            for part in line.render(console)
        )
        lines.append(" " * indent + coloured("".join(parts)))
    return lines
