"""The ticket printer of a run: processes of its own do the work, several at once.

A page that brings WeasyPrint or a library below it down takes one such process along, and not the run; the order it
belongs to is the only one whose mail waits. `paypoll.tickets.worker` is what runs in there.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue

import structlog

from paypoll.tickets.processes import DeathError, PrintingProcess
from paypoll.tickets.ticket import PrintedTicket, PrinterMissingError, PrintError, TicketFace
from paypoll.tickets.wire import Answer, Job, PrinterOptions

log = structlog.get_logger(__name__)

_LIMIT = 20.0
"""Seconds for one ticket, hundreds of times what it takes. A process that takes longer for a job is ended."""

_TICKETS_WORTH_A_PROCESS = 100
"""For fewer that wait, one more process is not worth its memory, nor its start where it cannot be forked."""

_TRIES = 2
"""The first death need not be the ticket's fault: the machine was short of memory, or the process was killed."""


class PrintWorkers:
    """A TicketPrinter with up to `processes` processes. Close it when done.

    The first is started when there is work for it, or will be soon; another one when so many tickets wait that it pays.
    The processes end with this one, however it ends. They get no secret: neither what is in the environment for
    paypoll nor the folder of systemd's credentials.
    """

    def __init__(self, options: PrinterOptions, processes: int, *, limit: float = _LIMIT) -> None:
        self._options = options
        self._limit = limit
        self._processes = processes
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[tuple[Job, Future[Answer]] | None] = SimpleQueue()
        self._waiting = 0
        self._ahead: dict[Job, Future[Answer]] = {}
        self._idle: list[PrintingProcess] = []
        self._busy: set[PrintingProcess] = set()
        self._closed = False
        self._lock = threading.Lock()

    def get_ready(self) -> None:
        """Start the first process, if there is none: loading takes it longer than a dozen tickets."""
        with self._lock:
            if self._closed or self._idle or self._busy:
                return
            try:
                self._idle.append(PrintingProcess.started(self._options, self._limit))
            except PrintError:
                """Whoever asks for a ticket will hear of it."""

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Begin to print these orders' tickets, which will be asked for in this order."""
        for faces in orders:
            job = Job(tuple(faces))
            if job not in self._ahead:
                self._ahead[job] = self._submit(job)

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        """Return one ticket a face, in the same order. Raise PrintError when one cannot be made."""
        answer = self._answer(Job(tuple(faces)))
        parts = zip(answer.pdfs, answer.codes, answer.stamped, strict=True)
        return [PrintedTicket(pdf, code, stamped, answer.boxes) for pdf, code, stamped in parts]

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return one PDF with a page a face. Raise PrintError when it cannot be made, as for no face at all."""
        (pdf,) = self._answer(Job(tuple(faces), together=True)).pdfs
        return pdf

    def close(self) -> None:
        """End the processes. Unfinished jobs are dropped: printing leaves nothing behind."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
            for _ in self._threads:
                self._jobs.put(None)
        for worker in workers:
            worker.end()
        for thread in self._threads:
            thread.join()

    def _answer(self, job: Job) -> Answer:
        begun = self._ahead.pop(job, None) or self._submit(job)
        answer = begun.result()
        for event in answer.events:
            _log_again(**event)
        if answer.missing:
            raise PrinterMissingError(f"a library is missing: {answer.missing}")
        if answer.error:
            raise PrintError(answer.error)
        return answer

    def _submit(self, job: Job) -> Future[Answer]:
        """Put the job behind those that wait, and begin to work on one more at a time where that pays."""
        begun: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                begun.set_exception(PrintError("the run is ending"))
                return begun
            self._waiting += len(job.faces)
            self._jobs.put((job, begun))
            if len(self._threads) < min(self._processes, 1 + self._waiting // _TICKETS_WORTH_A_PROCESS):
                self._threads.append(
                    threading.Thread(target=self._work, name=f"print_{len(self._threads)}", daemon=True)
                )
                self._threads[-1].start()
        return begun

    def _work(self) -> None:
        """Do job after job, until there is to be an end. In a thread, one for each process."""
        while (taken := self._jobs.get()) is not None:
            job, begun = taken
            with self._lock:
                self._waiting -= len(job.faces)
            try:
                begun.set_result(self._do(job))
            except BaseException as error:  # noqa: BLE001 -- whoever asked for the job is told
                begun.set_exception(error)

    def _do(self, job: Job) -> Answer:
        """Have the job done by a process that is free, or a new one."""
        death = ""
        for _ in range(_TRIES):
            worker = self._take()
            try:
                answer = worker.ask(job)
            except DeathError as error:
                death = str(error)
                self._drop(worker)
                if not self._closed:
                    log.warning("a printing process ended in the middle of its work", how=death, order=_orders(job))
            except BaseException:
                self._drop(worker)
                raise
            else:
                self._give_back(worker)
                return answer
        return Answer(error=f"the tickets of order {_orders(job)} could not be printed: the printing process {death}")

    def _take(self) -> PrintingProcess:
        """Return a process that is free, else a new one: forked from one that is at work, where there is one."""
        with self._lock:
            worker = self._idle_one()
            if worker is not None:
                return worker
            warm = next(iter(self._busy), None)
            if warm is None:
                return self._started()  # within the lock: who comes next forks this one, and does not load all anew
        forked = warm.forked()
        with self._lock:
            if self._closed:
                if forked is not None:
                    forked.end()
                raise PrintError("the run is ending")
            if forked is None:
                return self._started()
            self._busy.add(forked)
            return forked

    def _started(self) -> PrintingProcess:
        """Start a process for the work at hand. With the lock held."""
        worker = PrintingProcess.started(self._options, self._limit)
        self._busy.add(worker)
        return worker

    def _idle_one(self) -> PrintingProcess | None:
        """Return a process that has nothing to do. With the lock held. Raise PrintError when the run is ending."""
        if self._closed:
            raise PrintError("the run is ending")
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                self._busy.add(worker)
                return worker
            worker.end()  # killed while it had nothing to do, which is no ticket's fault
        return None

    def _give_back(self, worker: PrintingProcess) -> None:
        with self._lock:
            self._busy.discard(worker)
            self._idle.append(worker)

    def _drop(self, worker: PrintingProcess) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.end()


def _orders(job: Job) -> str:
    return ", ".join(dict.fromkeys(face.order_number for face in job.faces))


def _log_again(*, level: str, event: str, **fields: object) -> None:
    getattr(log, level)(event, **fields)
