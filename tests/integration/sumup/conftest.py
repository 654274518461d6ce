"""A server that says exactly the bytes a test gives it, and clients that talk to it over real sockets."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import pytest

from paypoll.clock import Clock
from paypoll.sumup.auth import ApiKey, Credential, Credentials, PlatformCredentials
from paypoll.sumup.client import SumUpClient
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.pace import Wait
from paypoll.sumup.retry import RequestSeen

KEY = "sup_sk_made_up"
LONG = 10.0


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. Header names are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


Speak = Callable[[socket.socket], None]
Answer = bytes | Speak


class FaultyServer:
    """Answers requests by `answer`, one a connection, each connection in its own thread."""

    def __init__(self, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda _: self.http(500)
        self._wrap = wrap or (lambda connection: connection)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def says(self, *answers: Answer) -> None:
        """Give these answers in turn, and the last one from then on."""
        left = list(answers)

        def answer(_: Asked) -> Answer:
            with self._lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.answer = answer

    @staticmethod
    def http(status: int, body: bytes = b"", **headers: str) -> bytes:
        """Return a whole answer. A header's name is written with underscores."""
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode() + body

    @classmethod
    def json(cls, document: object, status: int = 200, **headers: str) -> bytes:
        """Return a whole answer with this document."""
        return cls.http(status, json.dumps(document).encode(), Content_Type="application/json", **headers)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(LONG)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LONG)
        # A client that hangs up in the middle is what some tests are about.
        with suppress(OSError), connection, self._wrap(connection) as wrapped:
            asked = _read_request(wrapped)
            if asked is None:
                return
            with self._lock:
                self.asked.append(asked)
            answer = self.answer(asked)
            if isinstance(answer, bytes):
                wrapped.sendall(answer)
            else:
                answer(wrapped)


def _read_request(connection: socket.socket) -> Asked | None:
    with connection.makefile("rb") as file:
        first = file.readline().decode().split()
        if len(first) != 3:
            return None
        headers = {}
        while line := file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Asked(first[0], first[1], headers, file.read(int(headers.get("content-length", "0"))))


@dataclass
class ManualClock:
    """A clock that only sleeping moves. `slept` holds every sleep longer than nothing."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    stopping: bool = False

    def now(self) -> datetime:
        return datetime(2026, 5, 1, 18, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> bool:
        if not self.stopping:
            self.seconds += seconds
            if seconds:
                self.slept.append(seconds)
        return self.stopping


class MakeClient(Protocol):
    """Makes clients of the server, closed after the test. Sleeping is by the manual clock unless `wait` is given."""

    def __call__(
        self,
        *,
        credential: Credential | None = None,
        credentials: Credentials | None = None,
        clock: Clock | None = None,
        wait: Wait | None = None,
        seen: list[RequestSeen] | None = None,
        base_url: str | None = None,
        **limits: float,
    ) -> SumUpClient: ...


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_client(server: FaultyServer, clock: ManualClock) -> Iterator[MakeClient]:
    made: list[SumUpClient] = []
    manual = clock

    def make(
        *,
        credential: Credential | None = None,
        credentials: Credentials | None = None,
        clock: Clock | None = None,
        wait: Wait | None = None,
        seen: list[RequestSeen] | None = None,
        base_url: str | None = None,
        **limits: float,
    ) -> SumUpClient:
        # Far from each other, so that no test passes for the wrong reason on a slow machine.
        limits = {"connect_timeout": 5, "read_timeout": 5, "answer_timeout": 5, "requests_per_second": 1000} | limits
        client = SumUpClient(
            SumUpOptions(base_url=base_url or server.url, **limits),  # type: ignore[arg-type]  # whole numbers as such
            credentials or PlatformCredentials(credential or ApiKey(KEY)),
            clock=clock or manual,
            wait=wait or manual.sleep,
            on_request=(seen if seen is not None else []).append,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> SumUpClient:
    return make_client()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[FaultyServer]:
    """A server with a certificate for localhost that nobody vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ("-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run([openssl, "req", "-x509", *options.split(), *names, *files], check=True, capture_output=True)  # noqa: S603 - no input
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = FaultyServer(lambda connection: context.wrap_socket(connection, server_side=True))
    yield server
    server.close()
