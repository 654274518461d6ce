"""Deliver the outbox: print the tickets, compose the mail, hand it to the mail server, mark it as sent.

At least once, with a fixed Message-ID. A confirmation never leaves without its PDFs: what cannot be printed waits.
One mail's failure never stops the others; a mail server that is down, or refuses us, stops the delivery until the next
run. What was never tried goes first, and what failed before has a share.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

import sqlalchemy as sa
import structlog

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.mail.address import address_problem
from paypoll.mail.delivered import Delivered
from paypoll.mail.delivery_queue import DeliveryQueue, DeliveryRules
from paypoll.mail.mailer import (
    DoubtfulRefusalError,
    Mailer,
    MailUnavailableError,
    MessageRefusedError,
    RecipientDeferredError,
    RecipientRefusedError,
    SenderRefusedError,
)
from paypoll.mail.outcomes import MailOutcomes
from paypoll.mail.overtaken import is_new, untrue_when, why_overtaken
from paypoll.mail.reporter import MailReporter
from paypoll.mail.smtp.session import ReusedSession
from paypoll.shop.accounts import names_and_email_of
from paypoll.shop.find import order_for_mail
from paypoll.state import outbox
from paypoll.state.audit import record
from paypoll.state.due_mail import Whose
from paypoll.state.outbox import Mail
from paypoll.tickets.ticket import PrintError

log = structlog.get_logger(__name__)

_MOST_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class PackedMail:
    """A mail as it is sent: one message, or several where the tickets do not fit into one.

    `tickets` are the ids of those that it carries; `boxes` are letters on them that no font here has, and `legible` the
    others.
    """

    subject: str
    messages: tuple[EmailMessage, ...]
    tickets: tuple[int, ...] = ()
    boxes: frozenset[str] = frozenset()
    legible: frozenset[str] = frozenset()

    @property
    def largest(self) -> int:
        """The bytes of its largest message."""
        return max(len(message.as_bytes()) for message in self.messages)


class Packer(Protocol):
    """Makes the messages of a mail: prints, stores and attaches what belongs to it."""

    def expect(self, mails: Sequence[Mail]) -> None:
        """Take note of the mails that will be packed next, so that their tickets are printed ahead."""

    def pack(self, mail: Mail, size_limit: int | None = None) -> PackedMail:
        """Return the mail's messages. Raise PrintError when it must wait.

        `size_limit`: in bytes, where the mail server takes less than the settings say.
        """
        ...


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
        self._alerts = alerts
        self._clock = clock
        self._rules = rules
        self._run_id = run_id
        self._session = ReusedSession(mailer)
        self._result = Delivered()
        self._outcomes = MailOutcomes(engine, alerts, clock, run_id, self._result)
        self._failures_in_a_row = 0
        self._queue = DeliveryQueue(engine, clock, rules, run_id, self._expect)

    def deliver(self, should_stop: Callable[[], bool], whose: Whose = Whose.ALL) -> Delivered:
        """Send what is due until nothing is, the mail server is down, or `should_stop` says so.

        `whose`: customers' mail alone, as alerts leave at the end of a run, where many become one; or alerts alone.
        """
        if whose is not Whose.CUSTOMERS:
            with transaction(self._engine) as connection:
                self._alerts.hand_over(connection, self._clock.now(), self._rules.lease)
        with self._session:
            while (left := self._left(whose)) is not None:
                if should_stop():
                    self._result.cut_short = self._queue.holds_any() or self._queue.is_any_due(left)
                    break
                if (mail := self._queue.next(left)) is None:
                    break
                self._try_one(mail)
        self._queue.hand_back()
        self._outcomes.end()
        return self._result

    def _left(self, whose: Whose) -> Whose | None:
        """Return whose mail is still to be sent, after what has halted; None: nobody's."""
        customers = whose is not Whose.ADMINS and not self._result.halted
        admins = whose is not Whose.CUSTOMERS and not self._result.alerts_halted
        if customers and admins:
            return Whose.ALL
        if customers:
            return Whose.CUSTOMERS
        return Whose.ADMINS if admins else None

    def _expect(self, mails: Sequence[Mail]) -> None:
        try:
            self._packer.expect(mails)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception:  # one row may be the cause: each mail gets its own error when it is packed
            log.exception("tickets could not be printed ahead")

    def _try_one(self, mail: Mail) -> None:
        try:
            self._deliver_one(mail)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            # A row held by the shop, or a bug. It may have been sent by then, so it is shown as perhaps sent twice.
            log.exception("the mail met an unexpected error; it waits", kind=mail.kind, order=mail.order_id)
            self._outcomes.unexpected(mail, type(error).__name__)
            self._session.drop()

    def _deliver_one(self, mail: Mail) -> None:
        if mail.interrupted:
            log.warning("mail was cut off half-way; sending it again", mail=mail.id, order=mail.order_id)
        if not is_new(mail, self._clock.now()) or _problem(mail):
            mail, overtaken = self._as_it_is_now(mail)
            if overtaken:
                self._outcomes.overtaken(mail, overtaken)
                return
        try:
            packed = self._packer.pack(mail)
        except PrintError as error:
            self._outcomes.cannot_be_made(mail, str(error))
            return
        if problem := _problem(mail):
            self._outcomes.given_up(mail, problem)
            return
        try:
            self._session.get()
        except MailUnavailableError as error:
            refused = isinstance(error, SenderRefusedError)
            why = "the mail server turns us away" if refused else "the mail server is out of reach"
            self._outcomes.halted(mail, error, why, everything=True)
            return
        if self._begin_sending(mail, packed.tickets):
            self._send(mail, packed)
            return
        readdressed, overtaken = self._as_it_is_now(mail)
        if overtaken:
            self._outcomes.overtaken(mail, overtaken)
        elif self._is_ours(mail):  # packed anew: for another address, or without a ticket that was made void meanwhile
            self._deliver_one(readdressed)

    def _as_it_is_now(self, mail: Mail) -> tuple[Mail, str]:
        """Return the mail with the address that its order, or its organiser, has now: it may have been corrected.

        And why it must not leave now, if it says what is not true any more.
        """
        if mail.is_alert:
            return mail, ""
        with transaction(self._engine) as connection:
            order = order_for_mail(connection, mail.order_id) if mail.order_id is not None else None
            if order is not None and mail.content.get("order_number", order.number) != order.number:
                order = None  # a restored shop gives ids out again: what was written to one is never sent to another
            if order is not None and (why := why_overtaken(mail.kind, order)):
                return mail, why
            email = order.email if mail.order_id is not None and order is not None else _account_email(connection, mail)
            if mail.content.get(outbox.ADDRESS_STANDS) is True or email is None or (email,) == mail.recipients:
                return mail, ""
            if (readdressed := outbox.readdress(connection, mail, email)) is None:
                return mail, ""
            record(
                connection,
                now=self._clock.now(),
                action="readdressed",
                order_id=mail.order_id,
                run_id=self._run_id,
                explanation=f"{mail.kind}: to {email or '(no address)'}, which {_owner(mail)} has now,"
                f" in place of {', '.join(mail.recipients) or '(no address)'}",
            )
            return readdressed, ""

    def _send(self, mail: Mail, packed: PackedMail) -> None:
        """Hand the mail over, which is marked as being sent, and write down what became of it."""
        try:
            if self._hand_over(mail, packed):
                self._outcomes.sent(mail, packed.subject, boxes=packed.boxes, legible=packed.legible)
                self._failures_in_a_row = 0
        except MailUnavailableError as error:
            worn_out = self._session.refusals > 0
            self._session.drop()
            self._lost(mail, error, worn_out=worn_out)
        except DoubtfulRefusalError as error:
            self._session.refused()
            if mail.is_alert:
                self._outcomes.put_off(mail, error)
            else:
                self._outcomes.doubtful(mail, error)
        except RecipientDeferredError as error:
            # The server is there: that is no failure of it.
            self._failures_in_a_row = 0
            self._session.refused()
            self._outcomes.put_off(mail, error)
        except (RecipientRefusedError, MessageRefusedError) as error:
            self._session.refused()
            self._outcomes.given_up(mail, str(error))

    def _lost(self, mail: Mail, error: MailUnavailableError, *, worn_out: bool) -> None:
        """The server takes nothing now; or the session was lost, also to the refusals in it: then this mail waits."""
        self._failures_in_a_row += 1
        if isinstance(error, SenderRefusedError):
            self._outcomes.halted(mail, error, "the mail server refuses us")
        elif error.answered and not worn_out:
            self._outcomes.halted(mail, error, "the mail server takes nothing now")
        elif self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW:
            self._failures_in_a_row = 0  # alerts' failures are not customers', and the other way round
            self._outcomes.halted(mail, error, "the mail server fails again and again")
        else:
            self._outcomes.put_off(mail, error)

    def _hand_over(self, mail: Mail, packed: PackedMail) -> bool:
        """Hand the messages over: smaller ones, where the server takes none so large and that helps.

        False when another run has taken the mail over.
        """
        goes_on = False
        while True:
            taken = 0
            try:
                for message in packed.messages:
                    # Anew before each: many large ones take longer than a lease, and another run would send them too.
                    if goes_on and not self._begin_sending(mail, (), goes_on=True):
                        return False
                    goes_on = True
                    self._session.get().send(message, mail.recipients)
                    taken += 1
            except MailUnavailableError as error:
                error.maybe_sent = error.maybe_sent or taken > 0  # of several, some have arrived
                raise
            except MessageRefusedError as error:
                smaller = None if taken or not error.too_large else self._packed_smaller(mail, packed)
                if smaller is None:
                    raise
                packed = smaller
            else:
                return True

    def _packed_smaller(self, mail: Mail, packed: PackedMail) -> PackedMail | None:
        """Return the mail in smaller messages, or None where it cannot be any smaller."""
        try:
            smaller = self._packer.pack(mail, packed.largest // 2)
        except PrintError:
            return None
        return smaller if smaller.largest < packed.largest else None

    def _begin_sending(self, mail: Mail, carried: Collection[int], *, goes_on: bool = False) -> bool:
        until = self._clock.now() + self._rules.lease
        untrue = untrue_when(mail.kind)
        with transaction(self._engine) as connection:
            return outbox.begin_sending(
                connection, mail, self._run_id, until, untrue_when=untrue, carried=carried, goes_on=goes_on
            )

    def _is_ours(self, mail: Mail) -> bool:
        with transaction(self._engine) as connection:
            return outbox.is_ours(connection, mail)


def _problem(mail: Mail) -> str | None:
    """Return what is wrong with an address that the mail goes to; None when nothing is."""
    return next((problem for to in mail.recipients if (problem := address_problem(to))), None)


def _account_email(connection: sa.Connection, mail: Mail) -> str | None:
    """Return the address that the account has now that the mail is for; None where there is none, or another's.

    A restored shop gives ids out again: what was written to one person is never sent to another.
    """
    account = mail.content.get(outbox.ACCOUNT) if mail.order_id is None else None
    found = names_and_email_of(connection, account) if isinstance(account, int) else None
    return found[1] if found is not None and mail.content.get("customer_name") in found[0] else None


def _owner(mail: Mail) -> str:
    return "the account" if mail.order_id is None else "the order"
