"""Who is told what becomes of mail. `paypoll.alerts.mail` tells the admins; mail does not know them."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from paypoll.payments.order import Order
from paypoll.state.outbox import Mail


class MailReporter(Protocol):
    """Is told of troubles with mail, each in the transaction that writes it down."""

    def tell_nothing_goes_out(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Take note that the mail server is down."""

    def tell_we_are_refused(self, connection: sa.Connection, error: str, now: datetime) -> None:
        """Take note that the mail server refuses us, and with us every mail."""

    def tell_if_nobody_is_taken(self, connection: sa.Connection, now: datetime) -> None:
        """Look whether the mail server puts off or refuses every customer, one by one, and take note of it."""

    def tell_mail_goes_out(self, connection: sa.Connection, now: datetime, *, from_customers: bool) -> bool:
        """Take note that the mail server has taken a customer's mail, or another. Return whether it had refused us."""
        ...

    def tell_mail_waits(
        self, connection: sa.Connection, mail: Mail, error: str, now: datetime, *, at_once: bool = False
    ) -> None:
        """Take note that the server does not take this mail now; `at_once`: that it refuses it for good."""

    def forget_waiting(self, connection: sa.Connection, mail: Mail) -> None:
        """Take note that a mail that waited does not any more."""

    def tell_alert_refused(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Take note that the server does not take this alert."""

    def end_alert_refused(self, connection: sa.Connection, mail: Mail) -> None:
        """Take note that the server takes alerts for this admin."""

    def hand_over(self, connection: sa.Connection, now: datetime, lease: timedelta) -> None:
        """Send what waits for former admins, and what no run has leased for so long at most, to the present ones."""

    def tell_meets_error(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Take note that this mail meets an error that nobody foresaw."""

    def tell_cannot_be_made(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
        """Take note that mails of this kind wait for something that a person must put right."""

    def tell_undeliverable(self, connection: sa.Connection, mail: Mail, error: str, now: datetime) -> Order | None:
        """Take note that this mail will never arrive. Return the order that it is about; None when it was an alert."""

    def tell_shows_boxes(self, connection: sa.Connection, mail: Mail, letters: Collection[str], now: datetime) -> None:
        """Take note that tickets have left with boxes in place of these letters, which no font here has."""

    def end_boxes(self, connection: sa.Connection, legible: Collection[str]) -> None:
        """Take note of letters on tickets that can be read."""

    def end_troubles(self, connection: sa.Connection, kinds: Iterable[str]) -> None:
        """Take note that mails of these kinds go out again."""
