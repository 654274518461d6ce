"""A mail server that delivers nothing: every message becomes a file, and can be looked at."""

import asyncio
import itertools
import os
import re
import ssl
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiosmtpd.smtp import Envelope

from paypoll.sandbox.mail.refusals import REFUSALS
from paypoll.sandbox.mail.smtp_session import Dialogue, Stage, Trouble

_LONG: Final = 10.0
_LONGEST_SLUG: Final = 100
_NUMBERED: Final = re.compile(r"([0-9]{4,})-.*\.eml")
_TEN_MEBIBYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that was taken. `sender` and `recipients` are the envelope's; `username` is empty without a login.

    `introduced_as` is what the client said at EHLO.
    """

    message: EmailMessage
    sender: str
    recipients: tuple[str, ...]
    raw: bytes = field(repr=False)
    path: Path
    encrypted: bool
    username: str
    introduced_as: str = ""


class MailFault:
    """A fault that was dialled in."""

    def __init__(self, stage: Stage, trouble: Trouble, recipient: str | None, times: int | None) -> None:
        self.stage = stage
        self._trouble = trouble
        self._recipient = recipient
        self._times = times
        self._lock = threading.Lock()
        self._over = False
        self._hits = 0

    @property
    def hits(self) -> int:
        """How often it has happened."""
        with self._lock:
            return self._hits

    def clear(self) -> None:
        """Let it happen no more."""
        with self._lock:
            self._over = True

    def strikes(self, stage: Stage, recipient: str) -> Trouble | None:
        """Return the trouble if it happens here, and count it."""
        if stage is not self.stage or not self._is_meant(recipient):
            return None
        with self._lock:
            if self._over or (self._times is not None and self._hits >= self._times):
                return None
            self._hits += 1
            return self._trouble

    def _is_meant(self, recipient: str) -> bool:
        wanted = self._recipient
        if wanted is None or wanted == recipient:
            return True
        if wanted.startswith("!"):
            return recipient != wanted[1:]
        return wanted.startswith("@") and recipient.endswith(wanted)


class MailSink:
    """The sink. A context manager: it listens on loopback inside the block, on a free port unless one is given.

    `folder` is made if need be; files in it are kept, and numbering goes on behind them. `starttls` or `tls` is a
    server context for TLS after STARTTLS or from the start; without either there is no TLS. With a `username`
    messages are taken after a login only. `size_limit` is in bytes, and announced.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
        username: str = "",
        password: str = "",
        size_limit: int = _TEN_MEBIBYTES,
    ) -> None:
        """Raise ValueError if the host is not a loopback address: the sink takes mail from anybody."""
        if not ip_address(host).is_loopback:
            raise ValueError("the mail sink listens on loopback addresses only")
        self.folder = folder
        self.host = host
        self._port = port
        self._starttls = starttls
        self._tls = tls
        self._username = username
        self._password = password
        self._size_limit = size_limit
        self._changed = threading.Condition()
        self._mails: list[Mail] = []
        self._faults: list[MailFault] = []
        self._numbers = itertools.count(1)
        self._dialogues: set[Dialogue] = set()
        self._connections = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping, self._idle = asyncio.Event(), asyncio.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen. Raise OSError when the port is taken or the folder cannot be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        taken = (_NUMBERED.fullmatch(path.name) for path in self.folder.iterdir())
        self._numbers = itertools.count(max((int(name[1]) for name in taken if name), default=0) + 1)
        self._stopping, self._idle = asyncio.Event(), asyncio.Event()
        listening: Future[int] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="sandbox-smtp")
        thread.start()
        self._port = listening.result()
        self._thread = thread

    def close(self) -> None:
        """Hang up on every client and stop listening. The mails can still be looked at."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = None

    @property
    def port(self) -> int:
        """The port; known from the start on."""
        return self._port

    # --- what came ---------------------------------------------------------------------------------------

    @property
    def messages(self) -> tuple[Mail, ...]:
        """The mails that were taken since the construction or the last `forget`, the first first."""
        with self._changed:
            return tuple(self._mails)

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        with self._changed:
            return self._connections

    def wait_for(self, count: int, timeout: float = _LONG) -> tuple[Mail, ...]:
        """Wait until so many mails were taken and return them. Raise TimeoutError after so many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._mails) >= count, timeout):
                raise TimeoutError(f"{len(self._mails)} of {count} mails came within {timeout:g} s")
            return tuple(self._mails)

    def forget(self) -> None:
        """Empty `messages`. The files stay."""
        with self._changed:
            self._mails.clear()

    # --- faults ------------------------------------------------------------------------------------------

    def fault(
        self,
        stage: Stage,
        answer: str = "",
        *,
        drop: bool = False,
        delay: float = 0.0,
        keep: bool = False,
        recipient: str | None = None,
        times: int | None = None,
    ) -> MailFault:
        """Let something go wrong at this stage until it is cleared, or so many times.

        After `delay` seconds: with `drop` the connection is cut, else `answer` (such as `550 5.1.1 No such user`) is
        given, else all goes on as usual. `recipient` is the one address that is meant, all of a domain
        (`@shop.example`) or all but one (`!admin@shop.example`): at RCPT the one that is named, at DATA and MESSAGE
        the first that was taken, earlier it is not known. `keep`: at stage MESSAGE the message is
        kept nevertheless, so that it has arrived and the client cannot know. Of several faults at a stage, the first
        dialled in happens.
        """
        fault = MailFault(stage, Trouble(delay, answer, drop, keep), recipient, times)
        with self._changed:
            self._faults.append(fault)
        return fault

    def refuse_as(self, name: str, *, recipient: str | None = None, times: int | None = None) -> MailFault:
        """Refuse as a server of the world does: see `refusals.REFUSALS` for the names, `fault` for the rest."""
        stage, answer = REFUSALS[name]
        return self.fault(stage, answer, recipient=recipient, times=times)

    def clear_faults(self) -> None:
        """Clear all of them."""
        with self._changed:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.clear()

    # --- for the dialogues (see `smtp_session.Post`) -----------------------------------------------------

    def trouble(self, stage: Stage, recipient: str) -> Trouble | None:
        """Return what is to go wrong at this stage."""
        with self._changed:
            found = (fault.strikes(stage, recipient) for fault in self._faults)
            return next((trouble for trouble in found if trouble is not None), None)

    def keep(self, dialogue: Dialogue, envelope: Envelope) -> None:
        """Write a message to the folder and note it. Raise OSError when it cannot be written."""
        raw = envelope.original_content or b""
        message = message_from_bytes(raw, policy=policy.default)
        path = self.folder / f"{next(self._numbers):04d}-{slug(str(message.get('Subject', '')))}.eml"
        aside = path.with_suffix(".part")
        aside.write_bytes(raw)
        os.replace(aside, path)  # noqa: PTH105 - the same thing, and its name is known for being atomic
        mail = Mail(
            message=message,
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            raw=raw,
            path=path,
            encrypted=dialogue.encrypted,
            username=dialogue.username,
            introduced_as=getattr(dialogue.session, "host_name", None) or "",
        )
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()

    @property
    def wants_login(self) -> bool:
        """Whether mail is taken after a login only."""
        return bool(self._username)

    def is_login(self, username: str, password: str) -> bool:
        """Say whether this login is right."""
        return (username, password) == (self._username, self._password)

    def opened(self, dialogue: Dialogue) -> None:
        """Note a new connection."""
        if dialogue not in self._dialogues:  # after STARTTLS it opens once more
            self._dialogues.add(dialogue)
            with self._changed:
                self._connections += 1

    def closed(self, dialogue: Dialogue) -> None:
        """Note the end of a connection."""
        self._dialogues.discard(dialogue)
        if not self._dialogues:
            self._idle.set()

    # --- the event loop ----------------------------------------------------------------------------------

    async def _serve(self, listening: Future[int]) -> None:
        """Listen until told to stop, then cut what is still connected and wait for the end of it."""
        self._loop = asyncio.get_running_loop()
        try:
            server = await self._loop.create_server(self._dialogue, self.host, self._port, ssl=self._tls)
        except OSError as error:
            listening.set_exception(error)
            return
        listening.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        server.close()
        for dialogue in tuple(self._dialogues):
            dialogue.hang_up()
        while self._dialogues:
            self._idle.clear()
            await self._idle.wait()
        await server.wait_closed()

    def _dialogue(self) -> Dialogue:
        return Dialogue(
            self, tls=self._tls is not None, tls_context=self._starttls, data_size_limit=self._size_limit,
            loop=self._loop,
        )  # fmt: skip


def slug(text: str) -> str:
    """Return the text as a part of a file's name: small ASCII letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST_SLUG].strip("-") or "no-subject"
