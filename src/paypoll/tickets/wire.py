"""What goes over the pipes between paypoll and its printing processes: lines of JSON.

Kept apart from the printer, so that the process that asks need not load WeasyPrint.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from paypoll.tickets.look import TicketLook
from paypoll.tickets.ticket import TicketFace

_FILES = ("pdfs", "codes")


@dataclass(frozen=True, slots=True)
class PrinterOptions:
    """What a `WeasyTicketPrinter` is made with."""

    template_folder: Path | None = None
    language: str = "en"
    site_name: str = ""
    terms: str = ""
    look: TicketLook = field(default_factory=TicketLook)
    stamping: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """Tickets to print, on a PDF each or `together` in one."""

    faces: tuple[TicketFace, ...]
    together: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job: its PDFs, or why it failed, and what was logged.

    `codes` are the QR codes' pictures, and `stamped` says which tickets were made from earlier ones, one a PDF, unless
    the tickets are `together`. `boxes` are letters that no font has. `missing` names a library without which nothing
    can be printed at all.
    """

    pdfs: Sequence[bytes] = ()
    codes: Sequence[bytes] = ()
    stamped: Sequence[bool] = ()
    boxes: str = ""
    error: str = ""
    missing: str = ""
    events: Sequence[Mapping[str, Any]] = field(default=())


def options_line(options: PrinterOptions) -> bytes:
    """Return the options as a line."""
    return _line(asdict(options))


def read_options(line: bytes) -> PrinterOptions:
    """Return the options of a line."""
    values = json.loads(line)
    look = TicketLook(**values["look"] | {"logo": _read_path(values["look"]["logo"])})
    folder = _read_path(values["template_folder"])
    return PrinterOptions(**values | {"template_folder": folder, "look": look})


def job_line(job: Job) -> bytes:
    """Return the job as a line."""
    return _line({"faces": [_face_values(face) for face in job.faces], "together": job.together})


def read_job(line: bytes) -> Job:
    """Return the job of a line."""
    values = json.loads(line)
    return Job(tuple(_read_face(face) for face in values["faces"]), together=values["together"])


def answer_line(answer: Answer) -> bytes:
    """Return the answer as a line."""
    files = {name: [b64encode(file).decode("ascii") for file in getattr(answer, name)] for name in _FILES}
    return _line(asdict(answer) | files)


def read_answer(line: bytes) -> Answer:
    """Return the answer of a line."""
    values = json.loads(line)
    return Answer(**values | {name: [b64decode(file) for file in values[name]] for name in _FILES})


def _read_path(path: str | None) -> Path | None:
    return None if path is None else Path(path)


def _face_values(face: TicketFace) -> dict[str, Any]:
    zone = face.starts.tzinfo
    if not isinstance(zone, ZoneInfo):
        raise TypeError("a ticket's time is in the site's time zone")
    # The zone's name, not its offset: a template may show the one or ask for the other.
    starts = {"at": face.starts.replace(tzinfo=None).isoformat(), "fold": face.starts.fold, "zone": zone.key}
    return asdict(face) | {"starts": starts, "price": str(face.price)}


def _read_face(values: Mapping[str, Any]) -> TicketFace:
    starts = values["starts"]
    moment = datetime.fromisoformat(starts["at"]).replace(tzinfo=ZoneInfo(starts["zone"]), fold=starts["fold"])
    return TicketFace(**{**values, "starts": moment, "price": Decimal(values["price"])})


def _line(values: Mapping[str, Any]) -> bytes:
    # ASCII, with every line break escaped. Lone surrogates, which a text from a database may hold, pass as \udxxx.
    # What JSON has no word for is a path.
    return json.dumps(values, separators=(",", ":"), default=str).encode("ascii") + b"\n"
