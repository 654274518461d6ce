"""Logging: structlog's events and the libraries' own records, on one stream and perhaps in a file.

A person gets coloured lines, everything else JSON lines; under systemd each line starts with its priority. Whatever
way a secret gets into a line, `redact` is the last thing that happens to it.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import IO, Any, ClassVar, Final, Literal
from urllib.parse import quote, quote_plus

import structlog
from structlog.stdlib import ProcessorFormatter

from paypoll.characters import harmless
from paypoll.errors import SettingsError

LogFormat = Literal["auto", "console", "json"]

MASK: Final = "***"
_SHORTEST_SECRET = 6  # a shorter one would blot out harmless words

# sd-daemon(3): journald takes a number at the start of a line for its priority.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7

# What gives itself away by its form, registered or not.
_TELLTALES = (
    re.compile(r"(?i)(\bauthorization\b[\\\"']*\s*[:=,]\s*[\\\"']*(?:basic|bearer)\s+)[^\s\"'\\,]+"),
    re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}"),
    re.compile(r"(://[^\s:/@]*:)[^\s@/]+(?=@)"),
)


class _Redactor:
    """Knows the secrets, in every spelling that they may have in a line of log."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        spellings = {value, quote(value, safe=""), quote(value), quote_plus(value)}
        # Twice, because a KeyError's text is a repr already, and that stands in a line of JSON.
        for _ in range(2):
            spellings = spellings.union(*map(_escaped, spellings))
        with self._lock:
            self._spellings |= spellings
            # The longest first, so that of two secrets with one start no rest is left over.
            longest_first = sorted(self._spellings, key=lambda spelling: (-len(spelling), spelling))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for telltale in _TELLTALES:
            text = telltale.sub(rf"\1{MASK}", text)
        return text


def _escaped(text: str) -> set[str]:
    """Return the text as it looks in JSON and in Python's repr, which escapes quotes by what else there is."""
    # With both quotes before it, so that repr has to escape one; they are cut off again.
    quoted = repr("'\"" + text)[4:-1]
    as_bytes = repr(b"'\"" + text.encode(errors="replace"))[5:-1]
    return {
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        *(quoted, quoted.replace("\\'", "'")),
        *(as_bytes, as_bytes.replace("\\'", "'")),
    }


_redactor = _Redactor()


def register_secret(value: str) -> None:
    """Make sure that this value, as it is or encoded for a URL, is never logged. Under 6 characters it is ignored."""
    if len(value) >= _SHORTEST_SECRET:
        _redactor.add(value)


def redact(text: str) -> str:
    """Return the text with `***` in place of every registered secret, bearer token and password in a URL."""
    return _redactor.redact(text)


def configure_logging(
    level: str = "info",
    format: LogFormat = "auto",  # noqa: A002 - named as the setting is
    file: Path | None = None,
    *,
    stream: IO[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Send structlog's events of `level` and above, and the libraries' warnings, to the stream (stderr if None).

    `auto` is for people on a terminal and JSON lines otherwise. `file` gets JSON lines too; when it is rotated away
    it is made anew. Calling this again replaces what the call before set up. Raise SettingsError when the file
    cannot be opened.
    """
    environ = os.environ if environ is None else environ
    stream = stream or sys.stderr
    handlers: list[logging.Handler] = []
    if file is not None:
        handlers.append(_open_file(file))
    if stream is not None:  # a program may be started with stderr closed
        handlers.append(_screen(stream, format, environ))
    close_logging()
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    # SQLAlchemy warns when a connection is lost while an error is being handled: a log line, not a second line of ours.
    logging.captureWarnings(capture=True)
    # Libraries may speak of URLs, addresses and fonts at length; what they warn of is enough.
    root.setLevel(logging.WARNING)
    for name in ("paypoll", "__main__"):
        logging.getLogger(name).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def lines_through(write: Callable[[str], None] | None) -> None:
    """Have lines on a stream written by this, which draws progress there as well; None: as before."""
    _StreamHandler.through[:] = [write] if write is not None else []


def close_logging() -> None:
    """Take back what configure_logging set up on the root logger, and close the file."""
    logging.captureWarnings(capture=False)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if getattr(handler, "paypoll_handler", False):
            root.removeHandler(handler)
            with suppress(OSError):  # a full disk: what it could not take was told already
                handler.close()


# ---------------------------------------------------------------------------------------------------------
# From an event to a line
# ---------------------------------------------------------------------------------------------------------


def _shared_processors() -> list[structlog.types.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


class _RedactingFormatter(ProcessorFormatter):
    """Turns an event, or a library's record, into a line without secrets."""

    def __init__(self, *processors: structlog.types.Processor) -> None:
        # `format_exc_info` writes a traceback without local variables; they are where secrets are.
        super().__init__(
            processors=[ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info, *processors],
            foreign_pre_chain=_shared_processors(),
        )

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _JournalFormatter(logging.Formatter):
    """Puts the priority before every line: journald takes each line of a traceback for an entry of its own."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        number = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)
        return "\n".join(f"<{number}>{line}" for line in self._inner.format(record).split("\n"))


def _json_formatter() -> logging.Formatter:
    return _RedactingFormatter(structlog.processors.JSONRenderer(default=_plain))


def _console_formatter(*, colors: bool) -> logging.Formatter:
    return _RedactingFormatter(
        _without_controls,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)


def _without_controls(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = harmless(value, block=key in {"exception", "stack"})
    return event


# ---------------------------------------------------------------------------------------------------------
# Where lines go
# ---------------------------------------------------------------------------------------------------------


def _screen(stream: IO[str], format: LogFormat, environ: Mapping[str, str]) -> logging.Handler:  # noqa: A002 - as above
    terminal = stream.isatty()
    for_people = format == "console" or (format == "auto" and terminal)
    formatter = _console_formatter(colors=terminal and _colours_wanted(environ)) if for_people else _json_formatter()
    handler = _StreamHandler(stream)
    handler.setFormatter(_JournalFormatter(formatter) if _is_journal(stream, environ) else formatter)
    return handler


class _StreamHandler(logging.StreamHandler[IO[str]]):
    """Writes to a stream, whatever its encoding. When it cannot, the run goes on without."""

    paypoll_handler = True
    through: ClassVar[list[Callable[[str], None]]] = []

    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, above whatever shows progress."""
        if not self.through:
            super().emit(record)
            return
        try:
            self.through[0](self.format(record))
        except (OSError, ValueError):  # a terminal that is gone
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a line was lost. Logging's own report would show the event before redaction."""
        del record
        with suppress(OSError, ValueError):
            self.stream.write(f"paypoll: a log line was lost: {_reason(sys.exc_info()[1])}\n")


def _open_file(file: Path) -> logging.Handler:
    # Imported here: it brings sockets and queues along, which a run without a log file does not need.
    from logging.handlers import WatchedFileHandler

    class FileHandler(WatchedFileHandler):
        """Writes to a file that may be rotated away. When it cannot, it says so once on stderr."""

        paypoll_handler = True
        told = False

        def emit(self, record: logging.LogRecord) -> None:
            try:
                super().emit(record)
            except OSError:  # opening it anew is outside of what logging itself catches
                self.handleError(record)

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
            del record
            if not self.told and sys.stderr is not None:
                self.told = True
                sys.stderr.write(f"paypoll: cannot write the log file {file}: {_reason(sys.exc_info()[1])}\n")

    try:
        handler = FileHandler(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SettingsError([f"logging.file: cannot write {file}: {_reason(error)}"]) from None
    handler.setFormatter(_json_formatter())
    return handler


def _reason(error: BaseException | None) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def _colours_wanted(environ: Mapping[str, str]) -> bool:
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _is_journal(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Say whether the stream is the one that systemd connected to the journal: the same device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
