"""The printer, or why there is none: WeasyPrint loads Pango and more when it is imported, and they may be missing."""

import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, cast

from paypoll.ports import PrintError, TicketFace, TicketPrinter


class MissingPrinter:
    """A TicketPrinter that can only say why it cannot print. Tickets are issued all the same, and their mails wait."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[bytes]:
        """Raise PrintError."""
        del faces
        raise PrintError(self.reason)

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Raise PrintError."""
        del faces
        raise PrintError(self.reason)


def load_printer(*, template_folder: Path | None, language: str, site_name: str, terms: str) -> TicketPrinter:
    """Return the printer; a MissingPrinter where a library of the system's is not there."""
    try:
        # It tells of a missing library at length, on stdout, where our own result goes.
        with redirect_stdout(cast("IO[str]", _Elsewhere(sys.stdout))):
            from paypoll.tickets.printer import WeasyTicketPrinter
    except OSError as error:
        first = str(error).strip().partition("  ")[0].splitlines()[0].rstrip(".")
        return MissingPrinter(f"a library is missing: {first}")
    return WeasyTicketPrinter(template_folder=template_folder, language=language, site_name=site_name, terms=terms)


class _Elsewhere:
    """A stream that drops what this thread writes, and hands on what the others do."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()
