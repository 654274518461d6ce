"""The printing process, started warm: forked from a process that has loaded WeasyPrint.

Loading WeasyPrint takes most of what a run costs that prints two tickets, and the acceptance tests have hundreds of
them. A warm command starts, in place of Python, a program of a few lines. That one hands its pipes over to be the
printing process's own, lives as long as it does, and ends as it ended; whoever kills the one kills the other. The first
one of each test process is a real one, and so is whatever else is started in Python's place.
"""

import ast
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

_MOST = 1 << 20
"""Bytes of a request: arguments and surroundings."""

_PROGRAM = """#!{python} -IS
import os, signal, socket, sys

if sys.argv[1:4] != ["-P", "-m", "paypoll.tickets.worker"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
line.connect({address!r})
socket.send_fds(line, [repr((sys.argv[1:], dict(os.environ), os.getcwd())).encode()], [0, 1, 2])
said = line.recv(64)
if said == b"real":
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
os.close(0)
os.close(1)
said = line.recv(64)
code = os.waitstatus_to_exitcode(int(said)) if said else 1
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class PrinterNursery:
    """The process that printing processes are forked from.

    `program` is what to start in place of Python, `address` what that one asks.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paypoll-printers-")
        self.address = Path(self._folder.name, "line")
        self.program = Path(self._folder.name, "python")
        self.program.write_text(_PROGRAM.format(python=sys.executable, address=str(self.address)), encoding="utf-8")
        self.program.chmod(0o755)
        self._line, theirs = socket.socketpair()
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(self.address))
            listener.listen(64)
            fds = (listener.fileno(), theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", Path(__file__), *map(str, fds)], pass_fds=fds
            )

    def close(self) -> None:
        """End it, and what was forked from it."""
        self._line.close()
        self._process.wait(timeout=30)
        self._folder.cleanup()


def load() -> None:
    """Load what a printing process loads."""
    from paypoll.tickets.libraries import loaded_lightly

    importlib.import_module("paypoll.tickets.worker")
    with loaded_lightly():
        importlib.import_module("paypoll.tickets.printer")
    gc.collect()
    gc.freeze()


class _Server:
    def __init__(self, listener: socket.socket, lifeline: socket.socket) -> None:
        self._listener = listener
        self._lifeline = lifeline
        self._lines: dict[int, socket.socket] = {}
        self._loaded = self._first_was_real = False
        self._wake, self._woken = os.pipe()
        for fd in (self._wake, self._woken):
            os.set_blocking(fd, False)

    def serve(self) -> None:
        """Fork printing processes as asked for, until the tests have ended."""
        signal.set_wakeup_fd(self._woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            watched = [self._listener.fileno(), self._lifeline.fileno(), self._wake]
            ready = select.select(watched + [line.fileno() for line in self._lines.values()], [], [])[0]
            if self._lifeline.fileno() in ready:
                for pid in self._lines:
                    os.kill(pid, signal.SIGKILL)
                return
            if self._wake in ready:
                os.read(self._wake, 1 << 10)
            for pid in [pid for pid, line in self._lines.items() if line.fileno() in ready]:
                os.kill(pid, signal.SIGKILL)  # it is ours until it was waited for: below
            self._tell_ends()
            if self._listener.fileno() in ready:
                self._take(self._listener.accept()[0])

    def _take(self, line: socket.socket) -> None:
        request, fds, _, _ = socket.recv_fds(line, _MOST, 3)
        if not request:  # killed before it could ask
            line.close()
        elif not self._first_was_real:
            self._first_was_real = True
            _say(line, b"real")
            line.close()
        else:
            if not self._loaded:
                load()
                self._loaded = True
            pid = os.fork()
            if pid == 0:
                self._become(request, fds)
            self._lines[pid] = line
            _say(line, b"warm")
        for fd in fds:
            os.close(fd)

    def _tell_ends(self) -> None:
        while self._lines:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._lines.pop(pid) as line:
                _say(line, str(status).encode())

    def _become(self, request: bytes, fds: list[int]) -> None:
        """Be the printing process, as if it had been started. Never returns."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (self._listener, self._lifeline, *self._lines.values()):
            other.close()
        os.close(self._wake)
        os.close(self._woken)
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        arguments, environ, folder = ast.literal_eval(request.decode())
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        sys.argv = [arguments[2], *arguments[3:]]
        code = 1
        try:
            from paypoll.tickets import worker

            worker.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 -- as the interpreter does
            traceback.print_exc()
        os._exit(code)


def _say(line: socket.socket, word: bytes) -> None:
    with contextlib.suppress(OSError):  # whoever asked may have been killed
        line.send(word)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked, socket.socket(fileno=int(sys.argv[2])) as life:
        _Server(asked, life).serve()
