"""The mail server, the printer and the disk of a world: they take, refuse, lose and fail."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from tests.simulation.fibers import SimulationError

from paypoll.mail.mailer import MailSession, MailUnavailableError, MessageRefusedError, RecipientRefusedError
from paypoll.tickets.files import FilesError, TicketFiles
from paypoll.tickets.qr import qr_png
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace


class Faults(Protocol):
    """What may go wrong, decided by the world."""

    def fails(self, question: str) -> str:
        """Return the kind of failure; an empty text when it works."""
        ...

    def trip(self, place: str) -> None:
        """Let time pass and others get in between; a crash may happen."""
        ...

    def note(self, what: str) -> None:
        """Write a line into the log of events."""
        ...


@dataclass(frozen=True)
class Delivered:
    """A message that the server took. `pdfs` are the contents of its attachments."""

    tick: int
    message_id: str
    subject: str
    recipients: tuple[str, ...]
    text: str
    pdfs: tuple[bytes, ...]


class MailServer:
    """Plays the Mailer of all hosts. `refused` are addresses that it will never take."""

    def __init__(self, faults: Faults, tick: Callable[[], int]) -> None:
        self.inbox: list[Delivered] = []
        self.refused: set[str] = set()
        self._faults = faults
        self._tick = tick

    @contextmanager
    def connect(self) -> Iterator[MailSession]:
        """Open a session."""
        self._faults.trip("smtp")
        if self._faults.fails("smtp_connect"):
            raise MailUnavailableError("connection refused")
        yield _Session(self, self._faults)

    def take(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Put a message into the inbox."""
        body = message.get_body(("plain",))
        self._faults.note(f"the mail server takes: {message['Subject']}")
        parts = [part for part in message.iter_attachments() if part.get_content_type() == "application/pdf"]
        pdfs = [part.get_payload(decode=True) for part in parts]
        self.inbox.append(
            Delivered(
                tick=self._tick(),
                message_id=str(message["Message-ID"]),
                subject=str(message["Subject"]),
                recipients=tuple(recipients),
                text=body.get_content() if body else "",
                pdfs=tuple(pdf for pdf in pdfs if isinstance(pdf, bytes)),
            )
        )


class _Session:
    def __init__(self, server: MailServer, faults: Faults) -> None:
        self._server = server
        self._faults = faults
        self._broken = False

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        if self._broken:
            raise SimulationError("a session was used again after it broke")
        self._faults.trip("smtp")
        if set(recipients) & self._server.refused:
            raise RecipientRefusedError("550 no such user")
        failure = self._faults.fails("smtp_send")
        if failure == "refused" and "admin@shop.example" not in recipients:
            raise MessageRefusedError("554 looks like spam")
        if failure == "later":
            self._broken = True
            raise MailUnavailableError("451 try later")
        self._server.take(message, recipients)
        self._faults.trip("smtp")
        if failure == "lost":
            self._broken = True
            raise MailUnavailableError("the connection was lost after the data", maybe_sent=True)


class Printer:
    """Plays the TicketPrinter: a PDF is a line of text that names the ticket."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def get_ready(self) -> None:
        """Be ready as it is."""

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Print nothing ahead."""

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        """Return a line a ticket."""
        self._faults.trip("print")
        if self._faults.fails("print"):
            raise PrintError("no font was found")
        return [
            PrintedTicket(f"%PDF {face.ticket_number} {face.qr_data}".encode(), qr_png(face.qr_data)) for face in faces
        ]

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return all lines."""
        return b"\n".join(ticket.pdf for ticket in self.print_tickets(faces))


class Disk(TicketFiles):
    """The shop's media folder, on a disk that may be full. Written without waiting for the platter."""

    def __init__(self, media_folder: Path, faults: Faults) -> None:
        super().__init__(media_folder)
        self._folder = media_folder
        self._faults = faults

    def _write_whole(self, relative_path: str, content: bytes) -> None:
        self._faults.trip("file")
        if self._faults.fails("file"):
            raise FilesError("no space left on device")
        path = self._folder / relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._faults.trip("file")
