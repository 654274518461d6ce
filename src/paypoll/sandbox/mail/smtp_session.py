"""The SMTP dialogue of the mail sink: aiosmtpd's, with faults at every stage."""
# ruff: noqa: N802 - aiosmtpd finds the methods for SMTP's commands by their names

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

log = structlog.get_logger(__name__)

_TRY_LATER: Final = "451 4.3.0 Something went wrong in the sink"


class Stage(StrEnum):
    """Where a fault strikes. DATA is the answer to the command, MESSAGE the one after the message itself."""

    CONNECT = "CONNECT"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    MESSAGE = "MESSAGE"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a fault does: wait `delay` seconds, keep the message or not, then hang up, answer, or go on as usual."""

    delay: float = 0.0
    answer: str = ""
    drop: bool = False
    keep: bool = False


class Post(Protocol):
    """What the SMTP sessions call. Everything is called in the event loop's thread."""

    def trouble(self, stage: Stage, recipient: str) -> Trouble | None:
        """Return what is to go wrong at this stage; `recipient` is the first one from RCPT on, before it empty."""
        ...

    def keep(self, dialogue: "Dialogue", envelope: Envelope) -> None:
        """Keep a message. Raise OSError when that is impossible."""
        ...

    def is_login(self, username: str, password: str) -> bool:
        """Say whether this login is right."""
        ...

    @property
    def wants_login(self) -> bool:
        """Whether mail is taken after a login only."""
        ...

    def opened(self, dialogue: "Dialogue") -> None:
        """Note that a client has connected."""
        ...

    def closed(self, dialogue: "Dialogue") -> None:
        """Note that the connection has ended."""
        ...


class Dialogue(SMTP):
    """One connection of a client. `username` is who is logged in, empty if nobody is."""

    def __init__(self, post: Post, *, tls: bool, **options: Any) -> None:
        self._post = post
        self._tls_from_the_start = tls
        self.username = ""
        # aiosmtpd counts only STARTTLS as TLS: under TLS from the start it would not offer AUTH.
        requires_tls = not tls and options.get("tls_context") is not None
        super().__init__(
            _Hooks(post), hostname="localhost", enable_SMTPUTF8=True, auth_require_tls=requires_tls,
            authenticator=self._judge, **options,
        )  # fmt: skip

    @property
    def encrypted(self) -> bool:
        """Whether the client talks TLS."""
        return self._tls_from_the_start or self._tls_protocol is not None

    def hang_up(self) -> None:
        """Cut the connection, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]  # a transport that writes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or begin again after STARTTLS."""
        super().connection_made(transport)
        self._post.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        super().connection_lost(error)
        self._post.closed(self)

    async def suffer(self, trouble: Trouble | None) -> str:
        """Let the trouble happen; return the answer it wants given, empty if none. It may never return."""
        if trouble is None:
            return ""
        await asyncio.sleep(trouble.delay)
        if trouble.drop:
            self.hang_up()
            # The loss of the connection cancels this task.
            await asyncio.Event().wait()
        if trouble.answer.startswith("421") and self.transport is not None:
            # Behind the answer, which is written before the loop comes round.
            self.loop.call_soon(self.transport.close)
        return trouble.answer

    async def smtp_HELO(self, hostname: str) -> None:
        """Answer HELO, with which clients try again when EHLO is refused."""
        if not await self._spoilt(Stage.EHLO):
            await super().smtp_HELO(hostname)

    async def smtp_EHLO(self, hostname: str) -> None:
        """Answer EHLO."""
        if not await self._spoilt(Stage.EHLO):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Answer STARTTLS."""
        if not await self._spoilt(Stage.STARTTLS):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:
        """Answer AUTH."""
        if not await self._spoilt(Stage.AUTH):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Answer MAIL."""
        if await self._spoilt(Stage.MAIL):
            return
        if self._post.wants_login and self.session is not None and not self.session.authenticated:
            await self.push("530 5.7.0 Authentication required")
            return
        await super().smtp_MAIL(arg)

    async def smtp_DATA(self, arg: str) -> None:
        """Answer DATA and take the message."""
        if not await self._spoilt(Stage.DATA, _first_recipient(self.envelope)):
            await super().smtp_DATA(arg)

    async def _spoilt(self, stage: Stage, recipient: str = "") -> bool:
        answer = await self.suffer(self._post.trouble(stage, recipient))
        if answer:
            await self.push(answer)
        return bool(answer)

    async def _handle_client(self) -> None:
        # A client that breaks off is nothing to report; aiosmtpd would leave it to the event loop to complain.
        with suppress(ConnectionError):
            if await self._spoilt(Stage.CONNECT):
                if self.transport is not None:
                    self.transport.close()
                return
            await super()._handle_client()

    def _judge(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        del server, session, envelope, mechanism
        name, password = (text.decode("utf-8", "replace") for text in (login.login, login.password))
        if not self._post.is_login(name, password):
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=name)


class _Hooks:
    """What aiosmtpd asks at some points of the dialogue. The names are its own."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def handle_EHLO(
        self, server: Dialogue, session: Session, _: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer AUTH only where there is a login."""
        del server
        session.host_name = hostname
        return [line for line in responses if self._post.wants_login or not line[4:].startswith("AUTH")]

    async def handle_AUTH(self, server: Dialogue, session: Session, _: Envelope, args: list[str]) -> str | None:
        """Log in. Done here because aiosmtpd's own way warns of its own deprecated attribute at each login."""
        ways: dict[str, Callable[[Any, list[str]], Any]] = {"PLAIN": server.auth_PLAIN, "LOGIN": server.auth_LOGIN}
        result = await ways[args[0]](server, args)
        if result.success:
            session.authenticated = True
            server.username = result.auth_data
            return "235 2.7.0 Welcome"
        return None if result.handled else "535 5.7.8 Wrong username or password"

    async def handle_RCPT(
        self, server: Dialogue, _: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        answer = await server.suffer(self._post.trouble(Stage.RCPT, address))
        if not answer:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer or "250 2.1.5 OK"

    async def handle_DATA(self, server: Dialogue, _: Session, envelope: Envelope) -> str:
        """Keep the message, unless it is refused or lost."""
        trouble = self._post.trouble(Stage.MESSAGE, _first_recipient(envelope))
        if trouble is None or trouble.keep or not (trouble.answer or trouble.drop):
            try:
                self._post.keep(server, envelope)
            except OSError as error:
                log.warning("mail_not_kept", error=str(error))
                return "452 4.3.1 The sink cannot write"
        return await server.suffer(trouble) or "250 2.0.0 Kept"

    async def handle_exception(self, error: Exception) -> str:
        """Answer for a failure, such as a TLS handshake that the client gave up."""
        log.debug("mail_sink_failed", error=type(error).__name__)
        return _TRY_LATER


def _first_recipient(envelope: Envelope | None) -> str:
    return envelope.rcpt_tos[0] if envelope is not None and envelope.rcpt_tos else ""
