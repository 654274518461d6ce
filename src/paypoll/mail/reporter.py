"""Who hears what becomes of mail. `paypoll.alerts.mail` tells the admins; mail does not know them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.state.outbox import Mail


class MailReporter(Protocol):
    """Hears of troubles with mail, each in the transaction that writes it down."""

    def tell_nothing_goes_out(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Hear that the mail server is down."""

    def tell_we_are_refused(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Hear that the mail server refuses us, and with us every mail."""

    def tell_mail_goes_out(self, connection: sa.Connection, now: datetime, *, from_customers: bool) -> bool:
        """Hear that the mail server has taken a mail, a customer's or an alert. Return whether it had refused us."""
        ...

    def tell_mail_waits(
        self, connection: sa.Connection, mail: Mail, error: str, now: datetime, *, at_once: bool = False
    ) -> None:
        """Hear that the server does not take this mail now; `at_once`: that it refuses it, and it is tried again."""

    def forget_waiting(self, connection: sa.Connection, mail: Mail) -> None:
        """Hear that a mail that waited does not any more."""

    def tell_alert_refused(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Hear that the server does not take this alert."""

    def end_alert_refused(self, connection: sa.Connection, mail: Mail) -> None:
        """Hear that the server takes alerts for this admin."""

    def hand_over(self, connection: sa.Connection, now: datetime) -> None:
        """Send what waits for former admins to the present ones."""

    def tell_meets_error(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Hear that this mail meets an error that nobody foresaw."""

    def tell_cannot_be_made(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Hear that mails of this kind wait for something that a person must put right."""

    def tell_undeliverable(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> Order | None:
        """Hear that this mail will never arrive. Return the order that it is about; None when it was an alert."""

    def end_troubles(self, connection: sa.Connection, kinds: Iterable[str]) -> None:
        """Hear that mails of these kinds go out again."""
