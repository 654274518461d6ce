"""The command, started warm: forked from a process that has loaded paypoll, instead of loading it anew each time.

Loading takes three quarters of what a short command costs, and the acceptance tests start over a thousand. What is
forked is the program from its first line on, with arguments, surroundings, folder, output and process id of its own;
it can be killed, stopped and signalled like any other. The first start of each command in a test process is a real
one, and so is each whose interpreter would differ (another locale, Python's own variables, a wrapper).
"""

import atexit
import contextlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

# What the interpreter itself reads as it starts, and the loader.
_INTERPRETERS = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
_MOST = 1 << 20
"""Bytes of a request: arguments and surroundings."""

# Not loaded ahead: what most commands never load either, or only in a process of their own.
_LEFT_OUT = ("paypoll.sandbox", "paypoll.testing", "paypoll.tickets", "paypoll.state.migrations", "paypoll.__main__")


class Process(Protocol):
    """What tests use of a started process; `subprocess.Popen[str]` is one."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def communicate(self, *, timeout: float | None = None) -> tuple[str, str]: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


# --- the side of the tests ---------------------------------------------------------------------------------


class WarmProcess:
    """A command that was forked. Its output is read all the time, so that a full pipe never holds it up."""

    def __init__(self, line: socket.socket, pid: int, output: Sequence[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._line = line
        self._read: list[bytearray] = [bytearray(), bytearray()]
        self._readers = [
            threading.Thread(target=_read_all, args=(fd, into), daemon=True)
            for fd, into in zip(output, self._read, strict=True)
        ]
        for reader in self._readers:
            reader.start()

    def poll(self) -> int | None:
        """Return the exit status as Popen has it, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                said = self._line.recv(64)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("paypoll", timeout or 0.0) from None
            self._line.close()
            if not said:
                raise RuntimeError("the process that commands are forked from is gone")
            self.returncode = os.waitstatus_to_exitcode(int(said))
        return self.returncode

    def communicate(self, *, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and return what it wrote to stdout and stderr."""
        until = None if timeout is None else time.monotonic() + timeout
        self.wait(timeout)
        for reader in self._readers:
            reader.join(None if until is None else max(0.0, until - time.monotonic()))
            if reader.is_alive():  # a process of its own has the pipe
                raise subprocess.TimeoutExpired("paypoll", timeout or 0.0)
        stdout, stderr = (bytes(read).decode() for read in self._read)
        return stdout, stderr

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _read_all(fd: int, into: bytearray) -> None:
    with open(fd, "rb", buffering=0) as pipe:
        while some := pipe.read(1 << 16):
            into += some


class Nursery:
    """The process that commands are forked from. It ends with the test process."""

    def __init__(self) -> None:
        from tests.warm_printer import PrinterNursery  # not there for the process that is started from this file

        self._surroundings = interpreters(os.environ)
        self._really_started = set[str]()
        self._printers = PrinterNursery()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", Path(__file__), str(theirs.fileno()), self._printers.program],
                pass_fds=[theirs.fileno()],
            )
        self._ours = ours

    def fits(self, command: str, environ: Mapping[str, str]) -> bool:
        """Say whether a start of this command may be a warm one."""
        if command not in self._really_started:
            self._really_started.add(command)
            return False
        return interpreters(environ) == self._surroundings

    def start(self, arguments: Sequence[str], environ: Mapping[str, str]) -> WarmProcess:
        """Start the command with these arguments, in this process's folder."""
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        request = json.dumps({"arguments": list(arguments), "environ": dict(environ), "folder": str(Path.cwd())})
        socket.send_fds(self._ours, [request.encode()], [theirs.fileno(), out_end, err_end])
        for fd in (out_end, err_end):
            os.close(fd)
        theirs.close()
        pid = line.recv(64)
        if not pid:
            raise RuntimeError("the process that commands are forked from is gone")
        return WarmProcess(line, int(pid), (out, err))

    def close(self) -> None:
        """End it."""
        self._ours.close()
        self._process.wait(timeout=30)
        self._printers.close()


@cache
def nursery() -> Nursery:
    """Return this test process's nursery."""
    made = Nursery()
    atexit.register(made.close)
    return made


def interpreters(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those of these variables that the interpreter reads before paypoll begins."""
    return {name: value for name, value in environ.items() if name.startswith(_INTERPRETERS)}


# --- the side that is forked from ---------------------------------------------------------------------------


def load() -> None:
    """Load what commands load."""
    import importlib

    import paypoll

    for module in pkgutil.walk_packages(paypoll.__path__, "paypoll."):
        if not module.name.startswith(_LEFT_OUT):
            importlib.import_module(module.name)
    importlib.import_module("sqlalchemy.dialects.postgresql.psycopg2")
    importlib.import_module("psycopg2")
    importlib.import_module("paypoll.tickets.workers")


def serve(line: socket.socket) -> None:
    """Fork commands as asked for, and say how they ended, until nobody asks any more."""
    import gc

    gc.collect()
    gc.freeze()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asking: dict[int, socket.socket] = {}
    while True:
        ready = select.select([line.fileno(), wake], [], [])[0]
        if wake in ready:
            os.read(wake, 1 << 10)
            _tell_ends(asking)
        if line.fileno() in ready:
            request, fds, _, _ = socket.recv_fds(line, _MOST, 3)
            if not request:
                return
            told = socket.socket(fileno=fds[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for other in (line, told, *asking.values()):
                    os.close(other.detach())
                for fd in (wake, woken):
                    os.close(fd)
                _become(json.loads(request), fds[1:])
            for fd in fds[1:]:
                os.close(fd)
            asking[pid] = told
            told.send(str(pid).encode())


def _tell_ends(asking: dict[int, socket.socket]) -> None:
    while asking:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with asking.pop(pid) as told, contextlib.suppress(OSError):  # whoever asked may be gone
            told.send(str(status).encode())


def _become(request: dict[str, object], output: Sequence[int]) -> None:
    """Be the command, as if it had been started. Never returns."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, number in ((nothing, 0), (output[0], 1), (output[1], 2)):
        os.dup2(fd, number)
        os.close(fd)
    environ, arguments = request["environ"], request["arguments"]
    assert isinstance(environ, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(str(request["folder"]))
    # What it starts in place of Python is a printing process, which is warm as well.
    program, sys.executable = sys.executable, sys.argv[2]
    sys.argv = [str(Path(program).with_name("paypoll")), *map(str, arguments)]
    from paypoll.__main__ import run

    run()


if __name__ == "__main__":
    load()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        serve(asked)
