"""The mail server, the printer and the disk of a world: they take, refuse, lose and fail."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol, TypeVar

from tests.simulation.fibers import SimulationError

from paypoll.mail.mailer import MailSession, MailUnavailableError, refusal
from paypoll.mail.refusal import Step, whom_it_is_about
from paypoll.tickets.files import FilesError, TicketFiles
from paypoll.tickets.qr import qr_png
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace

_R = TypeVar("_R", bound="Reply | None")


@dataclass(frozen=True)
class Reply:
    """What the server says to a message, and what is true of it: whether it is for good, for this mail alone."""

    step: Step
    code: int
    text: str
    final: bool = False
    settles: bool = False
    """It is for good, for this recipient, if the server takes others."""


# Every row of the table of whom a refusal is about.
LATER = (
    Reply(Step.RCPT, 450, "4.2.2 mailbox full"),
    Reply(Step.MAIL, 451, "4.3.0 try later"),
    Reply(Step.MESSAGE, 554, "5.7.1 looks like spam"),
    Reply(Step.RCPT, 554, "5.7.1 Relay access denied"),
    Reply(Step.DATA, 451, "4.3.0 try later"),
    Reply(Step.RCPT, 550, "no such user", settles=True),
    Reply(Step.RCPT, 553, "5.7.1 Sender address rejected: not owned by user"),
    Reply(Step.MESSAGE, 452, "4.3.1 disk full"),
    Reply(Step.MESSAGE, 554, "5.5.1 no"),
    Reply(Step.MESSAGE, 554, "5.2.252 SendAsDenied"),
    Reply(Step.RCPT, 421, "4.7.0 too many errors"),
    Reply(Step.MESSAGE, 550, "5.4.5 Daily user sending quota exceeded"),
    Reply(Step.MESSAGE, 554, "Message rejected: Email address is not verified."),
    Reply(Step.MESSAGE, 554, "Transaction failed"),
)
FOR_GOOD = (
    Reply(Step.RCPT, 550, "5.1.1 no such user", final=True),
    Reply(Step.MESSAGE, 552, "5.3.4 too large", final=True),
    Reply(Step.MESSAGE, 552, "message exceeds the fixed maximum size", final=True),
    Reply(Step.RCPT, 550, "5.2.1 mailbox disabled", final=True),
    Reply(Step.MESSAGE, 550, "5.6.0 malformed", final=True),
)
AT_THE_DOOR = (
    None,  # nobody answers
    Reply(Step.GREETING, 421, "4.3.2 too busy"),
    Reply(Step.EHLO, 450, "4.7.1 try later"),
    Reply(Step.AUTH, 454, "4.7.0 temporary authentication failure"),
    Reply(Step.AUTH, 530, "5.7.0 authentication required"),
    Reply(Step.AUTH, 535, "5.7.8 wrong password"),
    Reply(Step.GREETING, 554, "5.7.1 not for you"),
)


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
        self.said: defaultdict[str, list[Reply]] = defaultdict(list)
        """What was said to each message instead of taking it, by Message-ID."""
        self._faults = faults
        self._tick = tick
        self._turns: defaultdict[tuple[Reply | None, ...], int] = defaultdict(int)

    @contextmanager
    def connect(self) -> Iterator[MailSession]:
        """Open a session."""
        self._faults.trip("smtp")
        if self._faults.fails("smtp_connect"):
            turn = self.next_of(AT_THE_DOOR)
            if turn is None:
                raise MailUnavailableError("connection refused")
            raise refusal(whom_it_is_about(turn.step, turn.code, turn.text), f"{turn.code} {turn.text}")
        yield _Session(self, self._faults)

    def next_of(self, replies: tuple[_R, ...]) -> _R:
        """Return the replies one after the other, so that each world meets several."""
        self._turns[replies] += 1
        return replies[(self._turns[replies] + self._tick()) % len(replies)]

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
            self._refuse(message, FOR_GOOD[0])
        failure = self._faults.fails("smtp_send")
        if failure == "refused":
            self._refuse(message, self._server.next_of(FOR_GOOD))
        if failure == "later":
            self._refuse(message, self._server.next_of(LATER))
        self._server.take(message, recipients)
        self._faults.trip("smtp")
        if failure == "lost":
            self._broken = True
            raise MailUnavailableError("the connection was lost after the data", maybe_sent=True)

    def _refuse(self, message: EmailMessage, reply: Reply) -> None:
        self._server.said[str(message["Message-ID"])].append(reply)
        error = refusal(whom_it_is_about(reply.step, reply.code, reply.text), f"{reply.code} {reply.text}")
        self._broken = isinstance(error, MailUnavailableError)
        raise error


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
