"""The session with the mail server, for as long as it lasts and is worth keeping."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from paypoll.mail.mailer import Mailer, MailSession

# Servers count refused recipients as errors and slow down, then close the session: Postfix after ten and twenty.
_MOST_REFUSALS = 8


class ReusedSession:
    """The connection to the mail server: made when it is needed, and made anew when it is lost or worn out.

    `refusals`: how often the server has refused something in this session.
    """

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._open: AbstractContextManager[MailSession] | None = None
        self._session: MailSession | None = None
        self.refusals = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    def get(self) -> MailSession:
        """Return the open session, or open one. Raise MailUnavailableError."""
        if self._session is None:
            opening = self._mailer.connect()
            self._session = opening.__enter__()
            self._open, self.refusals = opening, 0
        return self._session

    def drop(self) -> None:
        """Close the session, if one is open."""
        opened, self._open, self._session = self._open, None, None
        if opened is not None:
            opened.__exit__(None, None, None)

    def refused(self) -> None:
        """Count a refusal; the next message has a new session when there were many."""
        self.refusals += 1
        if self.refusals >= _MOST_REFUSALS:
            self.drop()
