"""A printing process as the run sees it: started or forked, given jobs, and ended."""

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import IO, Self

from paypoll.tickets.forking import Forked, forked
from paypoll.tickets.ticket import PrintError
from paypoll.tickets.wire import Answer, Job, PrinterOptions, job_line, options_line, read_answer


class DeathError(Exception):
    """The process is gone. Says how it ended."""


class PrintingProcess:
    """One printing process, and the line to it. `started` and `forked` make it."""

    def __init__(
        self, process: "subprocess.Popen[bytes] | Forked", jobs: socket.socket, answers: IO[bytes], limit: float
    ) -> None:
        self._process = process
        self._jobs = jobs
        self._answers = answers
        self._limit = limit
        self._telling = threading.Lock()

    @classmethod
    def started(cls, options: PrinterOptions, limit: float) -> Self:
        """Start one anew. `limit` is its time for a ticket, in seconds. Raise PrintError when that is not possible."""
        jobs, theirs = socket.socketpair()
        try:
            with theirs:
                # -P: what lies in the current folder is no module. The rest of the environment decides about fonts.
                process = subprocess.Popen(  # noqa: S603 - our own program, with no argument from outside
                    [sys.executable, "-P", "-m", "paypoll.tickets.worker", str(limit)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL if sys.stderr is None else None,
                    env=_environment(),
                )
        except OSError as error:
            jobs.close()
            raise PrintError(f"no printing process can be started: {error.strerror or type(error).__name__}") from error
        if process.stdout is None:
            raise AssertionError("the process was started with a pipe")
        started = cls(process, jobs, process.stdout, limit)
        # At once, so that it loads what it needs while there is no job yet. It reads them before it loads anything.
        started._tell(options_line(options))
        return started

    def forked(self) -> Self | None:
        """Return another one, warm from the start; None when it cannot be had. Waits for the end of the present job."""
        with self._telling:
            ends = forked(self._jobs)
        return None if ends is None else type(self)(*ends, self._limit)

    def _tell(self, line: bytes) -> bool:
        """Send a line; say whether the process took it."""
        try:
            with self._telling:
                self._jobs.sendall(line)
        except OSError:  # EPIPE: it ended before it had read all
            return False
        return True

    def ask(self, job: Job) -> Answer:
        """Return what became of the job. Raise DeathError when the process ended before it had an answer."""
        line = self._answers.readline() if self._tell(job_line(job)) else b""
        if not line.endswith(b"\n"):
            raise DeathError(self._how_it_ended())
        return read_answer(line)

    def is_alive(self) -> bool:
        """Say whether it can be given work."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._jobs.close()
        self._answers.close()

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGALRM:
            return f"took longer than {self._limit:g} seconds a ticket"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PAYPOLL_", "PG")) and name != "CREDENTIALS_DIRECTORY"
    }
