"""Deliver the outbox: print the tickets, compose the mail, hand it to the mail server, mark it as sent.

At least once, with a fixed Message-ID. A confirmation never leaves without its PDFs: what cannot be printed waits.
One mail's failure never stops the others; a mail server that is down stops the delivery until the next run.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Protocol

import sqlalchemy as sa
import structlog

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.mail.address import address_problem
from paypoll.mail.delivered import Delivered
from paypoll.mail.mailer import Mailer, MailSession, MailUnavailableError, MessageRefusedError, RecipientRefusedError
from paypoll.mail.reporter import MailReporter
from paypoll.state import outbox
from paypoll.state.audit import record
from paypoll.state.outbox import Mail
from paypoll.tickets.ticket import PrintError

log = structlog.get_logger(__name__)

_MOST_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Parcel:
    """A mail as it is sent: one message, or several where the tickets do not fit into one."""

    subject: str
    messages: tuple[EmailMessage, ...]


class Packer(Protocol):
    """Makes the messages of a mail: prints, stores and attaches what belongs to it."""

    def expect(self, mails: Sequence[Mail]) -> None:
        """Take note of the mails that will be packed next, so that their tickets are printed ahead."""

    def pack(self, mail: Mail) -> Parcel:
        """Return the mail's messages. Raise PrintError when it must wait."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Limits of a delivery: how many mails are claimed at once, and for how long."""

    batch_size: int
    lease: timedelta


class Delivery:
    """One run's delivery of the outbox."""

    def __init__(
        self,
        engine: sa.Engine,
        packer: Packer,
        mailer: Mailer,
        alerts: MailReporter,
        clock: Clock,
        rules: DeliveryRules,
        run_id: str,
    ) -> None:
        self._engine = engine
        self._packer = packer
        self._mailer = mailer
        self._alerts = alerts
        self._clock = clock
        self._rules = rules
        self._run_id = run_id
        self._failures_in_a_row = 0
        self._sent_kinds: set[str] = set()
        self._failing_kinds: set[str] = set()

    def deliver(self, should_stop: Callable[[], bool], *, alerts: bool) -> Delivered:
        """Send what is due until nothing is, the mail server is down, or `should_stop` says so.

        Without `alerts`, only what customers wait for: alerts leave at the end of a run, where many become one.
        """
        result = Delivered()
        with ExitStack() as sessions:
            session: MailSession | None = None
            mails: deque[Mail] = deque()
            while not result.is_over() and self._claim_ahead(mails, should_stop, result, alerts=alerts):
                session = self._try_one(mails.popleft(), session, sessions, result)
            if mails:
                self._hand_back(mails)
        self._end_troubles()
        return result

    def _claim_ahead(
        self, mails: deque[Mail], should_stop: Callable[[], bool], result: Delivered, *, alerts: bool
    ) -> bool:
        """Claim more mail while there is enough at hand for the printer to go on with; say whether to go on."""
        stop = should_stop()
        if not stop and len(mails) <= self._rules.batch_size // 2 and (more := self._claim(alerts=alerts)):
            mails.extend(more)
            self._expect(more)
        result.cut_short = stop and (bool(mails) or self._is_any_due(alerts=alerts))
        return bool(mails) and not stop

    def _is_any_due(self, *, alerts: bool) -> bool:
        with transaction(self._engine) as connection:
            return outbox.is_any_due(connection, self._clock.now(), alerts=alerts)

    def _expect(self, mails: Sequence[Mail]) -> None:
        try:
            self._packer.expect(mails)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception:  # one row may be the cause: each mail gets its own error when it is packed
            log.exception("tickets could not be printed ahead")

    def _try_one(
        self, mail: Mail, session: MailSession | None, sessions: ExitStack, result: Delivered
    ) -> MailSession | None:
        try:
            return self._deliver_one(mail, session, sessions, result)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            # A row held by the shop, or a bug. It may have been sent by then, so it is shown as perhaps sent twice.
            log.exception("the mail met an unexpected error; it waits", kind=mail.kind, order=mail.order_id)
            self._wait_for_a_person(mail, type(error).__name__, result)
            return None

    def _deliver_one(
        self, mail: Mail, session: MailSession | None, sessions: ExitStack, result: Delivered
    ) -> MailSession | None:
        """Deliver one mail and return the session to go on with: None when it broke."""
        if mail.interrupted:
            log.warning("mail was cut off half-way; sending it again", mail=mail.id, order=mail.order_id)
        try:
            parcel = self._packer.pack(mail)
        except PrintError as error:
            self._wait_for_print(mail, str(error), result)
            return session
        if problem := next((p for to in mail.recipients if (p := address_problem(to))), None):
            self._give_up(mail, problem, result)
            return session
        try:
            if session is None:
                session = sessions.enter_context(self._mailer.connect())
        except MailUnavailableError as error:
            result.halted = f"the mail server is out of reach: {error}"
            self._put_off(mail, error, result)
            return None
        return self._send(mail, parcel, session, result)

    def _send(self, mail: Mail, parcel: Parcel, session: MailSession, result: Delivered) -> MailSession | None:
        taken = 0
        try:
            for message in parcel.messages:
                # Renewed before each message: many large ones outlast a lease, and another run would send them as well.
                if not self._begin_sending(mail):
                    return session
                session.send(message, mail.recipients)
                taken += 1
        except MailUnavailableError as error:
            error.maybe_sent = error.maybe_sent or taken > 0  # of several, some have arrived
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW:
                result.halted = f"the mail server fails again and again: {error}"
            self._put_off(mail, error, result)
            return None
        except (RecipientRefusedError, MessageRefusedError) as error:
            self._give_up(mail, str(error), result)
            return session
        self._mark_sent(mail, parcel, result)
        return session

    def _begin_sending(self, mail: Mail) -> bool:
        with transaction(self._engine) as connection:
            return outbox.begin_sending(connection, mail, self._run_id, self._clock.now() + self._rules.lease)

    def _claim(self, *, alerts: bool) -> list[Mail]:
        with transaction(self._engine) as connection:
            return outbox.claim_mail(
                connection,
                self._run_id,
                self._clock.now(),
                limit=self._rules.batch_size,
                lease=self._rules.lease,
                alerts=alerts,
            )

    def _hand_back(self, mails: Collection[Mail]) -> None:
        with transaction(self._engine) as connection:
            outbox.hand_back(connection, mails, self._run_id)

    def _mark_sent(self, mail: Mail, parcel: Parcel, result: Delivered) -> None:
        now = self._clock.now()
        with transaction(self._engine) as connection:
            outbox.mark_sent(connection, mail, parcel.subject, now)
            if mail.order_id is not None:
                record(
                    connection,
                    now=now,
                    action="mailed",
                    order_id=mail.order_id,
                    run_id=self._run_id,
                    explanation=f"{mail.kind} to {', '.join(mail.recipients)}: {parcel.subject}",
                )
            self._alerts.tell_mail_goes_out(connection, now)
        self._failures_in_a_row = 0
        self._sent_kinds.add(mail.kind)
        result.sent += 1
        log.info("mail sent", kind=mail.kind, order=mail.order_id, subject=parcel.subject)

    def _put_off(self, mail: Mail, error: MailUnavailableError, result: Delivered) -> None:
        now = self._clock.now()
        with transaction(self._engine) as connection:
            outbox.put_off(connection, mail, str(error), now, maybe_sent=error.maybe_sent)
            if result.halted:
                self._alerts.tell_nothing_goes_out(connection, str(error), now)
            else:
                self._alerts.tell_mail_waits(connection, mail, str(error), now)
        result.put_off += 1
        # An alert that cannot be sent: the log is the only place left where somebody may see it.
        tell = log.critical if mail.kind == "alert" else log.warning
        tell("mail waits", kind=mail.kind, order=mail.order_id, error=str(error), maybe_sent=error.maybe_sent)

    def _end_troubles(self) -> None:
        if kinds := self._sent_kinds - self._failing_kinds:
            with transaction(self._engine) as connection:
                self._alerts.end_troubles(connection, sorted(kinds))

    def _wait_for_a_person(self, mail: Mail, error: str, result: Delivered) -> None:
        now = self._clock.now()
        with transaction(self._engine) as connection:
            outbox.put_off(connection, mail, error, now, maybe_sent=True)
            self._alerts.tell_meets_error(connection, mail, error, now)
        result.put_off += 1
        result.unexpected += 1
        self._failing_kinds.add(mail.kind)

    def _wait_for_print(self, mail: Mail, error: str, result: Delivered) -> None:
        now = self._clock.now()
        with transaction(self._engine) as connection:
            outbox.put_off(connection, mail, error, now)
            self._alerts.tell_cannot_be_made(connection, mail, error, now)
        result.put_off += 1
        self._failing_kinds.add(mail.kind)
        log.error("mail waits: it cannot be made", kind=mail.kind, order=mail.order_id, error=error)

    def _give_up(self, mail: Mail, error: str, result: Delivered) -> None:
        """Mark the mail as undeliverable and tell the admins, in one transaction."""
        now = self._clock.now()
        with transaction(self._engine) as connection:
            outbox.give_up(connection, mail, error)
            if order := self._alerts.tell_undeliverable(connection, mail, error, now):
                record(
                    connection,
                    now=now,
                    action="undeliverable",
                    order_id=order.id,
                    order_number=order.number,
                    run_id=self._run_id,
                    explanation=f"{mail.kind}: {error}",
                )
        result.undeliverable += 1
        log.error("mail is undeliverable", kind=mail.kind, order=mail.order_id, error=error)
