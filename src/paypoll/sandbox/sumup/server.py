"""The HTTP server of the simulator: HTTP/1.1 with keep-alive on loopback, a thread for each connection."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from paypoll.sandbox.sumup.exchange import Answer, Request, phrase, problem

LONGEST_BODY: Final = 1024 * 1024
_LENGTH: Final = re.compile(r"[0-9]{1,9}")
_LOOK_AROUND: Final = 0.02
_LINGER_NOT: Final = struct.pack("ii", 1, 0)

Backend = Callable[[Request, "SocketLine"], None]
Connection = socket.socket | tuple[bytes, socket.socket]


class SocketLine:
    """The connection to a client while one request is answered; see `paypoll.sandbox.sumup.effects.Line`.

    `on_end` is told the status right before the client can know that the answer is whole, or None if there was none.
    `over` ends a pause.
    """

    def __init__(self, handler: "_Handler") -> None:
        self._handler = handler
        self.over = threading.Event()
        self.on_end: Callable[[int | None], None] = lambda _: None

    def send(self, answer: Answer) -> None:
        """Send the whole answer."""
        self.on_end(answer.status)
        self._write(self._head(answer) + answer.body)

    def send_cut(self, answer: Answer, length: int) -> None:
        """Announce the whole body, send its first `length` bytes, and hang up."""
        self.on_end(answer.status)
        self._handler.close_connection = True
        self._write(self._head(answer) + answer.body[:length])

    def drip(self, answer: Answer, pause: float) -> None:
        """Send the body byte by byte, with a pause before each."""
        self._write(self._head(answer))
        for place in range(len(answer.body)):
            self.pause(pause)
            if place == len(answer.body) - 1:
                self.on_end(answer.status)
            self._write(answer.body[place : place + 1])

    def reset(self) -> None:
        """Break the connection off: with nothing to linger for, closing it sends RST and not FIN."""
        self.on_end(None)
        self._handler.close_connection = True
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._handler.connection.close()

    def pause(self, seconds: float | None) -> None:
        """Wait so long, or shorter once it is `over`; without a number it is then too late for an answer.

        Raise ConnectionError when nothing can be sent any more: the client has hung up, or `stop` has hung up on it.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is None or time.monotonic() < deadline:
            left = _LOOK_AROUND if deadline is None else min(_LOOK_AROUND, max(deadline - time.monotonic(), 0))
            is_over = self.over.wait(left)  # looked at once: it may be set at any moment
            if is_over and deadline is not None:
                return
            if is_over or self._client_is_gone():
                raise ConnectionAbortedError("nobody waits for this answer any more")

    def _client_is_gone(self) -> bool:
        try:
            return not self._handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def _head(self, answer: Answer) -> bytes:
        return _head(answer, self._handler.server.date())

    def _write(self, data: bytes) -> None:
        self._handler.wfile.write(data)


class SandboxServer(ThreadingHTTPServer):
    """Listens from its construction on; `start` begins to answer, `stop` ends every connection and thread.

    `date` gives what the Date header says; without a date there is no such header.
    """

    # All threads are waited for in `stop`, so that none outlives a test.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, backend: Backend, date: Callable[[], datetime | None]) -> None:
        self.backend = backend
        self.date = date
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox-http")
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self.socket.getsockname()[1]
        return port

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, hang up on every client, and wait until all threads have ended."""
        self.shutdown()
        self._thread.join()
        with self._lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            _hang_up(connection)
        self.server_close()

    # Called in the one thread that accepts: so `stop` knows of every connection, also one whose own thread is about
    # to start.
    def process_request(self, request: Connection, client_address: object) -> None:
        """Note the connection and give it a thread."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Connection) -> None:
        """Close the connection and forget it."""
        with self._lock:
            self._connections.discard(request)
            super().close_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection and hands them to the server's backend."""

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    # So that each byte of a drip leaves at once.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        line = SocketLine(self)
        try:
            body = self._read_body(line)
            if body is None:
                return
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.backend(Request(self.command, path, query, headers, body), line)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that the base class looks for

    def _read_body(self, line: SocketLine) -> bytes | None:
        """Return the body; None when it cannot be had, which is answered."""
        text = self.headers.get("Content-Length", "0")
        length = int(text) if _LENGTH.fullmatch(text) else LONGEST_BODY + 1
        if length > LONGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            line.send(problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "bad-request", "Too long, or without a length."))
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client hung up in the middle of its request")
        return body

    def handle(self) -> None:
        """Serve one request after the other until either side hangs up."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the journal holds what there is to know."""


def _head(answer: Answer, date: datetime | None) -> bytes:
    fields = {
        **({"Date": format_datetime(date, usegmt=True)} if date is not None else {}),
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        **answer.headers,
    }
    lines = [f"HTTP/1.1 {int(answer.status)} {phrase(answer.status)}"]
    lines += [f"{name}: {_one_line(value)}" for name, value in fields.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")


def _one_line(value: str) -> str:
    """Raise ValueError if the value would begin another header."""
    if "\r" in value or "\n" in value:
        raise ValueError("a header's value has a line break")
    return value


def _hang_up(connection: Connection) -> None:
    if not isinstance(connection, socket.socket):
        return  # a datagram, by the base class's type; there are none here
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was quicker
