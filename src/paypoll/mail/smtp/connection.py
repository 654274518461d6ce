"""SMTP connections on which every step must end by a deadline.

The time-outs of smtplib are for each silence: a server that says one byte every few seconds, or takes one, holds a
message for hours. So the socket's time-out is set anew before each read and write, to what is left.
"""

import io
import smtplib
import ssl
import time
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_CHUNK = 64 * 1024


class Deadline:
    """Until when the present step must end, on `time.monotonic`: sockets know no injected clock. Times are seconds.

    `silence` is how long the server may say or take nothing at all within that time.
    """

    def __init__(self, seconds: float, silence: float) -> None:
        self._silence = silence
        self.start(seconds)

    def start(self, seconds: float) -> None:
        """Begin a step that may take so long."""
        self._end = time.monotonic() + seconds
        self._patient = False

    def be_patient(self) -> None:
        """Allow the server silence until the end of this step."""
        self._patient = True

    def apply(self, sock: socket) -> None:
        """Let the socket's next read or write end in time. Raise TimeoutError when there is no time left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long altogether")
        sock.settimeout(left if self._patient else min(left, self._silence))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._deadline.apply(self._sock)
        return self._sock.recv_into(buffer)


class Connection(smtplib.SMTP):
    """A connection that begins in clear text. Connects when it is made, which is part of the deadline's first step.

    All errors are OSErrors: smtplib's own are. What the server says is never shown by smtplib's debugging.
    """

    deadline: Deadline

    def __init__(self, host: str, port: int, local_name: str, timeout: float, deadline: Deadline) -> None:
        self.deadline = deadline
        super().__init__(host, port, local_hostname=local_name, timeout=timeout)

    def getreply(self) -> tuple[int, bytes]:
        """Return the server's next reply, read within the deadline."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_TimedReader(self.sock, self.deadline))
        return super().getreply()

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send all of it within the deadline. When this raises, the server has not got the last byte.

        Text is sent as UTF-8: what is not ASCII is there only after the server has offered SMTPUTF8.
        """
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        left = memoryview(s.encode() if isinstance(s, str) else s)
        try:
            while left:
                self.deadline.apply(self.sock)
                left = left[self.sock.send(left[:_CHUNK]) :]
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(f"connection lost while sending: {error}") from error

    def starttls_within_deadline(self, context: ssl.SSLContext) -> None:
        """Turn to TLS. Raise an OSError when the server does not, or its certificate is not to be trusted."""
        if self.sock is not None:
            self.deadline.apply(self.sock)
        self.starttls(context=context)

    def quit_politely(self, seconds: float) -> None:
        """Say QUIT, if the connection is still there, and close it."""
        self.deadline.start(seconds)
        with suppress(OSError):
            self.docmd("QUIT")
        self.close()


class TlsConnection(Connection, smtplib.SMTP_SSL):
    """A connection that is TLS from its first byte."""

    def __init__(
        self, host: str, port: int, local_name: str, timeout: float, deadline: Deadline, context: ssl.SSLContext
    ) -> None:
        self.deadline = deadline
        smtplib.SMTP_SSL.__init__(self, host, port, local_hostname=local_name, timeout=timeout, context=context)
