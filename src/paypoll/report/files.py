"""Writes a report to files: each whole or not at all, and readable by paypoll's group, not by everybody."""

import tempfile
from contextlib import suppress
from pathlib import Path

from paypoll.characters import BOM
from paypoll.report.document import tables
from paypoll.report.result import Report
from paypoll.report.spreadsheet import csv_text

FOLDER_MODE = 0o750
FILE_MODE = 0o640


def write_file(path: Path, text: str) -> None:
    """Write the file aside and rename it, so that nobody ever reads half of it. Raise OSError."""
    aside = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            aside = Path(file.name)
            file.write(text.encode())
        aside.chmod(FILE_MODE)
        aside.replace(path)
    except BaseException:
        if aside is not None:
            # A timer would else leave one more file in every run.
            with suppress(OSError):
                aside.unlink()
        raise


def make_folder(folder: Path) -> None:
    """Make the folder, where it is not there; one that is keeps the mode that it has. Raise OSError."""
    if not folder.is_dir():
        # Not those above it: where they are missing, a disk may not be mounted.
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)  # whatever the umask says


def write_tables(folder: Path, report: Report) -> list[Path]:
    """Write the tables of the report as CSV files and return where they are. Raise OSError."""
    make_folder(folder)
    written = []
    for table in tables(report):
        write_file(folder / table.name, BOM + csv_text(table.heads, table.rows))
        written.append(folder / table.name)
    return written
