"""The files of a ticket below the shop's media folder, where the shop looks for them."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

_PDF_FOLDER = "tickets/pdfs"
_QR_FOLDER = "tickets/qr_codes"

# Letters and digits of any alphabet: the shop's own older tickets may have such slugs in their numbers. No dot, no
# slash, nothing that a file system or a URL takes for more than a name. 20 is the column's width.
_NUMBER = re.compile(r"[\w-]{1,20}")

# Less the umask. The shop's web server is another user, and must be able to read them.
_MODE = 0o644


class FilesError(Exception):
    """A ticket's file could not be written. Says which and why, for the operator."""


class TicketFiles:
    """Writes tickets' PDFs and pictures of their QR codes. Writing a ticket again replaces its files."""

    def __init__(self, media_folder: Path) -> None:
        self._media_folder = media_folder

    def write(self, tickets: Sequence[tuple[str, bytes, bytes]]) -> list[tuple[str, str]]:
        """Write number, PDF and QR code of each ticket; return their paths below the media folder for events_ticket.

        Each file is whole or not there at all, whenever this process or the machine stops. Raise FilesError when one
        cannot be written or a number is not fit for a file name. The folders below the media folder are made as
        needed; the media folder itself must be there, so that a missing mount is noticed.
        """
        if not all(_NUMBER.fullmatch(number) for number, _, _ in tickets):
            raise FilesError("the ticket number has characters or a length that no ticket's file may have")
        paths = [
            (f"{_PDF_FOLDER}/ticket_{number}.pdf", f"{_QR_FOLDER}/ticket_{number}_qr.png") for number, *_ in tickets
        ]
        for (pdf_path, qr_path), (_, pdf, qr_png) in zip(paths, tickets, strict=True):
            self._write_whole(pdf_path, pdf)
            self._write_whole(qr_path, qr_png)
        if tickets:
            self._sync_folders()
        return paths

    def _write_whole(self, relative_path: str, content: bytes) -> None:
        path = self._media_folder / relative_path
        with _told_of(path.parent):
            self._make_folders(path.parent)
            _replace_whole(path, content)

    def _sync_folders(self) -> None:
        """Make the renames last through a power cut, of all tickets of an order at once."""
        for folder in (_PDF_FOLDER, _QR_FOLDER):
            with _told_of(self._media_folder / folder):
                _sync_folder(self._media_folder / folder)

    def _make_folders(self, folder: Path) -> None:
        """Make the folder and those between it and the media folder."""
        if folder == self._media_folder or folder.is_dir():
            return
        self._make_folders(folder.parent)
        with contextlib.suppress(FileExistsError):  # made by another run; if it is a file, opening tells
            folder.mkdir()


@contextlib.contextmanager
def _told_of(folder: Path) -> Iterator[None]:
    """Raise FilesError for what goes wrong in this folder."""
    try:
        yield
    except OSError as error:
        # Of the path, the folder alone, and no cause: the file's name has the ticket's number, which is a secret.
        raise FilesError(f"{folder}: {error.strerror or type(error).__name__}") from None


def _replace_whole(path: Path, content: bytes) -> None:
    """Put the content in place of what is there, in one step."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
    except BaseException:  # also when interrupted: half a file must not stay
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink()
        raise


def _write_durably(path: Path, content: bytes) -> None:
    """Make a new file and return when its content is on the disk, so that no rename can overtake it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 -- Path.open takes no descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
