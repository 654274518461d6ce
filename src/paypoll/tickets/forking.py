"""A printing process that is forked from a warm one: it prints its first ticket at once, and shares most of the memory.

Both sides are here: what is sent, and what the warm process does with it. The new process is no child of the run's, so
that a process in between, which does nothing else, waits for its end and tells the run of it.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FORK_LINE = b"fork\n"
"""Comes in place of a job, with three files: the new process's input and output, and where the run is told of it."""

_FILES = 3
_THREADS_END_WITHIN = 0.1
"""Seconds. Pango looks for a font in a thread that lives for a millisecond, and may outlive the ticket by as much."""
_ENDED = 1
"""The exit status of a process of which nobody can tell any more."""


class Inbox:
    """Lines that come over a socket, and the files that come with them."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._unread = bytearray()
        self._files: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next line. A piece of one at the end is none: whoever wrote it was killed."""
        while (end := self._unread.find(b"\n") + 1) == 0:
            some, files, _, _ = socket.recv_fds(self._line, 1 << 16, _FILES)
            self._files += files
            if not some:
                raise StopIteration
            self._unread += some
        line = bytes(self._unread[:end])
        del self._unread[:end]
        return line

    def fork(self, answers: BinaryIO) -> None:
        """Fork this process. From here on both go on, each with an input and output of its own.

        Nothing is forked where a library has a thread, as later Pangos do: the new process would wait for it for ever.
        """
        files, self._files = self._files, []
        if len(files) == _FILES and _has_one_thread():
            _reap()
            if _fork() == 0:
                self._become_another(answers, *files)
        for file in files:
            os.close(file)

    def _become_another(self, answers: BinaryIO, new_jobs: int, new_answers: int, told: int) -> None:
        """Return in the new process. The one in between stays here until that has ended."""
        pid = _fork()
        if pid == 0:
            self._unread.clear()
            os.dup2(new_jobs, self._line.fileno())
            os.dup2(new_answers, answers.fileno())
            return
        try:
            # As long as anybody has them, the run cannot tell that the process they belong to has ended.
            nothing = os.open(os.devnull, os.O_RDWR)
            for file in (self._line.fileno(), answers.fileno(), new_jobs, new_answers):
                os.dup2(nothing, file)
            if pid is not None:
                _tell_end(pid, told)
        finally:
            os._exit(0)  # whatever happened: it is no printing process


def _has_one_thread() -> bool:
    """Say whether this process has no thread but its own, or has none soon."""
    deadline = time.monotonic() + _THREADS_END_WITHIN
    while len(list(Path("/proc/self/task").iterdir())) > 1:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _fork() -> int | None:
    """Fork; None where no process is to be had. The run then starts one, or says what keeps it from that."""
    try:
        return os.fork()
    except OSError:
        return None


def _tell_end(pid: int, told: int) -> None:
    """Give the run a file of the process, and its status when it has ended."""
    with socket.socket(fileno=told) as run, suppress(OSError):  # the run may have ended; so will the process
        socket.send_fds(run, [b"forked"], [os.pidfd_open(pid)])
        run.send(str(os.waitpid(pid, 0)[1]).encode())


def _reap() -> None:
    """Let go of earlier processes in between that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


class Forked:
    """A process that was forked from a printing process: of subprocess.Popen as much as is needed."""

    def __init__(self, pidfd: int, told: socket.socket) -> None:
        self._pidfd = pidfd
        self._told = told
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        if self._code is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        if self._code is None:
            status = self._told.recv(64)
            self._code = os.waitstatus_to_exitcode(int(status)) if status else _ENDED
            self._told.close()
        return self._code

    def kill(self) -> None:
        """Kill it. By its file, not its number, which might be another process's by now."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                """It has ended."""
            os.close(self._pidfd)
            self._pidfd = -1


def forked(from_it: socket.socket) -> tuple[Forked, socket.socket, BinaryIO] | None:
    """Have the printing process at the other end fork; return the new one, its input and its output.

    Waits until the printing process is through with its work. None when it cannot be forked, or has ended meanwhile.
    """
    jobs, their_jobs = socket.socketpair()
    told, their_told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read, write = os.pipe()
    answers = os.fdopen(read, "rb")
    try:
        with their_jobs, their_told:
            socket.send_fds(from_it, [FORK_LINE], [their_jobs.fileno(), write, their_told.fileno()])
    except OSError:
        files: list[int] = []
    else:
        _, files, _, _ = socket.recv_fds(told, 64, 1)
    finally:
        os.close(write)
    if files:
        return Forked(files[0], told), jobs, answers
    for file in (told, jobs, answers):
        file.close()
    return None
