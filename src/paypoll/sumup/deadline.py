"""Connections on which an answer must be complete by a deadline.

The time-outs of requests are for each read: a server that sends one byte every few seconds holds a request for hours,
in the headers as well as in the body. So the socket's time-out is set again before each read, to the time left until
the deadline.
"""

import http.client
import io
import time
from contextvars import ContextVar
from socket import socket
from typing import TYPE_CHECKING, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A context variable, because requests and urllib3 make the connections and pass nothing of ours on to them.
ANSWER_BY: Final[ContextVar[float]] = ContextVar("ANSWER_BY")
"""The deadline of this thread's request, on `time.monotonic`: sockets know no injected clock."""


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the deadline, then raises TimeoutError."""

    def __init__(self, source: io.RawIOBase, sock: socket, deadline: float) -> None:
        self._source = source
        self._sock = sock
        self._silence = sock.gettimeout()
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._source.fileno()

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._sock.settimeout(left if self._silence is None else min(left, self._silence))
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        source = self.fp.detach()
        self.fp = io.BufferedReader(_TimedReader(source, sock, ANSWER_BY.get()))


class _TimedHTTPConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedHTTPSConnection(HTTPSConnection):
    response_class = _TimedResponse


class _TimedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _TimedHTTPConnection


class _TimedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHTTPSConnection


class TimedAdapter(HTTPAdapter):
    """An adapter of requests whose answers must be complete by `ANSWER_BY`. It never tries a request again."""

    def __init__(self) -> None:
        # A session makes one request at a time, to one host.
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """Make the pools of this adapter ones that know the deadline."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # passed through as requests wants them
        self.poolmanager.pool_classes_by_scheme = {"http": _TimedHTTPPool, "https": _TimedHTTPSPool}
