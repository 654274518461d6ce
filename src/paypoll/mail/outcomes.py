"""What became of each mail, written down with what admins are told of it, in one transaction."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa
import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError
from paypoll.mail.delivered import Delivered
from paypoll.mail.doubts import Verdict, note_deferral, settle, settle_all, weigh
from paypoll.mail.mailer import (
    DoubtfulRefusalError,
    MailError,
    MailUnavailableError,
    SenderRefusedError,
)
from paypoll.mail.reporter import MailReporter
from paypoll.state import outbox
from paypoll.state.audit import record
from paypoll.state.outbox import Mail

log = structlog.get_logger(__name__)

_LONGEST_RESTART = 20.0
"""Seconds for which a note that a mail has left is tried again: a database that is restarted is back by then.

It is what cannot be done anew: nobody else knows that this mail is out. Less than systemd gives a run to stop.
"""


def _until_noted() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(DatabaseUnavailableError),
        wait=wait_exponential(multiplier=0.1, max=2.0),
        stop=stop_after_delay(_LONGEST_RESTART),
        before_sleep=lambda _: log.warning("the database is away; the mail that has left is noted when it is back"),
        reraise=True,
    )


_HELD_FOR = timedelta(days=3)
"""So long does a mail wait whose order was cancelled or refunded meanwhile: as an order's window is long."""


@dataclass
class MailOutcomes:
    """Writes down what becomes of the mails of one delivery, and adds it up in `result`."""

    engine: sa.Engine
    alerts: MailReporter
    clock: Clock
    run_id: str
    result: Delivered
    _sent_kinds: set[str] = field(default_factory=set)
    _legible: set[str] = field(default_factory=set)
    _told_to_go_out: set[bool] = field(default_factory=set)
    # Refused without a reason why while others were taken, and what was last heard of a customer's mail.
    _unsettled: list[tuple[Mail, DoubtfulRefusalError]] = field(default_factory=list)
    _last_was_taken: bool = False
    _held_up_any: bool = False
    _settles_at_the_end: bool = False

    def sent(self, mail: Mail, subject: str, *, boxes: Collection[str] = (), legible: Collection[str] = ()) -> None:
        """The mail server took it. On its tickets, no font here has the letters `boxes`; the others are `legible`.

        Raise DatabaseUnavailableError when the database is not back in time: then the mail may be sent twice.
        """
        for attempt in _until_noted():
            with attempt, transaction(self.engine) as connection:
                # The answer to a commit may be lost, so that what failed was done.
                if attempt.retry_state.attempt_number == 1 or not outbox.is_sent(connection, mail):
                    self._note_sent(connection, mail, subject, boxes)
        self._legible.update(legible)
        self._sent_kinds.add(mail.kind)
        self._told_to_go_out.add(mail.is_customers)
        self.result.sent += 1
        log.info("mail sent", kind=mail.kind, order=mail.order_id, subject=subject)
        if mail.is_customers:
            self._last_was_taken = True
            self._settle_recipients()

    def _note_sent(self, connection: sa.Connection, mail: Mail, subject: str, boxes: Collection[str]) -> None:
        now = self.clock.now()
        outbox.mark_sent(connection, mail, subject, now)
        if mail.order_id is not None:
            record(
                connection,
                now=now,
                action="mailed",
                order_id=mail.order_id,
                run_id=self.run_id,
                explanation=f"{mail.kind} to {', '.join(mail.recipients)}: {subject}",
            )
        if mail.attempts:
            settle(connection, mail.id)
            self.alerts.forget_waiting(connection, mail)
        self._tell_mail_goes_out(connection, mail)
        if boxes:
            self.alerts.tell_shows_boxes(connection, mail, boxes, now)

    def _tell_mail_goes_out(self, connection: sa.Connection, mail: Mail) -> None:
        now = self.clock.now()
        if mail.is_alert:
            self.alerts.end_alert_refused(connection, mail)
        first = mail.is_customers not in self._told_to_go_out
        if first and self.alerts.tell_mail_goes_out(connection, now, from_customers=mail.is_customers):
            settle_all(connection)

    def halted(self, mail: Mail, error: MailUnavailableError, why: str, *, everything: bool = False) -> None:
        """No mail of its kind is to be tried any more in this run: customers' mail, or alerts, or `everything`."""
        detail = f"{why}: {error}"
        if mail.is_alert or everything:
            self.result.alerts_halted = detail
        if everything or not mail.is_alert:
            self.result.halted = detail
        now = self.clock.now()
        with transaction(self.engine) as connection:
            if not outbox.put_off(connection, mail, str(error), now, maybe_sent=error.maybe_sent):
                _note_lost(mail, detail)
                return
            if mail.is_alert and not everything:
                self.alerts.tell_alert_refused(connection, mail, str(error), now)
            elif isinstance(error, SenderRefusedError):
                self.alerts.tell_we_are_refused(connection, str(error), now)
            else:
                self.alerts.tell_nothing_goes_out(connection, str(error), now)
        self.result.put_off += 1
        what = "alerts halt; they wait" if mail.is_alert and not everything else "mail halts; everything waits"
        log.critical(what, reason=detail, maybe_sent=error.maybe_sent)

    def put_off(self, mail: Mail, error: MailError, *, at_once: bool = False) -> bool:
        """This mail alone waits; the others go on. `at_once`: admins are told now, not only when it lasts.

        False when it is not this run's any more: then nothing is written down or told, as in all of these.
        """
        now = self.clock.now()
        maybe_sent = isinstance(error, MailUnavailableError) and error.maybe_sent
        with transaction(self.engine) as connection:
            if not outbox.put_off(connection, mail, str(error), now, maybe_sent=maybe_sent):
                return _note_lost(mail, str(error))
            if mail.is_alert:
                self.alerts.tell_alert_refused(connection, mail, str(error), now)
            else:
                if not isinstance(error, DoubtfulRefusalError):  # those are written down where they are weighed
                    note_deferral(connection, mail, str(error), now)
                self._held_up_any = True
                self.alerts.tell_mail_waits(connection, mail, str(error), now, at_once=at_once)
        self.result.put_off += 1
        # An alert that cannot leave: the log is the last place where somebody may see it.
        tell = log.critical if mail.is_alert else log.warning
        tell("mail waits", kind=mail.kind, order=mail.order_id, error=str(error), maybe_sent=maybe_sent)
        return True

    def doubtful(self, mail: Mail, error: DoubtfulRefusalError) -> None:
        """The server refused a customer's mail, and it cannot be told at once whom that is about."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            if not outbox.is_ours(connection, mail):
                _note_lost(mail, str(error))
                return
            verdict = weigh(connection, mail, error, now)
        after_one_taken, self._last_was_taken = self._last_was_taken, False
        if verdict is Verdict.GIVE_UP:
            self.given_up(mail, str(error))
        elif verdict is Verdict.US:
            self._unsettled.clear()
            self.halted(mail, SenderRefusedError(str(error)), "the mail server refuses one mail after the other")
        elif self.put_off(mail, error, at_once=True) and error.recipient_if_others_are_taken:
            self._unsettled.append((mail, error))
            self._settles_at_the_end = after_one_taken and len(self._unsettled) == 1

    def given_up(self, mail: Mail, error: str) -> None:
        """Mark the mail as undeliverable and tell the admins. An alert is never given up: it waits."""
        if mail.is_alert:
            self.put_off(mail, MailError(error))
            return
        with transaction(self.engine) as connection:
            if not outbox.give_up(connection, mail, error):
                _note_lost(mail, error)
                return
            self._tell_undeliverable(connection, mail, error)
        self._count_undeliverable(mail, error)

    def overtaken(self, mail: Mail, why: str) -> None:
        """What the mail says is not true now: it waits, as the order may be put back, and is withdrawn in the end."""
        now = self.clock.now()
        ended = now - mail.created_at > _HELD_FOR
        with transaction(self.engine) as connection:
            if ended:
                is_ours = outbox.withdraw_ours(connection, mail, why)
            else:
                is_ours = outbox.put_off(connection, mail, f"held back: {why}", now)
            if not is_ours:
                _note_lost(mail, why)
                return
            if ended:
                settle(connection, mail.id)
        log.info("mail is withdrawn" if ended else "mail is held back", kind=mail.kind, order=mail.order_id, why=why)

    def unexpected(self, mail: Mail, error: str) -> None:
        """The mail met an error nobody foresaw; it waits for a person."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            if not outbox.put_off(connection, mail, error, now, maybe_sent=True):
                _note_lost(mail, error)
                return
            self.alerts.tell_meets_error(connection, mail, error, now)
        self.result.put_off += 1
        self.result.unexpected += 1

    def cannot_be_made(self, mail: Mail, error: str) -> None:
        """Something of the mail cannot be printed, stored or composed; it waits for a person."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            if not outbox.put_off(connection, mail, error, now):
                _note_lost(mail, error)
                return
            self.alerts.tell_cannot_be_made(connection, mail, error, now)
        self.result.put_off += 1
        log.error("mail waits: it cannot be made", kind=mail.kind, order=mail.order_id, error=error)

    def end(self) -> None:
        """Draw what follows from all of it, at the end of the delivery."""
        if self._settles_at_the_end and not self.result.halted:
            self._settle_recipients()
        if self._held_up_any:
            with transaction(self.engine) as connection:
                self.alerts.tell_if_nobody_is_taken(connection, self.clock.now())
        if self._sent_kinds:
            with transaction(self.engine) as connection:
                self.alerts.end_troubles(connection, sorted(self._sent_kinds))
                if self._legible:
                    self.alerts.end_boxes(connection, self._legible)

    def _settle_recipients(self) -> None:
        """The server takes other recipients: it refuses these for their own sake."""
        while self._unsettled:
            mail, error = self._unsettled.pop()
            with transaction(self.engine) as connection:
                if not outbox.give_up_waiting(connection, mail, str(error)):
                    continue
                self._tell_undeliverable(connection, mail, str(error))
            self.result.put_off -= 1
            self._count_undeliverable(mail, str(error))

    def _tell_undeliverable(self, connection: sa.Connection, mail: Mail, error: str) -> None:
        now = self.clock.now()
        settle(connection, mail.id)
        if order := self.alerts.tell_undeliverable(connection, mail, error, now):
            record(
                connection,
                now=now,
                action="undeliverable",
                order_id=order.id,
                order_number=order.number,
                run_id=self.run_id,
                explanation=f"{mail.kind}: {error}",
            )

    def _count_undeliverable(self, mail: Mail, error: str) -> None:
        self.result.undeliverable += 1
        log.warning("mail is undeliverable", kind=mail.kind, order=mail.order_id, error=error)


def _note_lost(mail: Mail, error: str) -> Literal[False]:
    """Say of a mail whose lease this run has lost, as one that was stopped for long, that its own attempt failed.

    Whoever has the mail now, or has delivered it, tells what becomes of it.
    """
    log.warning("the mail is not this run's any more; nothing is told", mail=mail.id, order=mail.order_id, error=error)
    return False
