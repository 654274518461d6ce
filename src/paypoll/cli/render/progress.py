"""How far a long run has come, in one line on a terminal that is written over and wiped away at the end."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from paypoll.cli.render.words import brief_seconds, width
from paypoll.logs import start_lines_with

if TYPE_CHECKING:
    from paypoll.runs.report import RunReport

_PATIENCE = 2.0
"""Seconds before a run is a long one."""

_PAUSE = 0.5


@contextmanager
def progress_shown(
    report: "RunReport", *, stream: IO[str] | None = None, patience: float = _PATIENCE
) -> Iterator[None]:
    """Show on stderr how far the run has come, when that is a terminal and the run takes a while. Else, nothing."""
    stream = stream or sys.stderr
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    over = threading.Event()
    # Blanks over what stands there. No escape sequence: this works on every terminal, and with NO_COLOR.
    room = width(stream) - 1
    wipe = f"\r{'':{room}}\r"
    arguments = (report, stream, over, patience, wipe, room)
    teller = threading.Thread(target=_tell, args=arguments, name="progress", daemon=True)
    start_lines_with(wipe)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        start_lines_with("")


def _tell(report: "RunReport", stream: IO[str], over: threading.Event, patience: float, wipe: str, room: int) -> None:
    began = time.monotonic()
    pause, shown = patience, False
    while not over.wait(pause):
        stream.write(wipe + progress_line(report, time.monotonic() - began)[:room])
        stream.flush()
        pause, shown = _PAUSE, True
    if shown:
        stream.write(wipe)
        stream.flush()


def progress_line(report: "RunReport", seconds: float) -> str:
    """Return how far the run has come."""
    # Another thread adds to the report meanwhile: a number that is one behind does no harm.
    counts = report.counts()
    parts = [f"{counts['orders']} orders looked at"]
    for key, word in (("outcome_complete", "paid"), ("errors", "with errors"), ("mails_sent", "mails sent")):
        if counts.get(key):
            parts.append(f"{counts[key]} {word}")
    return f"{', '.join(parts)}; {brief_seconds(seconds)} so far, Ctrl-C to stop"
