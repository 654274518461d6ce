"""How far a long run has come, in one line on a terminal that is drawn anew and wiped away at the end, by rich."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from paypoll.cli.render.marks import looked_at
from paypoll.cli.render.terminal import let_rich_in
from paypoll.cli.render.words import brief_seconds
from paypoll.logs import lines_through

if TYPE_CHECKING:
    from rich.live import Live

    from paypoll.runs.report import RunReport

_PATIENCE = 2.0
"""Seconds before a run is a long one. rich is not loaded before."""

_A_SECOND = 2
"""So often the line is drawn."""


@contextmanager
def progress_shown(
    report: "RunReport", *, stream: IO[str] | None = None, patience: float = _PATIENCE
) -> Iterator[None]:
    """Show on stderr how far the run has come, when that is a terminal and the run takes a while. Else, nothing."""
    stream = stream or sys.stderr
    if stream is None or not looked_at(stream):
        yield
        return
    began, shown = time.monotonic(), list["Live"]()
    begin = threading.Timer(patience, lambda: shown.append(_begin(report, stream, began)))
    begin.daemon = True
    begin.start()
    try:
        yield
    finally:
        begin.cancel()
        begin.join()  # it may be at it just now
        for live in shown:
            lines_through(None)
            live.stop()


def _begin(report: "RunReport", stream: IO[str], began: float) -> "Live":
    let_rich_in()
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=stream, markup=False, emoji=False, highlight=False)

    def line() -> Text:
        return Text(progress_line(report, time.monotonic() - began), no_wrap=True, overflow="ellipsis")

    live = Live(
        get_renderable=line, console=console, transient=True, refresh_per_second=_A_SECOND,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    # Lines of the log go above it, from the first instant on.
    lines_through(lambda text: console.print(Text.from_ansi(text), soft_wrap=True))
    live.start(refresh=True)
    return live


def progress_line(report: "RunReport", seconds: float) -> str:
    """Return how far the run has come."""
    # Another thread adds to the report meanwhile: a number that is one behind does no harm.
    counts = report.counts()
    parts = [f"{counts['orders']} orders looked at"]
    for key, word in (("outcome_complete", "paid"), ("errors", "with errors"), ("mails_sent", "mails sent")):
        if counts.get(key):
            parts.append(f"{counts[key]} {word}")
    return f"{', '.join(parts)}; {brief_seconds(seconds)} so far, Ctrl-C to stop"
