"""A printing process: reads jobs from its standard input (a socket), prints, and writes answers to its standard output.

Started by `paypoll.tickets.workers`, which knows what to do when this process dies: WeasyPrint and the libraries
below it work on untrusted texts and pictures. So it is given no secret and no connection, ends with its input, and the
system itself limits its time for each job.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any, BinaryIO

from paypoll.gc_tuning import search_for_cycles_rarely
from paypoll.tickets.events import listen
from paypoll.tickets.forking import FORK_LINE, Inbox
from paypoll.tickets.libraries import loaded_lightly
from paypoll.tickets.ticket import PrintError, TicketPrinter
from paypoll.tickets.wire import Answer, Job, PrinterOptions, answer_line, read_job, read_options

_LOADING = 60.0
"""Seconds for loading WeasyPrint, on a machine with much else to do."""


def main() -> None:
    """Print what is asked for, until the input ends. The argument is the time limit of one ticket, in seconds."""
    # Both go to every process of the service or the terminal. The process that asked decides when printing stops.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    search_for_cycles_rarely()
    seconds = float(sys.argv[1])
    with _answers() as answers, socket.socket(fileno=sys.stdin.fileno()) as line_in:
        jobs = Inbox(line_in)
        # The default of SIGALRM ends the process, wherever it hangs, and also when nobody waits for it any more.
        signal.setitimer(signal.ITIMER_REAL, _LOADING)
        printer = _Printer(read_options(next(jobs)))
        signal.setitimer(signal.ITIMER_REAL, 0)
        for line in jobs:
            if line == FORK_LINE:
                jobs.fork(answers)
                continue
            job = read_job(line)
            signal.setitimer(signal.ITIMER_REAL, seconds * max(len(job.faces), 1))
            answer = answer_line(printer.answer(job))
            signal.setitimer(signal.ITIMER_REAL, 0)
            answers.write(answer)
            answers.flush()


def _answers() -> BinaryIO:
    """Return the standard output for our use alone: what a library prints goes to standard error instead."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


class _Printer:
    """The printer, or what it lacks; the answer to each job says which."""

    def __init__(self, options: PrinterOptions) -> None:
        self._events: list[Mapping[str, Any]] = []
        listen(self._keep)
        self._missing = ""
        try:
            self._printer = _make_printer(options)
        except (ImportError, OSError) as error:
            self._missing = str(error).strip().partition("  ")[0].splitlines()[0].rstrip(".")
        else:
            self._printer.get_ready()

    def answer(self, job: Job) -> Answer:
        """Print the tickets, or say why not."""
        if self._missing:
            return Answer(missing=self._missing)
        self._events = []
        try:
            return replace(self._print(job), events=self._events)
        except PrintError as error:
            return Answer(error=str(error), events=self._events)

    def _print(self, job: Job) -> Answer:
        if job.together:
            return Answer(pdfs=[self._printer.print_together(job.faces)])
        tickets = self._printer.print_tickets(job.faces)
        return Answer(
            pdfs=[ticket.pdf for ticket in tickets],
            codes=[ticket.qr_png for ticket in tickets],
            stamped=[ticket.stamped for ticket in tickets],
            boxes=tickets[0].boxes if tickets else "",
        )

    def _keep(self, level: str, event: str, **fields: Any) -> None:
        """Keep what the printer says for the answer: the settings of the log are those of the process that asked."""
        self._events.append({"level": level, "event": event, **fields})


def _make_printer(options: PrinterOptions) -> TicketPrinter:
    # It tells of a missing library at length, and on stdout.
    with redirect_stdout(StringIO()), loaded_lightly():
        from paypoll.tickets.printer import WeasyTicketPrinter

    return WeasyTicketPrinter(
        template_folder=options.template_folder,
        language=options.language,
        site_name=options.site_name,
        terms=options.terms,
        look=options.look,
        stamping=options.stamping,
    )


if __name__ == "__main__":
    main()
