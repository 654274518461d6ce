"""CSV as a bookkeeper's spreadsheet reads it: all that paypoll writes, so that its files can be joined by names."""

import csv
import io
from collections.abc import Iterable, Sequence

from paypoll.characters import harmless

# What a spreadsheet takes for the beginning of a formula: a title of an event must not be one.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV, a line a row, whose texts no spreadsheet takes for a formula, and no terminal for a command."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def _guarded(cell: str) -> str:
    harm = cell.startswith(_FORMULAS) and not _is_number(cell)
    return harmless(f"'{cell}" if harm else cell)


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal() and cell.isascii()
