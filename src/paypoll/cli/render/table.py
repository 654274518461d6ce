"""A table as a value: the commands say what stands in it, the screen how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import click

from paypoll.cli.render.marks import shown


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `right`: numbers. `cut`: what is too long for the screen is cut off, and not folded."""

    title: str
    right: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, each a text that may be `styled`, below the columns' titles. All of it is shifted by `indent`."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    indent: int = 0

    def plain_lines(self) -> list[str]:
        """Return a line a row, as wide as it takes: what is not for a screen is for grep, or for a file."""
        cells = [[click.unstyle(shown(cell)) for cell in row] for row in (self._titles(), *self.rows)]
        sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [f"{'':{self.indent}}{self._line(row, sizes)}".rstrip() for row in cells]

    def _titles(self) -> list[str]:
        return [column.title for column in self.columns]

    def _line(self, row: Sequence[str], sizes: Sequence[int]) -> str:
        placed = zip(row, sizes, self.columns, strict=True)
        return "  ".join(f"{cell:>{size}}" if column.right else f"{cell:<{size}}" for cell, size, column in placed)
